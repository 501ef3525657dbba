//! Whether a fault is there all the time or comes and goes, by a rule that is told with the answer.

use super::timeline::Sources;
use crate::words::Lang;
use outband_health::Fault;
use outband_schemas::{ComponentId, EventKind, Severity, State, Timestamp, Value};
use outband_store::HistoryPoint;
use outband_ticket::{Action, Ticket};
use std::collections::BTreeMap;
use std::time::Duration;

/// States and log entries count from so long before the onset.
pub(super) const STATES_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Earlier tickets of the same place and fault count when they were opened so long before the onset at most.
pub(super) const TICKETS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Bad whenever it was looked at since it began.
    Constant,
    /// It was well again in between, or was here before.
    Intermittent {
        /// So many times.
        bouts: usize,
    },
    /// A trend that only gets worse.
    Worsening,
    /// Nothing that was read says so.
    Unknown,
}

impl Course {
    /// The word in the JSON document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Intermittent { .. } => "intermittent",
            Self::Worsening => "worsening",
            Self::Unknown => "unknown",
        }
    }

    /// In words.
    pub fn text(self, lang: Lang) -> String {
        match (self, lang) {
            (Self::Constant, Lang::En) => "It is there all the time.".to_owned(),
            (Self::Constant, Lang::ZhCn) => "故障持续存在。".to_owned(),
            (Self::Intermittent { bouts }, Lang::En) => format!("It comes and goes: {bouts} times so far."),
            (Self::Intermittent { bouts }, Lang::ZhCn) => format!("故障时有时无，至今出现 {bouts} 次。"),
            (Self::Worsening, Lang::En) => "It gets worse steadily.".to_owned(),
            (Self::Worsening, Lang::ZhCn) => "故障持续加重。".to_owned(),
            (Self::Unknown, Lang::En) => "Not known.".to_owned(),
            (Self::Unknown, Lang::ZhCn) => "尚不清楚。".to_owned(),
        }
    }
}

/// The rule, in words.
pub fn rule(lang: Lang) -> &'static str {
    match lang {
        Lang::En => {
            "Intermittent: a sensor or log entry of this place was bad, well and bad again within 7 days before the onset or since, the ticket was reopened, \
             or the same fault had a ticket here within 30 days before. Constant: bad once, and never well since. Worsening: a prediction from a trend, \
             without such a change."
        }
        Lang::ZhCn => {
            "判定规则：故障前 7 天至今，同一部件的传感器或日志出现“异常—正常—异常”，或工单曾重新打开，或此前 30 天内同一部件有同类工单，判为间歇；\
             出现异常后未恢复过，判为持续；仅由趋势预测得出的，判为持续加重。"
        }
    }
}

/// By the rule. `states`: of the place, from [`STATES_FOR`] before the onset on.
pub fn course(ticket: &Ticket, sources: &Sources, states: &[HistoryPoint]) -> Course {
    let silence = Fault::ALL.into_iter().find(|f| f.as_str() == ticket.fault).is_some_and(is_silence);
    let from = ticket.onset.minus(STATES_FOR);
    let mut runs: BTreeMap<String, Vec<(Timestamp, bool)>> = BTreeMap::new();
    for point in states.iter().filter(|p| p.component == ticket.component && p.observed_at >= from) {
        if let Some(Value::State { state, .. }) = &point.value
            && !matches!(state, State::Absent | State::Unknown)
        {
            let bad = matches!(state, State::Warning | State::Critical);
            runs.entry(format!("{} {}", point.sensor, point.source)).or_default().push((point.observed_at, bad));
        }
    }
    for record in sources.events.iter().filter(|e| e.event.component == ticket.component) {
        let event = &record.event;
        let (at, _) = sources.when(event);
        let matters = event.deasserted || event.severity >= Severity::Warning;
        if at >= from && matters && event.kind != EventKind::Other {
            runs.entry(format!("log {}", event.kind.as_str())).or_default().push((at, !event.deasserted));
        }
    }
    if silence {
        let spans = sources.gaps.iter().filter(|g| g.gap.component.is_none() && g.last_observed >= from);
        for gap in spans {
            let run = runs.entry(format!("gap {}", gap.gap.cause.as_str())).or_default();
            run.extend([(gap.gap.observed_at, true), (gap.last_observed, false)]);
        }
    }
    let bouts = runs.into_values().map(bouts).max().unwrap_or(0);
    let before = earlier(ticket, sources, &ticket.component);
    match bouts.max(1) + before {
        n if n > 1 => Course::Intermittent { bouts: n },
        _ if bouts == 1 => Course::Constant,
        _ if ticket.predicted => Course::Worsening,
        _ => Course::Unknown,
    }
}

/// How often it became bad.
fn bouts(mut run: Vec<(Timestamp, bool)>) -> usize {
    // At one moment the end comes first: what follows it at once is another bout.
    run.sort();
    let mut bad = false;
    let mut count = 0;
    for (_, now) in run {
        if now && !bad {
            count += 1;
        }
        bad = now;
    }
    count
}

/// Tickets that were here before, and how often this one was reopened.
fn earlier(ticket: &Ticket, sources: &Sources, place: &ComponentId) -> usize {
    let from = ticket.onset.minus(TICKETS_FOR);
    let before = sources.tickets.iter().map(|r| &r.ticket).filter(|t| {
        t.number < ticket.number
            && t.component == *place
            && t.fault == ticket.fault
            && t.created_at >= from
            && t.merged_into.is_none()
    });
    let own = sources.tickets.iter().find(|r| r.ticket.number == ticket.number);
    let reopened = own.map_or(0, |r| r.log.iter().filter(|e| matches!(e.action, Action::Reopen)).count());
    before.count() + reopened
}

fn is_silence(fault: Fault) -> bool {
    matches!(fault, Fault::BmcSilent | Fault::AgentSilent | Fault::RackSilent | Fault::FeedSilent | Fault::AgentBlind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(points: &[(i64, bool)]) -> usize {
        bouts(points.iter().map(|(at, bad)| (Timestamp::from_secs(*at), *bad)).collect())
    }

    #[test]
    fn a_bout_begins_where_well_becomes_bad() {
        assert_eq!(run(&[]), 0);
        assert_eq!(run(&[(1, false), (2, false)]), 0);
        assert_eq!(run(&[(1, true), (2, true), (3, true)]), 1);
        assert_eq!(run(&[(1, true), (2, false), (3, true), (4, false)]), 2);
        assert_eq!(run(&[(3, true), (1, true), (2, false)]), 2, "whatever the order in which they come");
    }
}
