//! The spool against a model: a vector of everything ever appended.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may demand")]

use outband_spool::{Entry, Lane, Options, SkipReason, Spool};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Op {
    Append { event: bool, sizes: Vec<usize> },
    Release { event: bool, share: u8 },
    Bookmark { key: u8, value: u8 },
    Reopen,
    Later { hours: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), proptest::collection::vec(0usize..9000, 0..6)).prop_map(|(event, sizes)| Op::Append { event: event && sizes.len() < 2, sizes }),
        3 => (any::<bool>(), any::<u8>()).prop_map(|(event, share)| Op::Release { event, share }),
        1 => (0u8..3, any::<u8>()).prop_map(|(key, value)| Op::Bookmark { key, value }),
        1 => Just(Op::Reopen),
        1 => (0u8..30).prop_map(|hours| Op::Later { hours }),
    ]
}

/// First, last, and why.
type Gone = (i64, i64, SkipReason);

fn lane(event: bool) -> Lane {
    if event { Lane::Event } else { Lane::Telemetry }
}

/// Reads a whole lane after `after`: what came out, by number, and which numbers were named as gone.
fn read(spool: &Spool, lane: Lane, mut after: i64, max_bytes: usize) -> (BTreeMap<i64, Vec<u8>>, Vec<Gone>) {
    let (mut bodies, mut gone) = (BTreeMap::new(), Vec::new());
    loop {
        let peek = spool.peek(lane, after, max_bytes).unwrap();
        let begins = peek.skipped.map_or(peek.first_seq, |s| s.first);
        assert_eq!(begins, after + 1, "a hole that nobody named");
        if let Some(s) = peek.skipped {
            assert_eq!(s.last + 1, peek.first_seq);
            assert!(s.from_ms <= s.to_ms);
            gone.push((s.first, s.last, s.reason));
        }
        if peek.skipped.is_none() && peek.bodies.is_empty() {
            return (bodies, gone);
        }
        after = peek.first_seq - 1;
        for body in peek.bodies {
            after += 1;
            bodies.insert(after, body);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens, each number ever given is either handed out with the very bytes appended, or named as gone: as evicted only where it is telemetry that
    /// was not released, as corrupt never. Bookmarks are as last set.
    #[test]
    fn every_number_is_handed_out_as_appended_or_named_as_gone(ops in proptest::collection::vec(op(), 1..60), max_bytes in 1usize..40_000) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let options = Options { quota_bytes: 300 << 10, ..Options::default() };
        let mut spool = Spool::open(&path, options, 1, 0).unwrap().spool;
        let mut model: BTreeMap<Lane, Vec<Vec<u8>>> = Lane::ALL.into_iter().map(|l| (l, Vec::new())).collect();
        let mut released: BTreeMap<Lane, i64> = Lane::ALL.into_iter().map(|l| (l, 0)).collect();
        let mut bookmarks: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut now = 0;
        for (i, op) in ops.into_iter().enumerate() {
            match op {
                Op::Append { event, sizes } => {
                    let lane = lane(event);
                    let entries: Vec<Entry> = sizes.iter().map(|n| Entry { body: vec![i as u8; *n], at_ms: now }).collect();
                    let key = ("a".to_owned(), vec![i as u8]);
                    let before = spool.lanes();
                    match spool.append(lane, &entries, std::slice::from_ref(&key)) {
                        Ok(first) => {
                            prop_assert_eq!(first, model[&lane].len() as i64 + 1);
                            model.get_mut(&lane).unwrap().extend(entries.into_iter().map(|e| e.body));
                            bookmarks.insert(key.0, key.1);
                        }
                        Err(outband_spool::Error::Full { .. }) => prop_assert_eq!(spool.lanes(), before),
                        Err(e) => prop_assert!(false, "{}", e),
                    }
                }
                Op::Release { event, share } => {
                    let lane = lane(event);
                    let through = model[&lane].len() as i64 * i64::from(share) / 255;
                    spool.release(lane, through, now).unwrap();
                    let r = released.get_mut(&lane).unwrap();
                    *r = through.max(*r);
                }
                Op::Bookmark { key, value } => {
                    spool.append(Lane::Event, &[], &[(key.to_string(), vec![value])]).unwrap();
                    bookmarks.insert(key.to_string(), vec![value]);
                }
                Op::Reopen => {
                    drop(spool);
                    let opened = Spool::open(&path, options, 2, now).unwrap();
                    prop_assert!(!opened.fresh && opened.spool.id() == 1);
                    spool = opened.spool;
                }
                Op::Later { hours } => now += i64::from(hours) * 3_600_000,
            }
            for lane in Lane::ALL {
                let (bodies, gone) = read(&spool, lane, 0, max_bytes);
                let covered: usize = bodies.len() + gone.iter().map(|(a, b, _)| (b - a + 1) as usize).sum::<usize>();
                prop_assert_eq!(covered, model[&lane].len());
                for (seq, body) in &bodies {
                    prop_assert_eq!(&model[&lane][*seq as usize - 1], body);
                }
                for (first, last, reason) in gone {
                    match reason {
                        SkipReason::Evicted => prop_assert!(lane == Lane::Telemetry),
                        SkipReason::Released => prop_assert!(last <= released[&lane], "{}..={} was not released", first, last),
                        SkipReason::Corrupt => prop_assert!(false, "nothing was damaged"),
                    }
                }
                prop_assert_eq!(spool.lanes().get(lane).released, released[&lane]);
            }
            for (key, value) in &bookmarks {
                let found = spool.bookmark(key).unwrap();
                prop_assert_eq!(found.as_ref(), Some(value));
            }
        }
    }
}
