//! The spool's promises, on a real file.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may demand")]

use outband_spool::{Entry, Error, Lane, Options, Peek, SkipReason, Skipped, Spool};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const T: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("spool.db")
}

fn open(path: &Path) -> Spool {
    Spool::open(path, Options::default(), 7, T).unwrap().spool
}

fn entry(text: &str) -> Entry {
    Entry { body: text.as_bytes().to_vec(), at_ms: T }
}

fn numbered(range: std::ops::Range<i64>, bytes: usize) -> Vec<Entry> {
    range.map(|i| Entry { body: format!("{i:0bytes$}").into_bytes(), at_ms: T + i }).collect()
}

fn texts(peek: &Peek) -> Vec<String> {
    peek.bodies.iter().map(|b| String::from_utf8(b.clone()).unwrap()).collect()
}

#[test]
fn entries_come_out_in_the_order_they_went_in_and_each_lane_counts_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    assert_eq!(spool.append(Lane::Telemetry, &[entry("a"), entry("b")], &[]).unwrap(), 1);
    assert_eq!(spool.append(Lane::Event, &[entry("x")], &[]).unwrap(), 1);
    assert_eq!(spool.append(Lane::Telemetry, &[entry("c")], &[]).unwrap(), 3);
    let peek = spool.peek(Lane::Telemetry, 0, 1000).unwrap();
    assert_eq!((peek.first_seq, texts(&peek), peek.skipped), (1, vec!["a".into(), "b".into(), "c".into()], None));
    assert_eq!(texts(&spool.peek(Lane::Event, 0, 1000).unwrap()), ["x"]);
    assert_eq!(spool.peek(Lane::Telemetry, 3, 1000).unwrap().bodies.len(), 0);
}

#[test]
fn a_peek_stays_within_its_bytes_but_never_hands_out_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Event, &numbered(0..10, 100), &[]).unwrap();
    assert_eq!(spool.peek(Lane::Event, 0, 350).unwrap().bodies.len(), 3);
    assert_eq!(spool.peek(Lane::Event, 3, 1).unwrap().bodies.len(), 1);
}

#[test]
fn what_was_appended_is_there_after_a_crash_with_its_bookmark_and_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let crashed = dir.path().join("crashed.db");
    let mut spool = open(&file(&dir));
    spool.append(Lane::Event, &[entry("a")], &[("sel/bmc1".to_owned(), b"17".to_vec())]).unwrap();
    // A copy of the files as they are now is what a power cut leaves behind.
    std::fs::copy(file(&dir), &crashed).unwrap();
    std::fs::copy(dir.path().join("spool.db-wal"), dir.path().join("crashed.db-wal")).unwrap();
    let opened = Spool::open(&crashed, Options::default(), 99, T).unwrap();
    assert!(!opened.fresh);
    assert_eq!(opened.spool.id(), 7);
    assert_eq!(texts(&opened.spool.peek(Lane::Event, 0, 100).unwrap()), ["a"]);
    assert_eq!(opened.spool.bookmark("sel/bmc1").unwrap(), Some(b"17".to_vec()));
    assert_eq!(opened.spool.bookmark("sel/bmc2").unwrap(), None);
}

#[test]
fn a_torn_last_transaction_leaves_neither_its_entries_nor_its_bookmark() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Event, &[entry("a")], &[("k".to_owned(), b"1".to_vec())]).unwrap();
    let wal = dir.path().join("spool.db-wal");
    let whole = std::fs::metadata(&wal).unwrap().len();
    spool.append(Lane::Event, &[entry("b")], &[("k".to_owned(), b"2".to_vec())]).unwrap();
    let torn = dir.path().join("torn.db");
    std::fs::copy(file(&dir), &torn).unwrap();
    let bytes = std::fs::read(&wal).unwrap();
    let grown = bytes.len() as u64 - whole;
    std::fs::write(dir.path().join("torn.db-wal"), &bytes[..(whole + grown / 2) as usize]).unwrap();
    let spool = open(&torn);
    assert_eq!(texts(&spool.peek(Lane::Event, 0, 100).unwrap()), ["a"]);
    assert_eq!(spool.bookmark("k").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn released_entries_are_handed_out_again_until_a_day_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &numbered(0..4, 4), &[]).unwrap();
    spool.release(Lane::Telemetry, 2, T).unwrap();
    assert_eq!(spool.peek(Lane::Telemetry, 0, 1000).unwrap().bodies.len(), 4);
    spool.release(Lane::Telemetry, 3, T + 23 * HOUR).unwrap();
    assert_eq!(spool.lanes().telemetry.oldest, 1);
    spool.release(Lane::Telemetry, 4, T + 25 * HOUR).unwrap();
    assert_eq!(spool.lanes().telemetry.oldest, 3);
    let skipped = spool.peek(Lane::Telemetry, 0, 1000).unwrap().skipped.unwrap();
    assert_eq!((skipped.first, skipped.last, skipped.reason), (1, 2, SkipReason::Released));
    assert_eq!((skipped.from_ms, skipped.to_ms), (T, T + 1));
}

