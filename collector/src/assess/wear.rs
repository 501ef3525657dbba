//! Slow wear of all servers: what was learnt of each over weeks, and what it says once a day.
//!
//! This outlives the rest of what the loop has in memory: it cannot be read anew from the store but as it was when a day last closed. To
//! take in the same readings twice moves nothing.

use super::attic::{Attic, Spot};
use crate::topology::Topology;
use outband_health::drift::{Drift, RackMode, Sign};
use outband_health::outlook::{Endurance, Foresight, Outlook};
use outband_health::{Names, Window};
use outband_schemas::{ComponentId, Observation, ObservationSet, Quality, ServerId, Suspicion, Timestamp};
use outband_store::drift::{Drifts, Wear};
use outband_store::{ServerRecord, StoreError};
use std::collections::BTreeMap;
use std::path::Path;
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
    /// Where most of what drifts is, unless it is in memory.
    aside: Option<Spot>,
    /// What was put aside is lost, and is to be read from the store.
    lost: bool,
}

/// Where what is not looked at lies.
#[derive(Debug, Default)]
struct Room {
    attic: Attic,
    names: Names,
    /// What was put aside of some is lost.
    lost: bool,
}

impl Worn {
    /// Packs what was looked at, and puts most of it aside.
    fn rest(&mut self, room: &mut Room) {
        self.wear.drift.rest(&room.names);
        self.wear.course.rest(&room.names);
        if self.aside.is_none()
            && let Some(bytes) = self.wear.drift.put_aside()
        {
            self.aside = room.attic.put(&bytes);
            if self.aside.is_none() {
                self.wear.drift.bring_back(&bytes, &room.names);
            }
        }
    }

    /// All of it, in memory.
    fn whole(&mut self, room: &mut Room) -> &mut Wear {
        match self.aside.take().map(|spot| room.attic.take(spot)) {
            None => {}
            Some(Ok(bytes)) => self.wear.drift.bring_back(&bytes, &room.names),
            Some(Err(error)) => {
                tracing::error!(%error, "what was learnt of a server's slow wear today is lost; all before is read from the store");
                (self.wear.drift, self.lost, room.lost) = (Drift::default(), true, true);
            }
        }
        &mut self.wear
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// Boxed: the nodes of a map are half empty.
    servers: BTreeMap<ServerId, Box<Worn>>,
    /// Since when a day that closed waits to be judged.
    due: BTreeMap<ServerId, Timestamp>,
    room: Room,
}

impl Inner {
    /// Reads from the store what was lost of that which had been put aside.
    fn find(&mut self, store: &impl Drifts) -> Result<(), StoreError> {
        if !self.room.lost {
            return Ok(());
        }
        for (server, worn) in self.servers.iter_mut().filter(|(_, worn)| worn.lost) {
            if let Some(wear) = store.wear(server)? {
                worn.wear.drift = wear.drift;
            }
            worn.lost = false;
            worn.rest(&mut self.room);
        }
        self.room.lost = false;
        Ok(())
    }

