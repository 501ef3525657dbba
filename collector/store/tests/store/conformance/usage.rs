//! What servers used of power and cooling.

use super::Behaviour;
use super::make::server_id;
use outband_health::fleet::usage::{Day, Hours, Level, Power};
use outband_store::usage::{Known, ServerUsage, Usage};

pub(super) fn all<S: Usage>() -> Vec<Behaviour<S>> {
    vec![
        ("what a server used on a day is read as it was kept, and the newest counts", keeps),
        ("what a server used is dropped before a day", drops),
    ]
}

fn day(seen: u8, hours: usize) -> Day {
    let mut mean = Hours::default();
    mean.0.iter_mut().take(hours).enumerate().for_each(|(hour, to)| *to = Some(300.5 + hour as f32));
    let power = (hours > 0).then(|| Power { sensor: "System Power".to_owned(), mean, peak: mean });
    Day { seen, power, fan: Some(Level { mean: 30.1, p95: 40.2, max: 50.3 }), ..Day::default() }
}

fn keep<S: Usage>(store: &S, name: &str, days: Vec<(i32, Day)>, keep_from: i32) {
    store.keep_usage(vec![ServerUsage { server: server_id(name), days }], keep_from).unwrap();
}

fn keeps<S: Usage>(store: &S) {
    let (one, two) = (server_id("srv-1"), server_id("srv-2"));
    assert_eq!(store.usage(&one, 0, 99_999).unwrap(), []);
    keep(store, "srv-1", vec![(20_001, day(24, 24)), (20_000, day(7, 3))], 0);
    keep(store, "srv-2", vec![(20_000, day(0, 0))], 0);
    keep(store, "srv-1", vec![(20_000, day(9, 5))], 0);
    assert_eq!(store.usage(&one, 0, 99_999).unwrap(), [(20_000, day(9, 5)), (20_001, day(24, 24))]);
    assert_eq!(store.usage(&one, 20_001, 20_001).unwrap(), [(20_001, day(24, 24))]);
    let known = [Known { date: 20_000, seen: 9, told: 5 }, Known { date: 20_001, seen: 24, told: 24 }];
    assert_eq!(store.usage_known(&one, 19_000, 20_001).unwrap(), known);
    assert_eq!(store.usage_known(&two, 19_000, 20_001).unwrap(), [Known { date: 20_000, seen: 0, told: 0 }]);
}

fn drops<S: Usage>(store: &S) {
    keep(store, "srv-1", vec![(19_000, day(24, 24)), (20_000, day(24, 24))], 0);
    keep(store, "srv-2", vec![(19_000, day(24, 24))], 0);
    keep(store, "srv-1", vec![(20_001, day(24, 24))], 20_000);
    let dates = |name: &str| -> Vec<i32> {
        store.usage(&server_id(name), 0, 99_999).unwrap().into_iter().map(|(date, _)| date).collect()
    };
    assert_eq!((dates("srv-1"), dates("srv-2")), (vec![20_000, 20_001], vec![19_000]));
}
