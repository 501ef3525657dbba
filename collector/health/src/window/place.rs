//! One place of a server: its series, its log entries, the part in it.

use super::series::{Series, SeriesKey, Switch, Track};
use super::{EventNote, FanTrack, Via};
use outband_schemas::{EventKind, Quality, Reading, Section, SensorKind, State, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// One place of a server.
#[derive(Debug, Clone, Default)]
pub struct Place {
    series: BTreeMap<SeriesKey, Series>,
    events: VecDeque<EventNote>,
    serial: Option<String>,
    installed_at: Option<Timestamp>,
    pub(super) fan: BTreeMap<SeriesKey, FanTrack>,
}

/// How many log entries of one place are remembered.
const EVENTS: usize = 64;

impl Place {
    /// Its series.
    pub fn series(&self) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series.iter()
    }

    /// Its series of one kind.
    pub fn of_kind(&self, kind: SensorKind) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series.iter().filter(move |(key, _)| key.kind == kind)
    }

    /// Its states.
    pub fn states(&self) -> impl Iterator<Item = (&SeriesKey, &Series, &Switch)> {
        self.of_kind(SensorKind::State).filter_map(|(key, series)| match &series.track {
            Track::Switch(switch) => Some((key, series, switch)),
            Track::Counter(_) | Track::Gauge(_) | Track::Text => None,
        })
    }

    /// The speed of its fans against their baselines.
    pub fn fans(&self) -> impl Iterator<Item = (&SeriesKey, &FanTrack)> {
        self.fan.iter()
    }

    /// Its log entries, oldest first, at most the newest 64.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &EventNote> {
        self.events.iter()
    }

    /// The serial of the part in it, where it is known.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// When that part was first seen here, where it replaced another.
    pub fn installed_at(&self) -> Option<Timestamp> {
        self.installed_at
    }

    /// When the newest good value was read. `None`: never.
    pub fn newest(&self) -> Option<Timestamp> {
        self.series.values().filter_map(Series::newest).max()
    }

    /// Whether the BMC says that nothing is in it.
    pub fn is_absent(&self) -> bool {
        let mut states = self.states().filter_map(|(_, _, switch)| switch.now()).peekable();
        states.peek().is_some() && states.all(|(state, _)| state == State::Absent)
    }

    /// The newest entry of one of these kinds that was asserted, not taken back by a later entry, and not contradicted by a
    /// state that has been read as well twice since.
    pub fn asserted(&self, kinds: &[EventKind]) -> Option<&EventNote> {
        let note = self.events.iter().rev().find(|e| kinds.contains(&e.kind))?;
        let well = self.states().any(|(_, series, switch)| {
            switch.now().is_some_and(|(state, _)| state == State::Ok)
                && switch.polls() >= 2
                && series.newest().is_some_and(|newest| newest > note.at)
                && matches!(series.quality, Quality::Good)
        });
        (!note.deasserted && !well).then_some(note)
    }

    /// How many entries of one of these kinds were asserted at or after `from`, and the newest of them.
    pub fn count(&self, kinds: &[EventKind], from: Timestamp) -> Option<(u32, &EventNote)> {
        let hits = || self.events.iter().filter(|e| kinds.contains(&e.kind) && !e.deasserted && e.at >= from);
        let newest = hits().next_back()?;
        Some((u32::try_from(hits().count()).unwrap_or(u32::MAX), newest))
    }

    pub(super) fn read(&mut self, section: Section, reading: &Reading, at: Timestamp) {
        let key = SeriesKey { kind: reading.kind, sensor: reading.sensor.clone(), via: Via::of(&reading.source) };
        let series = self.series.entry(key).or_insert_with(|| Series::new(section, reading.kind));
        series.read(reading, at);
        if self.is_absent() {
            // What comes back may be another part: its baseline is its own.
            self.fan.clear();
        }
    }

    pub(super) fn install(&mut self, serial: &str, at: Timestamp) {
        if self.serial.as_deref().is_some_and(|old| old != serial) {
            // Another part: nothing that was known of the old one speaks of it.
            self.series.clear();
            self.events.clear();
            self.fan.clear();
            self.installed_at = Some(at);
        }
        self.serial = Some(serial.to_owned());
    }

    pub(super) fn note(&mut self, note: EventNote) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(note);
    }

    /// Sets a sensor's limits without a reading.
    pub(super) fn limit(&mut self, reading: &Reading) {
        let key = SeriesKey { kind: reading.kind, sensor: reading.sensor.clone(), via: Via::of(&reading.source) };
        if let (Some(series), Some(thresholds)) = (self.series.get_mut(&key), reading.thresholds) {
            series.thresholds = thresholds;
        }
    }

    /// Forgets every reading; what is in the place and what the log says of it stays.
    pub(super) fn forget_readings(&mut self) {
        self.series.clear();
        self.fan.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.events.is_empty() && self.serial.is_none()
    }
}
