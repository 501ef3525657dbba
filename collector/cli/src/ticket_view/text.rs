//! How a ticket's clocks, states and times are called.

use super::{Clock, Transition, View};
use crate::output::Shown;
use crate::when::{Time, span};
use crate::words::{Lang, Word};

/// What was done, and when it was reached where that was told afterwards.
pub(super) fn done(entry: &Transition, shown: &Shown) -> String {
    // Level 0 of an escalation is what was foretold.
    if let Some(clock) = entry.action.strip_prefix("step:").and_then(|step| step.strip_suffix(":0")) {
        return format!("{}: {clock}", shown.word(Word::LikelyMissed));
    }
    match entry.reached_at {
        Time(0) => entry.action.clone(),
        reached => format!("{} @ {}", entry.action, reached.short()),
    }
}

/// The clock that matters now: one that is overdue, else the one due first, else one that is paused.
pub(super) fn urgent(view: &View) -> Option<&Clock> {
    let of = |status: &'static str| view.clocks.iter().filter(move |c| c.status == status);
    let overdue = of("breached").min_by_key(|c| c.due.0.min(c.breached_at.0));
    overdue
        .or_else(|| of("running").min_by_key(|c| if c.due.0 == 0 { i64::MAX } else { c.due.0 }))
        .or_else(|| of("paused").next())
}

pub(super) fn next_clock(view: &View, shown: &Shown) -> String {
    let Some(clock) = urgent(view) else { return "–".to_owned() };
    format!("{} {}", clock_text(&clock.name, shown), due_text(clock, shown))
}

pub(super) fn raw_next(view: &View) -> String {
    urgent(view).map(|c| format!("{} {} {}", c.name, c.status, c.due.text())).unwrap_or_default()
}

/// `due in 3 h 12 min`, `overdue by 5 min`, `paused`, or when it was met; and that the calendar may yet move it.
pub(super) fn due_text(clock: &Clock, shown: &Shown) -> String {
    let text = firm_text(clock, shown);
    if clock.flags.is_empty() { text } else { format!("{text}, {}", shown.word(Word::Provisional)) }
}

pub(super) fn firm_text(clock: &Clock, shown: &Shown) -> String {
    let lang = shown.lang;
    match clock.status {
        "running" if clock.due.0 != 0 => {
            let left = span(clock.due.0 - shown.now_ms, lang);
            match lang {
                Lang::En => format!("due in {left}"),
                Lang::ZhCn => format!("{left}后到期"),
            }
        }
        "breached" => {
            let since = if clock.due.0 != 0 { clock.due.0 } else { clock.breached_at.0 };
            let over = span(shown.now_ms - since, lang);
            match lang {
                Lang::En => format!("overdue by {over}"),
                Lang::ZhCn => format!("已超时 {over}"),
            }
        }
        "met" | "met_late" => clock.met_at.short(),
        other => status_text(other, shown),
    }
}

pub(crate) fn clock_text(name: &str, shown: &Shown) -> String {
    match name {
        "respond" => shown.word(Word::Respond),
        "pickup" => shown.word(Word::ClockPickup),
        "contact" => shown.word(Word::ClockContact),
        "first_response" => shown.word(Word::ClockFirstResponse),
        "remote_access" => shown.word(Word::ClockRemoteAccess),
        "onsite" => shown.word(Word::ClockOnsite),
        "workaround" => shown.word(Word::ClockWorkaround),
        "update_cadence" => shown.word(Word::ClockUpdateCadence),
        "locate" => shown.word(Word::Locate),
        "repair" => shown.word(Word::Repair),
        other => other.to_owned(),
    }
}

pub(crate) fn status_text(status: &str, shown: &Shown) -> String {
    shown.word(match status {
        "running" => Word::Running,
        "paused" => Word::Paused,
        "met" => Word::Met,
        "met_late" => Word::MetLate,
        "breached" => Word::Breached,
        _ => Word::Unknown,
    })
}

pub(super) fn state_text(state: &str, shown: &Shown) -> String {
    shown.word(match state {
        "new" => Word::New,
        "assigned" => Word::Assigned,
        "in_progress" => Word::InProgress,
        "waiting_for_customer" => Word::WaitingForCustomer,
        "waiting_for_parts" => Word::WaitingForParts,
        "resolved" => Word::Resolved,
        "closed" => Word::Closed,
        "reopened" => Word::Reopened,
        _ => return "–".to_owned(),
    })
}

/// A time and how long ago it was.
pub(super) fn moment(time: Time, shown: &Shown) -> String {
    if time.0 == 0 { "–".to_owned() } else { format!("{} ({})", time.short(), time.age(shown.now_ms, shown.lang)) }
}
