//! Drives over months, and what the disk model says of each, once a UTC day.
//!
//! A drive is known by its serial: one that moves takes its history along, and another one in the place begins anew. Where no serial is
//! told, the place is the drive until its power-on hours fall. What was read on a day becomes one reading of it ([`Polled`]), as the model
//! was trained on; a while after midnight all drives are judged, some in a step, and what was learnt is kept: a crash loses what drives
//! showed since then. Like slow wear this outlives the rest of what the loop has in memory.

use super::synthetic::is_drill;
use outband_health::model::{
    Attribute, Blind, Day, DiskModel, Field, Foretold, HORIZON, Judged, Pattern, Said, Taken, Verdict, Watch, explain,
    family,
};
use outband_health::{Fault, Incident, Stage};
use outband_schemas::{
    ComponentClass, ComponentId, Observation, ObservationSet, Part, Quality, SensorKind, ServerId, Timestamp,
};
use outband_store::StoreError;
use outband_store::drives::{DriveFleet, DriveRecord, Drives, Waiting};
use outband_store::outcome::{OutcomeFilter, Outcomes};
use outband_ticket::Answer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A day is judged so long after it ended: by then the last polls of it have come.
const LATE_MS: i64 = 3_600_000;
/// So many drives are judged in a step, and kept in one write.
const TOGETHER: usize = 4096;
/// So long the end of the program waits for what was learnt since the day began.
const FAREWELL: Duration = Duration::from_secs(10);
/// A drive that was foretold to fail and was not read for so many days is gone.
const GONE: Day = 7;
/// A drive that was not read for so many days is forgotten.
const FORGET: Day = 400;
/// A drive that showed nothing new is kept again after so many days, so that it is not forgotten.
const REFRESH: i32 = 7;
/// So many own drives a cohort needs to be told of.
const OWN: u32 = 5;
/// So far a clock may have been ahead; what was read by one that was further ahead is not to be put in order with what comes now.
const AHEAD: Day = 2;

const DAY_MS: i64 = 86_400_000;

/// What drives are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicting {
    /// The model.
    pub model: DiskModel,
    /// False tickets per 100 drive-months that the operator allows.
    pub false_tickets: f64,
}

#[derive(Debug, Default)]
struct Held {
    record: DriveRecord,
    unsaved: bool,
}

/// A day that is being judged.
#[derive(Debug, Default)]
struct Round {
    day: Day,
    /// The last drive that was.
    after: Option<String>,
    row: Vec<f64>,
    judged: usize,
    foretold: usize,
    took: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    loaded: bool,
    drives: BTreeMap<String, Held>,
    places: BTreeMap<ServerId, BTreeMap<ComponentId, String>>,
    fleet: DriveFleet,
    round: Option<Round>,
    /// Drives seen to have failed, and drives taken out, since the last round.
    failed: BTreeSet<String>,
    taken: BTreeSet<String>,
    /// Drives whose rows are to go.
    gone: Vec<String>,
}

/// The drives of all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Disks(Arc<Mutex<Inner>>);

fn day_of(at: Timestamp) -> Day {
    Day::try_from(at.as_millis().div_euclid(DAY_MS)).unwrap_or(Day::MAX)
}

/// A date, as people write it.
fn date(day: Day) -> String {
    Timestamp::from_millis(i64::from(day) * DAY_MS).to_string().chars().take(10).collect()
}

/// A serial that names one drive.
fn serial_of(text: Option<&str>) -> Option<&str> {
    let plain = text?.trim();
    let says = plain.chars().any(|c| c.is_ascii_alphanumeric() && c != '0');
    let word = matches!(plain.to_ascii_uppercase().as_str(), "N/A" | "NA" | "NONE" | "UNKNOWN" | "NULL");
    (says && !word).then_some(plain)
}

fn key_of_serial(serial: &str) -> String {
    format!("serial:{serial}")
}

