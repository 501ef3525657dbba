//! Bytes of `store.db` and of its log that change on the disk.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::Lane;
use outband_store::sqlite::{self, Options};
use outband_store::{Page, SqliteStore, Store, StoreError};
use std::fs;
use std::path::Path;

const BODY: &str = "a body that is looked for in the file";

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options { check_up_to_bytes: 0, ..Options::new(dir) }).unwrap()
}

fn filled(dir: &Path) -> SqliteStore {
    let store = open(dir);
    store.apply(applied(&["srv-1"]), at(0)).unwrap();
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    for seq in 1..=50 {
        store.commit(batch(epoch, Lane::Telemetry, seq, &[BODY]), at(1)).unwrap();
    }
    store
}

/// Makes another letter of the first such text.
fn spoil(file: &Path, text: &str) {
    let mut bytes = fs::read(file).unwrap();
    let place = bytes.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    bytes[place + 2] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn reserved(file: &Path) -> u8 {
    fs::read(file).unwrap()[20]
}

#[test]
fn another_letter_in_a_name_is_an_error_that_says_what_to_do_and_the_store_says_that_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    assert_eq!((reserved(&dir.path().join("store.db")), store.damage()), (8, None));
    store.close().unwrap();
    drop(store);
    spoil(&dir.path().join("store.db"), "SN-srv-1");
    let store = open(dir.path());
    let error = store.servers(None, &Page::first(9)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup (outband-collector restore)"), "{error}");
    let said = store.damage().unwrap();
    assert!(
        said.contains("page") && said.contains("is damaged") && said.contains("outband-collector restore"),
        "{said}"
    );
    assert_eq!(store.log_after(0, 100).unwrap().len(), 50, "what lies elsewhere is read");
}

#[test]
fn a_damaged_page_does_not_come_into_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    store.close().unwrap();
    drop(store);
    let copy = dir.path().join("copy.db");
    sqlite::copy(dir.path(), &copy).unwrap();
    assert_eq!(reserved(&copy), 8);
    spoil(&dir.path().join("store.db"), BODY);
    let error = sqlite::copy(dir.path(), &dir.path().join("other.db")).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_store_without_checksums_is_written_anew_at_its_start_with_all_that_is_in_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    store.close().unwrap();
    drop(store);
    // As the version before left it: no room for checksums, and the last commits in the log.
    let (file, old) = (dir.path().join("store.db"), dir.path().join("of the version before.db"));
    let db = on_disk(&file);
    db.execute("VACUUM INTO ?1", [format!("file:{}?vfs=unix", old.display())]).unwrap();
    drop(db);
    let mut bytes = fs::read(&old).unwrap();
    if bytes[20] != 0 {
        // SQLite keeps the room once it is there: a file without any is made by hand.
        let plain = rusqlite::Connection::open(dir.path().join("plain.db")).unwrap();
        plain.execute("ATTACH ?1 AS old", [old.to_str().unwrap()]).unwrap();
        let sql = |kind: &str| -> Vec<(String, String)> {
            plain
                .prepare("SELECT name, sql FROM old.sqlite_schema WHERE type = ?1 AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
                .unwrap()
                .query_map([kind], |r| Ok((r.get(0)?, r.get(1)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect()
        };
        for (name, sql) in sql("table") {
            plain.execute_batch(&format!("{sql}; INSERT INTO main.\"{name}\" SELECT * FROM old.\"{name}\"")).unwrap();
        }
        for (_, sql) in sql("index").into_iter().chain(sql("trigger")) {
            plain.execute_batch(&sql).unwrap();
        }
        drop(plain);
        bytes = fs::read(dir.path().join("plain.db")).unwrap();
    }
    assert_eq!(bytes[20], 0);
    fs::write(&file, bytes).unwrap();
    let plain = rusqlite::Connection::open(&file).unwrap();
    plain.execute_batch("PRAGMA journal_mode = WAL; UPDATE state SET cursor = 7").unwrap();
    fs::copy(dir.path().join("store.db-wal"), dir.path().join("log")).unwrap();
    let unfolded = fs::read(&file).unwrap();
    drop(plain);
    fs::write(&file, unfolded).unwrap();
    fs::copy(dir.path().join("log"), dir.path().join("store.db-wal")).unwrap();

    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    assert_eq!((store.cursor().unwrap(), store.log_after(0, 100).unwrap().len()), (7, 50));
    assert_eq!((reserved(&file), store.damage()), (8, None));
    assert!(!dir.path().join("store.db.new").exists());
    store.close().unwrap();
    drop(store);
    assert_eq!(SqliteStore::open(&Options::new(dir.path())).unwrap().cursor().unwrap(), 7);
}

#[test]
fn commits_that_a_damaged_log_lost_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    // As a power cut leaves it.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    drop(store);
    spoil(&crashed.path().join("store.db-wal"), BODY);
    let store = open(crashed.path());
    let said = store.damage().unwrap();
    assert!(said.contains("commits after it are lost"), "{said}");
    assert!(store.log_after(0, 100).unwrap().len() < 50);
}
