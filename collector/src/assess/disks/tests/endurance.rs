//! The endurance of drives that are swapped, moved, and named badly.

use super::*;
use outband_health::outlook::{Basis, Foresight, WearOut};

const HOUR: u64 = 3600;

fn server(n: u32) -> ServerId {
    ServerId::new(format!("srv-{n}")).unwrap()
}

fn bay(n: u32) -> ComponentId {
    format!("disk/Bay {n}").parse().unwrap()
}

/// Drives in bays that are read every two hours, and whose inventory is read every six.
struct Rig {
    _dir: tempfile::TempDir,
    store: SqliteStore,
    disks: Disks,
    hour: i64,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let disks = Disks::default();
        disks.load(&store).unwrap();
        Self { _dir: dir, store, disks, hour: 0 }
    }

    fn now(&self) -> Timestamp {
        at(0).plus(Duration::from_secs(u64::try_from(self.hour).unwrap() * HOUR))
    }

    fn inventory(&self, of: u32, serials: &[Option<&str>]) -> BTreeSet<ServerId> {
        let moved = parts_of(&self.disks, &server(of), self.now(), serials);
        self.disks.keep_moved(&self.store).unwrap();
        moved
    }

    fn tell(&self, of: u32, in_bay: u32, life: f64) {
        let reading = Observation::Reading(Reading {
            component: bay(in_bay),
            kind: SensorKind::LifeLeft,
            sensor: "life".to_owned(),
            value: Some(Value::Number(life)),
            quality: Quality::Good,
            observed_at: self.now(),
            source: Source::default(),
            thresholds: None,
        });
        self.disks.observe(&server(of), &[], &set(self.now(), vec![reading]), self.now());
    }

    /// Goes on for so many days: the bays of each server hold drives with these serials, of which each tells its life by the day.
    fn live(&mut self, days: i64, servers: &[(u32, &[Option<&str>])], life: impl Fn(u32, u32, i64) -> f64) {
        for _ in 0..days * 12 {
            self.hour += 2;
            for (of, serials) in servers {
                if self.hour % 6 == 0 {
                    self.inventory(*of, serials);
                }
                for n in 1..=u32::try_from(serials.len()).unwrap() {
                    self.tell(*of, n, life(*of, n, self.hour / 24));
                }
            }
            self.disks.foresee(&self.store, self.now()).unwrap();
        }
    }

    /// When the drive in a bay is used up.
    fn told(&self, of: u32, in_bay: u32) -> Option<WearOut> {
        let all = self.disks.outlooks(&server(of));
        match all.into_iter().find(|o| o.component == bay(in_bay))?.foresight {
            Foresight::WearOut(wear) => Some(wear),
            Foresight::NoDate(_) | Foresight::Rise(_) => None,
        }
    }

    fn days_left(&self, of: u32, in_bay: u32) -> Option<i64> {
        Some((self.told(of, in_bay)?.expected.as_millis() - self.now().as_millis()) / DAY_MS)
    }

    /// The collector ends without a word, and starts again.
    fn crash(&mut self) {
        self.disks = Disks::default();
        self.disks.load(&self.store).unwrap();
    }
}

/// Three days a percent.
fn worn(from: f64, day: i64) -> f64 {
    from - (day / 3) as f64
}

const ONE: &[(u32, &[Option<&str>])] = &[(1, &[Some("D1")])];

#[test]
fn a_drive_that_is_put_in_begins_anew_and_the_one_that_was_taken_out_keeps_what_it_told() {
    let mut rig = Rig::new();
    rig.live(60, ONE, |_, _, day| worn(60.0, day));
    assert!((110..125).contains(&rig.days_left(1, 1).unwrap()), "{:?}", rig.told(1, 1));
    // The other one is read before any inventory names it.
    rig.hour += 2;
    rig.tell(1, 1, 99.0);
    rig.hour += 2;
    rig.tell(1, 1, 99.0);
    rig.inventory(1, &[Some("D2")]);
    assert_eq!(rig.told(1, 1), None);
    rig.crash();
    assert_eq!(rig.told(1, 1), None, "and it does not come back");
    rig.live(60, &[(1, &[Some("D2")])], |_, _, _| 99.0);
    assert_eq!(rig.told(1, 1), None, "no percent has passed");
    // The first one is back, in another bay.
    rig.live(30, &[(1, &[Some("D2"), Some("D1")])], |_, bay, day| if bay == 2 { worn(60.0, day - 60) } else { 99.0 });
    let told = rig.told(1, 2).unwrap();
    assert_eq!((told.by, told.then.1), (Basis::Time, 59.0), "{told:?}");
}

#[test]
fn a_drive_that_moves_to_another_bay_or_server_keeps_what_it_told() {
    let mut rig = Rig::new();
    rig.live(60, ONE, |_, _, day| worn(60.0, day));
    let before = rig.told(1, 1).unwrap();
    for day in [1, 3, 5] {
        // It is read in its new place before any inventory names it there.
        rig.hour += 2;
        rig.tell(2, day, worn(60.0, rig.hour / 24));
    }
    let mut bays = [None; 5];
    bays[4] = Some("D1");
    assert_eq!(rig.inventory(2, &bays), BTreeSet::from([server(1), server(2)]));
    assert_eq!((rig.told(2, 5), rig.told(1, 1)), (Some(before.clone()), None));
    rig.crash();
    assert_eq!((rig.told(2, 5), rig.told(1, 1)), (Some(before), None));
}