fn key_of_place(server: &ServerId, component: &ComponentId) -> String {
    format!("place:{server}/{component}")
}

/// Which of a day's values a kind is.
fn field(kind: SensorKind) -> Option<Field> {
    Some(Field::Raw(match kind {
        SensorKind::PowerOnHours => return Some(Field::Hours),
        SensorKind::ReallocatedSectors => Attribute::ReallocatedSectors,
        SensorKind::PowerCycles => Attribute::PowerCycles,
        SensorKind::ReportedUncorrectable => Attribute::ReportedUncorrectable,
        SensorKind::CommandTimeouts => Attribute::CommandTimeouts,
        SensorKind::HighFlyWrites => Attribute::HighFlyWrites,
        SensorKind::ReallocationEvents => Attribute::ReallocationEvents,
        SensorKind::PendingSectors => Attribute::PendingSectors,
        SensorKind::OfflineUncorrectable => Attribute::OfflineUncorrectable,
        _ => return None,
    }))
}

/// Whether only drives without platters have it.
fn is_flash(kind: SensorKind) -> bool {
    matches!(kind, SensorKind::LifeLeft | SensorKind::SpareLeft | SensorKind::CriticalWarning)
}

/// Where drives are seen to have failed.
pub(super) fn failed_disks(incidents: &[Incident]) -> impl Iterator<Item = (ServerId, ComponentId)> {
    let seen =
        |i: &&Incident| i.key.fault == Fault::DiskFailure && !i.predicted && i.stage == Stage::Open && !is_drill(i);
    incidents.iter().filter(seen).map(|i| (i.key.server.clone(), i.key.component.clone()))
}

