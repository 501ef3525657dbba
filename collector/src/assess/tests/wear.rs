//! What wears over weeks.

use super::storms::{Dice, SERVERS, rack};
use super::*;

impl Room {
    /// So many days of a server whose third fan loses half a percent of its speed a day from day 12 on, read every hour.
    fn days(&mut self, days: std::ops::Range<i64>) {
        for hour in days.start * 24..days.end * 24 {
            let at = self.wait(3600);
            let duty = 40.0 + (15.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin()).round();
            let mut readings = Vec::new();
            for n in 0..4 {
                let worn = if n == 2 { 0.005 * (hour as f64 / 24.0 - 12.0).max(0.0) } else { 0.0 };
                let noise = 1.0 + 0.003 * ((hour * 7 + n * 13) as f64).sin();
                let fan = format!("fan/{n}");
                readings.push(number(&fan, SensorKind::FanDuty, duty, at));
                let rpm = (100.0 * duty * (1.0 - worn) * noise).round();
                readings.push(number(&fan, SensorKind::FanSpeed, rpm, at));
            }
            self.send(Section::Sensors, readings);
        }
    }

    fn worn(&self) -> Vec<TicketRecord> {
        self.tickets().into_iter().filter(|r| r.ticket.fault == "fan_failure").collect()
    }
}

#[test]
fn a_fan_that_slows_over_weeks_gets_one_ticket_that_says_by_how_much_and_a_restart_loses_at_most_a_day() {
    let mut room = Room::new();
    room.days(0..16);
    assert_eq!(room.worn().len(), 0, "it has lost two percent");
    room.restart();
    room.days(16..26);
    room.restart();
    room.days(26..30);
    let ticket = &room.worn()[0].ticket;
    assert_eq!((ticket.rule.as_str(), ticket.component.slot(), ticket.predicted), ("fan.wear", "2", true));
    assert!(ticket.reason.contains("slower at equal load"), "{}", ticket.reason);
    assert!(ticket.evidence.iter().any(|e| e.text.ends_with("by 4.9 % or more")), "{:?}", ticket.evidence);
    assert_eq!(room.worn().len(), 1);
}

#[test]
fn another_fan_in_the_place_ends_what_wore() {
    let mut room = Room::new();
    room.part("F1");
    room.days(0..30);
    assert_eq!(room.worn().len(), 1);
    room.part("F2");
    // However it turns: it is another one, and not slower than it was.
    room.days(30..31);
    let signs = |room: &Room| {
        room.assessor.as_ref().unwrap().all_findings().iter().filter(|k| k.component.slot() == "2").count()
    };
    assert_eq!(signs(&room), 0);
    room.restart();
    assert_eq!(signs(&room), 0, "and not after a restart either");
}

impl Room {
    /// The third fan has this serial.
    fn part(&mut self, serial: &str) {
        self.wait(10);
        let inventory = inventory("SN1", Some(("fan/2", serial)), self.now);
        self.send(Section::Inventory, vec![inventory]);
    }
}

#[test]
fn each_loss_of_a_feed_is_one_open_ticket_however_often_it_comes_and_no_supply_wears_by_it() {
    let mut room = rack(SERVERS);
    let mut dice = Dice(11);
    for _ in 0..5 {
        room.rounds(30, &mut dice, |_, _| (true, true));
        let hours = 6 + dice.below(12);
        // Not all at once: breakers and sensors take their time.
        let late: Vec<usize> = (0..SERVERS).map(|_| dice.below(2)).collect();
        room.rounds(hours, &mut dice, |round, i| (round < late[i], true));
        // One that comes back within minutes goes on in the same ticket.
        let open: Vec<TicketRecord> = room.tickets().into_iter().filter(|t| t.ticket.is_open()).collect();
        let faults: Vec<&str> = open.iter().map(|t| t.ticket.fault.as_str()).collect();
        assert_eq!(faults, ["power_feed_lost"]);
    }
    room.rounds(30, &mut dice, |_, _| (true, true));
    let tickets = room.tickets();
    let others: Vec<_> =
        tickets.iter().filter(|t| t.ticket.fault != "power_feed_lost").map(|t| &t.ticket.title).collect();
    assert!(others.is_empty(), "{others:?}");
}
