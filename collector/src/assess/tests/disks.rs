//! Drives whose SMART values come day by day, judged by the model that is shipped.

use super::*;
use crate::assess::Predicting;
use outband_health::model::Said;

const DAY: i64 = 86_400;

/// What a drive shows on a day: attributes 5, 187, 197 and 198.
type Shows = fn(i64) -> [f64; 4];

fn healthy(_: i64) -> [f64; 4] {
    [0.0; 4]
}

/// Sound for 20 days; then its medium goes, from day to day.
fn dying(day: i64) -> [f64; 4] {
    let bad = (day - 19).max(0) as f64;
    [bad * 64.0, bad * 7.0, bad * 24.0, bad * 24.0]
}

struct Drive {
    bay: &'static str,
    serial: &'static str,
    model: &'static str,
    shows: Shows,
}

const SICK: Drive = Drive { bay: "disk/Bay 1", serial: "D1", model: "ST4000DM000-1F2168", shows: dying };

impl Room {
    fn with_model(drives: &[Drive]) -> Self {
        let mut room = Room::new();
        let model = crate::train::shipped().unwrap();
        room.terms.disks = Some(std::sync::Arc::new(Predicting { model, false_tickets: 0.1 }));
        room.parts(drives);
        room
    }

    fn parts(&mut self, drives: &[Drive]) {
        let part = |d: &Drive| Part {
            component: d.bay.parse().unwrap(),
            manufacturer: None,
            model: Some(d.model.to_owned()).filter(|m| !m.is_empty()),
            part_number: None,
            serial: Some(d.serial.to_owned()).filter(|s| !s.is_empty()),
            firmware: None,
            capacity_bytes: Some(4_000_787_030_016),
            source: Source::default(),
        };
        let inventory = Observation::Inventory(Inventory {
            identity: Identity { serial: Some("SN1".to_owned()), ..Identity::default() },
            parts: drives.iter().map(part).collect(),
            bmc_clock_offset_ms: None,
            observed_at: self.now,
            source: Source::default(),
        });
        self.send(Section::Inventory, vec![inventory]);
    }

    /// Goes on for so many days, on each of which every drive is polled four times; `kinds` leaves out what is not reported.
    fn live(&mut self, days: std::ops::Range<i64>, drives: &[Drive], reports: fn(SensorKind) -> bool) {
        for day in days {
            for poll in 0..4 {
                let at = self.wait(DAY as u64 / 4);
                let mut readings = Vec::new();
                for drive in drives {
                    let [reallocated, reported, pending, offline] = (drive.shows)(day);
                    let all = [
                        (SensorKind::PowerOnHours, 20_000.0 + (day * 24 + poll * 6) as f64),
                        (SensorKind::PowerCycles, 12.0),
                        (SensorKind::ReallocatedSectors, reallocated),
                        (SensorKind::ReportedUncorrectable, reported),
                        (SensorKind::PendingSectors, pending),
                        (SensorKind::OfflineUncorrectable, offline),
                        (SensorKind::LifeLeft, 90.0),
                    ];
                    let told = all.into_iter().filter(|(kind, _)| reports(*kind));
                    readings.extend(told.map(|(kind, value)| number(drive.bay, kind, value, at)));
                }
                self.send(Section::Drives, readings);
            }
        }
    }

    fn said(&self, bay: &str) -> Said {
        let server = self.store.servers(None, &Page::first(1)).unwrap().rows[0].id.clone();
        let place = (server.clone(), bay.parse().unwrap());
        let mut drives = self.store.drives_of(&server).unwrap();
        drives.retain(|d| d.place.as_ref() == Some(&place));
        assert_eq!(drives.len(), 1);
        drives.remove(0).said
    }
}

fn disk(kind: SensorKind) -> bool {
    kind != SensorKind::LifeLeft
}

use outband_store::drives::Drives;

