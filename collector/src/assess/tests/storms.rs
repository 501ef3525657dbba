//! Many incidents, one cause.

use super::*;
use crate::topology::Topology;
use outband_health::{Fault, Hold, Incident, Stage};
use outband_store::maintenance::Maintenance;
use outband_ticket::{LinkKind, TicketNumber};
use std::sync::Arc;

pub(super) const SERVERS: usize = 40;

/// Numbers that a seed determines.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    pub(super) fn shuffled(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

pub(super) fn bmc(i: usize) -> String {
    format!("bmc{i:02}")
}

/// A rack of servers on one feed and in one cooling zone.
pub(super) fn rack(servers: usize) -> Room {
    let mut room = Room::new();
    let mut csv = "server,rack,power_feed,cooling_zone\n".to_owned();
    for i in 0..servers {
        csv.push_str(&format!("{},R1,A,Z1\n", bmc(i)));
    }
    room.terms.topology = Arc::new(Topology::parse(&csv).unwrap());
    for i in 0..servers {
        room.psu_of(i, true);
        room.disk_of(i, true);
    }
    room
}

impl Room {
    fn body_of(&self, i: usize, section: Section, component: &str, well: bool, text: &str) -> Vec<u8> {
        let state = if well { Condition::Ok } else { Condition::Critical };
        let text = if well { "OK" } else { text };
        let value = Value::State { state, text: text.to_owned() };
        let observations = vec![reading(component, SensorKind::State, value, self.now)];
        encode_set(&ObservationSet {
            target: TargetId::new(bmc(i)).unwrap(),
            section,
            polled_at: self.now,
            observations,
        })
    }

    fn state_of(&mut self, i: usize, section: Section, component: &str, well: bool, text: &str) {
        let body = self.body_of(i, section, component, well, text);
        self.send_body(section.lane(), body);
    }

    pub(super) fn psu_body(&self, i: usize, well: bool) -> Vec<u8> {
        self.body_of(i, Section::Sensors, "psu/1", well, "Power Supply input lost (AC/DC)")
    }

    fn psu_of(&mut self, i: usize, well: bool) {
        let body = self.psu_body(i, well);
        self.send_body(Section::Sensors.lane(), body);
    }

    pub(super) fn disk_body(&self, i: usize, well: bool) -> Vec<u8> {
        self.body_of(i, Section::Drives, "disk/Bay 1", well, "Drive Fault")
    }

    fn disk_of(&mut self, i: usize, well: bool) {
        let body = self.disk_body(i, well);
        self.send_body(Section::Drives.lane(), body);
    }

    pub(super) fn move_ticket(&mut self, number: TicketNumber, action: Action) {
        let record = self.store.ticket(number).unwrap().unwrap();
        let command = Command { who: "ann".to_owned(), why: "because".to_owned(), action };
        let transition = apply(&record.ticket, command, self.now).unwrap();
        let write = TicketWrite {
            ticket: record.ticket.after(&transition),
            expected_revision: Some(record.ticket.revision),
            transitions: vec![transition],
        };
        self.store.update_ticket(write).unwrap();
        self.step();
    }

    pub(super) fn open(&self, fault: &str) -> Vec<TicketRecord> {
        self.tickets().into_iter().filter(|t| t.ticket.is_open() && t.ticket.fault == fault).collect()
    }

    fn incidents(&self, fault: Fault) -> Vec<Incident> {
        self.store.open_incidents().unwrap().into_iter().filter(|i| i.key.fault == fault).collect()
    }

    /// Time goes on by some rounds in which `i`'s supplies and drives say how they are.
    pub(super) fn rounds(&mut self, n: usize, dice: &mut Dice, well: impl Fn(usize, usize) -> (bool, bool)) {
        for round in 0..n {
            self.later();
            let mut bodies = Vec::new();
            for i in dice.shuffled(SERVERS) {
                let (psu, disk) = well(round, i);
                bodies.push(self.psu_body(i, psu));
                if !disk {
                    bodies.push(self.disk_body(i, false));
                }
            }
            // Some at a time, so that a storm is seen in parts.
            while !bodies.is_empty() {
                let some = bodies.drain(..bodies.len().min(1 + dice.below(15))).collect();
                self.send_bodies(Lane::Telemetry, some);
            }
        }
    }
}

