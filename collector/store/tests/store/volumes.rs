//! The files of history: what they must survive.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::{SensorKind, Timestamp};
use outband_store::audit::{Actor, Deed};
use outband_store::history::History;
use outband_store::keeping::{CustomerErasure, Keeping};
use outband_store::rollup::Resolution;
use outband_store::sqlite::Options;
use outband_store::volume::{Class, Volume};
use outband_store::{Applied, HistoryFilter, Page, Retention, SeriesFilter, SqliteStore, Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};

const DAY: i64 = 86_400;

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

fn everything() -> HistoryFilter {
    HistoryFilter {
        series: SeriesFilter { kind: Some(SensorKind::FanSpeed), ..SeriesFilter::default() },
        from: Timestamp::from_millis(i64::MIN),
        to: Timestamp::from_millis(i64::MAX),
    }
}

fn put(store: &SqliteStore, name: &str, secs: &[i64]) {
    let list = secs.iter().map(|s| reading(fan("Fan 1"), *s, *s as f64)).collect();
    store.apply(Applied { readings: vec![readings(name, list)], ..applied(&[name]) }, at(0)).unwrap();
}

/// The moments of what is stored, in seconds; `None` where one cannot be read.
fn seen(store: &SqliteStore) -> Vec<Option<i64>> {
    let rows = store.history(&everything(), &Page::first(100_000)).unwrap().rows;
    rows.iter().map(|p| p.value.as_ref().and_then(|v| v.as_number()).map(|n| n as i64)).collect()
}

fn hours(store: &SqliteStore) -> usize {
    store.summaries(&everything(), Resolution::Hour, &Page::first(100_000)).unwrap().rows.len()
}

fn file(dir: &Path, class: Class, secs: i64) -> PathBuf {
    dir.join("history").join(Volume::holding(class, at(secs)).unwrap().file_name())
}

/// Three weeks, a reading each six hours.
fn three_weeks() -> Vec<i64> {
    (0..84).map(|n| n * 6 * 3600).collect()
}

fn sealed(dir: &Path) -> SqliteStore {
    let store = open(dir);
    put(&store, "s1", &three_weeks());
    store.seal(at(22 * DAY)).unwrap();
    store
}

#[test]
fn a_week_that_is_missing_is_told_as_such_and_the_others_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = sealed(dir.path());
    let (whole, path) = (seen(&store), file(dir.path(), Class::Raw, 7 * DAY));
    drop(store);
    let kept = dir.path().join("kept");
    fs::rename(&path, &kept).unwrap();
    let store = open(dir.path());
    assert!(store.damage().unwrap().contains("raw-2027-W03.db: it is missing"), "{:?}", store.damage());
    let left = seen(&store);
    assert_eq!(left.iter().filter(|s| s.is_none()).count(), 1, "one point says that the week is lost");
    assert_eq!(left.iter().flatten().count(), whole.len() - 28);
    drop(store);
    fs::rename(&kept, &path).unwrap();
    let store = open(dir.path());
    assert_eq!((store.damage(), seen(&store)), (None, whole), "it is back, and nothing is wrong any more");
}

#[test]
fn a_damaged_week_is_set_aside_when_it_is_written_to_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = sealed(dir.path());
    let whole = seen(&store);
    let path = file(dir.path(), Class::Raw, 7 * DAY);
    drop(store);
    let good = fs::read(&path).unwrap();
    fs::write(&path, vec![7; good.len()]).unwrap();
    let store = open(dir.path());
    assert!(store.damage().is_some());
    put(&store, "s1", &[7 * DAY + 1, 15 * DAY + 1]);
    assert_eq!(store.seal(at(22 * DAY)).unwrap().points, 2 + 1, "one of them joins another in its window");
    let left: Vec<i64> = seen(&store).into_iter().flatten().collect();
    assert!(left.contains(&(7 * DAY + 1)) && left.contains(&(15 * DAY + 1)));
    assert!(seen(&store).contains(&None), "what was lost is still told");
    assert!(path.with_extension("damaged-1").exists());
    drop(store);
    let store = open(dir.path());
    assert!(store.damage().is_some(), "after a restart, too");
    drop(store);
    // The file is put back from a backup.
    fs::write(&path, good).unwrap();
    let store = open(dir.path());
    assert_eq!(store.damage(), None);
    assert_eq!(seen(&store).iter().flatten().count(), whole.len() + 1, "all but what came between");
}

