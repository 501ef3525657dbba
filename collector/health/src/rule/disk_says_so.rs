//! The drive, or its controller, says so itself: SMART status, NVMe critical warning, drive state, a log entry.

use super::{Rule, STATE_POLLS, evidence, finding, predicted, worst_state};
use crate::window::{Place, Series, Track, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, ComponentId, EventKind, SensorKind, State, Timestamp};

pub(super) struct DiskSaysSo;

const ID: RuleId = RuleId::new("disk.says_so");

impl Rule for DiskSaysSo {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let disks = window.of_class(ComponentClass::Disk).filter(|(_, place)| !place.is_absent());
        disks.flat_map(|(component, place)| judge(component, place)).collect()
    }
}

fn judge(component: &ComponentId, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    let base = |at| finding(ID, Fault::DiskFailure, component, Some(place), at);
    if let Some((state @ (State::Warning | State::Critical), text, since, newest)) = worst_state(place) {
        let text = format!("the drive's state is {} ({text})", word(state));
        let mut f = Finding { onset: since, newest, confirm: STATE_POLLS, ..base(newest) };
        f.evidence = vec![evidence(since, text.clone())];
        f.reason = text;
        found.push(if state == State::Critical { f } else { predicted(f) });
    }
    for (_, series) in place.of_kind(SensorKind::FailurePredicted) {
        if let Some((since, newest)) = held(series, |v| v >= 1.0) {
            let text = "the drive predicts its own failure (SMART)";
            let f = Finding { onset: since, newest, reason: text.to_owned(), ..base(newest) };
            found.push(predicted(Finding { evidence: vec![evidence(since, text)], ..f }));
        }
    }
    for (_, series) in place.of_kind(SensorKind::CriticalWarning) {
        found.extend(warned(series, &base));
    }
    if let Some(note) = place.asserted(&[EventKind::DriveFailed]) {
        let text = format!("log entry: {}", note.message);
        let f = base(note.at);
        found.push(Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..f });
    } else if let Some(note) = place.asserted(&[EventKind::DrivePredictedFailure]) {
        let text = format!("log entry: {}", note.message);
        let f = base(note.at);
        found.push(predicted(Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..f }));
    }
    found
}

/// NVMe SMART log, byte 0: bit 0 spare low, 1 temperature (not a failure), 2 reliability degraded, 3 read-only, 4 volatile
/// memory backup failed.
fn warned(series: &Series, base: &impl Fn(Timestamp) -> Finding) -> Option<Finding> {
    let has = |bit: u32| move |v: f64| (v / f64::from(1_u32 << bit)).floor() % 2.0 >= 1.0;
    let bits = [
        (3, "the drive has become read-only"),
        (2, "the drive's reliability is degraded"),
        (0, "the drive's spare blocks are below its limit"),
        (4, "the drive's volatile memory backup has failed"),
    ];
    let (bit, text, since, newest) =
        bits.into_iter().find_map(|(bit, text)| held(series, has(bit)).map(|(s, n)| (bit, text, s, n)))?;
    let text = format!("{text} (NVMe critical warning)");
    let f =
        Finding { onset: since, newest, evidence: vec![evidence(since, text.clone())], reason: text, ..base(newest) };
    Some(if bit == 3 { Finding { level: Level::Critical, ..f } } else { predicted(f) })
}

/// Since when, as far as is remembered, and until when the newest values hold; at least two of them, so that a single bad read
/// says nothing.
fn held(series: &Series, holds: impl Fn(f64) -> bool) -> Option<(Timestamp, Timestamp)> {
    let Track::Gauge(gauge) = &series.track else { return None };
    let run: Vec<Timestamp> = gauge.samples().rev().take_while(|(_, v)| holds(*v)).map(|(at, _)| *at).collect();
    match run.as_slice() {
        [newest, .., since] => Some((*since, *newest)),
        _ => None,
    }
}

fn word(state: State) -> &'static str {
    if state == State::Critical { "critical" } else { "warning" }
}