/// What a rack of 40 looks like when the feed goes at a round and twelve drives fail at rounds of their own.
fn feed_and_disks(seed: u64, feed_at: usize, disk_from: usize, disk_span: usize) {
    let mut dice = Dice(seed);
    let mut room = rack(SERVERS);
    let failing: Vec<usize> = dice.shuffled(SERVERS).into_iter().take(12).collect();
    let mut disk_at = vec![usize::MAX; SERVERS];
    for i in &failing {
        disk_at[*i] = disk_from + dice.below(disk_span);
    }
    room.rounds(22, &mut dice, |round, i| (round < feed_at, round < disk_at[i]));

    let all: Vec<TicketRecord> = room.tickets();
    assert_eq!(all.len(), 13, "seed {seed}: {:#?}", all.iter().map(|t| &t.ticket.title).collect::<Vec<_>>());
    let parent = room.open("power_feed_lost");
    assert_eq!((parent.len(), room.open("disk_failure").len()), (1, 12), "seed {seed}");
    let parent = &parent[0].ticket;
    assert!(parent.title.starts_with("Power feed lost"), "{}", parent.title);
    assert_eq!((parent.priority, parent.predicted), (Priority::P2, false));
    assert!(parent.reason.starts_with("40 of 40 servers: 40 power_input_lost"), "{}", parent.reason);
    for i in 0..SERVERS {
        let named = parent.evidence.iter().any(|e| e.text.contains(&bmc(i)));
        assert!(named, "{} is not in {:?}", bmc(i), parent.evidence);
    }
    let members = room.incidents(Fault::PowerInputLost);
    assert_eq!(members.len(), SERVERS, "every server keeps its incident");
    let folded = Some(Hold::Folded { into: parent.number.0 });
    assert!(members.iter().all(|m| m.hold == folded && m.ticket.is_none() && !m.evidence.is_empty()));
    let disks: std::collections::BTreeSet<String> =
        room.open("disk_failure").iter().map(|t| t.ticket.server.to_string()).collect();
    assert_eq!(disks.len(), 12);

    // The feed is back, but one supply does not get it.
    room.rounds(16, &mut dice, |_, i| (i != 7, true));
    let own = room.open("power_input_lost");
    assert_eq!(own.len(), 1, "seed {seed}: what outlives the cause gets a ticket of its own");
    assert_eq!(own[0].ticket.onset, members.iter().find(|m| m.key.server == own[0].ticket.server).unwrap().onset);
    assert!(own[0].ticket.links.iter().any(|l| l.kind == LinkKind::FollowsUp && l.to == parent.number));
    let ended = room.store.ticket(parent.number).unwrap().unwrap().ticket;
    assert_eq!((ended.state, ended.resolution), (State::Closed, Some(Resolution::Recovered)));
    assert_eq!((room.tickets().len(), room.open("disk_failure").len()), (14, 12));
}

#[test]
fn a_rack_that_loses_its_feed_with_twelve_failing_drives_is_one_parent_and_twelve_tickets() {
    for seed in 1..=2 {
        feed_and_disks(seed, 1, 6, 5); // the feed before the drives
        feed_and_disks(seed + 10, 8, 0, 4); // after them
        feed_and_disks(seed + 20, 4, 0, 9); // in between
    }
}

#[test]
fn a_restart_in_the_middle_of_a_storm_neither_doubles_nor_forgets() {
    let mut dice = Dice(5);
    let mut room = rack(SERVERS);
    room.rounds(3, &mut dice, |_, _| (false, true));
    room.restart();
    room.rounds(12, &mut dice, |_, _| (false, true));
    room.restart();
    room.rounds(2, &mut dice, |_, _| (false, true));
    assert_eq!((room.tickets().len(), room.open("power_feed_lost").len()), (1, 1));
    room.restart();
    room.rounds(16, &mut dice, |_, _| (true, true));
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.resolution), (State::Closed, Some(Resolution::Recovered)));
    assert!(room.store.open_incidents().unwrap().is_empty());
}

#[test]
fn three_unrelated_faults_in_one_rack_are_three_tickets() {
    let mut room = rack(SERVERS);
    for _ in 0..14 {
        room.later();
        room.psu_of(3, false);
        room.disk_of(4, false);
        room.state_of(5, Section::Sensors, "fan/2", false, "Failed");
    }
    let faults: Vec<String> = room.tickets().into_iter().map(|t| t.ticket.fault).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(room.tickets().iter().all(|t| t.ticket.is_open()));
}

#[test]
fn a_few_lost_inputs_of_many_are_no_lost_feed() {
    let mut room = rack(SERVERS);
    for _ in 0..14 {
        room.later();
        for i in 0..4 {
            room.psu_of(i, false);
        }
    }
    assert_eq!((room.open("power_input_lost").len(), room.tickets().len()), (4, 4));
}

