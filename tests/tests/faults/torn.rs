//! Killed in mid-stream, and what was written last is torn off or spoilt: the write-ahead logs of store and spool, cut at any byte or with bits that
//! flipped; bits that flipped in the spool's main file.

use crate::ground::{Ground, setting};
use outband_tests::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Cuts a file at a random byte. Whether there was something to cut.
fn cut(path: &Path, random: &mut StdRng) -> bool {
    let Ok(length) = fs::metadata(path).map(|m| m.len()) else { return false };
    if length == 0 {
        return false;
    }
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(random.random_range(0..length)).unwrap();
    true
}

/// Flips bits of a file. Whether there was something to flip.
pub(crate) fn flip(path: &Path, bits: usize, random: &mut StdRng) -> bool {
    let Ok(mut bytes) = fs::read(path) else { return false };
    if bytes.is_empty() {
        return false;
    }
    for _ in 0..bits {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    fs::write(path, bytes).unwrap();
    true
}

#[test]
fn what_is_torn_off_or_spoilt_after_a_kill_comes_again_or_is_told() {
    let (rounds, seed) = (setting("OUTBAND_FAULT_ROUNDS", 7), setting("OUTBAND_FAULT_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new(3, "");
    ground.start();
    ground.flows(15);
    let stop = Arc::new(AtomicBool::new(false));
    let happening = ground.keep_happening(&stop);
    let (store, spool) = (ground.stack.store(), ground.stack.spool());
    let mut done = std::collections::BTreeMap::<&str, usize>::new();
    for round in 0..rounds {
        let more = random.random_range(1..12);
        ground.flows(more);
        std::thread::park_timeout(Duration::from_millis(random.random_range(0..60)));
        // What was acknowledged is in two places: one of them at a time is spoilt.
        let what = match (round + seed) % 7 {
            0 => "kill agent",
            1 => "kill collector",
            2 => "cut the store's log",
            3 => "flip bits of the store's log",
            4 => "cut the spool's log",
            5 => "flip bits of the spool's log",
            _ => "flip bits of the spool",
        };
        let of_spool = what.contains("spool");
        if what != "kill collector" {
            ground.stack.kill_agent().unwrap();
        }
        if of_spool {
            // What the collector acknowledged is on its disk for good: the spool is the only thing that is spoilt.
            assert!(ground.stack.stop_collector().unwrap().is_some_and(|s| s.success()));
        } else if what != "kill agent" {
            ground.stack.kill_collector().unwrap();
        }
        let hit = match what {
            "cut the store's log" => cut(&beside(&store, "-wal"), &mut random),
            "flip bits of the store's log" => flip(&beside(&store, "-wal"), 3, &mut random),
            "cut the spool's log" => cut(&beside(&spool, "-wal"), &mut random),
            "flip bits of the spool's log" => flip(&beside(&spool, "-wal"), 3, &mut random),
            "flip bits of the spool" => flip(&spool, 3, &mut random),
            _ => true,
        };
        if hit {
            *done.entry(what).or_default() += 1;
        }
        if of_spool || what != "kill agent" {
            if what == "kill collector" {
                ground.stack.kill_agent().unwrap();
            }
            ground.stack.start_collector().unwrap();
            ground.stack.start_agent().unwrap();
        } else {
            ground.stack.start_agent().unwrap();
        }
        ground.flows(2);
    }
    stop.store(true, Ordering::Relaxed);
    happening.join().unwrap();
    ground.each_event_is_there_once();
    ground.flows(6);
    assert!(ground.stack.stop_agent().unwrap().is_some_and(|s| s.success()), "the agent did not end well");
    let assessed =
        || ground.number("SELECT cursor FROM state") == ground.number("SELECT coalesce(max(id), 0) FROM ingest_log");
    assert!(wait_until(crate::ground::PATIENCE, assessed), "{}", ground.tails());
    assert!(ground.stack.stop_collector().unwrap().is_some_and(|s| s.success()), "the collector did not end well");
    let compared = ground.ledger();
    let spools = ground.number("SELECT count(DISTINCT spool_id) FROM lane");
    let gaps = ground.number("SELECT count(*) FROM gap WHERE agent IS NOT NULL");
    eprintln!(
        "{rounds} rounds, seed {seed}: {done:?}; {} log entries, each stored once; {compared} records compared with the spool; {spools} lives of the spool, {gaps} gaps told",
        ground.written()
    );
    assert!(spools == 1 || gaps > 0, "the spool began anew {} times, and no gap tells of it", spools - 1);
    assert_eq!(ground.number("SELECT count(*) FROM quarantine"), 0, "nothing that came was spoilt");
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM ticket GROUP BY server, component, fault HAVING count(*) > 1)";
    assert_eq!(ground.number(doubled), 0, "a ticket is doubled");
}
