//! A customer is erased while the collector runs.

use super::*;
use outband_health::drift::Drift;
use outband_schemas::ServerId;
use outband_store::audit::{Actor, Deed, Outcome};
use outband_store::drift::{Drifts, Wear};
use outband_store::drives::Drives;
use outband_store::erasure::Erasures;
use outband_store::keeping::{CustomerErasure, Keeping};

const BAYS: [&str; 2] = ["disk/1", "disk/2"];

impl Room {
    /// So many days of a server with a fan and two drives that wear, read every six hours.
    fn learns(&mut self, days: std::ops::Range<i64>) {
        for quarter in days.start * 4..days.end * 4 {
            let at = self.wait(6 * 3600);
            if quarter % 4 == 0 {
                let parts = ["D1", "D2"].iter().zip(BAYS);
                let parts: Vec<_> = parts.map(|(s, b)| inventory("SN1", Some((b, s)), at)).collect();
                self.send(Section::Inventory, parts);
            }
            let mut readings = vec![number("fan/1", SensorKind::FanSpeed, 4000.0 + (quarter % 9) as f64, at)];
            for bay in BAYS {
                readings.push(number(bay, SensorKind::LifeLeft, 60.0 - (quarter / 12) as f64, at));
                readings.push(number(bay, SensorKind::ReallocatedSectors, (quarter / 8) as f64, at));
            }
            self.send(Section::Drives, readings);
        }
    }

    fn server(&self) -> ServerId {
        self.store.servers(None, &Page::first(1)).unwrap().rows[0].id.clone()
    }

    fn erase(&mut self) {
        let erasure = CustomerErasure {
            servers: [self.server()].into(),
            people: Default::default(),
            records: true,
            keep_after: None,
            dry_run: false,
        };
        let deed = Deed {
            at: self.now,
            role: "admin".to_owned(),
            method: "EraseCustomer".to_owned(),
            resource: String::new(),
            detail: String::new(),
            outcome: Outcome::Done,
            request_id: None,
            before: None,
            after: None,
        };
        self.store.erase_customer(&erasure, Actor { name: "zhao".to_owned(), peer: None }, deed).unwrap();
    }

    /// How many days the drives' histories and courses go back, and what is kept of slow wear.
    fn kept(&self) -> (Vec<String>, Option<Wear>) {
        let drives = self.store.drives().unwrap().drives;
        let told = drives.into_iter().filter(|(_, record)| record.read_on.is_some() || record.endurance.is_told());
        (told.map(|(key, _)| key).collect(), self.store.wear(&self.server()).unwrap())
    }

    fn is_nothing_left(&self) -> bool {
        let (drives, wear) = self.kept();
        drives.is_empty() && wear.is_none_or(|wear| wear.drift == Drift::default() && wear.outlooks.is_empty())
    }
}

#[test]
fn nothing_that_was_learnt_of_an_erased_server_comes_back_from_memory() {
    for ends_in_order in [true, false] {
        let mut room = Room::new();
        room.learns(0..40);
        let (drives, wear) = room.kept();
        assert_eq!(drives, ["serial:D1", "serial:D2"]);
        assert!(wear.is_some_and(|wear| wear.drift != Drift::default()), "there has to be something to forget");
        room.erase();
        room.step();
        assert_eq!(room.store.erasures().unwrap(), [], "it is over");
        // Days are closed and kept since then.
        room.wait(2 * 86_400);
        room.step();
        assert!(room.is_nothing_left(), "{:?}", room.kept());
        if ends_in_order {
            room.reopen()
        } else {
            room.restart()
        }
        assert!(room.is_nothing_left(), "{:?}", room.kept());
    }
}

#[test]
fn a_collector_that_ends_or_dies_at_the_moment_of_the_erasure_brings_nothing_back() {
    for ends_in_order in [true, false] {
        let mut room = Room::new();
        room.learns(0..40);
        room.erase();
        if ends_in_order {
            room.reopen();
        } else {
            // What it was about to write goes through before it dies.
            room.learnt.wears.save(&room.store).unwrap();
            room.learnt.disks.save(&room.store).unwrap();
            assert!(!room.is_nothing_left());
            room.restart();
        }
        assert!(room.is_nothing_left(), "{:?}", room.kept());
        assert_eq!(room.store.erasures().unwrap(), []);
    }
}

#[test]
fn an_erased_server_that_runs_on_is_watched_and_learnt_anew_and_its_tickets_stay() {
    let mut room = Room::new();
    room.learns(0..40);
    let open = room.tickets().iter().filter(|t| t.ticket.is_open()).count();
    assert!(open > 0, "sectors were reallocated again and again");
    room.erase();
    room.learns(40..44);
    assert_eq!(room.tickets().iter().filter(|t| t.ticket.is_open()).count(), open, "none is opened twice");
    assert_eq!(room.kept().0, ["serial:D1", "serial:D2"]);
    let newest = room.store.drives().unwrap().drives;
    assert!(
        newest.iter().all(|(_, record)| record
            .endurance
            .outlook(&"disk/1".parse().unwrap(), None)
            .is_some_and(|o| { matches!(o.foresight, outband_health::outlook::Foresight::NoDate(_)) })),
        "of four days no date can be foretold"
    );
}