    /// Keeps what is known of some servers.
    fn keep(&mut self, store: &impl Drifts, some: &[ServerId]) -> Result<(), StoreError> {
        let Self { servers, room, .. } = self;
        for id in some {
            if let Some(worn) = servers.get_mut(id) {
                worn.whole(room);
            }
        }
        let known = |id: &ServerId| Some((id.clone(), &servers.get(id).filter(|worn| !worn.lost)?.wear));
        let kept: Vec<(ServerId, &Wear)> = some.iter().filter_map(known).collect();
        store.keep_wear(&kept)?;
        for id in some {
            if let Some(worn) = servers.get_mut(id) {
                worn.unsaved = false;
                worn.rest(room);
            }
        }
        Ok(())
    }
}

/// What is known of the slow wear of all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Wears(Arc<Mutex<Inner>>);

impl Wears {
    /// Puts most of it aside from now on, in a file in this directory.
    pub(super) fn put_aside(&self, dir: &Path) {
        match Attic::open(dir) {
            Ok(attic) => self.lock().room.attic = attic,
            Err(error) => tracing::warn!(%error, "what is learnt of slow wear stays in memory"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What wears on a server, read from the store where it is not in memory yet. What an earlier version kept of drives by their places
    /// is handed to `inherit`, which keeps it from then on.
    pub(super) fn recall(
        &self,
        store: &impl Drifts,
        server: &ServerId,
        inherit: impl FnOnce(BTreeMap<ComponentId, Endurance>, Vec<Outlook>) -> Result<(), StoreError>,
    ) -> Result<Vec<Sign>, StoreError> {
        if let Some(worn) = self.lock().servers.get(server) {
            return Ok(worn.wear.signs.clone());
        }
        let mut wear = match store.wear(server) {
            Ok(wear) => wear.unwrap_or_default(),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(%server, %error, "what was learnt of its slow wear is lost, and is learnt anew");
                Wear::default()
            }
            Err(error) => return Err(error),
        };
        let drives = wear.course.take_drives();
        let unsaved = !drives.is_empty();
        let is_heat = |outlook: &Outlook| matches!(outlook.foresight, Foresight::Rise(_));
        let (heats, outlooks) = std::mem::take(&mut wear.outlooks).into_iter().partition(is_heat);
        wear.outlooks = heats;
        if unsaved {
            inherit(drives, outlooks)?;
        }
        let signs = wear.signs.clone();
        let mut worn = Box::new(Worn { wear, unsaved, ..Worn::default() });
        let mut inner = self.lock();
        worn.rest(&mut inner.room);
        inner.servers.insert(server.clone(), worn);
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
        let Inner { servers, due, room } = &mut *inner;
        let worn = servers.entry(server.clone()).or_default();
        let mut renewed = Vec::new();
        for observation in &set.observations {
            match observation {
                Observation::Reading(r)
                    if matches!(r.quality, Quality::Good | Quality::Suspect(Suspicion::Coerced)) =>
                {
                    if let Some(value) = r.value.as_ref().and_then(|v| v.as_number()) {
                        let at = r.observed_at.min(received_at);
                        if worn.wear.drift.turns(at) {
                            worn.whole(room);
                        }
                        if r.quality == Quality::Good {
                            worn.closed |= worn.wear.drift.take(&r.component, r.kind, &r.sensor, value, at);
                        }
                        // Some makers write a temperature as a text.
                        worn.closed |= worn.wear.course.take(&r.component, r.kind, &r.sensor, value, at);
                        worn.unsaved = true;
                    }
                }
                Observation::Inventory(inventory) => {
                    for part in &inventory.parts {
                        let known = before.place(&part.component).and_then(|place| place.serial());
                        let serial = part.serial.as_deref().map(str::trim).filter(|s| !s.is_empty());
                        if known.zip(serial).is_some_and(|(known, serial)| known != serial) {
                            worn.whole(room).drift.renew(&part.component, inventory.observed_at.min(received_at));
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
        worn.rest(room);
        renewed
    }

    /// What is foreseen of a server's temperatures, as it was when a day last closed.
    pub(super) fn outlooks(&self, server: &ServerId) -> Vec<Outlook> {
        self.lock().servers.get(server).map(|worn| worn.wear.outlooks.clone()).unwrap_or_default()
    }

    /// Notes that a server's firmware was changed.
    pub(super) fn changed(&self, server: &ServerId, at: Timestamp) {
        let mut inner = self.lock();
        let Inner { servers, room, .. } = &mut *inner;
        if let Some(worn) = servers.get_mut(server) {
            worn.whole(room).drift.changed(at);
            worn.rest(room);
        }
    }

    /// Forgets a server that is none any more.
    pub(super) fn forget(&self, server: &ServerId) {
        let mut inner = self.lock();
        inner.due.remove(server);
        let Inner { servers, room, .. } = &mut *inner;
        if let Some(mut worn) = servers.remove(server) {
            worn.whole(room);
        }
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
        inner.find(store)?;
        if !inner.due.values().any(|since| now.since(*since) >= LATE) {
            return Ok(Vec::new());
        }
        let mut groups: BTreeMap<Group, Vec<ServerId>> = BTreeMap::new();
        for record in servers {
            groups.entry(Group::of(record, topology)).or_default().push(record.id.clone());
        }
        let Inner { servers, due, room } = &mut *inner;
        let (mut judged, mut looked_at) = (Vec::new(), Vec::new());
        for members in groups.values() {
            if judged.len() >= TOGETHER {
                break;
            }
            if !members.iter().any(|m| due.get(m).is_some_and(|since| now.since(*since) >= LATE)) {
                continue;
            }
            for member in members {
                if let Some(worn) = servers.get_mut(member) {
                    worn.whole(room);
                }
            }
            let mode = RackMode::of(members.iter().filter_map(|m| servers.get(m)).map(|w| &w.wear.drift));
            looked_at.extend(members);
            for member in members {
                due.remove(member);
                let Some(worn) = servers.get_mut(member).filter(|w| w.closed && !w.lost) else { continue };
                worn.wear.signs = worn.wear.drift.signs(&mode);
                worn.wear.outlooks = worn.wear.course.outlooks(&worn.wear.outlooks);
                worn.closed = false;
                judged.push((member.clone(), worn.wear.signs.clone()));
            }
        }
        let of = |(id, _): &(ServerId, Vec<Sign>)| Some((id.clone(), &servers.get(id)?.wear));
        let kept: Vec<(ServerId, &Wear)> = judged.iter().filter_map(of).collect();
        store.keep_wear(&kept)?;
        for (id, _) in &judged {
            if let Some(worn) = servers.get_mut(id) {
                worn.unsaved = false;
            }
        }
        for id in looked_at {
            if let Some(worn) = servers.get_mut(id) {
                worn.rest(room);
            }
        }
        // What is no server any more is never judged.
        due.retain(|id, _| servers.contains_key(id));
        Ok(judged)
    }

    /// Keeps what is known of one server at once: a part was replaced, and what was foreseen of the old one must not come back.
    pub(super) fn keep(&self, store: &impl Drifts, server: &ServerId) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.keep(store, std::slice::from_ref(server))
    }

    /// Keeps what was learnt since days last closed, as far as there is time.
    pub(super) fn save(&self, store: &impl Drifts) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut inner = self.lock();
        inner.find(store)?;
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
            inner.keep(store, some)?;
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

    /// A server of two fans and a supply over so many hours, polled every five minutes.
    fn run(wears: &Wears, store: &SqliteStore, hours: std::ops::Range<i64>) -> Vec<Vec<Sign>> {
        let server = ServerId::new("srv-1").unwrap();
        let record = ServerRecord {
            id: server.clone(),
            site: outband_schemas::SiteId::new("dc1").unwrap(),
            identity: Default::default(),
            targets: Vec::new(),
            first_seen: Timestamp::EPOCH,
            last_seen: Timestamp::EPOCH,
            merged_into: None,
            rev: 1,
        };
        wears.recall(store, &server, |_, _| Ok(())).unwrap();
        let mut told = Vec::new();
        for poll_of in hours.start * 12..hours.end * 12 {
            let at = Timestamp::from_secs(1_800_000_000 + poll_of * 300);
            let day = (poll_of / 288) as f64;
            let duty = 40.0 + (poll_of / 12 % 10) as f64;
            let worn = if day > 12.0 { 1.0 - 0.02 * (day - 12.0) } else { 1.0 };
            let mut set = poll(at, (duty * 180.0 * worn / 30.0).round() * 30.0);
            let Observation::Reading(fan) = set.observations[0].clone() else { unreachable!() };
            for (component, kind, value) in
                [("fan/1", SensorKind::FanDuty, duty), ("fan/2", SensorKind::FanSpeed, duty * 175.0)]
            {
                set.observations.push(Observation::Reading(Reading {
                    component: component.parse().unwrap(),
                    kind,
                    value: Some(Value::Number(value)),
                    ..fan.clone()
                }));
            }
            wears.observe(&server, &Window::default(), &set, at, at);
            let judged = wears.judge(store, std::iter::once(&record), &Topology::default(), at).unwrap();
            told.extend(judged.into_iter().map(|(_, signs)| signs));
        }
        told
    }

    #[test]
    fn what_is_put_aside_tells_the_same_as_what_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = || SqliteStore::open(&Options::new(tempfile::tempdir_in(dir.path()).unwrap().keep())).unwrap();
        let (first, second) = (store(), store());
        let (in_memory, aside) = (Wears::default(), Wears::default());
        aside.put_aside(dir.path());
        let told = run(&in_memory, &first, 0..24 * 18);
        assert_eq!(run(&aside, &second, 0..24 * 18), told);
        assert!(told.iter().any(|signs| !signs.is_empty()), "a fan wears");
        assert!(aside.lock().servers.values().all(|worn| worn.aside.is_some()));
        aside.save(&second).unwrap();
        in_memory.save(&first).unwrap();
        let server = ServerId::new("srv-1").unwrap();
        assert_eq!(second.wear(&server).unwrap(), first.wear(&server).unwrap());
    }

    #[test]
    fn what_is_lost_of_what_was_put_aside_is_read_from_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let wears = Wears::default();
        wears.put_aside(dir.path());
        run(&wears, &store, 0..24 * 3);
        let server = ServerId::new("srv-1").unwrap();
        let kept = store.wear(&server).unwrap().unwrap().drift;
        // Another file in its place, in which nothing is.
        wears.lock().room.attic = Attic::open(dir.path()).unwrap();
        run(&wears, &store, 24 * 3..24 * 3 + 2);
        wears.save(&store).unwrap();
        let now = store.wear(&server).unwrap().unwrap().drift;
        let fan = "fan/1".parse().unwrap();
        let days = |drift: &Drift| drift.course(&fan).count();
        assert!(days(&now) >= days(&kept));
        assert_ne!(now, Drift::default());
    }

    #[test]
    fn what_was_learnt_today_is_kept_at_the_end_and_read_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let server = ServerId::new("srv-1").unwrap();
        let (wears, next) = (Wears::default(), Wears::default());
        let none = |_, _| Ok(());
        wears.recall(&store, &server, none).unwrap();
        for minute in 0..90 {
            let at = Timestamp::from_secs(1_800_000_000 + minute * 60);
            wears.observe(&server, &Window::default(), &poll(at, 9000.0 + minute as f64), at, at);
        }
        wears.save(&store).unwrap();
        next.recall(&store, &server, none).unwrap();
        let drift = |wears: &Wears| wears.lock().servers[&server].wear.drift.clone();
        assert_ne!(drift(&wears), Default::default());
        assert_eq!(drift(&next), drift(&wears));
        // Nothing came since: there is nothing to write.
        assert!(wears.lock().servers.values().all(|worn| !worn.unsaved));
    }
}
