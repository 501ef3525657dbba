//! How full the store is.

use super::make::*;
use crate::conformance::Behaviour;
use outband_schemas::Lane;
use outband_store::fill::{Fill, Filling};
use outband_store::{Applied, Poison, Store};

/// The behaviours of this file.
pub(crate) fn all<S: Store + Fill>() -> Vec<Behaviour<S>> {
    vec![
        ("what_waits_and_what_is_kept_is_counted", what_waits_and_what_is_kept_is_counted::<S> as fn(&S)),
        (
            "a_fleet_that_comes_at_once_is_numbered_in_a_few_commits",
            a_fleet_that_comes_at_once_is_numbered_in_a_few_commits::<S>,
        ),
    ]
}

fn what_waits_and_what_is_kept_is_counted<S: Store + Fill>(store: &S) {
    let counts = |f: Filling| (f.log_rows, f.waiting_rows, f.waiting_bytes, f.quarantined, f.queued);
    assert_eq!(counts(store.filling().unwrap()), (0, 0, Some(0), 0, 0));
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Telemetry, 1, &["one", "two", "three"]), at(1)).unwrap();
    assert_eq!(counts(store.filling().unwrap()), (3, 3, Some(11), 0, 0));
    let first = store.log_after(0, 1).unwrap()[0].id;
    let poison = vec![Poison { row: first, error: "unreadable".to_owned() }];
    let readings = vec![readings("s1", vec![reading(fan("1"), 0, 9000.0)])];
    store
        .apply(
            Applied { through: Some(first), servers: vec![server("s1")], readings, poison, ..Applied::default() },
            at(2),
        )
        .unwrap();
    let filling = store.filling().unwrap();
    assert_eq!(counts(filling), (3, 2, Some(8), 1, 0));
    assert_eq!(filling.head_points, 1);
    assert!(
        filling.main_bytes + filling.wal_bytes > 0
            && filling.max_head_bytes > filling.head_bytes
            && filling.head_bytes > 0
    );
}

fn a_fleet_that_comes_at_once_is_numbered_in_a_few_commits<S: Store + Fill>(store: &S) {
    use outband_store::Sequence::Server;
    let before = store.filling().unwrap().commits;
    let numbers: Vec<u64> = (0..5000).map(|_| store.reserve(Server).unwrap()).collect();
    assert_eq!(numbers, (1..=5000).collect::<Vec<u64>>());
    let commits = store.filling().unwrap().commits - before;
    assert!((1..100).contains(&commits), "{commits}");
}
