//! The slow change of servers.

use super::Behaviour;
use outband_health::drift::Drift;
use outband_schemas::{SensorKind, ServerId, Timestamp};
use outband_store::drift::{Drifts, Wear};

pub(super) fn all<S: Drifts>() -> Vec<Behaviour<S>> {
    vec![("what was learnt of a server is read as it was kept, and the newest counts", keeps)]
}

/// So many days of a fan that turns slower and slower.
fn learnt(days: i64) -> Wear {
    let mut drift = Drift::default();
    let fan = |n: i64| format!("fan/{n}").parse().unwrap();
    for hour in 0..days * 24 {
        let at = Timestamp::from_secs(1_800_000_000 + hour * 3600);
        for n in 0..3 {
            let worn = if n == 1 { (hour - 480).max(0) as f64 * 0.7 } else { 0.0 };
            let duty = 40.0 + (hour % 7) as f64;
            drift.take(&fan(n), SensorKind::FanDuty, "duty", duty, at);
            drift.take(&fan(n), SensorKind::FanSpeed, "rpm", duty * 100.0 / 3.0 * (1.0 - worn / 1000.0), at);
        }
    }
    let signs = drift.signs(&Default::default());
    Wear { drift, signs, ..Wear::default() }
}

fn keeps<S: Drifts>(store: &S) {
    let server = |n: u32| ServerId::new(format!("srv-{n}")).unwrap();
    assert_eq!(store.wear(&server(1)).unwrap(), None);
    let (young, old) = (learnt(3), learnt(30));
    assert!(!old.signs.is_empty(), "there has to be something to keep");
    store.keep_wear(&[]).unwrap();
    store.keep_wear(&[(server(1), &young), (server(2), &young)]).unwrap();
    store.keep_wear(&[(server(1), &old)]).unwrap();
    alike(&store.wear(&server(1)).unwrap().unwrap(), &old);
    alike(&store.wear(&server(2)).unwrap().unwrap(), &young);
}

/// The same but for the last bit of a number that went through text.
fn alike(kept: &Wear, wear: &Wear) {
    let course = |wear: &Wear| -> Vec<String> {
        let of = |n: i64| {
            wear.drift.course(&format!("fan/{n}").parse().unwrap()).map(|d| format!("{d:?}")).collect::<Vec<_>>()
        };
        (0..3).flat_map(of).collect()
    };
    assert_eq!(course(kept), course(wear));
    assert_eq!(kept.signs.len(), wear.signs.len());
    for (a, b) in kept.signs.iter().zip(&wear.signs) {
        assert!((a.score - b.score).abs() < 1e-9, "{a:?} {b:?}");
        assert_eq!((&a.component, a.class, a.since()), (&b.component, b.class, b.since()));
    }
    assert_eq!(kept.drift.signs(&Default::default()).len(), wear.signs.len());
}
