//! Drives as the disk model knows them.

use super::Behaviour;
use outband_health::model::{Attribute, Cohorts, DiskModel, Pattern, SHIPPED, Smart, Vendor, Watch};
use outband_schemas::ServerId;
use outband_store::drives::{DriveFleet, DriveRecord, Drives};

pub(super) fn all<S: Drives>() -> Vec<Behaviour<S>> {
    vec![
        ("a drive is read as it was kept, the newest counts, and one that is forgotten is gone", keeps),
        ("what is learnt of all drives is read as it was kept", keeps_the_fleet),
    ]
}

fn drive(server: &str, days: i32) -> DriveRecord {
    let place = Some((ServerId::new(server).unwrap(), "disk/Bay 1".parse().unwrap()));
    let mut record = DriveRecord { place, serial: Some("D1".to_owned()), ..DriveRecord::default() };
    for day in 0..days {
        let mut smart = Smart { hours: Some(f64::from(day) * 24.0), ..Smart::default() };
        smart.raw[Attribute::PendingSectors as usize] = Some(f64::from(day * 3));
        record.history.read(day, &smart);
    }
    record.patterns.insert(Pattern::of(&record.history, days));
    record
}

fn keeps<S: Drives>(store: &S) {
    assert!(store.drives().unwrap().drives.is_empty());
    store.keep_drives(&[], &[], None).unwrap();
    let (young, old) = (drive("srv-1", 2), drive("srv-2", 200));
    let key = |n: u32| format!("serial:{n}");
    store.keep_drives(&[(key(1), &young), (key(2), &young), (key(3), &young)], &[], None).unwrap();
    store.keep_drives(&[(key(1), &old)], &[key(2)], None).unwrap();
    let kept = store.drives().unwrap();
    assert!(kept.damaged.is_empty() && kept.fleet.is_none());
    assert_eq!(kept.drives, [(key(1), old.clone()), (key(3), young)]);
    assert_eq!(store.drives_of(&ServerId::new("srv-2").unwrap()).unwrap(), [old]);
}

fn keeps_the_fleet<S: Drives>(store: &S) {
    let model: DiskModel = serde_json::from_str(SHIPPED).unwrap();
    let mut watch = Watch::new(&model);
    watch.begin(5, 1000);
    watch.decide(0.1);
    let mut cohorts = Cohorts::default();
    cohorts.add("M1", Vendor::Wdc, *drive("srv-1", 9).patterns.first().unwrap(), true);
    let fleet =
        DriveFleet { model: "m".to_owned(), watch: Some(watch), day: Some(5), cohorts, ..DriveFleet::default() };
    store.keep_drives(&[], &[], Some(&fleet)).unwrap();
    let kept = store.drives().unwrap().fleet.unwrap();
    let text = |fleet: &DriveFleet| serde_json::to_string(fleet).unwrap();
    assert_eq!(text(&kept), text(&fleet));
}
