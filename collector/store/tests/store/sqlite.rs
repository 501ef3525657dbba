//! The SQLite backend: what every backend must do, and what its file must survive.

use super::conformance::make::*;
use outband_schemas::{Lane, SensorKind};
use outband_store::ServerReadings;
use outband_store::sqlite::Options;
use outband_store::volume::{Class, Volume};
use outband_store::{Applied, HistoryFilter, Page, Retention, Sequence, SeriesFilter, SqliteStore, Store, StoreError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

/// The files as a crash at this moment would leave them.
fn crash_copy(from: &Path, to: &Path) {
    for name in ["store.db", "store.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    let Ok(files) = fs::read_dir(from.join("history")) else { return };
    fs::create_dir_all(to.join("history")).unwrap();
    for file in files.map(Result::unwrap) {
        fs::copy(file.path(), to.join("history").join(file.file_name())).unwrap();
    }
}

/// The file of history that holds the readings of a moment.
fn week(dir: &Path, secs: i64) -> std::path::PathBuf {
    dir.join("history").join(Volume::holding(Class::Raw, at(secs)).unwrap().file_name())
}

#[test]
fn sqlite_does_what_every_store_must() {
    let root = tempfile::tempdir().unwrap();
    super::conformance::conformance(|name| open(&root.path().join(name)));
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    for seq in 1..=50 {
        store.commit(batch(epoch, Lane::Telemetry, seq, &["x"]), at(1)).unwrap();
    }
    crash_copy(dir.path(), after.path());
    let reopened = open(after.path());
    assert_eq!(reopened.log_after(0, 99).unwrap().len(), 50);
    assert_eq!(reopened.hello(&hello("a1", 1), at(2)).unwrap().marks[1], (Lane::Telemetry, 50));
}

#[test]
fn a_write_ahead_log_torn_anywhere_leaves_a_prefix_of_whole_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    for n in 1..=20 {
        store.commit(batch(epoch, Lane::Telemetry, n, &["x"]), at(1)).unwrap();
        let row = store.log_after(n - 1, 1).unwrap()[0].id;
        let done = Applied {
            through: Some(row),
            readings: vec![readings("s1", vec![reading(fan("Fan 1"), 60 * n, n as f64)])],
            ..applied(&["s1"])
        };
        store.apply(done, at(1)).unwrap();
    }
    let whole = fs::metadata(dir.path().join("store.db-wal")).unwrap().len();
    for cut in (0..=whole).step_by(usize::try_from(whole / 40).unwrap().max(1)) {
        let after = tempfile::tempdir().unwrap();
        crash_copy(dir.path(), after.path());
        let wal = fs::OpenOptions::new().write(true).open(after.path().join("store.db-wal")).unwrap();
        wal.set_len(cut).unwrap();
        drop(wal);
        let store = open(after.path());
        let committed = store.agents().unwrap().first().map_or(0, |a| a.lanes[1].committed);
        let rows = store.log_after(0, 99).unwrap();
        assert_eq!(rows.len() as i64, committed, "cut at {cut}: the mark and the log are one");
        let cursor = store.cursor().unwrap();
        let points = store.history(&everything(), &Page::first(99)).unwrap().rows.len() as i64;
        assert_eq!(points, cursor, "cut at {cut}: the cursor and what was made of the rows are one");
        assert!(cursor <= committed);
    }
}

fn everything() -> HistoryFilter {
    HistoryFilter {
        series: SeriesFilter { kind: Some(SensorKind::FanSpeed), ..SeriesFilter::default() },
        from: at(-1_000_000),
        to: at(1_000_000),
    }
}

#[test]
fn history_that_no_chunk_holds_yet_survives_a_crash() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    let five_hours: Vec<_> = (0..300).map(|n| reading(fan("Fan 1"), 60 * n, 0.1 * n as f64)).collect();
    for part in five_hours.chunks(30) {
        store.apply(Applied { readings: vec![readings("s1", part.to_vec())], ..applied(&["s1"]) }, at(0)).unwrap();
    }
    let before = store.history(&everything(), &Page::first(999)).unwrap();
    let sealed = store.seal(at(4 * 3600)).unwrap();
    assert!((1..300).contains(&sealed.points), "some windows are finished, some are not: {sealed:?}");
    crash_copy(dir.path(), after.path());
    let reopened = open(after.path());
    assert_eq!(reopened.history(&everything(), &Page::first(999)).unwrap(), before);
    reopened.seal(at(24 * 3600)).unwrap();
    assert_eq!(reopened.history(&everything(), &Page::first(999)).unwrap(), before);
}

