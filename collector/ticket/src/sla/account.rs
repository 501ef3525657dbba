//! The sum behind a clock: which spans were counted and why, so that an auditor can redo it.

use super::course::{self, Course, Cycle, Pause};
use super::{Hours, SlaClock, stand};
use crate::calendar::{Basis, Calendar, Flag, Span};
use crate::policy::{Calendars, Policies};
use crate::{Allowance, Priority, Transition};
use outband_schemas::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Why a counted span begins where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The clock began.
    Started,
    /// A change of priority or policy had it count from there.
    Rebased,
    /// A pause ended.
    Resumed,
    /// Open hours began.
    Opened,
}

impl Why {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Rebased => "rebased",
            Self::Resumed => "resumed",
            Self::Opened => "opened",
        }
    }
}

/// A span that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why it begins there.
    pub why: Why,
}

/// One run of a clock with everything that it was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it comes to.
    pub clock: SlaClock,
    /// The policy and its revision.
    pub policy: (String, u32),
    /// The priority.
    pub priority: Priority,
    /// The calendar of its hours: its name, `always`, or `business` for the usual one.
    pub calendar: String,
    /// The revision of the calendar and of the zone data.
    pub basis: Basis,
    /// The IANA name of the calendar's zone.
    pub zone: String,
    /// From when it counts.
    pub start: Timestamp,
    /// What was counted, oldest first. Its sum is the clock's `elapsed`.
    pub spans: Vec<Counted>,
    /// The pauses that fall into it, oldest first.
    pub pauses: Vec<Pause>,
    /// Open time left until it is due; of a day count, as if nothing more pauses it.
    pub remaining: Option<Duration>,
    /// What a reader must know of the calendar.
    pub flags: BTreeSet<Flag>,
}

/// Every run of every clock at `now`, with its sum.
pub fn account(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Vec<Account> {
    let mut all = Vec::new();
    for spec in &course::policy(policies, log, now).clocks {
        if let Some(course) = course::follow(policies, &spec.name, log, now) {
            all.extend(course.cycles.iter().filter_map(|cycle| one(&course, cycle, calendars, now)));
        }
    }
    all
}

fn one(course: &Course<'_>, cycle: &Cycle<'_>, calendars: &Calendars, now: Timestamp) -> Option<Account> {
    let term = course.term(cycle)?;
    let clock = stand(course, cycle, calendars, now)?;
    let hours = course.hours(calendars, term.hours);
    let end = cycle.met.unwrap_or(now);
    let spans = counted(hours, (cycle.start, end), cycle.start != cycle.origin, &course.spans());
    let remaining = match term.allowance {
        _ if cycle.met.is_some() => None,
        Allowance::Within(time) => Some(time.saturating_sub(clock.elapsed)),
        Allowance::BusinessDays(_) => {
            course.due(calendars, cycle, term).map(|due| hours.elapsed(now, due, &course.spans()))
        }
    };
    Some(Account {
        policy: (cycle.policy.name.clone(), cycle.policy.revision),
        priority: cycle.priority,
        calendar: match (term.hours, &course.spec.calendar) {
            (Hours::Always, _) => "always".to_owned(),
            (Hours::Business, None) => "business".to_owned(),
            (Hours::Business, Some(name)) => name.clone(),
        },
        zone: hours.zone().iana_name().unwrap_or("UTC").to_owned(),
        basis: hours.basis().clone(),
        flags: clock.flags.clone(),
        start: cycle.start,
        spans,
        pauses: course.pauses.iter().filter(|p| p.span().0 < end && p.span().1 > cycle.start).copied().collect(),
        remaining,
        clock,
    })
}

/// The open time in a span, piece by piece, without the pauses. Walks from opening to opening, apart from the arithmetic that
/// gives `elapsed`, so that one proves the other.
fn counted(hours: &Calendar, (from, end): Span, rebased: bool, pauses: &[Span]) -> Vec<Counted> {
    let first = if rebased { Why::Rebased } else { Why::Started };
    let mut out = Vec::new();
    let mut at = from;
    while at < end {
        let Some(open) = hours.opens_at(at).filter(|open| *open < end) else { break };
        let close = hours.closes_at(open).map_or(end, |close| close.min(end));
        let why = if open == from { first } else { Why::Opened };
        let mut pieces = vec![Counted { from: open, to: close, why }];
        for (begin, until) in pauses {
            pieces = pieces.into_iter().flat_map(|piece| cut(piece, *begin, *until)).collect();
        }
        out.extend(pieces);
        at = close;
    }
    out
}

fn cut(piece: Counted, begin: Timestamp, until: Timestamp) -> impl Iterator<Item = Counted> {
    let before = Counted { to: piece.to.min(begin), ..piece };
    let resumed = if until > piece.from { Why::Resumed } else { piece.why };
    let after = Counted { from: piece.from.max(until), why: resumed, ..piece };
    [before, after].into_iter().filter(|p| p.from < p.to)
}
