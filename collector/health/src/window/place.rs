//! One place of a server: its series, its log entries, the part in it.

use super::series::{Series, SeriesKey, Switch, Track};
use super::{EventNote, FanTrack, Via};
use crate::{Names, SortedMap};
use outband_schemas::{EventKind, Quality, Reading, Section, SensorKind, State, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One place of a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// In the order of their keys. A place has one to five: a map's node would have room for eleven.
    series: Vec<(SeriesKey, Series)>,
    /// Most places have none.
    #[expect(clippy::box_collection, reason = "a box that is not there is a third of an empty ring")]
    events: Option<Box<VecDeque<EventNote>>>,
    serial: Option<Box<str>>,
    installed_at: Option<Timestamp>,
    fan: SortedMap<SeriesKey, FanTrack>,
}

/// How many log entries of one place are remembered.
const EVENTS: usize = 64;

impl Place {
    /// Its series.
    pub fn series(&self) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series.iter().map(|(key, series)| (key, series))
    }

    /// Its series of one kind.
    pub fn of_kind(&self, kind: SensorKind) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series().filter(move |(key, _)| key.kind == kind)
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

    /// The speed of one of its fans.
    pub(super) fn fan(&mut self, key: &SeriesKey) -> &mut FanTrack {
        self.fan.or_default(key)
    }

    /// Its log entries, oldest first, at most the newest 64.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &EventNote> {
        self.events.iter().flat_map(|events| events.iter())
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
        self.series.iter().filter_map(|(_, series)| series.newest()).max()
    }

    /// Whether the BMC says that nothing is in it.
    pub fn is_absent(&self) -> bool {
        let mut states = self.states().filter_map(|(_, _, switch)| switch.now()).peekable();
        states.peek().is_some() && states.all(|(state, _)| state == State::Absent)
    }

    /// The newest entry of one of these kinds that was asserted, not taken back by a later entry, and not contradicted by a
    /// state that has been read as well twice since.
    pub fn asserted(&self, kinds: &[EventKind]) -> Option<&EventNote> {
        let note = self.events().rev().find(|e| kinds.contains(&e.kind))?;
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
        let hits = || self.events().filter(|e| kinds.contains(&e.kind) && !e.deasserted && e.at >= from);
        let newest = hits().next_back()?;
        Some((u32::try_from(hits().count()).unwrap_or(u32::MAX), newest))
    }

    pub(super) fn read(&mut self, section: Section, reading: &Reading, at: Timestamp, names: &Names) {
        let place = self.find(reading).unwrap_or_else(|place| {
            let key =
                SeriesKey { kind: reading.kind, sensor: names.share(&reading.sensor), via: Via::of(&reading.source) };
            self.series.reserve_exact(1);
            self.series.insert(place, (key, Series::new(section, reading.kind)));
            place
        });
        if let Some((_, series)) = self.series.get_mut(place) {
            series.read(reading, at, names);
        }
        if !self.fan.is_empty() && self.is_absent() {
            // What comes back may be another part: its baseline is its own.
            self.fan = SortedMap::default();
        }
    }

    /// Where the series of a reading stands, or would.
    fn find(&self, reading: &Reading) -> Result<usize, usize> {
        let own = (reading.kind, reading.sensor.as_str(), Via::of(&reading.source));
        self.series.binary_search_by(|(key, _)| (key.kind, key.sensor.as_ref(), key.via).cmp(&own))
    }

    pub(super) fn install(&mut self, serial: &str, at: Timestamp) {
        if self.serial.as_deref().is_some_and(|old| old != serial) {
            // Another part: nothing that was known of the old one speaks of it.
            self.series.clear();
            self.events = None;
            self.fan = SortedMap::default();
            self.installed_at = Some(at);
        }
        if self.serial.as_deref() != Some(serial) {
            self.serial = Some(serial.into());
        }
    }

    pub(super) fn note(&mut self, note: EventNote) {
        let events = self.events.get_or_insert_default();
        if events.len() == EVENTS {
            events.pop_front();
        }
        events.push_back(note);
    }

    /// Sets a sensor's limits without a reading.
    pub(super) fn limit(&mut self, reading: &Reading) {
        if let Ok(place) = self.find(reading)
            && let (Some((_, series)), Some(thresholds)) = (self.series.get_mut(place), reading.thresholds)
        {
            series.limit(thresholds);
        }
    }

    /// Forgets every reading; what is in the place and what the log says of it stays.
    pub(super) fn forget_readings(&mut self) {
        self.series.clear();
        self.fan = SortedMap::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.events.is_none() && self.serial.is_none()
    }
}
