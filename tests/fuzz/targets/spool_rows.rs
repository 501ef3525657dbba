//! A spool file whose rows say anything, as bits that flipped on a disk may leave them: entries, lost ranges, releases, bookmarks, orders.
//!
//! Must hold: nothing panics and nothing loops; reading on from any number tells each number once, as a body that was appended or as lost; and so it does after
//! a release, after more was appended, and under a new id.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::script::Script;
use outband_fuzz::seeds;
use outband_spool::{Entry, Error, Lane, Options, Spool, order_answered};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::path::Path;

const TABLES: [&str; 2] = ["event_entry", "telemetry_entry"];
/// Beyond so many numbers a lane is not walked to its end: a lost range may cover any number of them.
const STEPS: usize = 2000;

fn options(script: &mut Script<'_>) -> Options {
    Options {
        quota_bytes: 64 << 10 << (script.byte() % 5),
        keep_released_ms: i64::from(script.byte()) * 60_000,
        spare_bytes: 0,
    }
}

/// Every number after `after` comes once.
fn walk(spool: &Spool, lane: Lane, after: i64, appended: &BTreeSet<Vec<u8>>) -> Result<(), Error> {
    let next = spool.lanes().get(lane).next;
    let mut at = after.max(0);
    for _ in 0..STEPS {
        if at + 1 >= next {
            return Ok(());
        }
        let peek = spool.peek(lane, at, 4096)?;
        if let Some(lost) = peek.skipped {
            assert_eq!(lost.first, at + 1);
            assert!(lost.last >= lost.first && lost.last < next && peek.first_seq == lost.last + 1);
        } else {
            assert_eq!(peek.first_seq, at + 1);
        }
        assert!(peek.bodies.iter().all(|body| appended.contains(body)), "a body that nobody appended");
        let through = peek.first_seq - 1 + peek.bodies.len() as i64;
        assert!(through > at && through < next, "{through} after {at}, {next} comes next");
        at = through;
    }
    Ok(())
}

/// The checksum of a row of numbers; now and then another.
fn sum(columns: &[i64], script: &mut Script<'_>) -> i64 {
    let bytes: Vec<u8> = columns.iter().flat_map(|n| n.to_le_bytes()).collect();
    i64::from(crc32c::crc32c(&bytes)) ^ i64::from(script.byte() == 0xFF)
}

fn spoil(path: &Path, script: &mut Script<'_>) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "synchronous", "OFF")?;
    for _ in 0..script.byte() % 8 {
        let table = TABLES[usize::from(script.byte() % 2)];
        let (a, b, c, d) = (script.number(), script.number(), script.number(), script.number());
        match script.byte() % 9 {
            0 => db.execute(&format!("DELETE FROM {table} WHERE seq = ?1"), [a])?,
            1 => db.execute(&format!("UPDATE {table} SET at_ms = ?1 WHERE seq = ?2"), [a, b])?,
            2 => db.execute(&format!("UPDATE OR IGNORE {table} SET seq = ?1 WHERE seq = ?2"), [a, b])?,
            3 => db.execute(&format!("UPDATE {table} SET body = ?1 WHERE seq = ?2"), params![script.slice(), a])?,
            4 => {
                let [lane, reason] = [1 + (a & 1), i64::from(script.byte() % 5)];
                let sum = sum(&[lane, b, c, reason, a, d], script);
                db.execute(
                    "INSERT OR REPLACE INTO lost VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    [lane, b, c, reason, a, d, sum],
                )?
            }
            5 => {
                let lane = 1 + (a & 1);
                let sum = sum(&[lane, b, c], script);
                db.execute("INSERT OR REPLACE INTO release_log VALUES (?1, ?2, ?3, ?4)", [lane, b, c, sum])?
            }
            6 => db.execute("UPDATE bookmark SET value = ?1", [script.slice()])?,
            7 => db.execute("UPDATE lane SET next = ?1, released = ?2", [a, b])?,
            _ => {
                let id = String::from_utf8_lossy(script.slice()).into_owned();
                let right = i64::from(crc32c::crc32c(&[id.as_bytes(), &a.to_le_bytes()].concat()));
                db.execute("INSERT OR REPLACE INTO seen_order VALUES (?1, ?2, ?3)", params![id, a, right])?
            }
        };
    }
    Ok(())
}

/// Any of its errors is an answer; only that something was half done is none.
fn use_it(path: &Path, script: &mut Script<'_>, appended: &mut BTreeSet<Vec<u8>>) -> Result<(), Error> {
    let how = options(script);
    let mut spool = Spool::open(path, how, 2, 1_800_000_000_000)?.spool;
    let after = script.number();
    for lane in Lane::ALL {
        walk(&spool, lane, 0, appended)?;
        if after >= 0 && after < i64::MAX {
            walk(&spool, lane, after, appended)?;
        }
    }
    drop(spool.bookmark("log")?);
    drop(spool.orders_unanswered()?);
    spool.order_seen("o-2", script.number())?;
    spool.release(Lane::Telemetry, script.number(), script.number())?;
    let body = script.slice().to_vec();
    appended.insert(body.clone());
    match spool.append(Lane::Telemetry, &[Entry { body, at_ms: script.number() }], &[]) {
        Err(Error::Full { .. }) => {}
        done => drop(done?),
    }
    for lane in Lane::ALL {
        walk(&spool, lane, 0, appended)?;
    }
    spool.renew(3, script.number())?;
    for lane in Lane::ALL {
        walk(&spool, lane, 0, appended)?;
    }
    Ok(())
}

fuzz_target!(init: seeds::plant(seeds::spool_rows), |data: &[u8]| {
    let mut script = Script(data);
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let path = dir.path().join("spool.db");
    let mut appended = BTreeSet::new();
    {
        let how = options(&mut script);
        let mut spool = Spool::open(&path, how, 1, 0).expect("a new spool").spool;
        for n in 0..script.byte() % 12 {
            let lane = Lane::ALL[usize::from(n % 2)];
            let body = vec![n; usize::from(script.byte())];
            appended.insert(body.clone());
            let bookmarks = [("log".to_owned(), vec![n]), order_answered("o-1", vec![n])];
            spool.append(lane, &[Entry { body, at_ms: i64::from(n) * 1000 }], &bookmarks).expect("room for little");
        }
    }
    spoil(&path, &mut script).expect("rows of the right shape");
    if let Err(error) = use_it(&path, &mut script, &mut appended) {
        assert!(!error.to_string().is_empty());
    }
});