#[test]
fn a_cooling_zone_that_fails_is_one_ticket() {
    let mut room = rack(10);
    for round in 0..16_u32 {
        room.later();
        for i in 0..10 {
            let at = room.now;
            let mut inlet = number("chassis/inlet", SensorKind::Temperature, 60.0 + f64::from(round) / 10.0, at);
            if let Observation::Reading(reading) = &mut inlet {
                reading.thresholds = Some(Thresholds {
                    upper_non_critical: Some(40.0),
                    upper_critical: Some(45.0),
                    ..Thresholds::default()
                });
            }
            room.send_of(at, Section::Sensors, &bmc(i), vec![inlet]);
        }
    }
    let tickets = room.tickets();
    let titles: Vec<&str> = tickets.iter().map(|t| t.ticket.title.as_str()).collect();
    assert_eq!((tickets.len(), room.open("cooling_lost").len()), (1, 1), "{titles:?}");
    assert_eq!(room.incidents(Fault::Overheating).len(), 10);
}

#[test]
fn an_agent_that_reaches_no_bmc_any_more_is_one_ticket() {
    let mut room = rack(10);
    for _ in 0..30 {
        room.later();
        for i in 0..10 {
            let at = room.now;
            room.send_of(at, Section::Sensors, &bmc(i), vec![silence(&bmc(i), at)]);
        }
    }
    let titles: Vec<String> = room.tickets().into_iter().map(|t| t.ticket.title).collect();
    assert_eq!(titles.len(), 1, "{titles:?}");
    assert_eq!(room.incidents(Fault::BmcSilent).len(), 10);
}

/// `n` rounds in which the first eight of ten BMCs are silent, and the supplies of the others are well, or not.
fn silent_rounds(room: &mut Room, n: usize, well: bool) {
    for _ in 0..n {
        room.later();
        for i in 0..10 {
            let at = room.now;
            if i < 8 {
                room.send_of(at, Section::Sensors, &bmc(i), vec![silence(&bmc(i), at)]);
            } else {
                room.psu_of(i, well);
            }
        }
    }
}

#[test]
fn silent_bmcs_of_one_feed_are_told_as_that_until_a_supply_tells_of_a_lost_input() {
    let mut room = rack(10);
    silent_rounds(&mut room, 30, true);
    let silent = room.only_ticket().ticket;
    assert_eq!(silent.fault, "feed_silent");
    assert!(silent.title.starts_with("8 BMCs of feed A of "), "{}", silent.title);
    assert!(
        silent.title.ends_with(" do not answer (a common cause is likely: feed, management switch)"),
        "{}",
        silent.title
    );
    assert_eq!(silent.class(), Some(outband_schemas::TriageClass::Network));
    room.restart();
    silent_rounds(&mut room, 10, false);
    let lost = room.only_ticket().ticket;
    assert_eq!((lost.number, lost.fault.as_str()), (silent.number, "feed_silent"), "the same incident");
    assert!(lost.title.starts_with("Power feed lost: feed A of "), "{}", lost.title);
    assert_eq!(lost.class(), Some(outband_schemas::TriageClass::EnvironmentPower));
    for incident in room.incidents(Fault::PowerInputLost) {
        assert_eq!(incident.hold, Some(Hold::Folded { into: lost.number.0 }));
    }
    assert_eq!(room.incidents(Fault::PowerInputLost).len(), 2);
}

#[test]
fn a_lost_input_among_the_first_makes_it_a_lost_feed_from_the_beginning() {
    let mut room = rack(10);
    silent_rounds(&mut room, 30, false);
    let lost = room.open("power_feed_lost");
    assert_eq!((lost.len(), room.open("feed_silent").len()), (1, 0));
    assert!(lost[0].ticket.title.starts_with("Power feed lost: feed A of "), "{}", lost[0].ticket.title);
}

fn firmware(version: &str, serial: usize, at: Timestamp) -> Observation {
    let Observation::Inventory(mut inventory) = inventory(&format!("SN{serial}"), Some(("bmc/BMC", "x")), at) else {
        unreachable!()
    };
    inventory.identity.model = Some("R750".to_owned());
    inventory.parts[0].serial = None;
    inventory.parts[0].firmware = Some(version.to_owned());
    Observation::Inventory(inventory)
}

