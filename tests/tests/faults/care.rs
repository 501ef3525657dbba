//! Care of the store, with the real programs: disks that are full or take nothing, a store of a newer version, a check of what is stored.

use crate::clock::{Clocks, DAY};
use crate::ground::{Ext4, Ground, PATIENCE, Tmpfs, number};
use outband_schemas::Timestamp;
use outband_store::sqlite::Options;
use outband_store::{HistoryFilter, Page, SeriesFilter, SqliteStore, Store};
use outband_tests::{skip, wait_until};
use rusqlite::OpenFlags;
use std::collections::BTreeSet;
use std::path::Path;

/// Every reading of the store that is in history, by what and when.
fn readings(dir: &Path) -> BTreeSet<String> {
    let store = SqliteStore::open(&Options::new(dir)).unwrap();
    let (from, to) = (Timestamp::from_secs(1_000_000_000), Timestamp::from_secs(4_000_000_000));
    let filter = HistoryFilter { series: SeriesFilter::default(), from, to };
    let (mut page, mut all) = (Page::first(1000), BTreeSet::new());
    loop {
        let listing = store.history(&filter, &page).unwrap();
        for p in listing.rows {
            assert!(all.insert(format!("{p:?}")), "a reading is doubled: {p:?}");
        }
        match listing.next {
            Some(token) => page.token = Some(token),
            None => break,
        }
    }
    store.close().unwrap();
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &name);
        } else if path.file_name().is_some_and(|n| n != "filler") {
            std::fs::copy(&path, name).unwrap();
        }
    }
}

#[test]
fn where_history_is_full_ingest_goes_on_and_nothing_is_lost() {
    let mut ground = Ground::new(2, "");
    let Some(history) = Tmpfs::mount(ground.stack.collector_dir().join("history"), 512) else {
        return skip("a full disk of history: no file system can be mounted here");
    };
    let Some(clocks) = Clocks::under(&mut ground) else { return skip("full history: there is no C compiler") };
    // What is of yesterday is due to be sealed at once.
    clocks.set("outband-agent", -DAY);
    ground.start();
    ground.flows(20);
    history.fill();
    ground.stack.stop_collector().unwrap();
    ground.stack.start_collector().unwrap();
    ground.says("outband-collector", "upkeep of the store failed; it is tried again");
    ground.happen(2);
    ground.flows(6);
    ground.each_event_is_there_once();
    ground.stop();
    let before = {
        let there = ground.root.path().join("before");
        copy(&ground.stack.collector_dir(), &there);
        readings(&there)
    };
    assert!(before.len() > 100, "only {} readings", before.len());
    assert_eq!(ground.number("SELECT count(*) FROM volume"), 0, "something was sealed on a full disk");
    history.clear();
    ground.start();
    let sealed = wait_until(PATIENCE, || ground.number("SELECT count(*) FROM volume WHERE class = 0") > 0);
    assert!(sealed, "{}", ground.tails());
    ground.flows(2);
    ground.stop();
    let after = readings(&ground.stack.collector_dir());
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "{} readings are lost: {:?}", lost.len(), lost.first());
    ground.ledger();
}

#[test]
fn a_disk_that_becomes_read_only_turns_ingest_away_while_questions_are_answered() {
    let mut ground = Ground::new(2, "");
    let Some(clocks) = Clocks::under(&mut ground) else { return skip("read-only disks: there is no C compiler") };
    ground.start();
    ground.flows(10);
    ground.happen(1);
    ground.each_event_is_there_once();
    clocks.read_only("outband-collector", true);
    ground.happen(2);
    ground.says("outband-collector", "a batch cannot be stored; the agent keeps it");
    for words in [&["servers", "-o", "json"][..], &["agents", "-o", "json"], &["events", "-o", "json"]] {
        let answer = ground.stack.outband().args(words).env("LC_ALL", "C").output().unwrap();
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stderr));
        assert!(answer.stdout.len() > 10, "{words:?}");
    }
    clocks.read_only("outband-collector", false);
    ground.flows(4);
    ground.each_event_is_there_once();
    clocks.read_only("outband-agent", true);
    ground.happen(2);
    ground.says("outband-agent", "the spool takes nothing; polls of this target wait");
    clocks.read_only("outband-agent", false);
    ground.flows(4);
    ground.each_event_is_there_once();
    ground.stop();
    ground.ledger();
    assert_eq!(ground.number("SELECT count(DISTINCT spool_id) FROM lane"), 1, "the spool was given up");
}

#[test]
fn a_file_system_that_gives_up_turns_ingest_away_while_questions_are_answered_and_nothing_is_lost() {
    let mut ground = Ground::new(2, "");
    let (image, at) = (ground.root.path().join("disk.img"), ground.stack.collector_dir());
    let Some(disk) = Ext4::mount(image, at) else { return skip("a file system that gives up: no mounting here") };
    ground.start();
    ground.flows(10);
    ground.happen(1);
    ground.each_event_is_there_once();
    disk.gives_up();
    ground.happen(2);
    ground.says("outband-collector", "a batch cannot be stored; the agent keeps it");
    for words in [&["servers", "-o", "json"][..], &["agents", "-o", "json"], &["events", "-o", "json"]] {
        let answer = ground.stack.outband().args(words).env("LC_ALL", "C").output().unwrap();
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stderr));
    }
    ground.stack.kill_collector().unwrap();
    disk.again();
    ground.stack.start_collector().unwrap();
    ground.flows(4);
    ground.each_event_is_there_once();
    ground.stop();
    ground.ledger();
    assert_eq!(ground.number("SELECT count(DISTINCT spool_id) FROM lane"), 1, "the spool was given up");
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_name_and_left_as_it_is() {
    let mut ground = Ground::new(1, "");
    ground.stack.start_collector().unwrap();
    assert!(ground.stack.stop_collector().unwrap().is_some_and(|s| s.success()));
    let path = ground.stack.store();
    {
        outband_pages::install().unwrap();
        let flags = OpenFlags::default();
        let db = rusqlite::Connection::open_with_flags_and_vfs(&path, flags, outband_pages::PAGES).unwrap();
        db.execute("INSERT INTO schema_version VALUES (999, 'of the future')", []).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let output = ground.collector("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the store has schema 999") && said.contains("run the newer version"), "{said}");
    assert!(std::fs::read(&path).unwrap() == bytes, "it was changed");
    assert_eq!(number(&path, "SELECT max(number) FROM schema_version"), 999);
}
