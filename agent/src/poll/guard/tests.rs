use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// A clock that tests set.
#[derive(Clone)]
struct Wall(Arc<AtomicI64>);

impl Wall {
    fn at(secs: i64) -> Self {
        Self(Arc::new(AtomicI64::new(secs)))
    }

    fn set(&self, secs: i64) {
        self.0.store(secs, Ordering::SeqCst);
    }

    fn secs(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.secs())
    }
}

const START: i64 = 1_800_000_000;

fn bmc() -> Address {
    "https://10.0.0.1".parse().unwrap()
}

fn refuse(guard: &Guard) {
    guard.begin("root", &bmc()).unwrap().refused();
}

fn twice_refused() -> (TempDir, Wall, Guard) {
    let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
    let guard = Guard::with(dir.path(), wall.clone());
    refuse(&guard);
    wall.set(START + 10);
    refuse(&guard);
    (dir, wall, guard)
}

/// Another process, or the same after a restart.
fn another(dir: &TempDir, wall: &Wall) -> Guard {
    Guard::with(dir.path(), wall.clone())
}

#[test]
fn a_third_login_is_held_until_the_first_refusal_is_an_hour_old() {
    let (_dir, _, guard) = twice_refused();
    let held = guard.begin("root", &bmc()).unwrap_err();
    assert!(matches!(&held, Held::Refused { .. }), "{held}");
    assert!(held.until().as_secs() <= START + 10 + 3600 && held.until().as_secs() > START + 3500, "{held}");
}

#[test]
fn a_restart_does_not_forget_a_refusal() {
    let (dir, wall, guard) = twice_refused();
    drop(guard);
    assert_eq!(another(&dir, &wall).begin("root", &bmc()).unwrap_err().until().as_secs(), START + 3600);
    wall.set(START + 3600);
    assert!(another(&dir, &wall).begin("root", &bmc()).is_ok());
}

#[test]
fn both_protocols_of_one_bmc_and_no_other_bmc_or_user_share_a_count() {
    let (_dir, _, guard) = twice_refused();
    assert!(guard.begin("root", &"ipmi://10.0.0.1".parse().unwrap()).is_err());
    assert!(guard.begin("monitor", &bmc()).is_ok());
    assert!(guard.begin("root", &"https://10.0.0.2".parse().unwrap()).is_ok());
    assert!(guard.begin("root", &"https://10.0.0.1:8443".parse().unwrap()).is_ok());
}

#[test]
fn a_login_that_is_accepted_or_never_answered_does_not_count() {
    let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
    let guard = another(&dir, &wall);
    refuse(&guard);
    for _ in 0..5 {
        guard.begin("root", &bmc()).unwrap().accepted();
        drop(guard.begin("root", &bmc()).unwrap());
    }
    refuse(&guard);
    assert!(guard.begin("root", &bmc()).is_err());
}

#[test]
fn a_crash_in_the_midst_of_the_last_try_counts_as_a_refusal() {
    let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
    let guard = another(&dir, &wall);
    refuse(&guard);
    std::mem::forget(guard.begin("root", &bmc()).unwrap());
    assert!(another(&dir, &wall).begin("root", &bmc()).is_err());
}

#[test]
fn no_more_are_tried_at_once_than_may_be_refused() {
    let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
    let guard = another(&dir, &wall);
    let first = guard.begin("root", &bmc()).unwrap();
    let second = guard.begin("root", &bmc()).unwrap();
    assert!(matches!(guard.begin("root", &bmc()), Err(Held::Trying { .. })));
    first.refused();
    assert!(guard.begin("root", &bmc()).is_err(), "the second may be refused too");
    second.accepted();
    assert!(guard.begin("root", &bmc()).is_ok());
}

#[test]
fn a_clock_that_is_set_back_opens_nothing() {
    let (dir, wall, guard) = twice_refused();
    drop(guard);
    wall.set(START - 100_000);
    let held = another(&dir, &wall).begin("root", &bmc()).unwrap_err();
    assert_eq!(held.until().as_secs(), wall.secs() + 3600, "an hour from now, and no later");
    wall.set(START - 100_000 + 3600);
    assert!(another(&dir, &wall).begin("root", &bmc()).is_ok());
}

#[test]
fn a_clock_that_is_set_ahead_opens_nothing_in_a_process_that_runs() {
    let (_dir, wall, guard) = twice_refused();
    wall.set(START + 100_000);
    assert!(guard.begin("root", &bmc()).is_err());
}

#[test]
fn a_damaged_record_holds_logins_for_an_hour_after_it_was_written() {
    let (dir, wall, guard) = twice_refused();
    let written = crate::clock::SystemClock.now().as_secs();
    fs::write(guard.path(), b"{\"refused\":{\"root@10.0.0.1\":[18").unwrap();
    wall.set(written + 60);
    let held = another(&dir, &wall).begin("monitor", &bmc()).unwrap_err();
    assert!(matches!(&held, Held::Unknown { .. }), "{held}");
    assert!((3590..3610).contains(&(held.until().as_secs() - written)), "{held}");
    wall.set(written + 3700);
    let guard = another(&dir, &wall);
    refuse(&guard);
    refuse(&guard);
    assert!(guard.begin("root", &bmc()).is_err(), "and it is written anew");
}

#[test]
fn a_record_that_cannot_be_written_allows_no_last_try() {
    let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
    let guard = another(&dir, &wall);
    refuse(&guard);
    // Nothing can be renamed to the name of a directory that is not empty.
    fs::create_dir(dir.path().join("logins.json.new")).unwrap();
    assert!(matches!(guard.begin("root", &bmc()), Err(Held::Unknown { .. })));
    assert!(guard.begin("monitor", &bmc()).is_ok(), "who was never refused may try");
}

#[test]
fn the_record_is_for_its_owner_only_and_nothing_is_made_before_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let guard = Guard::of(&dir.path().join("data"));
    guard.begin("root", &bmc()).unwrap().accepted();
    assert!(!dir.path().join("data").exists());
    refuse(&guard);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(guard.path()), 0o600);
    assert_eq!(mode(&dir.path().join("data")), 0o700);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_hour_sees_more_than_two_refusals_whoever_tries(steps in prop::collection::vec((0i64..2000, any::<bool>(), any::<bool>()), 1..40)) {
        let (dir, wall) = (tempfile::tempdir().unwrap(), Wall::at(START));
        let mut guards = [another(&dir, &wall), another(&dir, &wall)];
        let mut refused = Vec::new();
        for (wait, who, restart) in steps {
            wall.set(wall.secs() + wait);
            // What a process saw by its own monotonic clock does not move with the clock of this test.
            guards[usize::from(who)] = another(&dir, &wall);
            if restart {
                guards[usize::from(!who)] = another(&dir, &wall);
            }
            if let Ok(attempt) = guards[usize::from(who)].begin("root", &bmc()) {
                attempt.refused();
                refused.push(wall.secs());
            }
        }
        prop_assert!(refused.windows(MOST + 1).all(|w| w[MOST] - w[0] >= 3600), "{refused:?}");
    }
}