#[test]
fn a_release_beyond_the_end_counts_as_the_end_and_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Event, &numbered(0..3, 4), &[]).unwrap();
    spool.release(Lane::Event, 99, T).unwrap();
    spool.release(Lane::Event, 1, T).unwrap();
    assert_eq!(spool.lanes().event.released, 3);
}

#[test]
fn at_the_quota_the_oldest_telemetry_gives_way_and_is_named_and_events_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 400 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    spool.append(Lane::Event, &numbered(0..50, 100), &[]).unwrap();
    for i in 0..1000 {
        spool.append(Lane::Telemetry, &numbered(i..i + 1, 1000), &[]).unwrap();
    }
    assert_eq!(spool.peek(Lane::Event, 0, 1 << 20).unwrap().bodies.len(), 50);
    let peek = spool.peek(Lane::Telemetry, 0, 1 << 30).unwrap();
    let skipped = peek.skipped.unwrap();
    assert_eq!((skipped.first, skipped.last + 1, skipped.reason), (1, peek.first_seq, SkipReason::Evicted));
    assert_eq!((skipped.from_ms, skipped.to_ms), (T, T + skipped.last - 1));
    assert_eq!(peek.first_seq + peek.bodies.len() as i64, 1001);
    assert!(peek.bodies.len() > 200, "only {} of 400 kB are used", peek.bodies.len());
    let size = std::fs::metadata(file(&dir)).unwrap().len();
    assert!(size <= 700 << 10, "the file has {size} bytes");
}

#[test]
fn at_the_quota_released_entries_give_way_before_any_telemetry_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 400 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    spool.append(Lane::Telemetry, &numbered(0..100, 1000), &[]).unwrap();
    spool.append(Lane::Event, &numbered(1000..1200, 1000), &[]).unwrap();
    spool.release(Lane::Event, 200, T).unwrap();
    spool.append(Lane::Telemetry, &numbered(200..330, 1000), &[]).unwrap();
    assert_eq!(spool.lanes().telemetry.oldest, 1);
    assert!(spool.lanes().event.oldest > 1);
}

#[test]
fn where_only_events_are_left_an_append_says_full_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 200 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    let mut kept = 0;
    let error = loop {
        match spool.append(Lane::Event, &numbered(0..10, 1000), &[("k".to_owned(), vec![kept])]) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(spool.lanes().event.next, i64::from(kept) * 10 + 1);
    assert_eq!(spool.bookmark("k").unwrap(), Some(vec![kept - 1]));
    spool.release(Lane::Event, 50, T).unwrap();
    spool.append(Lane::Event, &numbered(0..10, 1000), &[]).unwrap();
}

/// Flips a bit of the first place where `text` stands in the file.
fn flip(path: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
    bytes[at] ^= 1;
    let mut f = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    f.seek(SeekFrom::Start(at as u64)).unwrap();
    f.write_all(&bytes[at..=at]).unwrap();
}

#[test]
fn a_flipped_bit_costs_one_entry_which_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &["first", "second", "third"].map(entry), &[]).unwrap();
    drop(spool);
    flip(&file(&dir), b"second");
    let spool = open(&file(&dir));
    let peek = spool.peek(Lane::Telemetry, 0, 1000).unwrap();
    assert_eq!((texts(&peek), peek.skipped), (vec!["first".to_owned()], None));
    let peek = spool.peek(Lane::Telemetry, 1, 1000).unwrap();
    let skipped = peek.skipped.unwrap();
    assert_eq!((skipped.first, skipped.last, skipped.reason), (2, 2, SkipReason::Corrupt));
    assert_eq!((peek.first_seq, texts(&peek)), (3, vec!["third".to_owned()]));
}

