//! The layer under real files of SQLite.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_pages::{NEW_PAGES, PAGES, RESERVED, Where, cut, fault, forget, install};
use rusqlite::ffi::SQLITE_IOERR_DATA;
use rusqlite::{Connection, FileControl, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn open(path: &Path) -> Connection {
    install().unwrap();
    let is_new = !path.exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags_and_vfs(path, flags, PAGES).unwrap();
    if is_new {
        db.file_control(None::<&str>, FileControl::ReserveBytes(&mut i32::from(RESERVED))).unwrap();
    }
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").unwrap();
    db
}

fn filled(path: &Path, rows: u32) -> Connection {
    let db = open(path);
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL)").unwrap();
    for id in 0..rows {
        db.execute(
            "INSERT INTO t VALUES (?1, ?2)",
            (id, format!("text of row {id} {}", "x".repeat(id as usize * 7 % 6000))),
        )
        .unwrap();
    }
    db
}

fn checkpoint(db: &Connection) {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn bodies(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT body FROM t ORDER BY id")?.query_map([], |r| r.get(0))?.collect()
}

fn flip(path: &Path, bit: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], bit / 8).unwrap();
}

fn bits(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len() * 8
}

fn log_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[test]
fn a_file_with_checksums_tells_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 200);
    let before = bodies(&db).unwrap();
    checkpoint(&db);
    drop(db);
    assert_eq!(bodies(&open(&path)).unwrap(), before);
    assert_eq!(std::fs::read(&path).unwrap()[20], RESERVED);
    assert_eq!(fault(&path), None);
    // Others may read it.
    assert_eq!(bodies(&Connection::open(&path).unwrap()).unwrap(), before);
}

#[test]
fn a_flipped_bit_of_the_file_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 60);
    let before = bodies(&db).unwrap();
    checkpoint(&db);
    drop(db);
    let mut failed = 0;
    for bit in (0..bits(&path)).step_by(61) {
        flip(&path, bit);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        match Connection::open_with_flags_and_vfs(&path, flags, PAGES).and_then(|db| bodies(&db)) {
            Ok(told) => assert_eq!(told, before, "bit {bit}"),
            Err(_) => failed += 1,
        }
        flip(&path, bit);
    }
    assert!(failed > 1000, "only {failed} met");
}

#[test]
fn each_flipped_bit_of_a_page_in_use_fails_with_the_code_of_damaged_data_and_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 60);
    checkpoint(&db);
    drop(db);
    flip(&path, 3 * 4096 * 8 + 20_000);
    let error = bodies(&open(&path)).unwrap_err();
    assert_eq!(error.sqlite_error().unwrap().extended_code, SQLITE_IOERR_DATA);
    let met = fault(&path).unwrap();
    assert_eq!((met.place, met.number), (Where::Page, 4));
    forget(&path);
    assert_eq!(fault(&path), None);
}

#[test]
fn a_flipped_byte_that_says_that_there_are_checksums_does_not_turn_them_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 60);
    checkpoint(&db);
    drop(db);
    for bit in 0..8 {
        flip(&path, 20 * 8 + bit);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let told = Connection::open_with_flags_and_vfs(&path, flags, PAGES).and_then(|db| bodies(&db));
        assert!(told.is_err(), "bit {bit}");
        flip(&path, 20 * 8 + bit);
    }
}

#[test]
fn flipped_bits_of_the_log_are_errors_while_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 120);
    let before = bodies(&db).unwrap();
    let log = log_of(&path);
    let (mut failed, step) = (0, 12_347 * 8 + 3);
    for bit in (0..bits(&log)).step_by(step) {
        flip(&log, bit);
        let reader = Connection::open_with_flags_and_vfs(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, PAGES).unwrap();
        match bodies(&reader) {
            Ok(told) => assert_eq!(told, before),
            Err(error) => {
                assert_eq!(error.sqlite_error().unwrap().extended_code, SQLITE_IOERR_DATA);
                assert_eq!(fault(&path).unwrap().place, Where::Log);
                failed += 1;
            }
        }
        flip(&log, bit);
    }
    assert!(failed > 3, "only {failed} met");
}

#[test]
fn what_flipped_in_the_log_does_not_come_into_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 120);
    checkpoint(&db);
    db.execute("UPDATE t SET body = 'the newest text of this row' WHERE id = 7", []).unwrap();
    let log = log_of(&path);
    flip(&log, (32 + 24 + 2000) * 8);
    let folded = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap_err();
    assert_eq!(folded.sqlite_error().unwrap().extended_code, SQLITE_IOERR_DATA);
    assert_eq!(fault(&path).unwrap().place, Where::Log);
}

