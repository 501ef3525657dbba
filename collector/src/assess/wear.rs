//! Slow wear of all servers: what was learnt of each over weeks, and what it says once a day.
//!
//! This outlives the rest of what the loop has in memory: it cannot be read anew from the store but as it was when a day last closed. To
//! take in the same readings twice moves nothing.

use crate::topology::Topology;
use outband_health::Window;
use outband_health::drift::{RackMode, Sign};
use outband_health::outlook::Outlook;
use outband_schemas::{ComponentId, Observation, ObservationSet, Quality, ServerId, Suspicion, Timestamp};
use outband_store::drift::{Drifts, Wear};
use outband_store::{ServerRecord, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A day is judged so long after the first server of a rack closed it: by then the others have, too.
const LATE: Duration = Duration::from_secs(3600);
/// So many servers are judged in a step, and kept in one write.
const TOGETHER: usize = 64;
/// So long the end of the program waits for what was learnt since the day began.
const FAREWELL: Duration = Duration::from_secs(10);

/// Servers whose air is the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Rack(String),
    Alone(ServerId),
}

impl Group {
    fn of(server: &ServerRecord, topology: &Topology) -> Self {
        match topology.place(server).and_then(|place| place.rack.clone()) {
            Some(rack) => Self::Rack(rack),
            None => Self::Alone(server.id.clone()),
        }
    }
}

#[derive(Debug, Default)]
struct Worn {
    wear: Wear,
    /// A day has closed that was not judged yet.
    closed: bool,
    unsaved: bool,
}

#[derive(Debug, Default)]
struct Inner {
    servers: BTreeMap<ServerId, Worn>,
    /// Since when a day that closed waits to be judged.
    due: BTreeMap<ServerId, Timestamp>,
}

/// What is known of the slow wear of all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Wears(Arc<Mutex<Inner>>);