#[test]
fn a_damaged_chunk_is_shown_as_such_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put = |secs: i64| {
        let list = vec![reading(fan("Fan 1"), secs, 1.0)];
        store.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
    };
    put(600);
    put(600 + 2 * 3600);
    store.seal(at(24 * 3600)).unwrap();
    let file = rusqlite::Connection::open(week(dir.path(), 0)).unwrap();
    let first: i64 = file.query_row("SELECT min(key) FROM chunk", [], |r| r.get(0)).unwrap();
    file.execute("UPDATE chunk SET body = x'0102030405' WHERE key = ?1", [first]).unwrap();
    let seen = || -> Vec<bool> {
        store.history(&everything(), &Page::first(9)).unwrap().rows.iter().map(|p| p.value.is_some()).collect()
    };
    assert_eq!(seen(), [false, true], "one point says that it is unreadable, the next window is whole");
    put(700);
    assert_eq!(store.seal(at(24 * 3600)).unwrap().chunks, 1);
    assert_eq!(seen(), [false, true, true]);
    let db = on_disk(&dir.path().join("store.db"));
    let kept: i64 = db.query_row("SELECT count(*) FROM damaged_chunk", [], |r| r.get(0)).unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn a_damaged_row_of_the_journal_loses_itself_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for secs in [1, 2, 3] {
        let list = vec![reading(fan("Fan 1"), secs, 1.0)];
        store.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
    }
    drop(store);
    let db = on_disk(&dir.path().join("store.db"));
    db.execute("UPDATE journal SET body = x'01ff02' WHERE id = 2", []).unwrap();
    drop(db);
    assert_eq!(open(dir.path()).history(&everything(), &Page::first(9)).unwrap().rows.len(), 2);
}

#[test]
fn the_latest_values_are_the_same_after_a_crash_before_between_and_after_sealing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let take = |name: &str, secs: i64| {
        let set =
            ServerReadings { received_at: at(secs + 7), ..readings("s1", vec![reading(fan(name), secs, secs as f64)]) };
        store.apply(Applied { readings: vec![set], ..applied(&["s1"]) }, at(secs)).unwrap();
    };
    let told = |store: &SqliteStore| store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    let check = |expected: [i64; 2]| {
        let now = told(&store);
        let of = |l: &outband_store::LatestReading| (l.reading.observed_at, l.received_at);
        assert_eq!(now.iter().map(of).collect::<Vec<_>>(), expected.map(|secs| (at(secs), at(secs + 7))));
        let after = tempfile::tempdir().unwrap();
        crash_copy(dir.path(), after.path());
        assert_eq!(told(&open(after.path())), now);
    };
    take("Fan 1", 1);
    take("Fan 2", 2);
    check([1, 2]);
    assert_eq!(store.seal(at(4 * 3600)).unwrap().points, 2);
    check([1, 2]);
    // One is newer, in another window than one that came late.
    take("Fan 1", 5 * 3600);
    take("Fan 1", 60);
    take("Fan 2", 1);
    check([5 * 3600, 2]);
    assert_eq!(store.seal(at(4 * 3600)).unwrap().chunks, 2);
    check([5 * 3600, 2]);
    store.seal(at(24 * 3600)).unwrap();
    check([5 * 3600, 2]);
}

#[test]
fn with_too_many_points_in_memory_sealing_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_head_bytes: 5, ..Options::new(dir.path()) };
    let store = SqliteStore::open(&options).unwrap();
    let few: Vec<_> = (0..10).map(|n| reading(fan("Fan 1"), n, n as f64)).collect();
    store.apply(Applied { readings: vec![readings("s1", few)], ..applied(&["s1"]) }, at(0)).unwrap();
    assert_eq!(store.seal(at(10)).unwrap().points, 10);
    assert_eq!(store.history(&everything(), &Page::first(99)).unwrap().rows.len(), 10);
}

