//! Whatever an agent resends, skips or reconnects, each sequence is stored once, in order, or is a gap.

use super::conformance::make::*;
use outband_schemas::{Cause, Lane};
use outband_store::sqlite::Options;
use outband_store::{Epoch, GapFilter, IncomingBatch, Page, Skipped, SqliteStore, Store, StoreError};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What an agent, or the line to it, may do.
#[derive(Debug, Clone)]
enum Step {
    /// Sends `count` bodies from `back` before the end of what was ever sent: resends and overlaps.
    Send { back: i64, count: i64 },
    /// Leaves out `count` entries and says so, beginning `back` before the end, then sends one.
    Skip { back: i64, count: i64 },
    /// Leaves out entries and says nothing.
    Jump { by: i64 },
    /// Connects again.
    Reconnect,
    /// A stream of before sends on.
    Ghost,
    /// The collector is started again.
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0i64..6, 0i64..5).prop_map(|(back, count)| Step::Send { back, count }),
        2 => (0i64..4, 1i64..5).prop_map(|(back, count)| Step::Skip { back, count }),
        1 => (1i64..4).prop_map(|by| Step::Jump { by }),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Ghost),
        1 => Just(Step::Restart),
    ]
}

fn body(seq: i64) -> String {
    format!("entry {seq}")
}

fn send(epoch: Epoch, first: i64, count: i64) -> IncomingBatch {
    let bodies: Vec<String> = (first..first + count).map(body).collect();
    batch(epoch, Lane::Telemetry, first, &bodies.iter().map(String::as_str).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn each_sequence_is_stored_once_and_in_order_or_is_a_gap(steps in proptest::collection::vec(any_step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let mut epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
        let mut old = None;
        // The model: the mark, and which sequences are gaps.
        let (mut mark, mut gaps) = (0i64, BTreeSet::new());
        for step in steps {
            match step {
                Step::Send { back, count } => {
                    let first = (mark + 1 - back).max(1);
                    let sent = store.commit(send(epoch, first, count), at(1)).unwrap();
                    mark = mark.max(first + count - 1);
                    prop_assert_eq!(sent.through, mark);
                }
                Step::Skip { back, count } => {
                    let first = (mark + 1 - back).max(1);
                    let last = first + count - 1;
                    let mut one = send(epoch, last + 1, 1);
                    one.skipped = Some(Skipped {
                        first, last, cause: Cause::Evicted, detail: String::new(), from: at(0), to: at(1),
                    });
                    let sent = store.commit(one, at(1)).unwrap();
                    gaps.extend((mark + 1)..=last);
                    mark = mark.max(last + 1);
                    prop_assert_eq!(sent.through, mark);
                }
                Step::Jump { by } => {
                    let refused = store.commit(send(epoch, mark + 1 + by, 1), at(1));
                    prop_assert!(matches!(refused, Err(StoreError::Jump { .. })), "a jump went in");
                }
                Step::Reconnect => {
                    old = Some(epoch);
                    let admission = store.hello(&hello("a1", 1), at(0)).unwrap();
                    prop_assert_eq!(admission.marks[1], (Lane::Telemetry, mark));
                    epoch = admission.epoch;
                }
                Step::Ghost => {
                    if let Some(old) = old {
                        let refused = store.commit(send(old, mark + 1, 1), at(1));
                        prop_assert!(matches!(refused, Err(StoreError::Fenced { .. })), "a ghost wrote");
                    }
                }
                Step::Restart => {
                    drop(store);
                    store = SqliteStore::open(&Options::new(dir.path())).unwrap();
                }
            }
        }
        let stored: Vec<(i64, Vec<u8>)> =
            store.log_after(0, 10_000).unwrap().into_iter().map(|r| (r.seq, r.body)).collect();
        let expect: Vec<(i64, Vec<u8>)> =
            (1..=mark).filter(|s| !gaps.contains(s)).map(|s| (s, body(s).into_bytes())).collect();
        prop_assert_eq!(stored, expect);
        let told: i64 = store.gaps(&GapFilter::default(), &Page::first(1000)).unwrap().rows.iter().map(|g| g.count).sum();
        prop_assert_eq!(told, gaps.len() as i64);
    }
}
