//! What drives tell of their endurance, and when each is used up.
//!
//! Inventories come hours apart, and what is read of a place meanwhile may be another drive's already. So what is told of a drive with a serial waits until
//! an inventory says that it is still there; what waits when another one is there is dropped, since nobody knows whose it is.

use super::*;

/// What waits is at least so far apart, for each sensor: life goes by percents, and the bytes written are counted by weeks.
const APART_MS: i64 = 2 * 3_600_000;
/// Where no inventory comes for so long, what waits counts.
const PATIENCE_MS: i64 = DAY_MS;
/// No more than so much waits.
const MOST: usize = 64;
/// A drive of whose endurance nothing was told for so many days was not in use, or not as it is now: what it told before is forgotten.
const SHELVED: Day = 60;

/// Something told of a drive's endurance.
#[derive(Debug)]
pub(super) struct Waits {
    kind: SensorKind,
    sensor: String,
    value: f64,
    at: Timestamp,
}

impl Disks {
    /// What is foreseen of the drives of a server.
    pub(in crate::assess) fn outlooks(&self, server: &ServerId) -> Vec<Outlook> {
        let inner = self.lock();
        let places = inner.places.get(server).into_iter().flatten();
        let told = places.filter_map(|(place, key)| {
            Some(Outlook { component: place.clone(), ..inner.drives.get(key)?.record.outlook.clone()? })
        });
        told.collect()
    }

    /// Says of some drives, where a day has ended, when they are used up. Answers the servers of whose drives something else is foreseen.
    pub(in crate::assess) fn foresee(
        &self,
        store: &impl Drives,
        now: Timestamp,
    ) -> Result<BTreeSet<ServerId>, StoreError> {
        self.lock().foresee(store, ended(now))
    }

    /// Takes over what an earlier version kept of a server's drives by their places, and keeps it.
    pub(in crate::assess) fn inherit(
        &self,
        store: &impl Drives,
        server: &ServerId,
        drives: BTreeMap<ComponentId, Endurance>,
        outlooks: Vec<Outlook>,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let mut keys = Vec::new();
        for (component, endurance) in drives {
            let key = inner.key_at(server, &component);
            let Some(held) = inner.drives.get_mut(&key).filter(|h| !h.record.endurance.is_told()) else { continue };
            held.record.endurance = endurance.into();
            held.record.outlook = outlooks.iter().find(|o| o.component == component).cloned();
            keys.push(key);
        }
        inner.keep(store, &keys, None)
    }
}

impl Inner {
    /// The drive in a place. Where none is known, the place is the drive.
    pub(super) fn key_at(&mut self, server: &ServerId, component: &ComponentId) -> String {
        match self.places.get(server).and_then(|places| places.get(component)) {
            Some(key) => key.clone(),
            None => {
                let key = key_of_place(server, component);
                self.put(server, component, &key);
                key
            }
        }
    }

    /// Takes in what a drive tells of its endurance.
    pub(super) fn wear(&mut self, server: &ServerId, r: &Reading, value: f64, at: Timestamp, today: Day) {
        if !Endurance::is_of(r.kind) {
            return;
        }
        // Drives whose life does not end by writing count the bytes, too.
        let is_life = r.kind == SensorKind::LifeLeft;
        if !is_life && !self.places.get(server).is_some_and(|places| places.contains_key(&r.component)) {
            return;
        }
        let key = self.key_at(server, &r.component);
        let Some(held) = self.drives.get_mut(&key) else { return };
        let record = &mut held.record;
        if !is_life && !record.endurance.is_told() {
            return;
        }
        if record.worn_on.is_some_and(|on| today - on > SHELVED) {
            (record.endurance, record.outlook) = (Packed::default(), None);
            held.waits.clear();
        }
        (record.worn_on, held.worn) = (Some(today), true);
        if key.starts_with("place:") {
            record.endurance.take(r.kind, &r.sensor, value, at);
        } else {
            held.wait(Waits { kind: r.kind, sensor: r.sensor.clone(), value, at });
        }
    }

    fn foresee(&mut self, store: &impl Drives, day: Day) -> Result<BTreeSet<ServerId>, StoreError> {
        let mut servers = BTreeSet::new();
        if self.foreseen == Some(day) {
            return Ok(servers);
        }
        let after = self.foreseeing.take().filter(|(of, _)| *of == day).map(|(_, after)| after);
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let (mut seen, mut last, mut news) = (0, None, Vec::new());
        for (key, held) in self.drives.range_mut((from, std::ops::Bound::<String>::Unbounded)).take(TOGETHER) {
            (seen, last) = (seen + 1, Some(key));
            if held.foresee(day) {
                servers.extend(held.record.place.as_ref().map(|(server, _)| server.clone()));
            }
            if held.worn {
                news.push(key.clone());
            }
            held.record.rest(&self.names);
        }
        match last.filter(|_| seen == TOGETHER) {
            Some(last) => self.foreseeing = Some((day, last.clone())),
            None => self.foreseen = Some(day),
        }
        self.keep(store, &news, None)?;
        Ok(servers)
    }
}

impl Held {
    fn wait(&mut self, told: Waits) {
        let alike = |w: &&Waits| w.kind == told.kind && w.sensor == told.sensor;
        let newest = self.waits.iter().rev().find(alike).map(|w| w.at.as_millis());
        let at = told.at.as_millis();
        if newest.is_some_and(|newest| (0..APART_MS).contains(&(at - newest))) {
            return;
        }
        self.waits.push(told);
        self.is_there(Timestamp::from_millis(at - PATIENCE_MS));
        if self.waits.len() > MOST {
            self.is_there(Timestamp::from_millis(i64::MAX));
        }
    }

    /// The drive is known to have been in its place until then: what was told by then was told by it.
    pub(super) fn is_there(&mut self, until: Timestamp) {
        let (told, waits) = std::mem::take(&mut self.waits).into_iter().partition(|w| w.at <= until);
        self.waits = waits;
        for Waits { kind, sensor, value, at } in told {
            self.record.endurance.take(kind, &sensor, value, at);
        }
    }

    /// Says when it is used up; answers whether that is something else than before.
    fn foresee(&mut self, day: Day) -> bool {
        let DriveRecord { place, endurance, worn_on, outlook, .. } = &mut self.record;
        let Some((_, component)) = place else { return false };
        let is_told = endurance.is_told() && worn_on.is_none_or(|on| day - on <= SHELVED);
        let told = if is_told { endurance.outlook(component, outlook.as_ref()) } else { None };
        let is_other = told != *outlook;
        self.worn |= is_other;
        *outlook = told;
        is_other
    }

    /// Another drive's endurance begins.
    pub(super) fn renew(&mut self) {
        (self.record.endurance, self.record.outlook, self.record.worn_on) = (Packed::default(), None, None);
        self.waits.clear();
    }
}