#[test]
fn a_full_store_turns_ingest_away_and_still_answers() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(512 << 10), ..Options::new(dir.path()) };
    let store = SqliteStore::open(&options).unwrap();
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let body = "x".repeat(20_000);
    let mut next = 1;
    let refused = loop {
        match store.commit(batch(epoch, Lane::Telemetry, next, &[&body]), at(1)) {
            Ok(done) => next = done.through + 1,
            Err(error) => break error,
        }
        assert!(next < 1000, "it never got full");
    };
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert_eq!(store.log_after(0, 999).unwrap().len() as i64, next - 1);
    // Room is made, and the same batch goes in.
    let cursor = next - 1;
    store.apply(Applied { through: Some(cursor), ..Applied::default() }, at(2)).unwrap();
    store.expire(at(1_000_000), &Retention::default()).unwrap();
    assert_eq!(store.commit(batch(epoch, Lane::Telemetry, next, &[&body]), at(3)).unwrap().through, next);
}

#[test]
fn only_the_owner_may_read_the_store() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let store = open(&dir);
    store.hello(&hello("a1", 1), at(0)).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.lock"] {
        assert_eq!(fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_directory_serves_one_store_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    assert!(matches!(SqliteStore::open(&Options::new(dir.path())), Err(StoreError::Unavailable { .. })));
    drop(first);
    open(dir.path());
}

#[test]
fn a_closed_store_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.close().unwrap();
    assert!(matches!(store.hello(&hello("a1", 1), at(0)), Err(StoreError::Closed)));
    assert!(matches!(store.close(), Err(StoreError::Closed)));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("store.db");
    let db = on_disk(&path);
    db.execute("INSERT INTO schema_version VALUES (999, 'of the future')", []).unwrap();
    drop(db);
    let error = SqliteStore::open(&Options::new(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 999, .. }), "{error}");
}

#[test]
fn a_changed_migration_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let db = on_disk(&dir.path().join("store.db"));
    db.execute("UPDATE schema_version SET checksum = 'other' WHERE number = 1", []).unwrap();
    drop(db);
    let error = SqliteStore::open(&Options::new(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::MigrationChanged { number: 1, .. }), "{error}");
}