#[test]
fn bits_that_turned_in_a_large_file_are_found_while_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(sealed(dir.path()));
    let path = file(dir.path(), Class::Raw, 7 * DAY);
    let db = rusqlite::Connection::open(&path).unwrap();
    let (key, mut body): (i64, Vec<u8>) =
        db.query_row("SELECT key, body FROM chunk LIMIT 1 OFFSET 5", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    let middle = body.len() / 2;
    body[middle] ^= 4;
    db.execute("UPDATE chunk SET body = ?2 WHERE key = ?1", (key, body)).unwrap();
    drop(db);
    let store = SqliteStore::open(&Options { check_up_to_bytes: 0, ..Options::new(dir.path()) }).unwrap();
    let begun = std::time::Instant::now();
    while store.damage().is_none() {
        assert!(begun.elapsed().as_secs() < 20, "nothing was found");
        std::thread::yield_now();
    }
    let found = store.damage().unwrap();
    assert!(found.contains("raw-2027-W03.db: 1 rows are damaged"), "{found}");
    assert_eq!(seen(&store).iter().filter(|s| s.is_none()).count(), 1, "the others are told");
}

#[test]
fn another_file_in_the_place_of_one_is_not_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(sealed(dir.path()));
    fs::copy(file(dir.path(), Class::Raw, 14 * DAY), file(dir.path(), Class::Raw, 7 * DAY)).unwrap();
    let store = open(dir.path());
    assert!(store.damage().unwrap().contains("another file"), "{:?}", store.damage());
    assert_eq!(seen(&store).iter().filter(|s| s.is_none()).count(), 1);
}

#[test]
fn what_a_crash_left_in_a_file_and_in_the_journal_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "s1", &three_weeks());
    drop(store);
    let before: Vec<_> = ["store.db", "store.db-wal"]
        .into_iter()
        .filter_map(|name| Some((name, fs::read(dir.path().join(name)).ok()?)))
        .collect();
    let store = open(dir.path());
    let whole = (seen(&store), hours(&store));
    store.seal(at(45 * DAY)).unwrap();
    drop(store);
    // The main file as it was before: the files of history hold what it does not know.
    for (name, bytes) in before {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let store = open(dir.path());
    assert_eq!((seen(&store), hours(&store)), whole);
    store.seal(at(45 * DAY)).unwrap();
    assert_eq!((seen(&store), hours(&store), store.damage()), (whole.0, whole.1, None));
}

#[test]
fn chunks_that_an_older_version_left_in_the_main_file_are_read_there_and_moved() {
    let dir = tempfile::tempdir().unwrap();
    let store = sealed(dir.path());
    let whole = (seen(&store), hours(&store));
    drop(store);
    // As the version before had them.
    let db = on_disk(&dir.path().join("store.db"));
    for week in 0..5 {
        let volume = Volume::holding(Class::Raw, at(week * 7 * DAY)).unwrap();
        let Ok(old) = rusqlite::Connection::open_with_flags(
            file(dir.path(), Class::Raw, week * 7 * DAY),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        ) else {
            continue;
        };
        let mut query = old.prepare("SELECT key, body FROM chunk").unwrap();
        let rows = query.query_map([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?))).unwrap();
        for (key, body) in rows.map(Result::unwrap) {
            let start = volume.start + (key >> 40) * 2 * 3_600_000;
            db.execute("INSERT INTO chunk VALUES (?1, ?2, 1, ?3)", (start, Volume::series(key), body)).unwrap();
        }
    }
    db.execute_batch("DELETE FROM volume; DELETE FROM roll_due;").unwrap();
    fs::remove_dir_all(dir.path().join("history")).unwrap();
    let chunks = || db.query_row("SELECT count(*) FROM chunk", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(chunks(), 84);
    let store = open(dir.path());
    assert_eq!((seen(&store), hours(&store)), whole);
    store.seal(at(22 * DAY)).unwrap();
    assert_eq!((seen(&store), hours(&store)), whole);
    assert_eq!(chunks(), 0);
    assert!(file(dir.path(), Class::Raw, 0).exists());
}

