//! A store of every version that there was opens with this one, with all that was in it.

use crate::conformance::make::*;
use outband_schemas::Lane;
use outband_store::sqlite::Options;
use outband_store::{EventFilter, GapFilter, Page, SqliteStore, Store, StoreError};
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// All migrations by their numbers, as they lie in the source: what is released.
fn migrations() -> Vec<(i64, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/sql/sqlite");
    let mut all: Vec<(i64, String)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name.split('_').next().unwrap().parse().unwrap(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

const EVENT: &str = r#"{"component":"fan/1","log":"sel","id":"1","kind":"fan_limit","severity":"warning","deasserted":false,"message":"slow",
    "code":"","bmc_time":null,"observed_at":1800000000000,"source":"sel:1","raw":"00"}"#;

/// A store at this version, with what a collector of the first one would have had in it.
fn of_version(dir: &Path, version: i64) {
    let db = on_disk(&dir.join("store.db"));
    db.execute_batch("CREATE TABLE schema_version (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT")
        .unwrap();
    for (number, sql) in migrations().iter().filter(|(number, _)| *number <= version) {
        db.execute_batch(sql).unwrap();
        let checksum = format!("{:08x}", crc32c::crc32c(sql.as_bytes()));
        db.execute("INSERT INTO schema_version VALUES (?1, ?2)", (number, checksum)).unwrap();
        if *number == 1 {
            fill(&db);
        }
    }
}

fn fill(db: &Connection) {
    let spool = spool(1).to_string();
    db.execute_batch(&format!(
        "INSERT INTO agent VALUES ('a1', 'dc1', '0.0.1', '[\"bmc-1\"]', 60000, '{spool}', 3, 1800000000000, 1800000005000);
         INSERT INTO lane VALUES (1, 'a1', '{spool}', 1, 0, 0, NULL);
         INSERT INTO lane VALUES (2, 'a1', '{spool}', 2, 3, 3, 1800000004000);
         INSERT INTO ingest_log (id, lane_id, seq, received_at, body) VALUES
            (1, 2, 1, 1800000001000, CAST('one' AS BLOB)), (2, 2, 2, 1800000002000, CAST('two' AS BLOB)),
            (3, 2, 3, 1800000003000, CAST('three' AS BLOB));
         UPDATE state SET cursor = 1;
         INSERT INTO server VALUES ('s1', 'dc1', '{{\"serial\":\"SN-s1\"}}', 1800000000000, 1800000003000, NULL, 0);
         INSERT INTO target VALUES ('a1', 't-s1', 's1');"
    ))
    .unwrap();
    db.execute("INSERT INTO event VALUES (1, 's1', 'key', 2, 1800000000000, 1800000001000, ?1)", [EVENT]).unwrap();
}

#[test]
fn a_store_of_every_version_opens_with_this_one_and_goes_on_where_it_was() {
    let all = migrations();
    for (version, _) in &all {
        let dir = tempfile::tempdir().unwrap();
        of_version(dir.path(), *version);
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap_or_else(|e| panic!("version {version}: {e}"));
        let rows = store.log_after(0, 10).unwrap();
        let bodies: Vec<_> = rows.iter().map(|r| String::from_utf8_lossy(&r.body).into_owned()).collect();
        assert_eq!(bodies, ["one", "two", "three"], "version {version}");
        assert_eq!(store.cursor().unwrap(), 1, "version {version}");
        let events = store.events(&EventFilter::default(), &Page::first(10)).unwrap().rows;
        assert_eq!(events.len(), 1, "version {version}");
        assert_eq!(events[0].event.message, "slow");
        assert_eq!(store.servers(None, &Page::first(10)).unwrap().rows.len(), 1, "version {version}");
        // The stream goes on at its mark: what comes again is known, what is new is taken.
        let admission = store.hello(&hello("a1", 1), at(10)).unwrap();
        assert_eq!(admission.marks, [(Lane::Event, 0), (Lane::Telemetry, 3)], "version {version}");
        let more = store.commit(batch(admission.epoch, Lane::Telemetry, 3, &["three", "four"]), at(11)).unwrap();
        assert_eq!((more.through, more.stored), (4, 1), "version {version}");
        assert!(store.gaps(&GapFilter::default(), &Page::first(10)).unwrap().rows.is_empty());
        store.seal(at(100_000)).unwrap();
        store.close().unwrap();
        let db = on_disk(&dir.path().join("store.db"));
        let applied: i64 = db.query_row("SELECT count(*) FROM schema_version", [], |r| r.get(0)).unwrap();
        assert_eq!(
            usize::try_from(applied).unwrap(),
            all.len(),
            "version {version}: not every migration is registered"
        );
        let whole: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(whole, "ok", "version {version}");
    }
}

#[test]
fn a_migration_that_is_cut_off_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    of_version(dir.path(), 1);
    // As if the second one had been half done by something that knows no transactions.
    let db = on_disk(&dir.path().join("store.db"));
    db.execute_batch("CREATE TABLE deadline (half INTEGER)").unwrap();
    drop(db);
    let error = SqliteStore::open(&Options::new(dir.path())).unwrap_err();
    assert!(!matches!(error, StoreError::NewerSchema { .. }), "{error}");
    let db = on_disk(&dir.path().join("store.db"));
    let applied: i64 = db.query_row("SELECT max(number) FROM schema_version", [], |r| r.get(0)).unwrap();
    assert_eq!(applied, 1, "a migration that failed counts as done");
    db.execute_batch("DROP TABLE deadline").unwrap();
    drop(db);
    assert_eq!(SqliteStore::open(&Options::new(dir.path())).unwrap().log_after(0, 10).unwrap().len(), 3);
}
