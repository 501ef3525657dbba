//! What happened to a ticket, entry by entry, in words.

use super::labels::{self, Label};
use crate::discretion::is_public;
use crate::words::Lang;
use outband_schemas::Timestamp;
use outband_ticket::{Action, Milestone, Resolution, State, Target, Transition, Verdict};
use serde::{Serialize, Serializer};

/// An entry of a ticket's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it happened.
    #[serde(serialize_with = "super::json::time")]
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// What, in the word of the log.
    pub what: String,
    /// The words that belong to it: a root cause, a comment, an assignee.
    pub detail: String,
    /// Why.
    pub why: String,
    /// Whether the customer may read of it.
    pub public: bool,
}

impl From<&Transition> for Entry {
    fn from(entry: &Transition) -> Self {
        let detail = match &entry.action {
            Action::Assign { to } => to.clone(),
            Action::Locate { root_cause } => root_cause.clone(),
            Action::Comment { text, .. } => text.clone(),
            Action::Verdict { detail, .. } => detail.clone(),
            Action::Prioritise { priority, .. } => format!("{priority:?}"),
            Action::Policy { policy, revision, .. } => format!("{policy} {revision}"),
            Action::Suppress { by, .. } => by.clone(),
            Action::Merge { into } => into.to_string(),
            Action::Parent { number: Some(number) } => number.to_string(),
            Action::Link { to, .. } | Action::Unlink { to, .. } => to.to_string(),
            Action::Override { what, .. } => what.clone(),
            Action::Evidence { facts, .. } => facts.iter().map(|f| f.text.as_str()).collect::<Vec<_>>().join("; "),
            Action::Resolve { resolution } => resolution.as_str().to_owned(),
            _ => String::new(),
        };
        let (at, who, why) = (entry.happened_at(), entry.who.clone(), entry.why.clone());
        Self { at, who, what: entry.action.word().into_owned(), detail, why, public: is_public(&entry.action) }
    }
}

impl Entry {
    /// Who, in words where a customer reads no name.
    pub fn whom(&self, lang: Lang) -> &str {
        labels::who(&self.who, lang)
    }

    /// What happened, in words.
    pub fn words(&self, lang: Lang) -> String {
        let word = word(&self.what, lang);
        let detail = match (self.what.as_str(), Resolution::from_word(&self.detail)) {
            ("resolve", Some(resolution)) => labels::resolution(resolution).text(lang),
            ("assign", _) => labels::who(&self.detail, lang),
            _ => &self.detail,
        };
        match lang {
            _ if detail.is_empty() => word,
            Lang::En => format!("{word}: {detail}"),
            Lang::ZhCn => format!("{word}：{detail}"),
        }
    }
}

/// A word of the log, in words.
fn word(what: &str, lang: Lang) -> String {
    let (head, tail) = what.split_once(':').unwrap_or((what, ""));
    let pick = |en: &str, zh: &str| if lang == Lang::En { en.to_owned() } else { zh.to_owned() };
    let clock = |name: &str| match Target::try_from(name.to_owned()) {
        Ok(target) => labels::clock(&target, lang).into_owned(),
        Err(_) => name.to_owned(),
    };
    match head {
        "open" => pick("opened", "工单创建"),
        "assign" => pick("assigned", "派单"),
        "start" => pick("work began", "开始处理"),
        "locate" => pick("root cause found", "定位根因"),
        "wait_for_customer" => labels::state(State::WaitingForCustomer).text(lang).to_owned(),
        "wait_for_parts" => labels::state(State::WaitingForParts).text(lang).to_owned(),
        "resume" => pick("work went on", "继续处理"),
        "resolve" => pick("resolved", "已解决"),
        "close" => pick("verified and closed", "验证通过并关闭"),
        "reopen" => pick("reopened", "重新打开"),
        "prioritise" => pick("priority changed", "调整优先级"),
        "escalate" => pick("the predicted failure happened", "预测的故障已发生"),
        "breach" => format!("{} {}", pick("clock ran out:", "时钟超时："), clock(tail)),
        "step" => match tail.rsplit_once(':') {
            // Of level 0 is what was foretold.
            Some((name, "0")) => format!("{} {}", pick("likely to be missed:", "预计超时："), clock(name)),
            Some((name, level)) => format!("{} {} {level}", pick("escalated:", "升级："), clock(name)),
            None => format!("{} {tail}", pick("escalated:", "升级：")),
        },
        "comment" => pick("comment", "备注"),
        "evidence" => pick("more evidence", "新增证据"),
        "milestone" => Milestone::from_word(tail).map_or_else(|| tail.to_owned(), |m| clock(milestone(m))),
        "verdict" => {
            let verdict = Verdict::from_word(tail).map(|v| labels::verdict(v).text(lang));
            format!("{}{}", pick("verdict: ", "结论："), verdict.unwrap_or(tail))
        }
        "policy" => pick("policy changed", "策略变更"),
        "acknowledge" => pick("acknowledged", "已确认"),
        "merge" => pick("merged into", "合并至工单"),
        "parent" => pick("part of a larger incident", "归入上级事件"),
        "link" => pick("linked", "关联"),
        "unlink" => pick("link taken back", "取消关联"),
        "suppress" => pick("quiet for a while", "暂停通知"),
        "release" => pick("heard again", "恢复通知"),
        "override" => pick("overridden", "人工覆盖"),
        "drill" => Label::GroupDrill.text(lang).to_owned(),
        other => other.to_owned(),
    }
}

/// The clock that has a milestone's name.
fn milestone(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::CustomerUpdate => "update_cadence",
        other => other.as_str(),
    }
}

/// A log as its entries.
pub(super) fn entries<S: Serializer>(log: &[Transition], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(log.iter().map(Entry::from))
}