impl Disks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is kept, once.
    pub(super) fn load(&self, store: &impl Drives) -> Result<(), StoreError> {
        let mut inner = self.lock();
        if inner.loaded {
            return Ok(());
        }
        let kept = store.drives()?;
        for key in &kept.damaged {
            tracing::error!(drive = %key, "what was learnt of it over months is lost, and is learnt anew");
        }
        inner.fleet = kept.fleet.unwrap_or_default();
        for (key, record) in kept.drives {
            if let Some((server, component)) = &record.place {
                inner.places.entry(server.clone()).or_default().insert(component.clone(), key.clone());
            }
            inner.drives.insert(key, Held { record, unsaved: false });
        }
        if let (false, Some(day)) = (inner.fleet.in_order, inner.fleet.day) {
            tracing::warn!(
                since = %date(day + 1),
                "the collector did not end in order: what drives showed since then is what they show now; all before is kept"
            );
        }
        inner.fleet.in_order = false;
        store.keep_drives(&[], &[], Some(&inner.fleet))?;
        inner.loaded = true;
        Ok(())
    }

    /// Takes in a poll of a server, whose open incidents are given. Answers whether something else is to be said of its drives than before.
    pub(super) fn observe(
        &self,
        server: &ServerId,
        incidents: &[Incident],
        set: &ObservationSet,
        received_at: Timestamp,
    ) -> bool {
        let mut inner = self.lock();
        let mut moved = false;
        for observation in &set.observations {
            match observation {
                Observation::Inventory(inventory) => {
                    moved |= inner.install(server, incidents, &inventory.parts, day_of(received_at));
                }
                Observation::Reading(r)
                    if r.component.class() == ComponentClass::Disk && r.quality == Quality::Good =>
                {
                    if let Some(value) = r.value.as_ref().and_then(|v| v.as_number()) {
                        let at = r.observed_at.min(received_at);
                        moved |= inner.read(server, &r.component, r.kind, value, at, day_of(received_at));
                    }
                }
                Observation::Reading(_) | Observation::Event(_) | Observation::Gap(_) => {}
            }
        }
        moved
    }

    /// What is said of a server's drives.
    pub(super) fn said(&self, server: &ServerId) -> BTreeMap<ComponentId, Said> {
        let inner = self.lock();
        let places = inner.places.get(server).into_iter().flatten();
        places.filter_map(|(place, key)| Some((place.clone(), inner.drives.get(key)?.record.said.clone()))).collect()
    }

    /// Forgets where the drives of a server are that is none any more.
    pub(super) fn forget(&self, server: &ServerId) {
        let mut inner = self.lock();
        for key in inner.places.remove(server).unwrap_or_default().into_values() {
            if let Some(held) = inner.drives.get_mut(&key) {
                (held.record.place, held.unsaved) = (None, true);
            }
        }
    }

    /// Judges some drives, where a day has ended. `failed` answers where drives are seen to have failed. Answers the servers of whose drives
    /// something else is to be said.
    pub(super) fn judge(
        &self,
        store: &(impl Drives + Outcomes),
        by: Option<&Predicting>,
        failed: impl FnOnce() -> Vec<(ServerId, ComponentId)>,
        now: Timestamp,
    ) -> Result<BTreeSet<ServerId>, StoreError> {
        let mut inner = self.lock();
        let Some(by) = by else { return Ok(inner.unsay()) };
        let day = day_of(now.minus(Duration::from_millis(LATE_MS.unsigned_abs()))) - 1;
        if inner.round.is_none() {
            // A clock that was put back a little has judged this day already.
            if inner.fleet.day.is_some_and(|judged| judged >= day && judged - day <= AHEAD) {
                return Ok(BTreeSet::new());
            }
            let right = inner.confirmed(store, now)?;
            let failed = failed();
            inner.begin(day, by, &failed, right);
        }
        inner.go_on(store, by)
    }

    /// Keeps what was learnt since the last round, as far as there is time.
    pub(super) fn save(&self, store: &impl Drives) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut inner = self.lock();
        if !inner.loaded {
            return Ok(());
        }
        let news = |held: &Held| held.unsaved || held.record.polled.has_news(&held.record.history);
        let unsaved: Vec<String> = inner.drives.iter().filter(|(_, h)| news(h)).map(|(k, _)| k.clone()).collect();
        for (number, some) in unsaved.chunks(TOGETHER).enumerate() {
            if begun.elapsed() > FAREWELL {
                let left = unsaved.len() - number * TOGETHER;
                tracing::warn!(left, "what these drives showed today is read anew; all before is kept");
                return Ok(());
            }
            inner.keep(store, some, None)?;
        }
        inner.fleet.in_order = true;
        let Inner { fleet, gone, .. } = &mut *inner;
        store.keep_drives(&[], gone, Some(fleet))?;
        gone.clear();
        Ok(())
    }
}

impl Inner {
    /// Takes in which parts a server has. Answers whether another drive is in a place.
    fn install(&mut self, server: &ServerId, incidents: &[Incident], parts: &[Part], today: Day) -> bool {
        let disks: Vec<&Part> = parts.iter().filter(|p| p.component.class() == ComponentClass::Disk).collect();
        let mut moved = false;
        for part in &disks {
            let serial = serial_of(part.serial.as_deref());
            // Several drives with one serial are a controller's, not theirs.
            let twice = disks.iter().filter(|p| serial_of(p.serial.as_deref()) == serial).count() > 1;
            let known = self.places.get(server).and_then(|places| places.get(&part.component)).cloned();
            let key = match (serial.filter(|_| !twice), known) {
                (Some(serial), known) => {
                    let key = key_of_serial(serial);
                    moved |= known.as_ref() != Some(&key);
                    let failed = failed_disks(incidents).any(|(_, component)| component == part.component);
                    self.replace(known, &key, failed, today);
                    key
                }
                // That no serial is told now is no other drive.
                (None, Some(known)) => known,
                (None, None) => key_of_place(server, &part.component),
            };
            self.put(server, &part.component, &key);
            let Some(held) = self.drives.get_mut(&key) else { continue };
            let record = &mut held.record;
            let before = (record.serial.clone(), record.manufacturer.clone(), record.model.clone(), record.bytes);
            let told = (
                serial.filter(|_| !twice).map(str::to_owned).or(before.0.clone()),
                part.manufacturer.clone().or(before.1.clone()),
                part.model.clone().or(before.2.clone()),
                part.capacity_bytes.or(before.3),
            );
            held.unsaved |= told != before;
            (record.serial, record.manufacturer, record.model, record.bytes) = told;
        }
        moved
    }