#[test]
fn a_bookmark_whose_bytes_changed_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Event, &[], &[("k".to_owned(), b"bookmark-bytes".to_vec())]).unwrap();
    drop(spool);
    flip(&file(&dir), b"bookmark-bytes");
    assert_eq!(open(&file(&dir)).bookmark("k").unwrap(), None);
}

#[test]
fn an_unreadable_file_is_set_aside_and_its_loss_is_told_under_a_new_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &numbered(0..100, 1000), &[]).unwrap();
    drop(spool);
    let whole = std::fs::read(file(&dir)).unwrap();
    for damage in ["truncated", "garbage", "id"] {
        match damage {
            "truncated" => std::fs::write(file(&dir), &whole[..whole.len() / 2]).unwrap(),
            "garbage" => std::fs::write(file(&dir), vec![0xa5; 9000]).unwrap(),
            _ => {
                std::fs::write(file(&dir), &whole).unwrap();
                flip(&file(&dir), &7u128.to_be_bytes());
            }
        }
        let at = T + damage.len() as i64;
        let opened = Spool::open(file(&dir), Options::default(), 8, at).unwrap();
        let aside = opened.set_aside.clone().unwrap_or_else(|| panic!("{damage}: the file was taken for whole"));
        assert!(opened.fresh && aside.exists() && aside.to_string_lossy().ends_with(&format!(".bad-{at}")));
        assert_eq!(opened.spool.id(), 8);
        for lane in Lane::ALL {
            let skipped = opened.spool.peek(lane, 0, 1000).unwrap().skipped.unwrap();
            assert_eq!((skipped.first, skipped.last, skipped.reason), (1, 1, SkipReason::Corrupt));
        }
        drop(opened);
        std::fs::remove_file(file(&dir)).unwrap();
    }
}

#[test]
fn a_second_process_is_refused_and_the_file_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(&file(&dir));
    let error = Spool::open(file(&dir), Options::default(), 8, T).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(spool);
    assert_eq!(open(&file(&dir)).id(), 7);
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&file(&dir)));
    rusqlite::Connection::open(file(&dir)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Spool::open(file(&dir), Options::default(), 8, T).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
}

#[test]
fn an_order_is_seen_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    assert!(!spool.order_seen("o-1", T).unwrap());
    drop(spool);
    assert!(open(&file(&dir)).order_seen("o-1", T).unwrap());
}

#[test]
fn an_order_is_unanswered_until_its_answer_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    for id in ["o-1", "o-2"] {
        spool.order_seen(id, T).unwrap();
    }
    let answered = outband_spool::order_answered("o-1", Vec::new());
    spool.append(Lane::Event, &[entry("done")], &[("bmc1".to_owned(), b"7".to_vec()), answered]).unwrap();
    drop(spool);
    let mut spool = open(&file(&dir));
    assert_eq!(spool.orders_unanswered().unwrap(), ["o-2"]);
    let later = T + 91 * 24 * 3600 * 1000;
    spool.order_seen("o-3", later).unwrap();
    assert_eq!(spool.orders_unanswered().unwrap(), ["o-3"], "what is long past is forgotten");
    assert_eq!(spool.bookmark("order:o-1").unwrap(), None);
    assert_eq!(spool.bookmark("bmc1").unwrap().as_deref(), Some(&b"7"[..]));
}

#[test]
fn a_renewed_spool_keeps_what_is_not_released_under_new_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &["a", "b", "broken", "d"].map(entry), &[]).unwrap();
    spool.release(Lane::Telemetry, 1, T).unwrap();
    drop(spool);
    flip(&file(&dir), b"broken");
    let mut spool = open(&file(&dir));
    spool.renew(9, T + 5).unwrap();
    drop(spool);
    let spool = open(&file(&dir));
    assert_eq!(spool.id(), 9);
    assert_eq!(texts(&spool.peek(Lane::Telemetry, 1, 1000).unwrap()), ["b"]);
    let peek = spool.peek(Lane::Telemetry, 2, 1000).unwrap();
    assert_eq!(peek.skipped.map(|s| (s.first, s.last, s.reason)), Some((3, 3, SkipReason::Corrupt)));
    assert_eq!(texts(&peek), ["d"]);
    assert_eq!(spool.lanes().telemetry.next, 5);
}