impl Wears {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What wears on a server, read from the store where it is not in memory yet.
    pub(super) fn recall(&self, store: &impl Drifts, server: &ServerId) -> Result<Vec<Sign>, StoreError> {
        if let Some(worn) = self.lock().servers.get(server) {
            return Ok(worn.wear.signs.clone());
        }
        let wear = match store.wear(server) {
            Ok(wear) => wear.unwrap_or_default(),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(%server, %error, "what was learnt of its slow wear is lost, and is learnt anew");
                Wear::default()
            }
            Err(error) => return Err(error),
        };
        let signs = wear.signs.clone();
        self.lock().servers.insert(server.clone(), Worn { wear, ..Worn::default() });
        Ok(signs)
    }

    /// Takes in a poll. `before` is the server's window before it did: it knows which part was in a place. Answers which parts are new.
    pub(super) fn observe(
        &self,
        server: &ServerId,
        before: &Window,
        set: &ObservationSet,
        received_at: Timestamp,
        now: Timestamp,
    ) -> Vec<ComponentId> {
        let mut inner = self.lock();
        let Inner { servers, due } = &mut *inner;
        let worn = servers.entry(server.clone()).or_default();
        let mut renewed = Vec::new();
        for observation in &set.observations {
            match observation {
                Observation::Reading(r)
                    if matches!(r.quality, Quality::Good | Quality::Suspect(Suspicion::Coerced)) =>
                {
                    if let Some(value) = r.value.as_ref().and_then(|v| v.as_number()) {
                        let at = r.observed_at.min(received_at);
                        if r.quality == Quality::Good {
                            worn.closed |= worn.wear.drift.take(&r.component, r.kind, &r.sensor, value, at);
                        }
                        // Some makers write a drive's life as a text.
                        worn.closed |= worn.wear.course.take(&r.component, r.kind, &r.sensor, value, at);
                        worn.unsaved = true;
                    }
                }
                Observation::Inventory(inventory) => {
                    for part in &inventory.parts {
                        let known = before.place(&part.component).and_then(|place| place.serial());
                        let serial = part.serial.as_deref().map(str::trim).filter(|s| !s.is_empty());
                        if known.zip(serial).is_some_and(|(known, serial)| known != serial) {
                            worn.wear.drift.renew(&part.component, inventory.observed_at.min(received_at));
                            worn.wear.signs.retain(|sign| sign.component != part.component);
                            worn.wear.course.renew(&part.component);
                            worn.wear.outlooks.retain(|outlook| outlook.component != part.component);
                            renewed.push(part.component.clone());
                        }
                    }
                }
                Observation::Reading(_) | Observation::Event(_) | Observation::Gap(_) => {}
            }
        }
        if worn.closed {
            due.entry(server.clone()).or_insert(now);
        }
        renewed
    }

    /// What is foreseen of a server's parts, as it was when a day last closed.
    pub(super) fn outlooks(&self, server: &ServerId) -> Vec<Outlook> {
        self.lock().servers.get(server).map(|worn| worn.wear.outlooks.clone()).unwrap_or_default()
    }

    /// Notes that a server's firmware was changed.
    pub(super) fn changed(&self, server: &ServerId, at: Timestamp) {
        if let Some(worn) = self.lock().servers.get_mut(server) {
            worn.wear.drift.changed(at);
        }
    }

    /// Forgets a server that is none any more.
    pub(super) fn forget(&self, server: &ServerId) {
        let mut inner = self.lock();
        inner.servers.remove(server);
        inner.due.remove(server);
    }

    /// Judges some of those of which a day closed a while ago, with their racks, and keeps what was learnt of them. Answers what wears on each now.
    pub(super) fn judge<'a>(
        &self,
        store: &impl Drifts,
        servers: impl Iterator<Item = &'a ServerRecord>,
        topology: &Topology,
        now: Timestamp,
    ) -> Result<Vec<(ServerId, Vec<Sign>)>, StoreError> {
        let mut inner = self.lock();
        if !inner.due.values().any(|since| now.since(*since) >= LATE) {
            return Ok(Vec::new());
        }
        let mut groups: BTreeMap<Group, Vec<ServerId>> = BTreeMap::new();
        for record in servers {
            groups.entry(Group::of(record, topology)).or_default().push(record.id.clone());
        }
        let mut judged = Vec::new();
        for members in groups.values() {
            if judged.len() >= TOGETHER {
                break;
            }
            if !members.iter().any(|m| inner.due.get(m).is_some_and(|since| now.since(*since) >= LATE)) {
                continue;
            }
            let mode = RackMode::of(members.iter().filter_map(|m| inner.servers.get(m)).map(|w| &w.wear.drift));
            for member in members {
                inner.due.remove(member);
                let Some(worn) = inner.servers.get_mut(member).filter(|w| w.closed) else { continue };
                worn.wear.signs = worn.wear.drift.signs(&mode);
                worn.wear.outlooks = worn.wear.course.outlooks(&worn.wear.outlooks);
                worn.closed = false;
                judged.push((member.clone(), worn.wear.signs.clone()));
            }
        }
        let kept: Vec<(ServerId, &Wear)> =
            judged.iter().filter_map(|(id, _)| Some((id.clone(), &inner.servers.get(id)?.wear))).collect();
        store.keep_wear(&kept)?;
        for (id, _) in &judged {
            if let Some(worn) = inner.servers.get_mut(id) {
                worn.unsaved = false;
            }
        }
        // What is no server any more is never judged.
        let known = &inner.servers;
        let gone: Vec<ServerId> = inner.due.keys().filter(|id| !known.contains_key(id)).cloned().collect();
        for id in gone {
            inner.due.remove(&id);
        }
        Ok(judged)
    }

    /// Keeps what is known of one server at once: a part was replaced, and what was foreseen of the old one must not come back.
    pub(super) fn keep(&self, store: &impl Drifts, server: &ServerId) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let Some(worn) = inner.servers.get_mut(server) else { return Ok(()) };
        store.keep_wear(&[(server.clone(), &worn.wear)])?;
        worn.unsaved = false;
        Ok(())
    }

    /// Keeps what was learnt since days last closed, as far as there is time.
    pub(super) fn save(&self, store: &impl Drifts) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut inner = self.lock();
        let unsaved: Vec<ServerId> =
            inner.servers.iter().filter(|(_, w)| w.unsaved).map(|(id, _)| id.clone()).collect();
        for (number, some) in unsaved.chunks(TOGETHER).enumerate() {
            if begun.elapsed() > FAREWELL {
                let left = unsaved.len() - number * TOGETHER;
                tracing::warn!(
                    left,
                    "what was learnt of these servers' slow wear today is learnt anew; all before is kept"
                );
                break;
            }
            let kept: Vec<(ServerId, &Wear)> =
                some.iter().filter_map(|id| Some((id.clone(), &inner.servers.get(id)?.wear))).collect();
            store.keep_wear(&kept)?;
            for id in some {
                if let Some(worn) = inner.servers.get_mut(id) {
                    worn.unsaved = false;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{Reading, Section, SensorKind, Source, TargetId, Value};
    use outband_store::SqliteStore;
    use outband_store::sqlite::Options;

    fn poll(at: Timestamp, rpm: f64) -> ObservationSet {
        let reading = Reading {
            component: "fan/1".parse().unwrap(),
            kind: SensorKind::FanSpeed,
            sensor: "Fan 1".to_owned(),
            value: Some(Value::Number(rpm)),
            quality: Quality::Good,
            observed_at: at,
            source: Source("/redfish/v1/x".to_owned()),
            thresholds: None,
        };
        let target = TargetId::new("bmc1").unwrap();
        ObservationSet {
            target,
            section: Section::Sensors,
            polled_at: at,
            observations: vec![Observation::Reading(reading)],
        }
    }

    #[test]
    fn what_was_learnt_today_is_kept_at_the_end_and_read_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let server = ServerId::new("srv-1").unwrap();
        let (wears, next) = (Wears::default(), Wears::default());
        wears.recall(&store, &server).unwrap();
        for minute in 0..90 {
            let at = Timestamp::from_secs(1_800_000_000 + minute * 60);
            wears.observe(&server, &Window::default(), &poll(at, 9000.0 + minute as f64), at, at);
        }
        wears.save(&store).unwrap();
        next.recall(&store, &server).unwrap();
        let drift = |wears: &Wears| wears.lock().servers[&server].wear.drift.clone();
        assert_ne!(drift(&wears), Default::default());
        assert_eq!(drift(&next), drift(&wears));
        // Nothing came since: there is nothing to write.
        assert!(wears.lock().servers.values().all(|worn| !worn.unsaved));
    }
}