    /// Another key is in a place than the one before.
    fn replace(&mut self, before: Option<String>, key: &str, failed: bool, today: Day) {
        let Some(before) = before.filter(|b| b != key) else { return };
        if before.starts_with("place:") {
            // It is the same drive, whose serial is told now.
            if let Some(held) = self.drives.remove(&before) {
                self.drives.entry(key.to_owned()).or_insert(Held { unsaved: true, ..held });
                self.gone.push(before);
            }
            return;
        }
        if let Some(held) = self.drives.get_mut(&before) {
            (held.record.place, held.unsaved) = (None, true);
            if failed && held.record.failed_on.is_none() {
                held.record.failed_on = Some(today);
                self.failed.insert(before);
            } else if held.record.failed_on.is_none() {
                self.taken.insert(before);
            }
        }
    }

    /// A drive is in this place, and in no other.
    fn put(&mut self, server: &ServerId, component: &ComponentId, key: &str) {
        let place = Some((server.clone(), component.clone()));
        let held = self.drives.entry(key.to_owned()).or_default();
        if held.record.place != place {
            if let Some((server, component)) = &held.record.place
                && let Some(places) = self.places.get_mut(server)
                && places.get(component).is_some_and(|k| k == key)
            {
                places.remove(component);
            }
            (held.record.place, held.unsaved) = (place, true);
            self.taken.remove(key);
        }
        self.places.entry(server.clone()).or_default().insert(component.clone(), key.to_owned());
    }

    /// Takes in a value. Answers whether it is another drive than the one that was in the place.
    fn read(
        &mut self,
        server: &ServerId,
        component: &ComponentId,
        kind: SensorKind,
        value: f64,
        at: Timestamp,
        today: Day,
    ) -> bool {
        let (field, flash) = (field(kind), is_flash(kind));
        if field.is_none() && !flash {
            return false;
        }
        let key = match self.places.get(server).and_then(|places| places.get(component)) {
            Some(key) => key.clone(),
            None => {
                let key = key_of_place(server, component);
                self.put(server, component, &key);
                key
            }
        };
        let Some(held) = self.drives.get_mut(&key) else { return false };
        held.unsaved |= flash && !held.record.flash;
        held.record.flash |= flash;
        let Some(field) = field else { return false };
        let day = day_of(at);
        let newest = held.record.polled.day().max(held.record.read_on);
        if newest.is_some_and(|newest| newest > today + AHEAD) {
            tracing::warn!(drive = %key, "it was read while a clock was ahead; what is known of it is learnt anew");
            held.begin_anew();
        }
        if held.record.read_on.is_some_and(|on| day <= on) {
            return false;
        }
        if held.record.polled.day().is_some_and(|open| open < day) {
            held.close(&key);
        }
        let value = match field {
            Field::Raw(attribute) => attribute.counted(value),
            Field::Hours => value,
        };
        if held.record.polled.take(day, field, value) == Taken::Kept {
            held.record.read_ms = at.as_millis();
        }
        if field == Field::Hours && key.starts_with("place:") && held.record.polled.is_another() {
            tracing::info!(drive = %key, "its power-on hours fell: it is another drive, and is learnt anew");
            held.begin_anew();
            self.taken.insert(key);
            return true;
        }
        false
    }