#[test]
fn a_renewed_spool_tells_that_what_it_once_held_may_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &["a", "b"].map(entry), &[]).unwrap();
    spool.append(Lane::Event, &["c", "d", "e"].map(entry), &[]).unwrap();
    spool.release(Lane::Telemetry, 1, T).unwrap();
    spool.renew(9, T + 5).unwrap();
    for (lane, held) in [(Lane::Telemetry, &["b"][..]), (Lane::Event, &["c", "d", "e"])] {
        let peek = spool.peek(lane, 0, 1000).unwrap();
        let lost = Skipped { first: 1, last: 1, reason: SkipReason::Corrupt, from_ms: T, to_ms: T + 5 };
        assert_eq!(peek.skipped, Some(lost));
        assert_eq!(texts(&peek), held);
    }
}

#[test]
fn a_renewed_spool_keeps_its_remembered_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 300 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    spool.append(Lane::Telemetry, &numbered(0..10, 1000), &[]).unwrap();
    spool.release(Lane::Telemetry, 10, T).unwrap();
    for i in 10..600 {
        spool.append(Lane::Telemetry, &numbered(i..i + 1, 1000), &[]).unwrap();
    }
    let before = spool.peek(Lane::Telemetry, 10, 1 << 30).unwrap();
    spool.renew(9, T).unwrap();
    let after = spool.peek(Lane::Telemetry, 1, 1 << 30).unwrap();
    assert_eq!(before.bodies, after.bodies);
    let (b, a) = (before.skipped.unwrap(), after.skipped.unwrap());
    assert_eq!((b.first - 9, b.last - 9, b.reason), (a.first, a.last, a.reason));
}

/// Reads a lane as far as the file allows.
fn drain(spool: &Spool, lane: Lane) -> Vec<(i64, Vec<u8>)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let peek = match spool.peek(lane, after, 5000) {
            Ok(peek) => peek,
            Err(Error::Damaged { .. }) => return all,
            Err(e) => panic!("{e}"),
        };
        assert_eq!(peek.skipped.map_or(peek.first_seq, |s| s.first), after + 1, "a hole that nobody named");
        if peek.skipped.is_none() && peek.bodies.is_empty() {
            return all;
        }
        after = peek.first_seq - 1;
        for body in peek.bodies {
            after += 1;
            all.push((after, body));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 100, ..Default::default() })]

    #[test]
    fn a_bit_flipped_anywhere_never_brings_out_bytes_that_were_not_appended(place in 0.0f64..1.0, bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(&file(&dir));
        let entries = numbered(1..60, 700);
        spool.append(Lane::Telemetry, &entries, &[]).unwrap();
        spool.append(Lane::Event, &entries[..5], &[]).unwrap();
        spool.release(Lane::Telemetry, 10, T).unwrap();
        drop(spool);
        let mut bytes = std::fs::read(file(&dir)).unwrap();
        let at = (place * bytes.len() as f64) as usize;
        bytes[at] ^= 1 << bit;
        std::fs::write(file(&dir), bytes).unwrap();
        let opened = match Spool::open(file(&dir), Options::default(), 8, T) {
            Ok(opened) => opened,
            // A format number that grew: nothing is touched, an operator is asked.
            Err(Error::Newer { .. }) => return Ok(()),
            Err(e) => panic!("{e}"),
        };
        if opened.set_aside.is_some() {
            proptest::prop_assert_eq!(opened.spool.id(), 8);
            return Ok(());
        }
        let mut spool = opened.spool;
        for lane in Lane::ALL {
            for (seq, body) in drain(&spool, lane) {
                proptest::prop_assert_eq!(&body, &entries[seq as usize - 1].body);
            }
        }
        proptest::prop_assert_eq!((spool.lanes().event.next, spool.lanes().telemetry.next), (6, 60));
        // The work goes on as well as it can, and says so where it cannot.
        let more = numbered(60..120, 700);
        match spool.append(Lane::Telemetry, &more, &[]).and_then(|_| spool.release(Lane::Telemetry, 70, T + 25 * HOUR)) {
            Ok(()) | Err(Error::Damaged { .. }) => {}
            Err(e) => panic!("{e}"),
        }
        for (seq, body) in drain(&spool, Lane::Telemetry) {
            let all: Vec<_> = entries.iter().chain(&more).collect();
            proptest::prop_assert_eq!(&body, &all[seq as usize - 1].body);
        }
    }
}

