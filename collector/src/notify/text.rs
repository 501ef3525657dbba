//! What a notice says: one line that fits on a phone, and a text that says what, where, since when and what to do. Pure.

use super::plan::Asked;
use super::quiet::show;
use crate::callpack::privacy::{Scrubber, people};
use crate::config::notify::{Cause, Recipient};
use crate::words::{self, Audience, Lang};
use outband_health::Fault;
use outband_schemas::Timestamp;
use outband_ticket::{Action, Ticket, Transition};
use std::fmt::Write;

/// The first line is not longer than this, in characters: phones show no more of it.
const FIRST_LINE: usize = 60;
/// A value of a line of the text, in characters.
const LONGEST: usize = 1000;
/// A digest tells so many characters of its notices in full; of the others it tells the first lines.
const LONGEST_DIGEST: usize = 30_000;

/// What a notice is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The ticket as it stands.
    pub(super) ticket: &'a Ticket,
    /// Its log: whose names stand in it, no customer reads.
    pub(super) log: &'a [Transition],
    /// The entry of it.
    pub(super) entry: &'a Transition,
    /// What that means.
    pub(super) cause: Cause,
    /// Which fallback; 0: none.
    pub(super) step: u32,
    /// What people call the server.
    pub(super) server_name: &'a str,
    /// Whom a step of an escalation asks, this recipient among them, with the time of the making.
    pub(super) asked: Option<(&'a [Asked], Timestamp)>,
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
    let Facts { ticket, cause, step, server_name, .. } = *facts;
    let (lang, audience) = (to.language, to.audience);
    let fault = Fault::ALL.into_iter().find(|f| f.as_str() == ticket.fault);
    let brief = fault.map_or(ticket.fault.as_str(), |f| words::brief(f, audience, lang));
    let place = match audience {
        Audience::Operator => format!("{server_name} · {}", ticket.component),
        Audience::Customer => server_name.to_owned(),
    };
    let happened = happened(cause, lang);
    let (number, priority) = (ticket.number, ticket.priority.as_str());
    let unanswered = step > 0;
    let line = match lang {
        Lang::En => {
            let (drill, open) =
                (if ticket.drill { "DRILL " } else { "" }, if unanswered { ", unanswered" } else { "" });
            format!("{drill}[{priority}] Ticket {number} {happened}{open}: {brief} — {place}")
        }
        Lang::ZhCn => {
            let (drill, open) = (if ticket.drill { "演练 " } else { "" }, if unanswered { "（无人确认）" } else { "" });
            format!("{drill}【{priority}】工单 {number} {happened}{open}：{brief}（{place}）")
        }
    };
    Text { subject: cut(&plain(&line), FIRST_LINE), body: body(facts, to, fault, &place) }
}

fn body(facts: &Facts<'_>, to: &Recipient, fault: Option<Fault>, place: &str) -> String {
    let Facts { ticket, entry, cause, step, .. } = *facts;
    let (lang, audience) = (to.language, to.audience);
    let mut body = Lines { text: String::new(), lang };
    if ticket.drill {
        body.line(
            "Drill",
            "演练",
            words_of(lang, "an exercise; answer as if it were real", "演练通知，请按真实故障响应"),
        );
    }
    body.line("What", "情况", fault.map_or(ticket.fault.as_str(), |f| words::fault(f, audience, lang)));
    let site = ticket.site.as_ref().map(|site| format!("{site} · {place}"));
    body.line("Where", "位置", site.as_deref().unwrap_or(place));
    let unanswered = if step > 0 { words_of(lang, " (nobody has acknowledged)", "（尚无人确认）") } else { "" };
    body.line("Now", "进展", &format!("{}{unanswered}", happened(cause, lang)));
    if audience == Audience::Operator {
        body.line("Why", "依据", &ticket.reason);
        if let Some(kind) = words::triage::of(ticket, lang) {
            body.line("Kind of trouble", "故障归类", &kind);
        }
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
        Action::Comment { text, .. } if audience == Audience::Customer => {
            let scrub = Scrubber::new(people(ticket, facts.log), []);
            body.message("Message", "留言", &scrub.clean_lines(text));
        }
        Action::Comment { text, .. } => body.message("Message", "留言", text),
        Action::Assign { to: whom } if audience == Audience::Operator => body.line("Assignee", "负责人", whom),
        Action::Breach { target, .. } => body.line("Clock", "时钟", clock(target.as_str(), lang)),
        Action::Step { target, level, .. } => {
            body.line("Clock", "时钟", clock(target.as_str(), lang));
            if *level > 0 {
                body.line("Level", "升级级别", &level.to_string());
            }
        }
        _ => {}
    }
    if cause == Cause::AtRisk && audience == Audience::Operator {
        let outlook = super::foretell::Outlook::read(&entry.why);
        body.line("Outlook", "预测依据", &outlook.map_or_else(|| entry.why.clone(), |o| o.words(lang, &to.zone)));
    }
    if let Some((asked, now)) = facts.asked {
        asks(&mut body, asked, to, now);
    }
    if let Some(fault) = fault.filter(|_| cause.calls_for_somebody()) {
        body.line("What to do", "处理建议", words::advice(fault, audience, lang));
    }
    if audience == Audience::Operator && cause.calls_for_somebody() {
        body.line("Acknowledge", "确认方式", &format!("outband notices ack {}", ticket.number));
    }
    body.text.trim_end().to_owned()
}

