//! Which drive is in which place, and what was read of it since its last day was closed.

use super::*;

impl Inner {
    /// Takes in which parts a server has at a moment. Answers the servers in whose places other drives are than before.
    pub(super) fn install(
        &mut self,
        server: &ServerId,
        incidents: &[Incident],
        parts: &[Part],
        at: Timestamp,
        today: Day,
    ) -> BTreeSet<ServerId> {
        let disks: Vec<&Part> = parts.iter().filter(|p| p.component.class() == ComponentClass::Disk).collect();
        let mut moved = BTreeSet::new();
        for part in &disks {
            let named = serial_of(part.serial.as_deref());
            // Several drives with one serial are a controller's, not theirs.
            let twice = disks.iter().filter(|p| serial_of(p.serial.as_deref()) == named).count() > 1;
            let serial = named.filter(|serial| !twice && !self.is_shared(server, serial, today, &mut moved));
            let known = self.places.get(server).and_then(|places| places.get(&part.component)).cloned();
            let key = match (serial, known) {
                (Some(serial), known) => {
                    let key = key_of_serial(serial);
                    if known.as_ref() != Some(&key) {
                        moved.insert(server.clone());
                        let failed = failed_disks(incidents).any(|(_, component)| component == part.component);
                        self.replace(known, &key, failed, today);
                    }
                    key
                }
                // That no serial is told now is no other drive.
                (None, Some(known)) => known,
                (None, None) => key_of_place(server, &part.component),
            };
            moved.extend(self.put(server, &part.component, &key));
            let Some(held) = self.drives.get_mut(&key) else { continue };
            held.is_there(at);
            let record = &mut held.record;
            let before = (record.serial.clone(), record.manufacturer.clone(), record.model.clone(), record.bytes);
            let told = (
                serial.map(str::to_owned).or(before.0.clone()),
                part.manufacturer.clone().or(before.1.clone()),
                part.model.clone().or(before.2.clone()),
                part.capacity_bytes.or(before.3),
            );
            held.unsaved |= told != before;
            (record.serial, record.manufacturer, record.model, record.bytes) = told;
        }
        moved
    }

    /// Packs what was looked at of a server's drives.
    pub(super) fn rest_of(&mut self, server: &ServerId) {
        for key in self.places.get(server).into_iter().flat_map(SortedMap::values) {
            if let Some(held) = self.drives.get_mut(key) {
                held.record.rest(&self.names);
            }
        }
    }

    /// Whether a serial, which a server says now that one of its drives has, is known to be that of several. It comes to be known when it
    /// goes to and fro between servers, each of which says so again and again; what was learnt under it is of no one drive then.
    fn is_shared(&mut self, server: &ServerId, serial: &str, today: Day, moved: &mut BTreeSet<ServerId>) -> bool {
        if self.fleet.shared.contains(serial) {
            return true;
        }
        let key = key_of_serial(serial);
        let Some(held) = self.drives.get_mut(&key) else { return false };
        let Some((other, _)) = held.record.place.as_ref().filter(|(other, _)| other != server) else { return false };
        moved.insert(other.clone());
        let hops = &mut held.record.hops;
        hops.retain(|day| (0..HOPS_WITHIN).contains(&(today - *day)));
        hops.push(today);
        if hops.len() < HOPS {
            return false;
        }
        tracing::warn!(serial, servers = %format_args!("{other}, {server}"), "several drives have this serial; each is known by its place from now on");
        self.drop_drive(&key);
        self.taken.insert(key.clone());
        self.gone.push(key);
        self.fleet.shared.insert(serial.to_owned());
        true
    }

    /// Another key is in a place than the one before.
    fn replace(&mut self, before: Option<String>, key: &str, failed: bool, today: Day) {
        let Some(before) = before else { return };
        if before.starts_with("place:") {
            // It is the same drive, whose serial is told now; or one that is known already, and came here.
            if let Some(mut held) = self.drives.remove(&before) {
                held.unsaved = true;
                self.drives.entry(key.to_owned()).or_insert(held);
                self.gone.push(before);
            }
            return;
        }
        self.moved.extend([before.clone(), key.to_owned()]);
        if let Some(held) = self.drives.get_mut(&before) {
            // What was read here since the last inventory may be of either.
            held.waits.clear();
            let place = held.record.place.take();
            (held.record.left, held.unsaved) = (place.map(|(server, _)| server), true);
            if failed && held.record.failed_on.is_none() {
                held.record.failed_on = Some(today);
                self.failed.insert(before);
            } else if held.record.failed_on.is_none() {
                self.taken.insert(before);
            }
        }
    }

    /// A drive is in this place, and in no other. Answers the server that it was in, where it moved.
    pub(super) fn put(&mut self, server: &ServerId, component: &ComponentId, key: &str) -> Option<ServerId> {
        let place = Some((server.clone(), component.clone()));
        let held = self.drives.entry(key.to_owned()).or_default();
        let mut from = None;
        if held.record.place != place {
            if let Some((server, component)) = &held.record.place {
                if let Some(places) = self.places.get_mut(server)
                    && places.get(component).is_some_and(|k| k == key)
                {
                    places.remove(component);
                }
                held.waits.clear();
                self.moved.push(key.to_owned());
                from = Some(server.clone());
            }
            (held.record.place, held.record.left, held.unsaved) = (place, None, true);
            self.taken.remove(key);
        }
        self.places.entry(server.clone()).or_default().insert(component.clone(), key.to_owned());
        from
    }

    /// Takes in a value. Answers whether it is another drive than the one that was in the place.
    pub(super) fn read(
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
        let key = self.key_at(server, component);
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
            held.renew();
            self.taken.insert(key);
            return true;
        }
        false
    }
}
