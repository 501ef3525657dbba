//! Records that say how things belong together: entity associations (IPMI 2.0 §43.4 and §43.5), device locators (§43.7), and what makers add (§43.12).

use super::{Entity, entity, text};

/// The first instance whose number counts within its owner only (§39.1).
const RELATIVE: u8 = 0x60;

/// What a container holds, from a record of type 08h or 09h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// What holds.
    pub container: Entity,
    /// What is held.
    pub contained: Vec<Contained>,
}

/// Entities of one sort that are held: one, or a row of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contained {
    /// What they are.
    pub id: u8,
    /// The first instance.
    pub first: u8,
    /// The last instance.
    pub last: u8,
    /// Slave address of the controller that the instances count in; `None` where they count in the system.
    pub owner: Option<u8>,
}

impl Association {
    /// Whether it holds an entity of a sensor or FRU of this owner.
    pub fn holds(&self, held: Entity, owner: u8) -> bool {
        self.contained.iter().any(|c| {
            c.id == held.id
                && (c.first..=c.last).contains(&held.instance)
                && (held.instance < RELATIVE || c.owner.is_none_or(|o| o == owner))
        })
    }

    /// Type 08h: entities of the system, two of which are a range where the flags say so.
    pub(super) fn of_system(record: &[u8]) -> Option<Self> {
        Self::parse(record, 7, 8, 2, |pair| Some((None, entity(pair, 0)?)))
    }

    /// Type 09h: entities that are named with their owner's address and channel.
    pub(super) fn of_devices(record: &[u8]) -> Option<Self> {
        Self::parse(record, 9, 10, 4, |four| Some((Some(*four.first()?), entity(four, 2)?)))
    }

    fn parse(
        record: &[u8],
        flags: usize,
        from: usize,
        step: usize,
        one: impl Fn(&[u8]) -> Option<(Option<u8>, Entity)>,
    ) -> Option<Self> {
        let (container, is_range) = (entity(record, 5)?, record.get(flags)? & 0x80 != 0);
        // Up to four; what lies beyond is padding.
        let named: Vec<_> = record.get(from..)?.chunks(step).take(4).map_while(one).collect();
        let row = |(owner, first): (Option<u8>, Entity), last: Entity| {
            // An id of 0 is "not specified".
            let is_row = first.id != 0 && first.id == last.id && first.instance <= last.instance;
            is_row.then_some(Contained { id: first.id, first: first.instance, last: last.instance, owner })
        };
        let contained = if is_range {
            named.as_chunks::<2>().0.iter().filter_map(|[first, last]| row(*first, last.1)).collect()
        } else {
            named.iter().filter_map(|one| row(*one, one.1)).collect()
        };
        Some(Self { container, contained })
    }
}

/// A device that is neither a controller nor FRU data, from a record of type 10h: it gives its entity a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLocator {
    /// Slave address of the controller through which it is reached.
    pub controller: u8,
    /// Its address on the bus.
    pub address: u8,
    /// Table 43-12.
    pub device_type: u8,
    /// What it belongs to.
    pub entity: Entity,
    /// Its name.
    pub name: String,
}

impl DeviceLocator {
    pub(super) fn parse(record: &[u8]) -> Option<Self> {
        Some(Self {
            controller: *record.get(5)? & 0xFE,
            address: *record.get(6)? >> 1,
            device_type: *record.get(10)?,
            entity: entity(record, 12)?,
            name: text::name(record, 15).trim().to_owned(),
        })
    }
}

/// A record of a maker's own, from type C0h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oem {
    /// The maker's number in IANA's list of private enterprises.
    pub manufacturer: u32,
    /// What follows it, as it is.
    pub data: Vec<u8>,
}

impl Oem {
    pub(super) fn parse(record: &[u8]) -> Option<Self> {
        let (&[a, b, c], data) = record.get(5..)?.split_first_chunk()?;
        // Only 20 bits count.
        Some(Self { manufacturer: u32::from_le_bytes([a, b, c & 0x0F, 0]), data: data.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Record, parse};
    use super::*;

    fn association(kind: u8, body: &[u8]) -> Association {
        let record = [&[1, 0, 0x51, kind, body.len() as u8], body].concat();
        match parse(&record).unwrap().as_slice() {
            [Record::Association(found)] => found.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn entity(id: u8, instance: u8) -> Entity {
        Entity { id, instance }
    }

    #[test]
    fn a_list_holds_those_that_it_names() {
        let found = association(8, &[23, 1, 0, 10, 1, 10, 3, 29, 1, 0, 0]);
        assert_eq!(found.container, entity(23, 1));
        assert!(
            found.holds(entity(10, 1), 0x20) && found.holds(entity(10, 3), 0x20) && found.holds(entity(29, 1), 0x20)
        );
        assert!(!found.holds(entity(10, 2), 0x20) && !found.holds(entity(0, 0), 0x20));
    }

    #[test]
    fn a_range_holds_all_between_its_ends() {
        let found = association(8, &[10, 1, 0x80, 29, 1, 29, 4, 7, 2, 8, 3]);
        assert!(found.holds(entity(29, 3), 0x20) && !found.holds(entity(29, 5), 0x20));
        // Ends of two sorts are no range.
        assert!(!found.holds(entity(7, 2), 0x20) && !found.holds(entity(8, 3), 0x20));
    }

    #[test]
    fn instances_that_count_within_a_controller_are_held_as_its_own() {
        let found = association(9, &[10, 0x61, 0x20, 0, 0, 0x2C, 0, 29, 0x60, 0, 0, 0, 0]);
        assert!(found.holds(entity(29, 0x60), 0x2C) && !found.holds(entity(29, 0x60), 0x20));
    }

    #[test]
    fn a_device_locator_names_its_entity() {
        let body = [&[0x20, 0x90, 0, 0, 0, 8, 0, 20, 3, 0][..], b"\xC4VRM3"].concat();
        let record = [&[1, 0, 0x51, 0x10, body.len() as u8], &body[..]].concat();
        let expected = DeviceLocator {
            controller: 0x20,
            address: 0x48,
            device_type: 8,
            entity: entity(20, 3),
            name: "VRM3".into(),
        };
        assert_eq!(parse(&record), Ok(vec![Record::Device(expected)]));
    }

    #[test]
    fn a_makers_record_is_kept_as_it_is() {
        let found = parse(&[1, 0, 0x51, 0xC0, 5, 0xA2, 0x02, 0, 7, 8]);
        assert_eq!(found, Ok(vec![Record::Oem(Oem { manufacturer: 674, data: vec![7, 8] })]));
        assert!(parse(&[1, 0, 0x51, 0xC0, 2, 0xA2, 0x02]).is_err());
    }
}