#[test]
fn a_drive_whose_values_go_bad_day_by_day_gets_one_predicted_ticket_that_says_why_with_a_crash_in_between() {
    let drives = [SICK, Drive { bay: "disk/Bay 2", serial: "D2", model: "ST4000DM000-1F2168", shows: healthy }];
    let mut room = Room::with_model(&drives);
    room.live(0..20, &drives, disk);
    assert_eq!(room.tickets().len(), 0);
    room.restart();
    room.live(20..23, &drives, disk);
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.rule.as_str(), ticket.component.slot(), ticket.predicted), ("disk.predicted", "Bay 1", true));
    assert_eq!((ticket.fault.as_str(), ticket.part_serial.as_deref()), ("disk_failure", Some("D1")));
    let texts: Vec<&str> = ticket.evidence.iter().map(|e| e.text.as_str()).collect();
    eprintln!("{}\n{texts:#?}", ticket.reason);
    assert!(ticket.reason.starts_with("likely to fail within 30 days, probability "), "{}", ticket.reason);
    assert!(texts.iter().any(|t| t.contains("rose from 0 to ")), "{texts:?}");
    assert!(texts.iter().any(|t| t.starts_with("score ")), "{texts:?}");
    room.restart();
    room.live(23..26, &drives, disk);
    assert_eq!(room.tickets().len(), 1);
    assert!(matches!(room.said("disk/Bay 2"), Said::Well { .. }), "{:?}", room.said("disk/Bay 2"));
}

#[test]
fn of_flash_of_unknown_makers_and_without_attributes_the_model_says_nothing_and_says_so() {
    let drives = [
        Drive { bay: "disk/Bay 1", serial: "S1", model: "MZ7KM960HAHP", shows: healthy },
        Drive { bay: "disk/Bay 2", serial: "T1", model: "MG04ACA400N", shows: healthy },
    ];
    let mut room = Room::with_model(&drives);
    room.live(0..3, &drives[..1], |_| true);
    let mut other = Room::with_model(&drives);
    other.live(0..3, &drives[1..], disk);
    let sas = [SICK];
    let mut hidden = Room::with_model(&sas);
    hidden.live(18..26, &sas, |kind| disk(kind) && kind != SensorKind::PendingSectors);
    let mut silent = Room::with_model(&drives);
    silent.live(0..3, &drives[..1], |kind| kind == SensorKind::LifeLeft);
    let why = |room: &Room, bay: &str| match room.said(bay) {
        Said::Blind { why } => why,
        said => panic!("{said:?}"),
    };
    use outband_health::model::Blind;
    assert_eq!(why(&room, "disk/Bay 1"), Blind::SolidState);
    assert_eq!(why(&silent, "disk/Bay 1"), Blind::SolidState);
    assert_eq!(why(&other, "disk/Bay 2"), Blind::UnknownMaker);
    assert_eq!(why(&hidden, "disk/Bay 1"), Blind::NoAttributes);
    for record in [room.tickets(), other.tickets(), hidden.tickets()].concat() {
        let ticket = record.ticket;
        assert_ne!(ticket.rule, "disk.predicted");
        assert!(ticket.reason.contains("not judged by the disk model"), "{}", ticket.reason);
    }
}

#[test]
fn another_drive_in_the_place_knows_nothing_of_the_one_before() {
    let mut room = Room::with_model(&[SICK]);
    room.live(0..22, &[SICK], disk);
    assert_eq!(room.only_ticket().ticket.rule, "disk.predicted");
    let new = [Drive { bay: "disk/Bay 1", serial: "D9", model: "ST4000DM000-1F2168", shows: healthy }];
    room.parts(&new);
    assert_eq!(room.only_ticket().ticket.state, State::Resolved);
    assert!(!room.finds_prediction(), "at once");
    room.live(22..25, &new, disk);
    assert!(!room.finds_prediction());
    assert!(matches!(room.said("disk/Bay 1"), Said::Well { .. }));
    assert_eq!(room.only_ticket().ticket.state, State::Closed);
    room.parts(&[SICK]);
    assert!(room.finds_prediction(), "the drive that is put back is known");
}

