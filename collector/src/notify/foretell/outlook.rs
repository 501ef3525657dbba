//! Why a clock is likely to be missed, as a ticket's log says it and as people read it. Pure.

use crate::notify::quiet::show;
use crate::words::Lang;
use outband_schemas::Timestamp;
use std::fmt;
use std::time::Duration;

/// Why a clock is likely to be missed. Text form, as it stands in the log: `used 75%, due 2026-03-01T08:30:00.000Z, 4 ahead, 2 people, one
/// takes 35 min (median of 12), met 2026-03-01T09:10:00.000Z`, without what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Outlook {
    /// The share of the time allowed that is used.
    pub(super) used_percent: u32,
    /// When it is due.
    pub(super) due: Timestamp,
    /// Where the queue says so.
    pub(super) queue: Option<Queue>,
}

/// What the queue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Queue {
    pub(super) ahead: u32,
    pub(super) people: u32,
    pub(super) each: Duration,
    pub(super) samples: usize,
    pub(super) met: Timestamp,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "used {}%, due {}", self.used_percent, self.due)?;
        let Some(Queue { ahead, people, each, samples, met }) = &self.queue else { return Ok(()) };
        let minutes = each.as_secs().div_ceil(60);
        write!(f, ", {ahead} ahead, {people} people, one takes {minutes} min (median of {samples}), met {met}")
    }
}

impl Outlook {
    /// What a log says; `None` where it was not written by this.
    pub(in crate::notify) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(", ");
        let used_percent = parts.next()?.strip_prefix("used ")?.strip_suffix('%')?.parse().ok()?;
        let due = parts.next()?.strip_prefix("due ")?.parse().ok()?;
        let Some(ahead) = parts.next() else { return Some(Self { used_percent, due, queue: None }) };
        let ahead = ahead.strip_suffix(" ahead")?.parse().ok()?;
        let people = parts.next()?.strip_suffix(" people")?.parse().ok()?;
        let (minutes, samples) =
            parts.next()?.strip_prefix("one takes ")?.strip_suffix(')')?.split_once(" min (median of ")?;
        let each = Duration::from_secs(minutes.parse::<u64>().ok()?.checked_mul(60)?);
        let met = parts.next()?.strip_prefix("met ")?.parse().ok()?;
        let queue = Queue { ahead, people, each, samples: samples.parse().ok()?, met };
        Some(Self { used_percent, due, queue: Some(queue) })
    }

    /// For people.
    pub(in crate::notify) fn words(&self, lang: Lang, zone: &str) -> String {
        let (used, due) = (self.used_percent, show(self.due, zone));
        match (&self.queue, lang) {
            (None, Lang::En) => format!("{used} % of the time allowed are used and nobody works on it; due {due}"),
            (None, Lang::ZhCn) => format!("已用去规定时限的 {used}%，尚无人处理；截止 {due}"),
            (Some(Queue { ahead, people, each, samples, met }), lang) => {
                let (minutes, met) = (each.as_secs().div_ceil(60), show(*met, zone));
                match lang {
                    Lang::En => format!(
                        "{used} % of the time allowed are used; open tickets before it: {ahead}, people at work: {people}; one like it takes \
                         {minutes} min (median of {samples}): met about {met}, due {due}"
                    ),
                    Lang::ZhCn => format!(
                        "已用去规定时限的 {used}%；前面还有 {ahead} 张工单，处理人员 {people} 人；同类工单通常需 {minutes} 分钟（{samples} 例中位数），\
                         预计 {met} 完成，截止 {due}"
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlook_reads_back_what_it_writes() {
        let due = "2026-03-01T00:30:00.000Z".parse().unwrap();
        let met = "2026-03-01T01:10:00.000Z".parse().unwrap();
        let queue = Queue { ahead: 4, people: 2, each: Duration::from_secs(35 * 60), samples: 12, met };
        for queue in [None, Some(queue)] {
            let outlook = Outlook { used_percent: 75, due, queue };
            assert_eq!(Outlook::read(&outlook.to_string()), Some(outlook));
        }
        assert_eq!(Outlook::read("due 2026-03-01T00:30:00.000Z"), None);
    }

    #[test]
    fn the_rule_is_told_in_words() {
        let due = "2026-03-01T00:30:00.000Z".parse().unwrap();
        let outlook = Outlook { used_percent: 80, due, queue: None };
        assert_eq!(
            outlook.words(Lang::En, "Asia/Shanghai"),
            "80 % of the time allowed are used and nobody works on it; due 2026-03-01 08:30 CST"
        );
        assert!(outlook.words(Lang::ZhCn, "Asia/Shanghai").contains("80%"));
    }
}
