//! Entries in words.

use super::{Entry, What};
use crate::words::Lang;
use outband_schemas::EventKind;
use outband_ticket::escalation::Step;
use outband_ticket::{AccessStep, Action, Milestone, Resolution, Verdict};
use std::time::Duration;

impl Entry {
    /// The place and what happened there, in one line.
    pub fn line(&self, lang: Lang) -> String {
        match (&self.component, &self.what) {
            (_, What::Ticket { .. }) | (None, _) => self.what.text(lang),
            (Some(component), what) => format!("{component} · {}", what.text(lang)),
        }
    }
}

impl What {
    /// What happened, in one line. What a BMC wrote stays as it wrote it.
    pub fn text(&self, lang: Lang) -> String {
        let en = lang == Lang::En;
        match self {
            Self::Log { kind: EventKind::Audit, log, .. } => match en {
                true => format!("{log}: an entry about somebody's login or account; left out here"),
                false => format!("{log}：有关登录或账号的日志，此处不列出"),
            },
            Self::Log { log, id, message, deasserted, .. } => {
                let over = match (*deasserted, en) {
                    (false, _) => "",
                    (true, true) => " (ended)",
                    (true, false) => "（已解除）",
                };
                format!("{log} {id}: {message}{over}")
            }
            Self::Power { was, now } => match en {
                true => format!("power: {was} → {now}"),
                false => format!("电源状态：{was} → {now}"),
            },
            Self::Firmware { was, now } => match en {
                true => format!("firmware {was} → {now}"),
                false => format!("固件 {was} → {now}"),
            },
            Self::Part { model, was, now } => {
                let model = model.as_ref().map(|m| format!(" ({m})")).unwrap_or_default();
                let now = now.as_deref().unwrap_or("?");
                match (was, en) {
                    (Some(was), true) => format!("part {was} replaced by {now}{model}"),
                    (Some(was), false) => format!("部件 {was} 更换为 {now}{model}"),
                    (None, true) => format!("part {now}{model} put in"),
                    (None, false) => format!("新装部件 {now}{model}"),
                }
            }
            Self::Gap { cause, detail, lasted, count } => {
                let (cause, lasted) = (cause.as_str(), span(*lasted, lang));
                match (*count, en) {
                    (..=1, true) => format!("could not be read ({cause}): {detail}"),
                    (..=1, false) => format!("无法读取（{cause}）：{detail}"),
                    (count, true) => format!("could not be read ({cause}, {count} times within {lasted}): {detail}"),
                    (count, false) => format!("无法读取（{cause}，{lasted}内 {count} 次）：{detail}"),
                }
            }
            Self::Ticket { number, person, action, why } => {
                let why = if why.is_empty() { String::new() } else { format!(" — {why}") };
                let deed = deed(action, lang);
                match (*person, en) {
                    (false, true) => format!("ticket {number}: {deed}{why}"),
                    (true, true) => format!("ticket {number}, a person: {deed}{why}"),
                    (false, false) => format!("工单 {number}：{deed}{why}"),
                    (true, false) => format!("工单 {number}（人工）：{deed}{why}"),
                }
            }
        }
    }
}

fn span(time: Duration, lang: Lang) -> String {
    let (n, en, zh) = match time.as_secs() {
        s if s < 120 => (s, "s", "秒"),
        s if s < 7200 => (s / 60, "min", "分钟"),
        s if s < 172_800 => (s / 3600, "h", "小时"),
        s => (s / 86_400, "days", "天"),
    };
    match lang {
        Lang::En => format!("{n} {en}"),
        Lang::ZhCn => format!("{n} {zh}"),
    }
}

