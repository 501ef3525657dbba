//! Which drive is in which place, and what was read of it since its last day was closed.

use super::*;

impl Inner {
    /// Takes in which parts a server has. Answers whether another drive is in a place.
    pub(super) fn install(&mut self, server: &ServerId, incidents: &[Incident], parts: &[Part], today: Day) -> bool {
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
    pub(super) fn replace(&mut self, before: Option<String>, key: &str, failed: bool, today: Day) {
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
    pub(super) fn put(&mut self, server: &ServerId, component: &ComponentId, key: &str) {
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
}
