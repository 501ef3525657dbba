//! Bodies whose bytes change on the disk after they were acknowledged.

use crate::conformance::make::{agent, at, batch, hello, on_disk};
use outband_schemas::{Cause, Lane};
use outband_store::sqlite::Options;
use outband_store::{Applied, GapFilter, Page, Poison, SqliteStore, Store};

const T: i64 = 100;

/// A store with three bodies, of which the disk spoilt the second.
fn spoilt() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let epoch = store.hello(&hello("a1", 1), at(T)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Telemetry, 1, &["one", "two", "six"]), at(T)).unwrap();
    store.close().unwrap();
    drop(store);
    let db = on_disk(&dir.path().join("store.db"));
    assert_eq!(db.execute("UPDATE ingest_log SET body = CAST('twp' AS BLOB) WHERE seq = 2", []).unwrap(), 1);
    drop(db);
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    (dir, store)
}

#[test]
fn a_body_that_is_not_what_came_is_handed_out_as_damaged_and_the_others_as_whole() {
    let (_dir, store) = spoilt();
    let rows = store.log_after(0, 10).unwrap();
    assert_eq!(rows.iter().map(|r| r.damaged).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn the_agent_is_compared_with_what_it_sent_and_not_with_what_the_disk_made_of_it() {
    let (_dir, store) = spoilt();
    let admission = store.hello(&hello("a1", 1), at(T)).unwrap();
    store.commit(batch(admission.epoch, Lane::Telemetry, 2, &["two", "six", "ten"]), at(T)).unwrap();
    let refused = store.commit(batch(admission.epoch, Lane::Telemetry, 2, &["twp"]), at(T));
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn what_was_kept_apart_is_counted_by_agent_with_the_newest_reason() {
    let (_dir, store) = spoilt();
    let rows = store.log_after(0, 10).unwrap();
    let poison = |row: usize, error: &str| Poison { row: rows[row].id, error: error.to_owned() };
    let through = Some(rows[2].id);
    let poison = vec![poison(0, "the older"), poison(1, "the newer")];
    store.apply(Applied { through, poison, ..Applied::default() }, at(T + 9)).unwrap();
    let found = store.poisoned(at(T)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].agent, found[0].count, found[0].since), (&agent("a1"), 2, at(T + 9)));
    assert_eq!(found[0].error, "the newer");
    assert_eq!(store.poisoned(at(T + 10)).unwrap(), []);
}

#[test]
fn what_a_body_held_that_the_disk_spoilt_is_told_as_a_gap_once_and_one_that_nobody_understands_is_not() {
    let (_dir, store) = spoilt();
    let rows = store.log_after(0, 10).unwrap();
    let poison = |row: usize| Poison { row: rows[row].id, error: "spoilt".to_owned() };
    let both = Applied { through: Some(rows[1].id), poison: vec![poison(0), poison(1)], ..Applied::default() };
    store.apply(both, at(T + 9)).unwrap();
    let again = Applied { through: Some(rows[2].id), poison: vec![poison(1)], ..Applied::default() };
    store.apply(again, at(T + 10)).unwrap();
    let filter = GapFilter { agent: Some(agent("a1")), ..GapFilter::default() };
    let gaps = store.gaps(&filter, &Page::first(10)).unwrap().rows;
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    let gap = &gaps[0].gap;
    assert!(gap.source.0.ends_with("/telemetry/2-2"), "{}", gap.source.0);
    assert!(gap.detail.contains("entry 2 of the telemetry lane changed on the collector's disk"), "{}", gap.detail);
    assert_eq!((gap.cause, gap.span), (Cause::Malformed, Some((at(T), at(T)))));
}