    /// Nothing is said of drives any more. Answers the servers of whose drives something was.
    fn unsay(&mut self) -> BTreeSet<ServerId> {
        self.round = None;
        let mut servers = BTreeSet::new();
        for held in self.drives.values_mut().filter(|h| h.record.said != Said::New) {
            (held.record.said, held.unsaved) = (Said::New, true);
            servers.extend(held.record.place.as_ref().map(|p| p.0.clone()));
        }
        servers
    }

    /// The drives of which somebody has verified since the last round that their predicted failure was right.
    fn confirmed(&mut self, store: &impl Outcomes, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let since = Timestamp::from_millis(self.fleet.heard_to_ms);
        let filter = OutcomeFilter {
            rule: Some("disk.predicted".to_owned()),
            predicted: true,
            known_since: Some(since),
            ..OutcomeFilter::default()
        };
        let right = store.outcomes(&filter)?.into_iter().filter(|o| o.outcome.answer == Answer::Right);
        let keys = right.filter_map(|o| serial_of(o.serial.as_deref()).map(key_of_serial)).collect();
        self.fleet.heard_to_ms = now.as_millis();
        Ok(keys)
    }

    /// Begins to judge a day.
    fn begin(&mut self, day: Day, by: &Predicting, failing: &[(ServerId, ComponentId)], confirmed: Vec<String>) {
        let version = &by.model.version;
        if self.fleet.model != *version || self.fleet.watch.is_none() {
            // What another model's thresholds cost says nothing of this one's.
            self.fleet.watch = Some(Watch::new(&by.model));
            self.fleet.model.clone_from(version);
        }
        for (server, component) in failing {
            let Some(key) = self.places.get(server).and_then(|places| places.get(component)) else { continue };
            if let Some(held) = self.drives.get_mut(key).filter(|h| h.record.failed_on.is_none()) {
                (held.record.failed_on, held.unsaved) = (Some(day), true);
                self.failed.insert(key.clone());
            }
        }
        for key in confirmed {
            if let Some(held) = self.drives.get_mut(&key).filter(|h| h.record.failed_on.is_none()) {
                (held.record.failed_on, held.unsaved) = (Some(day), true);
                self.failed.insert(key);
            }
        }
        let read_on = |held: &Held| held.record.polled.day().filter(|d| *d <= day).max(held.record.read_on);
        let judged = |held: &&Held| !matches!(held.record.said, Said::Blind { .. });
        let running = self.drives.values().filter(judged).filter(|h| read_on(h) == Some(day)).count();
        let drives = &self.drives;
        let is_gone = |key: &String| drives.get(key).is_none_or(|held| read_on(held).is_none_or(|on| day - on > GONE));
        if let Some(watch) = &mut self.fleet.watch {
            watch.begin(day, u64::try_from(running).unwrap_or(u64::MAX));
            let run = drives.values().filter(|h| read_on(h) == Some(day));
            watch.survey(day, run.map(|h| (h.record.drive(), &h.record.history)));
            watch.survey(
                day,
                drives.values().filter(|h| read_on(h) == Some(day)).map(|h| (h.record.drive(), &h.record.history)),
            );
            self.failed.iter().for_each(|key| watch.failed(key));
            let gone: Vec<String> =
                watch.watched().filter(|k| self.taken.contains(*k) || is_gone(k)).cloned().collect();
            let failed = |key: &String| drives.get(key).is_some_and(|h| h.record.failed_on.is_some());
            gone.iter().filter(|key| !failed(key)).for_each(|key| watch.gone(key));
            watch.decide(by.false_tickets);
        }
        let mut still = Vec::new();
        for waiting in std::mem::take(&mut self.fleet.waiting) {
            let failed_on = drives.get(&waiting.key).and_then(|h| h.record.failed_on);
            let failed = failed_on.is_some_and(|on| (1..=HORIZON).contains(&(on - waiting.day)));
            let over = day - waiting.day > HORIZON;
            if failed || over && !is_gone(&waiting.key) && !self.taken.contains(&waiting.key) {
                self.fleet.cohorts.add(&waiting.family, waiting.vendor, waiting.pattern, failed);
            } else if !over {
                still.push(waiting);
            }
        }
        self.fleet.waiting = still;
        self.failed.clear();
        self.taken.clear();
        self.round = Some(Round { day, ..Round::default() });
    }