#[test]
fn without_a_serial_another_drive_is_known_by_its_hours() {
    let nameless = |shows| Drive { bay: "disk/Bay 1", serial: "", model: "ST4000DM000", shows };
    let mut room = Room::with_model(&[nameless(dying)]);
    room.live(0..22, &[nameless(dying)], disk);
    assert!(room.finds_prediction());
    // The days begin anew, and with them the hours.
    room.live(-700..-698, &[nameless(healthy)], disk);
    assert!(!room.finds_prediction());
}

impl Room {
    fn finds_prediction(&self) -> bool {
        let findings = self.assessor.as_ref().unwrap().all_findings();
        findings.iter().any(|k| k.fault == outband_health::Fault::DiskFailure)
    }
}

#[test]
fn a_prediction_ends_with_its_thirty_days_and_its_ticket_waits_for_a_person() {
    let mut room = Room::with_model(&[SICK]);
    room.live(0..22, &[SICK], disk);
    assert!(room.finds_prediction());
    let stays = Drive { shows: |_| dying(21), ..SICK };
    room.live(22..50, std::slice::from_ref(&stays), disk);
    assert!(room.finds_prediction());
    room.live(50..56, &[stays], disk);
    assert!(!room.finds_prediction());
    assert_eq!(room.only_ticket().ticket.state, State::New);
}

#[test]
fn bad_reads_gaps_and_clocks_that_jump_open_nothing() {
    let well = Drive { shows: healthy, ..SICK };
    let mut room = Room::with_model(std::slice::from_ref(&well));
    room.live(0..5, std::slice::from_ref(&well), disk);
    let at = room.wait(3600);
    let wild = [
        (SensorKind::PendingSectors, 65_535.0),
        (SensorKind::ReallocatedSectors, 65_535.0),
        (SensorKind::ReportedUncorrectable, f64::NAN),
    ];
    let readings = |at: Timestamp| wild.iter().map(|(kind, value)| number("disk/Bay 1", *kind, *value, at)).collect();
    room.send(Section::Drives, readings(at));
    room.live(6..8, std::slice::from_ref(&well), disk);
    // The agent's clock a month behind, and ten years ahead.
    room.send_of(
        at.minus(Duration::from_secs(30 * 86_400)),
        Section::Drives,
        "bmc1",
        readings(at.minus(Duration::from_secs(30 * 86_400))),
    );
    room.live(8..10, std::slice::from_ref(&well), disk);
    room.wait(20 * 86_400);
    room.live(30..33, std::slice::from_ref(&well), disk);
    assert!(!room.finds_prediction());
    assert!(matches!(room.said("disk/Bay 1"), Said::Well { .. }), "{:?}", room.said("disk/Bay 1"));
}

#[test]
fn with_the_model_off_nothing_is_foretold_and_what_was_is_taken_back() {
    let mut room = Room::with_model(&[SICK]);
    room.live(0..22, &[SICK], disk);
    assert!(room.finds_prediction());
    room.terms.disks = None;
    room.wait(60);
    room.step();
    assert!(!room.finds_prediction());
}

/// Sound for 20 days, then bad for four, and no worse from then on.
fn burst(day: i64) -> [f64; 4] {
    dying(day.min(23))
}

/// As [`dying`], twelve days later.
fn later(day: i64) -> [f64; 4] {
    dying(day - 12)
}

fn six(shows: Shows) -> Vec<Drive> {
    const BAYS: [(&str, &str); 6] = [
        ("disk/Bay 1", "D1"),
        ("disk/Bay 2", "D2"),
        ("disk/Bay 3", "D3"),
        ("disk/Bay 4", "D4"),
        ("disk/Bay 5", "D5"),
        ("disk/Bay 6", "D6"),
    ];
    BAYS.map(|(bay, serial)| Drive { bay, serial, model: SICK.model, shows }).into()
}

