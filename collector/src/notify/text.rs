//! What a notice says: one line, and a text that says what, where, since when and what to do. Pure.

use super::quiet::show;
use crate::config::notify::{Cause, Recipient};
use crate::words::{self, Audience, Lang};
use outband_health::Fault;
use outband_schemas::Timestamp;
use outband_ticket::{Action, Ticket, Transition};
use std::fmt::Write;

/// A customer's comment, or whatever else was written by hand, is not longer than this in a notice, in characters.
const LONGEST: usize = 1000;

/// What a notice is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The ticket as it stands.
    pub(super) ticket: &'a Ticket,
    /// The entry of its log.
    pub(super) entry: &'a Transition,
    /// What that means.
    pub(super) cause: Cause,
    /// Which fallback; 0: none.
    pub(super) step: u32,
    /// What people call the server.
    pub(super) server_name: &'a str,
}

/// The text of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// One line.
    pub(super) subject: String,
    /// The text, without a line end at its end.
    pub(super) body: String,
}

/// What a recipient is told.
pub(super) fn text(facts: &Facts<'_>, to: &Recipient) -> Text {
    let Facts { ticket, entry, cause, step, server_name } = *facts;
    let (lang, audience) = (to.language, to.audience);
    let fault = Fault::ALL.into_iter().find(|f| f.as_str() == ticket.fault);
    let what = fault.map_or(ticket.fault.as_str(), |f| words::fault(f, audience, lang));
    let place = match audience {
        Audience::Operator => format!("{server_name} · {}", ticket.component),
        Audience::Customer => server_name.to_owned(),
    };
    let (mark, unanswered) = match lang {
        Lang::En => {
            (if ticket.drill { "[DRILL]" } else { "" }, if step > 0 { " (nobody has acknowledged)" } else { "" })
        }
        Lang::ZhCn => (if ticket.drill { "【演练】" } else { "" }, if step > 0 { "（尚无人确认）" } else { "" }),
    };
    let happened = happened(cause, lang);
    let number = ticket.number;
    let priority = ticket.priority.as_str();
    let subject = match lang {
        Lang::En => format!("{mark}[{priority}] Ticket {number} {happened}{unanswered}: {what} — {place}"),
        Lang::ZhCn => format!("{mark}【{priority}】工单 {number} {happened}{unanswered}：{what}（{place}）"),
    };
    let mut body = Lines { text: String::new(), lang };
    body.line("What", "情况", what);
    body.line(
        "Where",
        "位置",
        &match &ticket.site {
            Some(site) => format!("{site} · {place}"),
            None => place,
        },
    );
    body.line("Now", "进展", &format!("{happened}{unanswered}"));
    if audience == Audience::Operator {
        body.line("Why", "依据", &cut(&ticket.reason));
        if let Some(text) = words::rule(&ticket.rule, audience, lang) {
            body.line("Rule", "规则", &format!("{} — {text}", ticket.rule));
        }
        if let Some(serial) = &ticket.part_serial {
            body.line("Part", "部件序列号", serial);
        }
        body.line("First seen", "首次出现", &when(ticket.onset, to));
    }
    body.line("Ticket opened", "建单时间", &when(ticket.created_at, to));
    match &entry.action {
        Action::Comment { text, .. } => body.line("Message", "留言", &cut(text)),
        Action::Assign { to: whom } if audience == Audience::Operator => body.line("Assignee", "负责人", whom),
        Action::Breach { target, .. } | Action::Step { target, .. } => {
            body.line("Clock", "时钟", clock(target.as_str(), lang))
        }
        _ => {}
    }
    if let Some(fault) = fault.filter(|_| cause.calls_for_somebody()) {
        body.line("What to do", "处理建议", words::advice(fault, audience, lang));
    }
    if audience == Audience::Operator && cause.calls_for_somebody() {
        body.line("Acknowledge", "确认方式", &format!("outband notices ack {number}"));
    }
    Text { subject, body: body.text.trim_end().to_owned() }
}

fn when(at: Timestamp, to: &Recipient) -> String {
    show(at, &to.zone)
}

struct Lines {
    text: String,
    lang: Lang,
}

impl Lines {
    fn line(&mut self, en: &str, zh: &str, value: &str) {
        let written = match self.lang {
            Lang::En => writeln!(self.text, "{en}: {value}"),
            Lang::ZhCn => writeln!(self.text, "{zh}：{value}"),
        };
        // Writing to a String cannot fail.
        written.unwrap_or_default();
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn happened(cause: Cause, lang: Lang) -> &'static str {
    let (en, zh) = match cause {
        Cause::Opened => ("opened", "已创建"),
        Cause::Worse => ("got worse", "情况加重"),
        Cause::Reopened => ("reopened", "重新打开"),
        Cause::Escalation => ("escalated", "已升级"),
        Cause::Breach => ("ran out of time", "已超时"),
        Cause::Assigned => ("assigned", "已分派"),
        Cause::Update => ("updated", "有新进展"),
        Cause::Waiting => ("waits for the customer", "等待客户处理"),
        Cause::Resolved => ("resolved", "已解决"),
        Cause::Closed => ("verified and closed", "已验证并关闭"),
    };
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

fn clock(name: &str, lang: Lang) -> &str {
    match (lang, name) {
        (Lang::ZhCn, "respond") => "响应",
        (Lang::ZhCn, "locate") => "定位",
        (Lang::ZhCn, "repair") => "修复",
        (Lang::ZhCn, "pickup") => "接听",
        (Lang::ZhCn, "contact") => "联系客户",
        (Lang::ZhCn, "first_response") => "首次答复",
        (Lang::ZhCn, "remote_access") => "远程接入",
        (Lang::ZhCn, "onsite") => "到场",
        (Lang::ZhCn, "workaround") => "临时恢复",
        (Lang::ZhCn, "update_cadence") => "定期通报",
        (_, name) => name,
    }
}

/// Several notices in one: their subjects, then each whole.
pub(super) fn digest(texts: &[(&str, &str)], lang: Lang) -> Text {
    let subject = match lang {
        Lang::En => format!("{} notices", texts.len()),
        Lang::ZhCn => format!("通知汇总（{} 条）", texts.len()),
    };
    let whole: Vec<String> = texts.iter().map(|(subject, body)| format!("{subject}\n{body}")).collect();
    Text { subject, body: whole.join("\n\n") }
}
