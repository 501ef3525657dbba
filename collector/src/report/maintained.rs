//! The maintenance windows that touched a period: what in a report explains why promises stood still. Pure.

use crate::discretion::Discretion;
use crate::maintenance::Whereabouts;
use crate::maintenance::recur::Schedule;
use outband_schemas::{ServerId, Timestamp};
use outband_store::maintenance::{Selector, WindowChange, WindowKind};
use outband_ticket::calendar::Span;
use serde::Serialize;

/// A span in which a window was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Maintained {
    /// The window's number.
    pub window: u64,
    /// What people call it.
    pub name: String,
    /// What it covered.
    pub covers: Selector,
    /// From when, not before the period began.
    #[serde(serialize_with = "super::json::time")]
    pub from: Timestamp,
    /// Until when, not after the period or the time of the report.
    #[serde(serialize_with = "super::json::time")]
    pub to: Timestamp,
    /// Why.
    pub reason: String,
}

impl Maintained {
    /// Without what people wrote of people.
    pub(super) fn for_customer(&mut self, told: &Discretion<'_>) {
        for text in [&mut self.name, &mut self.reason] {
            *text = told.text(text);
        }
    }
}

/// The spans in which a window was in force within `span`, by its changes from oldest to newest, where what it covered then has to do with one of
/// these servers. Each version of it counts from the change that made it until the next: what was edited or ended later was in force before.
pub fn spans(changes: &[WindowChange], servers: &[(&ServerId, Whereabouts<'_>)], span: Span) -> Vec<Maintained> {
    let mut all: Vec<Maintained> = Vec::new();
    let next = changes.iter().skip(1).map(|change| change.at).chain([span.1]);
    for (WindowChange { at, window, .. }, next) in changes.iter().zip(next) {
        let (from, to) = (span.0.max(*at), span.1.min(next));
        let is_in_force = window.kind == WindowKind::Maintenance && window.ended_at.is_none() && from < to;
        if !is_in_force || !servers.iter().any(|(id, at)| at.is_of(&window.selector, id)) {
            continue;
        }
        // One that cannot be understood covers nothing.
        let schedule = Schedule::parse(&window.starts, window.lasts_secs, &window.zone, window.recurrence.as_deref());
        for (from, to) in schedule.iter().flat_map(|schedule| schedule.between(from, to)) {
            let (name, covers, reason) = (window.name.clone(), window.selector.clone(), window.reason.clone());
            let next = Maintained { window: window.id, name, covers, from, to, reason };
            match all.last_mut() {
                // An edit that changed nothing of it, or one occurrence that runs into the next.
                Some(last) if last.to >= from && same(last, &next) => last.to = last.to.max(to),
                _ => all.push(next),
            }
        }
    }
    all
}

fn same(one: &Maintained, other: &Maintained) -> bool {
    (&one.name, &one.covers, &one.reason) == (&other.name, &other.covers, &other.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::SiteId;
    use outband_store::maintenance::Window;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_secs(1_790_812_800 + hour * 3600)
    }

    /// Made at this hour, from the start of 2026-10-01 UTC on, for two hours each day from 02:00.
    fn made(hour: i64) -> WindowChange {
        let window = Window {
            id: 3,
            kind: WindowKind::Maintenance,
            name: "firmware".to_owned(),
            selector: Selector { site: Some("dc1".to_owned()), ..Selector::default() },
            starts: "2026-10-01T02:00".to_owned(),
            lasts_secs: 7200,
            zone: "UTC".to_owned(),
            recurrence: Some("FREQ=DAILY".to_owned()),
            reason: "BIOS 2.1".to_owned(),
            author: "wang".to_owned(),
            created_at: at(hour),
            ended_at: None,
            revision: 1,
        };
        WindowChange { at: at(hour), who: "wang".to_owned(), what: "create".to_owned(), window }
    }

    fn changed(mut change: WindowChange, hour: i64, edit: impl FnOnce(&mut Window)) -> WindowChange {
        edit(&mut change.window);
        WindowChange { at: at(hour), what: "edit".to_owned(), ..change }
    }

    fn hours(changes: &[WindowChange], site: &str) -> Vec<(i64, i64)> {
        let (id, site) = (ServerId::new("srv-1").unwrap(), SiteId::new(site).unwrap());
        let stands = Whereabouts { site: Some(&site), ..Whereabouts::default() };
        let all = spans(changes, &[(&id, stands)], (at(0), at(72)));
        let hour = |t: Timestamp| (t.as_millis() - at(0).as_millis()) / 3_600_000;
        all.iter().map(|m| (hour(m.from), hour(m.to))).collect()
    }

    #[test]
    fn a_window_is_listed_by_each_span_in_which_it_covered_a_server_of_the_report() {
        assert_eq!(hours(&[made(-5)], "dc1"), [(2, 4), (26, 28), (50, 52)]);
        assert_eq!(hours(&[made(-5)], "dc2"), []);
        // Nothing was covered before it was made.
        assert_eq!(hours(&[made(3)], "dc1"), [(3, 4), (26, 28), (50, 52)]);
        assert_eq!(hours(&[changed(made(-5), -5, |w| w.kind = WindowKind::Mute)], "dc1"), []);
    }

    #[test]
    fn what_was_changed_later_was_in_force_before() {
        let ended = changed(made(-5), 27, |w| w.ended_at = Some(at(27)));
        assert_eq!(hours(&[made(-5), ended], "dc1"), [(2, 4), (26, 27)]);
        let moved = changed(made(-5), 27, |w| w.starts = "2026-10-01T06:00".to_owned());
        assert_eq!(hours(&[made(-5), moved], "dc1"), [(2, 4), (26, 27), (30, 32), (54, 56)]);
        let untouched = changed(made(-5), 27, |w| w.revision = 2);
        assert_eq!(hours(&[made(-5), untouched], "dc1"), [(2, 4), (26, 28), (50, 52)]);
    }
}
