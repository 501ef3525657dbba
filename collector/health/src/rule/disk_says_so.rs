//! The drive, or its controller, says so itself: SMART status, NVMe critical warning, spare blocks, drive state, its own test, a log entry.

use super::{Rule, STATE_POLLS, evidence, finding, predicted, show, worst_state};
use crate::config::DiskConfig;
use crate::window::{EventNote, Place, Series, SeriesKey, Track, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, ComponentId, EventKind, SensorKind, State, Timestamp};

pub(super) struct DiskSaysSo(pub(super) DiskConfig);

const ID: RuleId = RuleId::new("disk.says_so");

impl Rule for DiskSaysSo {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let disks = window.of_class(ComponentClass::Disk).filter(|(_, place)| !place.is_absent());
        disks.flat_map(|(component, place)| self.judge(component, place)).collect()
    }
}

impl DiskSaysSo {
    fn judge(&self, component: &ComponentId, place: &Place) -> Vec<Finding> {
        let mut found = Vec::new();
        let base = |at| finding(ID, Fault::DiskFailure, component, Some(place), at);
        if let Some((state @ (State::Warning | State::Critical), text, since, newest)) = worst_state(place) {
            let text = format!("the drive's state is {} ({text})", word(state));
            let mut f = Finding { onset: since, newest, confirm: STATE_POLLS, ..base(newest) };
            f.evidence = vec![evidence(since, text.clone())];
            f.reason = text;
            found.push(if state == State::Critical { f } else { predicted(f) });
        }
        for (key, series) in place.of_kind(SensorKind::FailurePredicted) {
            if let Some((since, newest)) = held(series, |v| v >= 1.0) {
                let text = format!("the drive predicts its own failure (SMART, {})", key.sensor);
                let f = Finding { onset: since, newest, reason: text.clone(), ..base(newest) };
                found.push(predicted(Finding { evidence: vec![evidence(since, text)], ..f }));
            }
        }
        for (key, series) in place.of_kind(SensorKind::CriticalWarning) {
            found.extend(warned(key, series, &base));
        }
        for (key, series) in place.of_kind(SensorKind::SpareLeft) {
            found.extend(self.spent(key, series, &base));
        }
        if let Some(note) = place.asserted(&[EventKind::DriveFailed]) {
            let f = told(note, base(note.at));
            // A drive that failed its own test still works.
            found.push(if failed_its_test(&note.message) { predicted(f) } else { f });
        } else if let Some(note) = place.asserted(&[EventKind::DrivePredictedFailure]) {
            found.push(predicted(told(note, base(note.at))));
        }
        found
    }

    /// Spare blocks at or below the drive's own limit, or the usual one where it tells none.
    fn spent(&self, key: &SeriesKey, series: &Series, base: &impl Fn(Timestamp) -> Finding) -> Option<Finding> {
        let own = series.thresholds().lower_critical;
        let limit = own.unwrap_or(self.0.spare_left);
        let (since, newest) = held(series, |left| left <= limit)?;
        let whose = if own.is_some() { "the drive's own limit" } else { "the usual limit" };
        let fact = format!("{} at or below {whose} of {} %", key.sensor, show(limit));
        let reason =
            format!("{} % of the drive's spare blocks are left: {whose} is {} %", show(series.number()?), show(limit));
        let f = Finding { onset: since, newest, reason, evidence: vec![evidence(since, fact)], ..base(newest) };
        Some(predicted(f))
    }
}

fn told(note: &EventNote, base: Finding) -> Finding {
    let text = format!("log entry: {}", note.message);
    Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..base }
}

fn failed_its_test(message: &str) -> bool {
    let said = message.to_ascii_lowercase();
    ["self-test", "self test", "selftest", "diagnostic test"].iter().any(|word| said.contains(word))
}

/// The bits of the NVMe critical warning (SMART / Health Information log, byte 0): what each says, and whether it says that the drive will fail. Bit 1 is the
/// temperature, which is no failure.
const BITS: [(u32, &str); 5] = [
    (0, "spare blocks are below their limit"),
    (2, "reliability is degraded"),
    (3, "the medium has become read-only"),
    (4, "the volatile memory's backup has failed"),
    (5, "the persistent memory region is read-only or unreliable"),
];
const READ_ONLY: u32 = 3;

/// The bits that are set, each with its meaning and since when.
fn warned(key: &SeriesKey, series: &Series, base: &impl Fn(Timestamp) -> Finding) -> Option<Finding> {
    let has = |bit: u32| move |v: f64| (v / f64::from(1_u32 << bit)).floor() % 2.0 >= 1.0;
    let set: Vec<(u32, &str, Timestamp, Timestamp)> =
        BITS.iter().filter_map(|(bit, text)| held(series, has(*bit)).map(|(s, n)| (*bit, *text, s, n))).collect();
    let newest = set.iter().map(|(.., newest)| *newest).max()?;
    let words: Vec<String> = set.iter().map(|(bit, text, ..)| format!("{text} (bit {bit})")).collect();
    let f = Finding {
        onset: set.iter().map(|(_, _, since, _)| *since).min()?,
        newest,
        reason: format!("NVMe critical warning: {}", words.join(", ")),
        evidence: set
            .iter()
            .zip(&words)
            .map(|((_, _, since, _), word)| evidence(*since, format!("{}: {word}", key.sensor)))
            .collect(),
        ..base(newest)
    };
    // A drive that takes no more writes has failed already.
    Some(if set.iter().any(|(bit, ..)| *bit == READ_ONLY) {
        Finding { level: Level::Critical, ..f }
    } else {
        predicted(f)
    })
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