/// A store of many pages, of which something is changed afterwards.
fn spoil(dir: &Path, spoil: impl Fn(&mut [u8])) {
    let store = open(dir);
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    for seq in 1..=200 {
        store
            .commit(batch(epoch, Lane::Telemetry, seq, &["some body that fills the pages of the file"]), at(1))
            .unwrap();
    }
    store.close().unwrap();
    drop(store);
    let path = dir.join("store.db");
    let mut bytes = fs::read(&path).unwrap();
    spoil(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_large_store_that_is_damaged_is_used_and_says_what_is_wrong_once_it_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    // Within one record of the ingest log: the cells of its page overlap.
    spoil(dir.path(), |bytes| {
        let page = bytes.chunks_mut(4096).rfind(|p| p[0] == 13 && p.windows(9).any(|w| w == b"some body")).unwrap();
        page.copy_within(8..10, 10);
    });
    let options = Options { check_up_to_bytes: 0, ..Options::new(dir.path()) };
    let store = SqliteStore::open(&options).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while store.damage().is_none() {
        assert!(Instant::now() < until, "nothing was found");
        std::thread::yield_now();
    }
    let said = store.damage().unwrap();
    assert!(said.contains("damaged"), "{said}");
    assert!(store.reserve(Sequence::Ticket).is_ok(), "a ticket can be opened about it");
}

#[test]
fn a_damaged_file_is_named_as_damaged() {
    let dir = tempfile::tempdir().unwrap();
    spoil(dir.path(), |bytes| {
        let middle = bytes.len() / 2;
        for byte in bytes.iter_mut().skip(middle).step_by(97) {
            *byte ^= 0xff;
        }
    });
    let error = SqliteStore::open(&Options::new(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_ticket_log_can_be_neither_rewritten_nor_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ticket = new_ticket(&store, "s1", "Bay 1");
    store.apply(Applied { tickets: vec![ticket], ..applied(&["s1"]) }, at(3)).unwrap();
    drop(store);
    let db = on_disk(&dir.path().join("store.db"));
    for sql in ["UPDATE ticket_transition SET body = '{}'", "DELETE FROM ticket_transition"] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

/// Commits and applies without end, telling each thing once it is durable. Run by the test below in a process of its own.
#[test]
#[ignore = "runs only as the child of a_killed_process_loses_nothing_it_told"]
fn child_that_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var("OUTBAND_STORE_TEST_DIR") else { return };
    let store = open(Path::new(&dir));
    let admission = store.hello(&hello("a1", 1), at(0)).unwrap();
    let mut seq = admission.marks[1].1;
    loop {
        let bodies = ["x"; 3];
        seq = store.commit(batch(admission.epoch, Lane::Telemetry, seq + 1, &bodies), at(1)).unwrap().through;
        println!("committed {seq}");
        let row = store.log_after(store.cursor().unwrap(), 1).unwrap()[0].id;
        let list = vec![reading(fan("Fan 1"), row, row as f64)];
        store
            .apply(Applied { through: Some(row), readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(1))
            .unwrap();
        println!("applied {row}");
        if row % 7 == 0 {
            store.seal(at(3 * 3600 + row)).unwrap();
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_it_told() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    for round in 0..12usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("OUTBAND_STORE_TEST_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = |word: &str, lines: &[String]| -> i64 {
            lines.iter().rev().find_map(|l| l.strip_prefix(word)).map_or(0, |n| n.trim().parse().unwrap())
        };
        let mut lines: Vec<String> = told.by_ref().take(20 + 13 * round).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(told);
        // A line that was being written when it died says nothing.
        lines.retain(|l| l.split_once(' ').is_some_and(|(_, n)| n.parse::<i64>().is_ok()));

        let store = open(dir.path());
        let seqs: Vec<i64> = store.log_after(0, 100_000).unwrap().iter().map(|r| r.seq).collect();
        let mark = store.agents().unwrap()[0].lanes[1].committed;
        assert_eq!(seqs, (1..=mark).collect::<Vec<_>>(), "round {round}: each once, in order");
        let cursor = store.cursor().unwrap();
        let applied: Vec<_> =
            store.history(&everything(), &Page::first(100_000)).unwrap().rows.iter().map(|p| p.observed_at).collect();
        assert_eq!(applied, (1..=cursor).map(at).collect::<Vec<_>>(), "round {round}: history and cursor are one");
        assert!(cursor >= last("applied", &lines) && mark >= last("committed", &lines), "round {round}: {lines:?}");
        assert!(last("applied", &lines) > 0, "round {round}: it did nothing");
    }
}

#[test]
fn queries_see_every_point_while_windows_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let total = 400;
    std::thread::scope(|scope| {
        let writer = store.clone();
        let done = scope.spawn(move || {
            for n in 0..total {
                let list = vec![reading(fan("Fan 1"), 60 * n, n as f64)];
                writer.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
                writer.seal(at(100 * 3600)).unwrap();
            }
        });
        let mut seen = 0;
        while !done.is_finished() {
            let now = store.history(&everything(), &Page::first(9999)).unwrap().rows.len();
            assert!(now >= seen, "{now} points, and {seen} before");
            seen = now;
        }
    });
    assert_eq!(store.history(&everything(), &Page::first(9999)).unwrap().rows.len() as i64, total);
}

#[test]
fn what_became_of_the_tickets_of_an_older_store_is_read_from_their_logs() {
    use outband_store::outcome::{OutcomeFilter, Outcomes};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.apply(applied(&["srv-1"]), at(1)).unwrap();
    for slot in 0..700 {
        store.update_ticket(new_ticket(&store, "srv-1", &format!("Bay {slot}"))).unwrap();
    }
    let known = store.outcomes(&OutcomeFilter::default()).unwrap();
    assert_eq!(known.len(), 700);
    store.close().unwrap();
    drop(store);
    let db = on_disk(&dir.path().join("store.db"));
    assert_eq!(db.execute("DELETE FROM outcome", []).unwrap(), 700);
    drop(db);
    assert_eq!(open(dir.path()).outcomes(&OutcomeFilter::default()).unwrap(), known);
}

#[test]
fn a_drive_whose_row_is_damaged_is_named_and_the_others_are_read() {
    use outband_store::drives::{DriveRecord, Drives};
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let drive = DriveRecord::default();
    let key = |n: u32| format!("serial:{n}");
    store.keep_drives(&[(key(1), &drive), (key(2), &drive)], &[], Some(&Default::default())).unwrap();
    store.close().unwrap();
    drop(store);
    let db = on_disk(&dir.path().join("store.db"));
    db.execute_batch("UPDATE drive SET body = x'00' WHERE key = 'serial:1'; UPDATE drive_fleet SET body = x'00';")
        .unwrap();
    drop(db);
    let kept = SqliteStore::open(&Options::new(dir.path())).unwrap().drives().unwrap();
    assert_eq!(kept.damaged, [key(1), "fleet".to_owned()]);
    assert_eq!(kept.drives, [(key(2), drive)]);
    assert!(kept.fleet.is_none());
}