/// What was done to a ticket.
pub(in crate::callpack) fn deed(action: &Action, lang: Lang) -> String {
    let pick = |en: &str, zh: &str| if lang == Lang::En { en.to_owned() } else { zh.to_owned() };
    let with = |en: &str, zh: &str, text: &str| {
        if lang == Lang::En { format!("{en}: {text}") } else { format!("{zh}：{text}") }
    };
    match action {
        Action::Open { priority, .. } => with("opened", "创建", priority.as_str()),
        Action::Assign { .. } => pick("assigned", "已分派"),
        Action::Start => pick("work began", "开始处理"),
        Action::Locate { root_cause } => with("root cause found", "已定位根因", root_cause),
        Action::WaitForCustomer => pick("waits for the customer", "等待客户"),
        Action::WaitForParts => pick("waits for parts", "等待备件"),
        Action::Resume => pick("goes on", "恢复处理"),
        Action::Resolve { resolution } => match resolution {
            Resolution::Repaired => pick("repaired", "已修复"),
            Resolution::Recovered => pick("recovered by itself", "自行恢复"),
            Resolution::FalseAlarm => pick("a false alarm", "误报"),
            Resolution::Merged => pick("merged into another", "已并入其他工单"),
        },
        Action::Close => pick("closed", "已关闭"),
        Action::Reopen => pick("reopened", "重新打开"),
        Action::Prioritise { priority, .. } => with("priority", "级别调整", priority.as_str()),
        Action::Escalate => pick("the predicted failure has happened", "预测的故障已发生"),
        Action::Breach { target, .. } => with("ran out of time", "超时", target.as_str()),
        Action::Step { target, level: Step::FORETOLD, .. } => with("likely to be missed", "预计超时", target.as_str()),
        Action::Step { target, level, .. } => with("escalated", "升级", &format!("{} {level}", target.as_str())),
        Action::Comment { text, .. } => with("comment", "备注", text),
        Action::Evidence { facts, reason, .. } => {
            let newest = facts.last().map(|fact| fact.text.as_str());
            match newest.or(reason.as_deref()) {
                Some(text) => with("more is known", "新证据", text),
                None => pick("more is known", "新证据"),
            }
        }
        Action::Milestone { milestone, .. } => match milestone {
            Milestone::Pickup => pick("the call was answered", "已接听"),
            Milestone::Contact => pick("the customer was called back", "已联系客户"),
            Milestone::FirstResponse => pick("first answer given", "已首次答复"),
            Milestone::RemoteAccess => pick("working on it remotely", "已远程接入"),
            Milestone::Onsite => pick("somebody is on site", "工程师已到场"),
            Milestone::Workaround => pick("service is back by a workaround", "已临时恢复业务"),
            Milestone::CustomerUpdate => pick("the customer was told how it stands", "已向客户通报进展"),
        },
        Action::Policy { policy, revision, .. } => with("promised by", "适用服务包", &format!("{policy} ({revision})")),
        Action::Acknowledge { .. } => pick("acknowledged", "已确认"),
        Action::Link { kind, to } => with("linked", "关联", &format!("{} {to}", kind.as_str())),
        Action::Unlink { kind, to } => with("link removed", "取消关联", &format!("{} {to}", kind.as_str())),
        Action::Merge { into } => with("goes on in ticket", "并入工单", &into.to_string()),
        Action::Parent { number: Some(number) } => with("part of ticket", "归属工单", &number.to_string()),
        Action::Parent { number: None } => pick("part of no larger incident any more", "不再归属其他工单"),
        Action::Verdict { verdict, detail, part } => {
            let what = match verdict {
                Verdict::Confirmed => pick("the fault was confirmed", "确认存在故障"),
                Verdict::NoFaultFound => pick("tested, and no fault found", "检测未发现故障"),
                Verdict::FalseAlarm => pick("there never was anything", "判定为误报"),
                Verdict::OtherPart => match part {
                    Some(part) => with("another part was at fault", "故障部件另有其他", part),
                    None => pick("another part was at fault", "故障部件另有其他"),
                },
                Verdict::ReplacedWithoutTest => pick("replaced or repaired, and not tested", "已更换或修复，未经检测"),
            };
            if detail.is_empty() { what } else { format!("{what}: {detail}") }
        }
        Action::Suppress { by, .. } => with("nobody is paged", "静默", by),
        Action::Release => pick("paged again", "解除静默"),
        Action::Override { what, .. } => with("decided otherwise by a person", "人工变更", what),
        Action::Drill => pick("an exercise", "演练"),
        Action::Triage { triage } => {
            with("kind of trouble", "故障归类", crate::words::triage::class(triage.class, lang))
        }
        Action::SetTriage { class: Some(class) } => {
            with("kind of trouble, set by a person", "人工判定故障归类", crate::words::triage::class(*class, lang))
        }
        Action::SetTriage { class: None } => pick("kind of trouble as computed again", "恢复系统故障归类"),
        Action::Access { step, .. } => match step {
            AccessStep::Granted { role, .. } => with("temporary access given", "开通临时访问", role),
            AccessStep::Reminded => pick("a temporary access is still open", "仍有临时访问未关闭"),
            AccessStep::Ended => pick("temporary access ended", "临时访问已关闭"),
        },
        Action::Import { .. } => pick("taken over from an older version", "由旧版本导入"),
    }
}