    /// Judges some drives more.
    fn go_on(&mut self, store: &impl Drives, by: &Predicting) -> Result<BTreeSet<ServerId>, StoreError> {
        let begun = Instant::now();
        let mut servers = BTreeSet::new();
        let Inner { drives, fleet, round, .. } = &mut *self;
        let (Some(round), Some(mut watch)) = (round.as_mut(), fleet.watch.take()) else { return Ok(servers) };
        let from = round.after.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut done = Vec::new();
        for (key, held) in drives.range_mut((from, std::ops::Bound::<String>::Unbounded)).take(TOGETHER) {
            done.push(key.clone());
            if held.record.polled.day().is_some_and(|open| open <= round.day) {
                held.close(key);
            }
            let before = held.record.said.clone();
            held.judge(key, by, &mut watch, fleet, round);
            if held.record.said != before {
                held.unsaved = true;
                servers.extend(held.record.place.as_ref().map(|p| p.0.clone()));
            }
        }
        fleet.watch = Some(watch);
        round.took += begun.elapsed();
        round.after = done.last().cloned();
        let (is_over, day) = (done.len() < TOGETHER, round.day);
        let unsaved: Vec<String> =
            done.into_iter().filter(|key| self.drives.get(key).is_some_and(|h| h.unsaved)).collect();
        if !is_over {
            self.keep(store, &unsaved, None)?;
            return Ok(servers);
        }
        let old = |held: &Held| day - held.record.read_on.max(held.record.polled.day()).unwrap_or(day) > FORGET;
        let old: Vec<String> = self.drives.iter().filter(|(_, h)| old(h)).map(|(k, _)| k.clone()).collect();
        for key in &old {
            self.drop_drive(key);
        }
        self.gone.extend(old);
        self.fleet.day = Some(day);
        let fleet = std::mem::take(&mut self.fleet);
        let kept = self.keep(store, &unsaved, Some(&fleet));
        self.fleet = fleet;
        if let Some(Round { judged, foretold, took, .. }) = self.round.take() {
            tracing::info!(day = %date(day), drives = self.drives.len(), judged, foretold, ms = took.as_millis(), "drives were judged by the disk model");
        }
        kept.map(|()| servers)
    }

    fn drop_drive(&mut self, key: &str) {
        let place = self.drives.remove(key).and_then(|held| held.record.place);
        if let Some((server, component)) = place
            && let Some(places) = self.places.get_mut(&server)
            && places.get(&component).is_some_and(|k| k == key)
        {
            places.remove(&component);
        }
    }

    /// Keeps some drives, and what is learnt of all.
    fn keep(&mut self, store: &impl Drives, some: &[String], fleet: Option<&DriveFleet>) -> Result<(), StoreError> {
        let rows: Vec<(String, &DriveRecord)> =
            some.iter().filter_map(|key| Some((key.clone(), &self.drives.get(key)?.record))).collect();
        store.keep_drives(&rows, &self.gone, fleet)?;
        self.gone.clear();
        for key in some {
            if let Some(held) = self.drives.get_mut(key) {
                held.unsaved = false;
            }
        }
        Ok(())
    }
}

impl Held {
    /// Closes the day that is open.
    fn close(&mut self, key: &str) {
        let news = self.record.polled.has_news(&self.record.history);
        let Some(day) = self.record.polled.close(&mut self.record.history) else { return };
        self.record.read_on = Some(day);
        let turn = key.bytes().fold(0_i32, |sum, b| sum.wrapping_add(i32::from(b)));
        self.unsaved |= news || day.wrapping_add(turn) % REFRESH == 0;
    }