impl Room {
    /// A person says of every ticket what it was.
    fn all_were(&mut self, verdict: outband_ticket::Verdict) {
        for ticket in self.tickets() {
            let said = Action::Verdict { verdict, detail: String::new(), part: None };
            self.move_ticket(ticket.ticket.number, said);
        }
    }

    /// The threshold of the newest day, a margin.
    fn threshold(&self) -> f64 {
        let fleet = self.store.drives().unwrap().fleet.unwrap();
        let watch = serde_json::to_value(fleet.watch.unwrap()).unwrap();
        watch["budget"]["threshold"].as_f64().unwrap()
    }
}

#[test]
fn what_people_say_of_tickets_moves_the_threshold_of_the_days_after() {
    let threshold = |verdict| {
        let drives = six(burst);
        let mut room = Room::with_model(&drives);
        room.live(0..23, &drives, disk);
        assert_eq!(room.tickets().len(), 6);
        room.all_were(verdict);
        // So long that what has not come true by then is false.
        room.live(23..62, &drives, disk);
        room.threshold()
    };
    let (right, wrong) =
        (threshold(outband_ticket::Verdict::Confirmed), threshold(outband_ticket::Verdict::NoFaultFound));
    eprintln!("the threshold is {right:+.3} where all were right, {wrong:+.3} where none was");
    assert!(wrong > right + 0.01, "false tickets were spent, and have to be saved: {wrong} {right}");
}

#[test]
fn own_drives_that_failed_with_the_same_pattern_are_told_of_with_the_next_one() {
    let (first, seventh) = (six(dying), Drive { bay: "disk/Bay 7", serial: "D7", model: SICK.model, shows: later });
    let all = || six(dying).into_iter().chain([Drive { ..seventh }]).collect::<Vec<_>>();
    let mut room = Room::with_model(&all());
    room.live(0..23, &all(), disk);
    assert_eq!(room.tickets().len(), first.len());
    room.all_were(outband_ticket::Verdict::Confirmed);
    room.live(23..36, &[Drive { ..seventh }], disk);
    let told = room.tickets();
    let next = &told.iter().find(|t| t.ticket.component.slot() == "Bay 7").unwrap().ticket;
    let texts: Vec<&str> = next.evidence.iter().map(|e| e.text.as_str()).collect();
    let own = texts.iter().find(|t| t.ends_with("(own fleet)")).unwrap_or_else(|| panic!("{texts:#?}"));
    assert!(own.starts_with("of 6 drives of ST4000DM000 with this pattern ("), "{own}");
    assert!(own.contains(", 6 failed within 30 days"), "{own}");
    let first = &told.iter().find(|t| t.ticket.component.slot() == "Bay 1").unwrap().ticket;
    assert!(!first.evidence.iter().any(|e| e.text.ends_with("(own fleet)")), "nothing was known of the own fleet then");
}

#[test]
fn the_call_pack_of_a_foretold_failure_tells_its_evidence_in_chinese() {
    use crate::callpack::Zone;
    use crate::callpack::case::Case;
    use crate::callpack::pack::Pack;
    use crate::words::Lang;
    // Bad on two days only: no other rule has anything to say.
    let drives = [Drive { shows: |day| dying(day.min(21)), ..SICK }];
    let mut room = Room::with_model(&drives);
    room.live(0..23, &drives, disk);
    let ticket = room.only_ticket().ticket;
    let terms = crate::judgement::Terms::try_from(&crate::config::Config::default()).unwrap();
    let case = Case::read(&room.store, &terms, ticket.number).unwrap().unwrap();
    let zone = Zone::of("Asia/Shanghai").unwrap();
    let pack = Pack::of(&case, Lang::ZhCn, &zone).unwrap();
    assert!(pack.evidence.len() >= 4 && ticket.rule == "disk.predicted", "{:#?}", pack.evidence);
    for line in &pack.evidence {
        let han = line.text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
        assert!(han >= 6, "{}", line.text);
    }
    let words = "由 0 升至 ";
    assert!(pack.evidence.iter().any(|line| line.text.contains(words)), "{:#?}", pack.evidence);
}
