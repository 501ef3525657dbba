//! A file of history that is sealed into while a backup copies it.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::Timestamp;
use outband_store::sqlite::{Options, still};
use outband_store::volume::{Class, Volume};
use outband_store::{Applied, HistoryFilter, Page, SeriesFilter, SqliteStore, Store};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;
const MONDAY: i64 = 3 * DAY;

fn put(store: &SqliteStore, days: std::ops::Range<i64>) {
    let list = days.map(|n| reading(fan("Fan 1"), MONDAY + n * DAY, n as f64)).collect();
    store.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
}

fn seen(store: &SqliteStore) -> usize {
    let filter = HistoryFilter { series: SeriesFilter::default(), from: Timestamp::EPOCH, to: at(1000 * DAY) };
    store.history(&filter, &Page::first(1000)).unwrap().rows.len()
}

/// Two days of a week are sealed, two more are in memory.
fn half_sealed(dir: &Path) -> (SqliteStore, PathBuf) {
    let store = SqliteStore::open(&Options::new(dir)).unwrap();
    put(&store, 0..2);
    store.seal(at(MONDAY + 3 * DAY)).unwrap();
    put(&store, 2..4);
    let volume = Volume::holding(Class::Raw, at(MONDAY)).unwrap();
    (store, dir.join("history").join(volume.file_name()))
}

/// Copies the file for as long as nobody says that it is enough; says when it began.
fn copying(file: &Path) -> (JoinHandle<Vec<u8>>, Receiver<()>, Sender<()>) {
    let ((begun, begins), (enough, ends)) = (channel(), channel());
    let path = file.to_owned();
    let copied = spawn(move || {
        // Opened once: who closes a file gives up what his process holds of it.
        let mut file = File::open(&path).unwrap();
        let mut read = || {
            let mut all = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut all).unwrap();
            all
        };
        still(&path, || {
            let first = read();
            begun.send(()).unwrap();
            ends.recv().unwrap();
            assert!(read() == first, "it changed while it was copied");
            first
        })
        .unwrap()
    });
    (copied, begins, enough)
}

#[test]
fn who_seals_waits_for_the_copy_while_the_store_takes_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = half_sealed(dir.path());
    let (copied, begins, enough) = copying(&file);
    begins.recv().unwrap();
    let sealer = store.clone();
    let sealing = spawn(move || sealer.seal(at(MONDAY + 5 * DAY)).unwrap().points);
    put(&store, 4..5);
    let began = Instant::now();
    assert_eq!(seen(&store), 5, "what is sealed is read beside the copy, what is not, from memory");
    assert!(began.elapsed() < Duration::from_secs(5), "who waits to seal keeps nobody from reading");
    enough.send(()).unwrap();
    copied.join().unwrap();
    // By then the fifth day may be among them, or not.
    assert!(sealing.join().unwrap() >= 2);
    assert_eq!(seen(&store), 5);
}

#[test]
fn a_copy_that_takes_long_fails_a_seal_and_the_next_one_makes_up_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = half_sealed(dir.path());
    let (copied, begins, enough) = copying(&file);
    begins.recv().unwrap();
    assert!(store.seal(at(MONDAY + 5 * DAY)).is_err(), "it gives up after a while, so that everything else goes on");
    assert_eq!(seen(&store), 4);
    assert_eq!(store.damage(), None, "and takes the file for damaged no more than it is");
    enough.send(()).unwrap();
    copied.join().unwrap();
    assert_eq!(store.seal(at(MONDAY + 5 * DAY)).unwrap().points, 2);
    assert_eq!(seen(&store), 4);
}

#[test]
fn a_copy_that_was_killed_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = half_sealed(dir.path());
    let left = file.with_extension("copy");
    File::create(&left).unwrap();
    assert_eq!(store.seal(at(MONDAY + 5 * DAY)).unwrap().points, 2);
    assert!(!left.exists());
}