    /// What is known of it is another drive's, or was read by a wrong clock.
    fn begin_anew(&mut self) {
        let DriveRecord { place, serial, manufacturer, model, bytes, flash, .. } = std::mem::take(&mut self.record);
        self.record = DriveRecord { place, serial, manufacturer, model, bytes, flash, ..DriveRecord::default() };
        self.unsaved = true;
    }

    fn judge(
        &mut self,
        key: &String,
        by: &Predicting,
        watch: &mut Watch<String>,
        fleet: &mut DriveFleet,
        round: &mut Round,
    ) {
        let record = &mut self.record;
        let stands = match &record.said {
            Said::Foretold(foretold) => !foretold.is_over(round.day),
            Said::New | Said::Blind { .. } | Said::Well { .. } => false,
        };
        if !stands && matches!(record.said, Said::Foretold(_)) {
            record.said = Said::New;
        }
        let day = match record.read_on {
            Some(on) if record.judged_on.is_none_or(|judged| judged < on) => {
                record.judged_on = Some(on);
                on
            }
            // Of one that tells nothing of itself the model says why it says nothing.
            None if record.place.is_some() && record.said == Said::New => round.day,
            Some(_) | None => return,
        };
        round.judged += 1;
        let drive = record.drive();
        let judged = watch.judge(&by.model, key, (&record.history, &drive), day, &mut round.row);
        let Judged { verdict, threshold, probability, opens } = judged;
        let probability = probability.unwrap_or_default();
        let score = match verdict {
            // What was not read yet may still be told.
            Verdict::Blind(Blind::NoAttributes) if record.read_on.is_none() => return,
            Verdict::Blind(why) => {
                record.said = Said::Blind { why };
                return;
            }
            Verdict::Quiet { .. } => {
                if !stands {
                    record.said = Said::Well { probability };
                }
                return;
            }
            Verdict::Scored(score) => score,
        };
        let family = record.model.as_deref().map(family).unwrap_or_default();
        let pattern = Pattern::of(&record.history, day);
        if !pattern.is_empty() && record.patterns.insert(pattern) {
            self.unsaved = true;
            fleet.waiting.push(Waiting {
                key: key.clone(),
                day,
                family: family.clone(),
                vendor: drive.vendor,
                pattern,
            });
        }
        match &mut record.said {
            Said::Foretold(foretold) if opens => {
                (foretold.newest, foretold.newest_ms, foretold.probability) = (day, record.read_ms, probability);
            }
            Said::Foretold(_) => {}
            _ if opens => {
                round.foretold += 1;
                let cohorts = &by.model.cohorts;
                let trained = cohorts.like(&family, drive.vendor, pattern, outband_health::model::ENOUGH);
                record.said = Said::Foretold(Box::new(Foretold {
                    model: by.model.version.clone(),
                    since: day,
                    newest: day,
                    newest_ms: record.read_ms,
                    probability,
                    margin: score.margin,
                    threshold,
                    explanation: explain(&by.model.forest, &round.row, &record.history, day),
                    pattern,
                    trained: trained.map(|cohort| (cohort, by.model.trained_to.clone())),
                    own: fleet.cohorts.like(&family, drive.vendor, pattern, OWN),
                }));
            }
            _ => record.said = Said::Well { probability },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{Reading, Section, Source, TargetId, Value};
    use outband_store::SqliteStore;
    use outband_store::sqlite::Options;

    const BAY: &str = "disk/Bay 1";

    fn place() -> (ServerId, ComponentId) {
        (ServerId::new("srv-1").unwrap(), BAY.parse().unwrap())
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_secs((20_000 + day) * 86_400 + 7200)
    }

    fn set(at: Timestamp, observations: Vec<Observation>) -> ObservationSet {
        let target = TargetId::new("bmc1").unwrap();
        ObservationSet { target, section: Section::Drives, polled_at: at, observations }
    }

    fn polls(disks: &Disks, day: i64, sectors: f64) {
        for hour in 0..2 {
            let at = at(day).plus(Duration::from_secs(hour * 3600));
            let reading = Observation::Reading(Reading {
                component: BAY.parse().unwrap(),
                kind: SensorKind::PendingSectors,
                sensor: "197".to_owned(),
                value: Some(Value::Number(sectors)),
                quality: Quality::Good,
                observed_at: at,
                source: Source::default(),
                thresholds: None,
            });
            disks.observe(&place().0, &[], &set(at, vec![reading]), at);
        }
    }

    fn parts(disks: &Disks, day: i64, serials: &[Option<&str>]) {
        let part = |(n, serial): (usize, &Option<&str>)| Part {
            component: format!("disk/Bay {}", n + 1).parse().unwrap(),
            manufacturer: None,
            model: Some("ST4000DM000".to_owned()),
            part_number: None,
            serial: serial.map(str::to_owned),
            firmware: None,
            capacity_bytes: None,
            source: Source::default(),
        };
        let inventory = outband_schemas::Inventory {
            identity: outband_schemas::Identity::default(),
            parts: serials.iter().enumerate().map(part).collect(),
            bmc_clock_offset_ms: None,
            observed_at: at(day),
            source: Source::default(),
        };
        disks.observe(&place().0, &[], &set(at(day), vec![Observation::Inventory(inventory)]), at(day));
    }

    fn keys(disks: &Disks) -> Vec<String> {
        disks.lock().drives.keys().cloned().collect()
    }

    fn pending(disks: &Disks, key: &str) -> Option<f64> {
        let inner = disks.lock();
        let held = inner.drives.get(key)?;
        let mut record = held.record.clone();
        record.polled.close(&mut record.history);
        record.history.track(Attribute::PendingSectors).now()
    }

    #[test]
    fn what_was_read_today_is_kept_at_an_orderly_end_and_a_crash_is_known_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let (first, second, third) = (Disks::default(), Disks::default(), Disks::default());
        first.load(&store).unwrap();
        parts(&first, 0, &[Some("D1")]);
        polls(&first, 0, 8.0);
        first.save(&store).unwrap();
        second.load(&store).unwrap();
        assert_eq!(pending(&second, "serial:D1"), Some(8.0));
        assert!(!store.drives().unwrap().fleet.unwrap().in_order, "not before it ends again");
        polls(&second, 1, 16.0);
        third.load(&store).unwrap();
        assert_eq!(pending(&third, "serial:D1"), Some(8.0), "the day of the crash is lost, and no more");
    }

    #[test]
    fn a_serial_that_is_told_later_takes_over_what_was_known_of_the_place() {
        let disks = Disks::default();
        polls(&disks, 0, 8.0);
        assert_eq!(keys(&disks), ["place:srv-1/disk/Bay 1"]);
        parts(&disks, 0, &[Some("D1")]);
        assert_eq!(keys(&disks), ["serial:D1"]);
        assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
        parts(&disks, 1, &[None]);
        assert_eq!(keys(&disks), ["serial:D1"], "that none is told for once is no other drive");
    }

    #[test]
    fn a_drive_that_moves_takes_its_history_along_and_the_one_in_its_place_has_none() {
        let disks = Disks::default();
        parts(&disks, 0, &[Some("D1"), Some("D2")]);
        polls(&disks, 0, 8.0);
        parts(&disks, 1, &[Some("D3"), Some("D1")]);
        assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
        assert_eq!(pending(&disks, "serial:D3"), None);
        polls(&disks, 1, 0.0);
        assert_eq!(pending(&disks, "serial:D3"), Some(0.0));
        assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
    }

    #[test]
    fn several_drives_under_one_serial_are_known_by_their_places() {
        let disks = Disks::default();
        parts(&disks, 0, &[Some("WWN"), Some("WWN"), Some("000000"), Some("N/A")]);
        assert_eq!(keys(&disks).iter().filter(|k| k.starts_with("place:")).count(), 4);
    }
}
