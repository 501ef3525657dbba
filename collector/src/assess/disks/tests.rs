mod endurance;

use super::*;
use outband_schemas::{Section, Source, TargetId, Value};
use outband_store::SqliteStore;
use outband_store::sqlite::Options;

const BAY: &str = "disk/Bay 1";

fn place() -> (ServerId, ComponentId) {
    (ServerId::new("srv-1").unwrap(), BAY.parse().unwrap())
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs((20_000 + day) * 86_400 + 7200)
}

fn set(at: Timestamp, observations: Vec<Observation>) -> ObservationSet {
    let target = TargetId::new("bmc1").unwrap();
    ObservationSet { target, section: Section::Drives, polled_at: at, observations }
}

fn polls(disks: &Disks, day: i64, sectors: f64) {
    for hour in 0..2 {
        let at = at(day).plus(Duration::from_secs(hour * 3600));
        let reading = Observation::Reading(Reading {
            component: BAY.parse().unwrap(),
            kind: SensorKind::PendingSectors,
            sensor: "197".to_owned(),
            value: Some(Value::Number(sectors)),
            quality: Quality::Good,
            observed_at: at,
            source: Source::default(),
            thresholds: None,
        });
        disks.observe(&place().0, &[], &set(at, vec![reading]), at);
    }
}

fn parts(disks: &Disks, day: i64, serials: &[Option<&str>]) {
    parts_of(disks, &place().0, at(day), serials);
}

fn parts_of(disks: &Disks, server: &ServerId, at: Timestamp, serials: &[Option<&str>]) -> BTreeSet<ServerId> {
    let part = |(n, serial): (usize, &Option<&str>)| Part {
        component: format!("disk/Bay {}", n + 1).parse().unwrap(),
        manufacturer: None,
        model: Some("ST4000DM000".to_owned()),
        part_number: None,
        serial: serial.map(str::to_owned),
        firmware: None,
        capacity_bytes: None,
        source: Source::default(),
    };
    let inventory = outband_schemas::Inventory {
        identity: outband_schemas::Identity::default(),
        parts: serials.iter().enumerate().map(part).collect(),
        bmc_clock_offset_ms: None,
        observed_at: at,
        source: Source::default(),
    };
    disks.observe(server, &[], &set(at, vec![Observation::Inventory(inventory)]), at)
}

fn keys(disks: &Disks) -> Vec<String> {
    disks.lock().drives.keys().cloned().collect()
}

fn pending(disks: &Disks, key: &str) -> Option<f64> {
    let inner = disks.lock();
    let held = inner.drives.get(key)?;
    let mut record = held.record.clone();
    record.polled.close(&mut record.history);
    record.history.track(Attribute::PendingSectors).now()
}

#[test]
fn what_was_read_today_is_kept_at_an_orderly_end_and_a_crash_is_known_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let (first, second, third) = (Disks::default(), Disks::default(), Disks::default());
    first.load(&store).unwrap();
    parts(&first, 0, &[Some("D1")]);
    polls(&first, 0, 8.0);
    first.save(&store).unwrap();
    second.load(&store).unwrap();
    assert_eq!(pending(&second, "serial:D1"), Some(8.0));
    assert!(!store.drives().unwrap().fleet.unwrap().in_order, "not before it ends again");
    polls(&second, 1, 16.0);
    third.load(&store).unwrap();
    assert_eq!(pending(&third, "serial:D1"), Some(8.0), "the day of the crash is lost, and no more");
}

#[test]
fn every_attribute_that_the_model_knows_is_taken_from_a_kind_of_its_own() {
    let taken: BTreeSet<Attribute> = outband_schemas::catalog::CATALOG
        .iter()
        .filter_map(|row| match field(row.kind) {
            Some(Field::Raw(attribute)) => Some(attribute),
            Some(Field::Hours) | None => None,
        })
        .collect();
    assert!(Attribute::ALL.into_iter().eq(taken));
}

#[test]
fn a_serial_that_is_told_later_takes_over_what_was_known_of_the_place() {
    let disks = Disks::default();
    polls(&disks, 0, 8.0);
    assert_eq!(keys(&disks), ["place:srv-1/disk/Bay 1"]);
    parts(&disks, 0, &[Some("D1")]);
    assert_eq!(keys(&disks), ["serial:D1"]);
    assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
    parts(&disks, 1, &[None]);
    assert_eq!(keys(&disks), ["serial:D1"], "that none is told for once is no other drive");
}

#[test]
fn a_drive_that_moves_takes_its_history_along_and_the_one_in_its_place_has_none() {
    let disks = Disks::default();
    parts(&disks, 0, &[Some("D1"), Some("D2")]);
    polls(&disks, 0, 8.0);
    parts(&disks, 1, &[Some("D3"), Some("D1")]);
    assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
    assert_eq!(pending(&disks, "serial:D3"), None);
    polls(&disks, 1, 0.0);
    assert_eq!(pending(&disks, "serial:D3"), Some(0.0));
    assert_eq!(pending(&disks, "serial:D1"), Some(8.0));
}

#[test]
fn several_drives_under_one_serial_are_known_by_their_places() {
    let disks = Disks::default();
    parts(&disks, 0, &[Some("WWN"), Some("WWN"), Some("000000"), Some("N/A")]);
    assert_eq!(keys(&disks).iter().filter(|k| k.starts_with("place:")).count(), 4);
}