/// Servers of one model whose BMCs just got another firmware, or did not.
pub(super) fn updated(servers: usize, updated: bool) -> Room {
    let mut room = Room::new();
    for version in ["7.00", if updated { "7.10" } else { "7.00" }] {
        room.later();
        for i in 0..servers {
            let at = room.now;
            room.send_of(at, Section::Inventory, &bmc(i), vec![firmware(version, i, at)]);
            room.state_of(i, Section::Sensors, "fan/1", true, "");
        }
    }
    room
}

impl Room {
    /// One poll of the servers' fans.
    pub(super) fn fans(&mut self, servers: usize, well: impl Fn(usize) -> bool) {
        self.later();
        for i in 0..servers {
            self.state_of(i, Section::Sensors, "fan/1", well(i), "Failed");
        }
    }
}

#[test]
fn the_same_fault_after_the_same_firmware_update_is_one_ticket_and_without_an_update_it_is_none() {
    for updated in [true, false] {
        let mut room = self::updated(6, updated);
        for _ in 0..14 {
            room.fans(6, |i| i >= 4);
        }
        let wave = room.open("firmware_wave").len();
        let titles: Vec<(String, String)> =
            room.tickets().into_iter().map(|t| (t.ticket.title, t.ticket.created_at.to_string())).collect();
        assert_eq!((wave, room.tickets().len()), if updated { (1, 1) } else { (0, 4) }, "{titles:?}");
    }
}

#[test]
fn without_a_topology_a_lost_input_gets_its_ticket_at_once() {
    let mut room = Room::new();
    for well in [true, false, false, false] {
        room.later();
        for i in 0..5 {
            room.psu_of(i, well);
        }
    }
    assert_eq!(room.open("power_input_lost").len(), 5);
}

#[test]
fn a_storm_that_a_person_calls_repaired_is_closed_when_its_members_are_well() {
    let mut dice = Dice(9);
    let mut room = rack(SERVERS);
    room.rounds(14, &mut dice, |_, _| (false, true));
    room.later();
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.rounds(8, &mut dice, |_, _| (true, true));
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.resolution), (State::Closed, Some(Resolution::Repaired)));
    assert!(room.store.open_incidents().unwrap().iter().all(|i| i.stage != Stage::Open));
    assert_eq!(room.store.windows(true).unwrap(), []);
    assert_eq!(room.store.ticket(TicketNumber(2)).unwrap(), None);
}

#[test]
fn a_merged_ticket_is_closed_and_its_incident_gets_another_one_only_if_it_outlives_the_ticket_that_it_went_into() {
    let mut room = Room::new();
    for _ in 0..4 {
        room.later();
        room.disk_of(0, false);
        room.disk_of(1, false);
    }
    let (first, second) = (TicketNumber(1), TicketNumber(2));
    room.move_ticket(second, Action::Merge { into: first });
    let merged = room.store.ticket(second).unwrap().unwrap().ticket;
    assert_eq!((merged.state, merged.resolution), (State::Closed, Some(Resolution::Merged)));
    let held = |room: &Room| room.incidents(Fault::DiskFailure).iter().filter(|i| i.hold.is_some()).count();
    assert_eq!(held(&room), 1);
    room.restart();
    for _ in 0..4 {
        room.later();
        room.disk_of(0, false);
        room.disk_of(1, false);
    }
    assert_eq!((room.tickets().len(), held(&room)), (2, 1), "nothing new while the other is open");
    room.move_ticket(first, Action::Resolve { resolution: Resolution::Repaired });
    room.move_ticket(first, Action::Close);
    for _ in 0..2 {
        room.later();
        room.disk_of(1, false);
    }
    let again = room.store.ticket(TicketNumber(3)).unwrap().unwrap().ticket;
    assert_eq!(again.server, merged.server);
    assert!(again.links.iter().any(|l| l.to == second), "{:?}", again.links);
}

#[test]
fn a_restart_between_an_update_and_the_trouble_after_it_forgets_no_update() {
    let mut room = Room::new();
    for version in ["7.00", "7.10"] {
        room.later();
        for i in 0..6 {
            let at = room.now;
            room.send_of(at, Section::Inventory, &bmc(i), vec![firmware(version, i, at)]);
            room.state_of(i, Section::Sensors, "fan/1", true, "");
        }
    }
    room.restart();
    for round in 0..14 {
        room.later();
        if round == 4 {
            room.restart();
        }
        for i in 0..6 {
            room.state_of(i, Section::Sensors, "fan/1", i >= 4, "Failed");
        }
    }
    assert_eq!((room.open("firmware_wave").len(), room.tickets().len()), (1, 1));
}