/// Whom the step asks, and of whom nobody has made sure lately that they can be reached.
fn asks(body: &mut Lines, asked: &[Asked], to: &Recipient, now: Timestamp) {
    let lang = body.lang;
    if to.audience == Audience::Operator {
        let names: Vec<String> = asked.iter().map(|a| turn(a, lang)).collect();
        body.line("Asked", "依次通知", &names.join(" → "));
    }
    let stale = asked.iter().filter(|a| to.audience == Audience::Operator || a.recipients.iter().any(|r| r.1 == *to));
    for (name, contact) in stale.filter_map(|a| Some((&a.name, a.contact.as_ref()?))).filter(|(_, c)| c.is_stale(now)) {
        let told = match (contact.unverified_days(now), lang) {
            (Some(days), Lang::En) => format!("{name} was last verified {days} days ago and may be out of date"),
            (Some(days), Lang::ZhCn) => format!("{name} 的联系方式上次核实距今 {days} 天，可能已失效"),
            (None, Lang::En) => format!("{name} was never verified"),
            (None, Lang::ZhCn) => format!("{name} 的联系方式从未核实"),
        };
        body.line("Check contact", "请核实联系人", &told);
    }
}

/// Whose turn it is; who has a number and no recipient is told nothing by us: somebody has to call.
fn turn(asked: &Asked, lang: Lang) -> String {
    let name = &asked.name;
    let phone = asked.contact.as_ref().and_then(|c| c.phone.as_ref()).filter(|_| asked.recipients.is_empty());
    match (phone, lang) {
        (None, _) => name.clone(),
        (Some(phone), Lang::En) => format!("call {name}: {phone}"),
        (Some(phone), Lang::ZhCn) => format!("致电 {name}：{phone}"),
    }
}

fn when(at: Timestamp, to: &Recipient) -> String {
    show(at, &to.zone)
}

fn words_of(lang: Lang, en: &'static str, zh: &'static str) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

struct Lines {
    text: String,
    lang: Lang,
}

impl Lines {
    /// A value in one line: what a BMC or a person wrote into it must not look like a line of ours.
    fn line(&mut self, en: &str, zh: &str, value: &str) {
        self.write(en, zh, &cut(&plain(value), LONGEST));
    }

    /// A value that may have lines of its own, each of which is set in.
    fn message(&mut self, en: &str, zh: &str, value: &str) {
        let lines: Vec<String> = value.lines().map(plain).collect();
        self.write(en, zh, &cut(&lines.join("\n  "), LONGEST));
    }

    fn write(&mut self, en: &str, zh: &str, value: &str) {
        let written = match self.lang {
            Lang::En => writeln!(self.text, "{en}: {value}"),
            Lang::ZhCn => writeln!(self.text, "{zh}：{value}"),
        };
        // Writing to a String cannot fail.
        written.unwrap_or_default();
    }
}

/// In one line, and without characters that turn the direction of what follows.
fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().filter(|c| !turns(*c)).map(|c| if ends(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn happened(cause: Cause, lang: Lang) -> &'static str {
    match cause {
        Cause::Opened => words_of(lang, "opened", "已创建"),
        Cause::Worse => words_of(lang, "got worse", "情况加重"),
        Cause::Reopened => words_of(lang, "reopened", "重新打开"),
        Cause::Escalation => words_of(lang, "escalated", "已升级"),
        Cause::AtRisk => words_of(lang, "may run late", "可能超时"),
        Cause::Breach => words_of(lang, "ran out of time", "已超时"),
        Cause::Assigned => words_of(lang, "assigned", "已分派"),
        Cause::Update => words_of(lang, "updated", "有新进展"),
        Cause::Waiting => words_of(lang, "waits for customer", "等待客户处理"),
        Cause::Resolved => words_of(lang, "resolved", "已解决"),
        Cause::Closed => words_of(lang, "verified, closed", "已验证并关闭"),
        Cause::Access => words_of(lang, "access still open", "临时访问未关闭"),
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

/// What a digest is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) ticket: u64,
    pub(super) priority: &'a str,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
}

/// Several notices in one: how many, their first lines, then each whole as far as there is room.
pub(super) fn digest(parts: &[Part<'_>], lang: Lang) -> Text {
    let mut tickets: Vec<u64> = parts.iter().map(|p| p.ticket).collect();
    tickets.sort_unstable();
    tickets.dedup();
    let (notices, tickets) = (parts.len(), tickets.len());
    let gravest = parts.iter().map(|p| p.priority).min().unwrap_or_default();
    let (subject, head, left_out) = match lang {
        Lang::En => (
            format!("{notices} notices on {tickets} tickets, gravest {gravest}"),
            format!("This digest holds {notices} notices:"),
            "(in full: outband notices list)",
        ),
        Lang::ZhCn => (
            format!("通知汇总：{notices} 条，涉及 {tickets} 张工单，最高 {gravest}"),
            format!("本汇总共 {notices} 条通知："),
            "（完整内容：outband notices list）",
        ),
    };
    let drill = words_of(lang, "DRILL ", "演练 ");
    let mark = if parts.iter().all(|p| p.subject.starts_with(drill)) { drill } else { "" };
    let mut body = vec![head];
    body.extend((1..).zip(parts).map(|(n, p)| format!("{n}. {}", p.subject)));
    let mut room = LONGEST_DIGEST;
    for part in parts {
        let whole = format!("\n{}\n{}", part.subject, part.body);
        let Some(rest) = room.checked_sub(whole.chars().count()) else {
            body.push(format!("\n{left_out}"));
            break;
        };
        room = rest;
        body.push(whole);
    }
    Text { subject: format!("{mark}{subject}"), body: body.join("\n") }
}

#[cfg(test)]
mod tests;