#[test]
fn where_history_cannot_be_written_agents_are_turned_away_once_memory_is_full_and_queries_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options { max_head_bytes: 600, ..Options::new(dir.path()) }).unwrap();
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let commit = |seq| store.commit(batch(epoch, outband_schemas::Lane::Telemetry, seq, &["x"]), at(1));
    put(&store, "s1", &three_weeks());
    // In the place of the directory: nothing can be made in it, whoever asks.
    fs::write(dir.path().join("history"), "").unwrap();
    let error = store.seal(at(22 * DAY)).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let refused = commit(1).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert_eq!((seen(&store).len(), hours(&store)), (84, 84), "it still answers");
    assert!(store.expire(at(22 * DAY), &Retention::default()).is_err() || seen(&store).len() == 84);
    fs::remove_file(dir.path().join("history")).unwrap();
    assert_eq!(store.seal(at(22 * DAY)).unwrap().points, 84);
    assert_eq!(commit(1).unwrap().through, 1);
    assert_eq!(seen(&store).len(), 84);
}

#[test]
fn an_erased_customer_is_in_no_file_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "gone", &three_weeks());
    put(&store, "stays", &three_weeks());
    store.seal(at(45 * DAY)).unwrap();
    put(&store, "gone", &[44 * DAY]);
    let erasure = |dry_run| CustomerErasure {
        servers: [server_id("gone")].into(),
        records: true,
        dry_run,
        ..CustomerErasure::default()
    };
    let erase = |dry_run| {
        let actor = Actor { name: "wang".to_owned(), peer: None };
        let deed = Deed {
            at: at(45 * DAY),
            role: String::new(),
            method: "test".to_owned(),
            resource: String::new(),
            detail: String::new(),
            outcome: outband_store::audit::Outcome::Done,
            request_id: None,
            before: None,
            after: None,
        };
        store.erase_customer(&erasure(dry_run), actor, deed).unwrap().rows
    };
    let counted = erase(true);
    assert!(counted > 84, "{counted}");
    assert!(erase(false) >= counted);
    let servers = || {
        let rows = store.history(&everything(), &Page::first(9999)).unwrap().rows;
        rows.into_iter().map(|p| p.server.to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(servers(), ["stays".to_owned()].into());
    // Nothing comes back with the next seal, or with a restart.
    store.seal(at(46 * DAY)).unwrap();
    drop(store);
    let store = open(dir.path());
    store.seal(at(46 * DAY)).unwrap();
    for resolution in Resolution::ALL {
        let rows = store.summaries(&everything(), resolution, &Page::first(9999)).unwrap().rows;
        assert!(!rows.is_empty() && rows.iter().all(|s| s.server.as_str() == "stays"));
    }
    assert_eq!(seen(&store).len(), 84);
}

#[test]
fn a_backup_of_the_main_file_and_of_files_copied_later_is_whole() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    put(&store, "s1", &three_weeks());
    store.seal(at(10 * DAY)).unwrap();
    outband_store::sqlite::copy(dir.path(), &to.path().join("store.db")).unwrap();
    // What is sealed between the two copies is in both.
    store.seal(at(45 * DAY)).unwrap();
    fs::create_dir(to.path().join("history")).unwrap();
    for name in outband_store::sqlite::history_files(dir.path()).unwrap() {
        let copied = outband_store::sqlite::still(&dir.path().join(&name), || {
            fs::copy(dir.path().join(&name), to.path().join(&name))
        });
        copied.unwrap().unwrap();
    }
    let restored = open(to.path());
    assert_eq!((seen(&restored), hours(&restored)), (seen(&store), hours(&store)));
    restored.seal(at(45 * DAY)).unwrap();
    assert_eq!((seen(&restored), hours(&restored), restored.damage()), (seen(&store), hours(&store), None));
}