/// Changes something in the file behind the spool's back.
fn behind(path: &Path, sql: &str) {
    assert!(rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap() > 0, "{sql}");
}

#[test]
fn a_remembered_release_that_changed_on_the_disk_lets_nothing_go_that_was_not_released() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    spool.append(Lane::Telemetry, &numbered(0..10, 10), &[]).unwrap();
    spool.release(Lane::Telemetry, 2, T).unwrap();
    drop(spool);
    behind(&file(&dir), "UPDATE release_log SET through = through + 4");
    let mut spool = open(&file(&dir));
    spool.release(Lane::Telemetry, 3, T + 48 * HOUR).unwrap();
    let peek = spool.peek(Lane::Telemetry, 3, 10_000).unwrap();
    assert_eq!((peek.first_seq, peek.bodies.len(), peek.skipped), (4, 7, None));
}

#[test]
fn entries_of_which_the_reason_changed_on_the_disk_are_told_as_lost_to_damage() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 64 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    for n in 0..100 {
        spool.append(Lane::Telemetry, &numbered(n..n + 1, 2000), &[]).unwrap();
    }
    assert_eq!(spool.peek(Lane::Telemetry, 0, 1).unwrap().skipped.unwrap().reason, SkipReason::Evicted);
    let oldest = spool.lanes().telemetry.oldest;
    drop(spool);
    behind(&file(&dir), "UPDATE lost SET reason = 2");
    let spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    let skipped = spool.peek(Lane::Telemetry, 0, 1).unwrap().skipped.unwrap();
    assert_eq!((skipped.first, skipped.last, skipped.reason), (1, oldest - 1, SkipReason::Corrupt));
}

#[test]
fn an_order_whose_id_changed_on_the_disk_is_not_carried_out_again_and_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(&file(&dir));
    assert!(!spool.order_seen("restart-a", T).unwrap());
    drop(spool);
    behind(&file(&dir), "UPDATE seen_order SET id = 'restart-c'");
    let mut spool = open(&file(&dir));
    assert!(spool.order_seen("restart-a", T).unwrap(), "one bit is another");
    assert!(!spool.order_seen("another-one", T).unwrap());
}

#[test]
fn a_file_of_the_first_format_opens_with_all_that_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { quota_bytes: 64 << 10, ..Options::default() };
    let mut spool = Spool::open(file(&dir), options, 7, T).unwrap().spool;
    for n in 0..100 {
        spool.append(Lane::Telemetry, &numbered(n..n + 1, 2000), &[]).unwrap();
    }
    spool.release(Lane::Telemetry, spool.lanes().telemetry.oldest, T).unwrap();
    assert!(!spool.order_seen("o1", T).unwrap());
    let (lanes, told) = (spool.lanes(), spool.peek(Lane::Telemetry, 0, 1 << 20).unwrap());
    drop(spool);
    let db = rusqlite::Connection::open(file(&dir)).unwrap();
    db.execute_batch(
        "CREATE TABLE a (lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason INTEGER NOT NULL,
             from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, PRIMARY KEY (lane, first)) STRICT, WITHOUT ROWID;
         CREATE TABLE b (lane INTEGER NOT NULL, bucket INTEGER NOT NULL, through INTEGER NOT NULL,
             PRIMARY KEY (lane, bucket)) STRICT, WITHOUT ROWID;
         CREATE TABLE c (id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO a SELECT lane, first, last, reason, from_ms, to_ms FROM lost;
         INSERT INTO b SELECT lane, bucket, through FROM release_log;
         INSERT INTO c SELECT id, at_ms FROM seen_order;
         DROP TABLE lost; DROP TABLE release_log; DROP TABLE seen_order;
         ALTER TABLE a RENAME TO lost; ALTER TABLE b RENAME TO release_log; ALTER TABLE c RENAME TO seen_order;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    let opened = Spool::open(file(&dir), options, 9, T).unwrap();
    assert_eq!((opened.fresh, opened.set_aside), (false, None));
    let mut spool = opened.spool;
    assert_eq!((spool.id(), spool.lanes(), spool.peek(Lane::Telemetry, 0, 1 << 20).unwrap()), (7, lanes, told));
    assert!(spool.order_seen("o1", T).unwrap() && !spool.order_seen("p2", T).unwrap());
    drop(spool);
    assert_eq!(Spool::open(file(&dir), options, 9, T).unwrap().spool.id(), 7);
}
