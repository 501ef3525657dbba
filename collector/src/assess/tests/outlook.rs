//! What is foreseen of a part from its own course over weeks.

use super::*;

impl Room {
    /// So many days of a drive that loses a percent of its life every three days, from 45 on, read every six hours.
    fn wearing(&mut self, days: std::ops::Range<i64>) {
        for quarter in days.start * 4..days.end * 4 {
            let at = self.wait(6 * 3600);
            let life = 45.0 - (quarter / 12) as f64;
            let written = 1e15 + 2.5e11 * quarter as f64;
            let readings = vec![
                number("disk/7", SensorKind::LifeLeft, life, at),
                number("disk/7", SensorKind::BytesWritten, written, at),
            ];
            self.send(Section::Drives, readings);
        }
    }

    fn used_up(&self) -> Vec<TicketRecord> {
        self.tickets().into_iter().filter(|r| r.ticket.fault == "disk_wear").collect()
    }
}

#[test]
fn a_drive_whose_life_ends_within_two_months_gets_one_ticket_with_the_date_and_restarts_forget_nothing() {
    let mut room = Room::new();
    room.wearing(0..40);
    room.restart();
    assert_eq!(room.used_up().len(), 0, "a third of it is left: it lasts for three months");
    room.wearing(40..70);
    room.restart();
    room.wearing(70..90);
    let tickets = room.used_up();
    assert_eq!(tickets.len(), 1);
    let ticket = &tickets[0].ticket;
    assert_eq!((ticket.rule.as_str(), ticket.component.slot(), ticket.predicted), ("disk.wearout", "7", true));
    assert!(ticket.reason.contains("10 % a month, 1000 GB written a day"), "{}", ticket.reason);
    let dates = ticket.evidence.iter().filter(|e| e.text.contains("80 of 100")).count();
    assert!((1..6).contains(&dates), "told anew only where it has moved: {:?}", ticket.evidence);
}

#[test]
fn another_drive_in_the_bay_is_foretold_nothing_of_the_old_one() {
    let mut room = Room::new();
    room.bay("D1");
    room.wearing(0..90);
    assert_eq!(room.used_up().len(), 1);
    room.bay("D2");
    let finds = |room: &Room| {
        room.assessor.as_ref().unwrap().all_findings().iter().filter(|k| k.component.slot() == "7").count()
    };
    let at = room.wait(3600);
    room.send(Section::Drives, vec![number("disk/7", SensorKind::LifeLeft, 14.0, at)]);
    assert_eq!(finds(&room), 0);
    room.restart();
    room.send(Section::Drives, vec![number("disk/7", SensorKind::LifeLeft, 14.0, at)]);
    assert_eq!(finds(&room), 0, "and not after a restart either");
}

impl Room {
    fn bay(&mut self, serial: &str) {
        self.wait(10);
        let inventory = inventory("SN1", Some(("disk/7", serial)), self.now);
        self.send(Section::Inventory, vec![inventory]);
    }
}