#[test]
fn a_damaged_log_leaves_the_file_as_it_was_and_a_restart_finds_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 120);
    checkpoint(&db);
    for round in 0..40 {
        db.execute("UPDATE t SET body = ?1", [format!("round {round} {}", "x".repeat(300))]).unwrap();
    }
    let (file, log) = (std::fs::read(&path).unwrap(), log_of(&path));
    // A frame in the middle, of which newer ones hold the page: no checkpoint reads it.
    flip(&log, (32 + 50 * (24 + 4096) + 24 + 2000) * 8);
    assert!(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).is_err());
    assert!(std::fs::read(&path).unwrap() == file, "pages of the log came into the file");
    drop(db);
    assert!(cut(&log).unwrap().is_some());
    let told = bodies(&open(&path)).unwrap();
    assert!(told.iter().all(|body| *body == told[0]), "of several moments");
}

#[test]
fn transactions_larger_than_the_cache_that_write_pages_again_and_again_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 400);
    db.execute_batch("PRAGMA cache_size = 10; PRAGMA cache_spill = 10").unwrap();
    for round in 0..6 {
        db.execute_batch("BEGIN").unwrap();
        for pass in 0..3 {
            for id in 0..400_u32 {
                let body = format!("{round} {pass} {id} {}", "y".repeat((id as usize * 13 + pass * 500) % 5000));
                db.execute("UPDATE t SET body = ?2 WHERE id = ?1", (id, body)).unwrap();
            }
            db.execute_batch("SAVEPOINT s; UPDATE t SET body = body || 'z'; ROLLBACK TO s; RELEASE s").unwrap();
            assert_eq!(bodies(&db).unwrap().len(), 400);
        }
        db.execute_batch(if round % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).unwrap();
        let reader = Connection::open_with_flags_and_vfs(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, PAGES).unwrap();
        assert_eq!(bodies(&reader).unwrap(), bodies(&db).unwrap());
    }
    checkpoint(&db);
    let whole: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!((whole.as_str(), fault(&path)), ("ok", None));
}

#[test]
fn a_file_without_room_for_checksums_is_as_it_always_was_and_its_copy_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("old.db"), dir.path().join("new.db"));
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        .unwrap();
    for id in 0..3000_u32 {
        old.execute("INSERT INTO t VALUES (?1, ?2)", (id, "old".repeat(id as usize % 3000))).unwrap();
    }
    let before = bodies(&old).unwrap();
    drop(old);
    let db = open(&path);
    db.execute("UPDATE t SET body = 'new' WHERE id = 0", []).unwrap();
    db.execute("UPDATE t SET body = '' WHERE id = 0", []).unwrap();
    checkpoint(&db);
    assert_eq!(std::fs::read(&path).unwrap()[20], 0);
    db.file_control(None::<&str>, FileControl::ReserveBytes(&mut i32::from(RESERVED))).unwrap();
    db.execute("VACUUM INTO ?1", [format!("file:{}?vfs={NEW_PAGES}", copy.display())]).unwrap();
    drop(db);
    let db = open(&copy);
    assert_eq!((bodies(&db).unwrap(), std::fs::read(&copy).unwrap()[20]), (before, RESERVED));
    drop(db);
    flip(&copy, bits(&copy) - 4096 * 8 * 3 + 5);
    assert!(bodies(&open(&copy)).is_err());
}

#[test]
fn commits_beyond_a_damaged_frame_of_a_log_are_found_and_a_torn_end_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = filled(&path, 30);
    let log = log_of(&path);
    // As after a crash: the log with all of it.
    let crashed = dir.path().join("crashed-wal");
    std::fs::copy(&log, &crashed).unwrap();
    drop(db);
    assert_eq!(cut(&crashed).unwrap(), None);
    flip(&crashed, (32 + 3 * (24 + 4096) + 24 + 99) * 8);
    let found = cut(&crashed).unwrap().unwrap();
    assert!(found.frame == 4 && found.commits > 20, "{found:?}");
    flip(&crashed, (32 + 3 * (24 + 4096) + 24 + 99) * 8);
    let whole = bits(&crashed) / 8;
    OpenOptions::new().write(true).open(&crashed).unwrap().set_len(whole - 5000).unwrap();
    assert_eq!(cut(&crashed).unwrap(), None, "torn");
    assert_eq!(cut(&dir.path().join("none-wal")).unwrap(), None);
}