#[test]
fn two_drives_that_change_places_change_what_is_foreseen_too() {
    let mut rig = Rig::new();
    let life = |serial: &str, day| if serial == "D1" { worn(60.0, day) } else { worn(90.0, day) };
    let in_order: &[(u32, &[Option<&str>])] = &[(1, &[Some("D1"), Some("D2")])];
    rig.live(60, in_order, |_, bay, day| life(if bay == 1 { "D1" } else { "D2" }, day));
    // Two hours after an inventory: what is read in between is of the other one.
    rig.live(1, &[(1, &[Some("D2"), Some("D1")])], |_, bay, day| life(if bay == 1 { "D2" } else { "D1" }, day));
    rig.live(30, &[(1, &[Some("D2"), Some("D1")])], |_, bay, day| life(if bay == 1 { "D2" } else { "D1" }, day));
    let (new, old) = (rig.told(1, 1).unwrap(), rig.told(1, 2).unwrap());
    assert_eq!((new.then.1, old.then.1), (89.0, 59.0), "from the first percent on");
    assert!((170..195).contains(&rig.days_left(1, 1).unwrap()) && (80..95).contains(&rig.days_left(1, 2).unwrap()));
}

#[test]
fn without_a_serial_the_place_is_the_drive_until_its_life_goes_up() {
    let mut rig = Rig::new();
    rig.live(60, &[(1, &[None])], |_, _, day| worn(60.0, day));
    assert!((110..125).contains(&rig.days_left(1, 1).unwrap()), "{:?}", rig.told(1, 1));
    rig.live(2, &[(1, &[None])], |_, _, _| 99.0);
    assert_eq!(rig.told(1, 1), None, "it is another one");
    rig.live(60, &[(1, &[None])], |_, _, day| worn(99.0, day - 62));
    let told = rig.told(1, 1).unwrap();
    assert!(told.then.1 <= 99.0, "{told:?}");
    // Its serial is told at last: it is the same drive.
    rig.inventory(1, &[Some("D1")]);
    assert_eq!(rig.told(1, 1), Some(told));
}

#[test]
fn drives_of_one_server_under_one_serial_are_each_known_by_their_place() {
    let mut rig = Rig::new();
    rig.live(60, &[(1, &[Some("WWN"), Some("WWN")])], |_, bay, day| worn(if bay == 1 { 60.0 } else { 90.0 }, day));
    let left = |bay| rig.told(1, bay).unwrap().left;
    assert_eq!((left(1), left(2)), (50.0, 80.0), "on the day on which a date was first told");
}

#[test]
fn drives_of_two_servers_under_one_serial_are_found_out_within_a_day_and_known_by_their_places() {
    let mut rig = Rig::new();
    let both: &[(u32, &[Option<&str>])] = &[(1, &[Some("123456789")]), (2, &[Some("123456789")])];
    let life = |of: u32, _: u32, day: i64| worn(if of == 1 { 60.0 } else { 90.0 }, day);
    rig.live(1, both, life);
    assert_eq!(keys(&rig.disks).len(), 2, "{:?}", keys(&rig.disks));
    assert!(keys(&rig.disks).iter().all(|key| key.starts_with("place:")));
    rig.live(60, both, life);
    let left = |of| rig.told(of, 1).unwrap().left;
    assert_eq!((left(1), left(2)), (50.0, 80.0), "on the day on which a date was first told");
    rig.disks.save(&rig.store).unwrap();
    rig.crash();
    rig.live(1, both, life);
    assert!(keys(&rig.disks).iter().all(|key| key.starts_with("place:")), "it is remembered");
}

#[test]
fn a_drive_that_lay_on_a_shelf_for_a_quarter_begins_anew() {
    let mut rig = Rig::new();
    rig.live(60, ONE, |_, _, day| worn(60.0, day));
    rig.hour += 24 * 90;
    rig.live(5, ONE, |_, _, _| 40.0);
    assert_eq!(rig.told(1, 1), None);
}

#[test]
fn of_a_drive_that_tells_no_life_left_no_bytes_are_counted() {
    let disks = Disks::default();
    parts(&disks, 0, &[Some("D1")]);
    let reading = Observation::Reading(Reading {
        component: bay(1),
        kind: SensorKind::BytesWritten,
        sensor: "w".to_owned(),
        value: Some(Value::Number(1e12)),
        quality: Quality::Good,
        observed_at: at(0),
        source: Source::default(),
        thresholds: None,
    });
    disks.observe(&place().0, &[], &set(at(0), vec![reading]), at(0));
    let inner = disks.lock();
    assert!(inner.drives.values().all(|held| held.waits.is_empty() && !held.worn));
}

#[test]
fn what_an_earlier_version_kept_by_places_goes_on_with_the_drives() {
    let mut rig = Rig::new();
    let mut old = Rig::new();
    old.live(60, &[(1, &[None])], |_, _, day| worn(60.0, day));
    let told = old.disks.outlooks(&server(1));
    let endurance = (*old.disks.lock().drives.values().next().unwrap().record.endurance).clone();
    rig.inventory(1, &[Some("D1")]);
    let of_places = || BTreeMap::from([(bay(1), endurance.clone())]);
    rig.disks.inherit(&rig.store, &server(1), of_places(), told.clone()).unwrap();
    rig.crash();
    assert_eq!(rig.disks.outlooks(&server(1)), told);
    assert_eq!(keys(&rig.disks), ["serial:D1"]);
    rig.disks.inherit(&rig.store, &server(1), BTreeMap::from([(bay(1), Endurance::default())]), Vec::new()).unwrap();
    assert_eq!(rig.disks.outlooks(&server(1)), told, "what is known already stays");
}
