//! Drives over months: what the disk model says of each, and when each is used up, once a UTC day.
//!
//! A drive is known by its serial: one that moves takes its history along, and another one in the place begins anew. Where no serial is
//! told, the place is the drive until its power-on hours fall. What was read on a day becomes one reading of it ([`Polled`]), as the model
//! was trained on; a while after midnight all drives are judged, some in a step, and what was learnt is kept: a crash loses what drives
//! showed since then. Like slow wear this outlives the rest of what the loop has in memory.

mod endurance;
mod forget;
mod places;
mod round;

use super::synthetic::is_drill;
use outband_health::model::{
    Attribute, Blind, Day, DiskModel, Field, Foretold, HORIZON, Judged, Pattern, Said, Taken, Verdict, Watch, explain,
    family,
};
use outband_health::outlook::{Endurance, Outlook};
use outband_health::{Fault, Incident, Names, Packed, SortedMap, Stage};
use outband_schemas::{
    ComponentClass, ComponentId, Observation, ObservationSet, Part, Quality, Reading, SensorKind, ServerId, Suspicion,
    Timestamp,
};
use outband_store::StoreError;
use outband_store::drives::{DriveFleet, DriveRecord, Drives, Waiting};
use outband_store::outcome::{OutcomeFilter, Outcomes, TicketOutcome};
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
/// A serial that comes from one server into another so often within so many days is not the name of one drive.
const HOPS: usize = 4;
const HOPS_WITHIN: Day = 3;
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
    /// Something was told of its endurance since it was kept.
    worn: bool,
    /// What was told of its endurance and is not known to be its own yet.
    waits: Vec<endurance::Waits>,
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
    /// Boxed: the nodes of a map are half empty, and a drive is much.
    drives: BTreeMap<String, Box<Held>>,
    places: BTreeMap<ServerId, SortedMap<ComponentId, String>>,
    fleet: DriveFleet,
    round: Option<Round>,
    /// The day of which it is known when drives are used up.
    foreseen: Option<Day>,
    /// The day of which that is being said, and the last drive of which it was.
    foreseeing: Option<(Day, String)>,
    /// Drives that moved, and are to be kept at once.
    moved: Vec<String>,
    /// Drives seen to have failed, and drives taken out, since the last round.
    failed: BTreeSet<String>,
    taken: BTreeSet<String>,
    /// Drives whose rows are to go.
    gone: Vec<String>,
    names: Names,
}

/// The drives of all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Disks(Arc<Mutex<Inner>>);

fn day_of(at: Timestamp) -> Day {
    Day::try_from(at.as_millis().div_euclid(DAY_MS)).unwrap_or(Day::MAX)
}

/// The newest day that has ended and of which the last polls have come.
fn ended(now: Timestamp) -> Day {
    day_of(now.minus(Duration::from_millis(LATE_MS.unsigned_abs()))) - 1
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
        SensorKind::SpinRetries => Attribute::SpinRetries,
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
        for (key, mut record) in kept.drives {
            record.rest(&inner.names);
            if let Some((server, component)) = &record.place {
                inner.places.entry(server.clone()).or_default().insert(component.clone(), key.clone());
            }
            inner.drives.insert(key, Box::new(Held { record, ..Held::default() }));
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

    /// Takes in a poll of a server, whose open incidents are given. Answers the servers of whose drives something else is to be said than
    /// before: this one, and those that its drives came from.
    pub(super) fn observe(
        &self,
        server: &ServerId,
        incidents: &[Incident],
        set: &ObservationSet,
        received_at: Timestamp,
    ) -> BTreeSet<ServerId> {
        let mut inner = self.lock();
        let today = day_of(received_at);
        let mut moved = BTreeSet::new();
        for observation in &set.observations {
            match observation {
                Observation::Inventory(inventory) => {
                    let at = inventory.observed_at.min(received_at);
                    moved.extend(inner.install(server, incidents, &inventory.parts, at, today));
                }
                Observation::Reading(r) if r.component.class() == ComponentClass::Disk => {
                    let Some(value) = r.value.as_ref().and_then(|v| v.as_number()) else { continue };
                    let at = r.observed_at.min(received_at);
                    if r.quality == Quality::Good && inner.read(server, &r.component, r.kind, value, at, today) {
                        moved.insert(server.clone());
                    }
                    // Some makers write a drive's life as a text.
                    if matches!(r.quality, Quality::Good | Quality::Suspect(Suspicion::Coerced)) {
                        inner.wear(server, r, value, at, today);
                    }
                }
                Observation::Reading(_) | Observation::Event(_) | Observation::Gap(_) => {}
            }
        }
        inner.rest_of(server);
        moved
    }

    /// Keeps at once where drives are that moved: what was said of one must not come back for another.
    pub(super) fn keep_moved(&self, store: &impl Drives) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let moved = std::mem::take(&mut inner.moved);
        if moved.is_empty() { Ok(()) } else { inner.keep(store, &moved, None) }
    }

    /// What is said of a server's drives.
    pub(super) fn said(&self, server: &ServerId) -> BTreeMap<ComponentId, Said> {
        let inner = self.lock();
        let places = inner.places.get(server).into_iter().flatten();
        places.filter_map(|(place, key)| Some((place.clone(), inner.drives.get(key)?.record.said.clone()))).collect()
    }

    /// A server has turned out to be another one: its drives are in no place until that one's inventory names them.
    pub(super) fn merge(&self, server: &ServerId, into: &ServerId) {
        let mut inner = self.lock();
        for key in inner.places.remove(server).unwrap_or_default().into_iter().map(|(_, key)| key) {
            if let Some(held) = inner.drives.get_mut(&key) {
                (held.record.place, held.record.left, held.unsaved) = (None, Some(into.clone()), true);
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
        let day = ended(now);
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
        let news = |held: &Held| held.unsaved || held.worn || held.record.polled.has_news(&held.record.history);
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

#[cfg(test)]
mod tests;
