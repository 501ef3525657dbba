//! What is handed on is what training reads, and nothing unverified.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use crate::train::source::Histories;
use outband_health::model::{Drive, History};
use outband_store::outcome::OtherPart;
use outband_ticket::{Basis, Outcome, Verdict};

/// A drive that was read on days 100 to 140, and whose pending sectors grew on days 110 and 120.
fn drive(serial: &str, model: &str) -> DriveRecord {
    let mut history = History::default();
    for day in 100..=140 {
        let mut smart = Smart { hours: Some(f64::from(day) * 24.0), ..Smart::default() };
        smart.raw[Attribute::ReallocatedSectors as usize] = Some(0.0);
        smart.raw[Attribute::PendingSectors as usize] = Some(f64::from(day / 10 - 10).clamp(0.0, 2.0));
        history.read(day, &smart);
    }
    DriveRecord {
        place: Some((ServerId::new("srv-1").unwrap(), format!("disk/{serial}").parse().unwrap())),
        serial: Some(serial.to_owned()),
        model: Some(model.to_owned()),
        bytes: Some(4_000_000_000_000),
        history: history.into(),
        read_on: Some(140),
        ..DriveRecord::default()
    }
}

fn ticket(serial: &str, answer: Answer, predicted: bool, days: (Day, Option<Day>)) -> TicketOutcome {
    let at = |day: Day| Timestamp::from_millis(i64::from(day) * DAY_MS + 5);
    let basis = match answer {
        Answer::Right => Basis::Verdict(Verdict::Confirmed),
        Answer::Unknown => Basis::Verdict(Verdict::ReplacedWithoutTest),
        _ => Basis::Nothing,
    };
    TicketOutcome {
        ticket: TicketNumber(12),
        rule: "disk.predicted".to_owned(),
        fault: "disk_failure".to_owned(),
        site: None,
        server: ServerId::new("srv-1").unwrap(),
        component: format!("disk/{serial}").parse().unwrap(),
        serial: Some(serial.to_owned()),
        model: None,
        predictor: None,
        outcome: Outcome {
            predicted,
            answer,
            basis,
            opened_at: at(days.0),
            known_at: days.1.map(at),
            seen_at: (!predicted).then(|| at(days.0)),
            other: None,
        },
        other: OtherPart::default(),
    }
}

fn files(drives: &[DriveRecord], outcomes: &[TicketOutcome]) -> Vec<File> {
    let fates = Fates::of(outcomes);
    let mut tables = Tables::new();
    for record in drives {
        tables.add("key", record, fates.of_drive(record));
    }
    tables.files()
}

/// The files as training reads them, and the lines of the third.
fn read(files: &[File]) -> (Histories, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let mut said = Vec::new();
    let path = |name: &str| dir.path().join(name);
    let history =
        Histories::read(&path("drives.csv"), &path("changes.csv"), &mut |t: &str| said.push(t.to_owned())).unwrap();
    assert!(said.iter().all(|line| line.contains("% read")), "nothing to complain of: {said:?}");
    let left_out = String::from_utf8(files[2].1.clone()).unwrap();
    (history, left_out.lines().skip(1).map(str::to_owned).collect())
}

#[test]
fn training_reads_what_the_drives_showed_and_which_of_them_failed() {
    let drives = [drive("A", "ST4000DM000"), drive("B", "WDC WD60, \"red\"")];
    let (history, left_out) = read(&files(&drives, &[ticket("A", Answer::Right, true, (125, Some(130)))]));
    assert_eq!(left_out, Vec::<String>::new());
    let lives: Vec<_> =
        history.lives.iter().map(|l| (l.id.as_str(), l.model.as_str(), l.first, l.last, l.failed)).collect();
    assert_eq!(lives, [("A", "ST4000DM000", 100, 130, true), ("B", "WDC WD60, \"red\"", 100, 140, false)]);
    let told = |drive: &Drive| (drive.family.clone(), drive.vendor, drive.capacity);
    assert_eq!(told(&history.lives[0].drive), told(&drives[0].drive()));
    // What was read makes the same history again.
    let mut again = History::default();
    history.readings.iter().filter(|r| r.drive == 1).for_each(|r| again.read(r.day, &r.smart));
    for attribute in Attribute::ALL {
        assert_eq!(again.track(attribute), drives[1].history.track(attribute), "{attribute:?}");
    }
    assert_eq!(again.hours(140), drives[1].history.hours(140));
}

#[test]
fn a_drive_of_an_unverified_prediction_is_named_and_in_no_table() {
    for answer in [Answer::Unknown, Answer::Pending] {
        let (history, left_out) = read(&files(&[drive("A", "ST4000")], &[ticket("A", answer, true, (125, None))]));
        assert!(history.lives.is_empty() && history.readings.is_empty());
        assert_eq!(left_out, ["A,ST4000,\"a failure was foretold, and nobody has verified it\",12"]);
    }
}

#[test]
fn a_prediction_that_was_wrong_leaves_a_drive_that_runs() {
    let (history, left_out) =
        read(&files(&[drive("A", "ST4000")], &[ticket("A", Answer::Wrong, true, (125, Some(126)))]));
    assert_eq!((history.lives[0].failed, left_out.len()), (false, 0));
}

#[test]
fn a_failure_that_was_seen_is_one_and_the_day_of_it_and_those_after_have_no_reading() {
    let (history, _) = read(&files(&[drive("A", "ST4000")], &[ticket("A", Answer::Unknown, false, (115, None))]));
    assert_eq!((history.lives[0].failed, history.lives[0].last), (true, 115));
    assert!(history.readings.iter().all(|r| r.day < 115));
    assert_eq!(history.readings.len(), 2, "its first day, and day 110");
}

#[test]
fn a_failure_counts_whatever_else_was_foretold_and_the_first_one_does() {
    let tickets = [
        ticket("A", Answer::Unknown, true, (105, None)),
        ticket("A", Answer::Right, true, (125, Some(130))),
        ticket("A", Answer::Unknown, false, (128, None)),
        ticket("A", Answer::Aside, true, (101, None)),
    ];
    let (history, _) = read(&files(&[drive("A", "ST4000")], &tickets));
    assert_eq!((history.lives[0].failed, history.lives[0].last), (true, 128));
}

#[test]
fn drives_without_platters_and_drives_of_which_nothing_is_known_are_left_out_with_the_reason() {
    let flash = DriveRecord { flash: true, ..drive("S", "Micron 5300") };
    let new = DriveRecord { history: History::default().into(), read_on: None, ..drive("N", "ST4000") };
    let (history, left_out) = read(&files(&[flash, new], &[]));
    assert!(history.lives.is_empty());
    assert_eq!(left_out, ["S,Micron 5300,it has no platters,", "N,ST4000,no day of it is known,"]);
}

#[test]
fn of_a_ticket_without_a_serial_nobody_knows_which_drive_it_was_about_unless_it_was_confirmed() {
    let mut unknown = ticket("A", Answer::Unknown, false, (115, None));
    unknown.serial = None;
    let (history, left_out) = read(&files(&[drive("A", "ST4000")], &[unknown]));
    assert_eq!((history.lives.len(), left_out.len()), (0, 1));
}
