use crate::behaviours;
use crate::conformance::make::*;
use outband_schemas::{ServerId, Timestamp};
use outband_store::{Applied, HistoryFilter, HistoryPoint, Page, Retention, SeriesFilter, Store};

behaviours![
    history_is_the_same_before_and_after_sealing,
    sealing_twice_seals_nothing_twice,
    a_late_reading_merges_into_its_chunk,
    history_pages_over_sensors_and_windows,
    a_span_is_half_open,
    old_history_expires_and_new_history_stays,
];

fn every(server: Option<ServerId>) -> HistoryFilter {
    HistoryFilter {
        series: SeriesFilter { server, ..SeriesFilter::default() },
        from: Timestamp::from_millis(i64::MIN),
        to: Timestamp::from_millis(i64::MAX),
    }
}

fn put<S: Store>(store: &S, name: &str, points: &[(i64, f64)]) {
    let list = points.iter().map(|(secs, value)| reading(fan("Fan 1"), *secs, *value)).collect();
    store.apply(Applied { readings: vec![readings(name, list)], ..applied(&[name]) }, at(0)).unwrap();
}

fn values(points: &[HistoryPoint]) -> Vec<(Timestamp, f64)> {
    points.iter().map(|p| (p.observed_at, p.value.as_ref().unwrap().as_number().unwrap())).collect()
}

/// Five hours of readings a minute apart.
fn five_hours() -> Vec<(i64, f64)> {
    (0..300).map(|n| (60 * n, 5000.0 - n as f64)).collect()
}

fn history_is_the_same_before_and_after_sealing<S: Store>(store: &S) {
    for part in five_hours().chunks(7) {
        put(store, "s1", part);
    }
    let page = Page::first(1000);
    let before = store.history(&every(None), &page).unwrap();
    assert_eq!(before.rows.len(), 300);
    assert!(before.rows.is_sorted_by_key(|p| p.observed_at));
    let sealed = store.seal(at(4 * 3600)).unwrap();
    assert!(sealed.chunks >= 1 && sealed.points >= 60, "{sealed:?}");
    assert_eq!(store.history(&every(None), &page).unwrap(), before);
    store.seal(at(24 * 3600)).unwrap();
    assert_eq!(store.history(&every(None), &page).unwrap(), before);
    assert_eq!(before.rows[0].sensor, "rpm");
    assert_eq!(before.rows[0].component, fan("Fan 1"));
}

fn sealing_twice_seals_nothing_twice<S: Store>(store: &S) {
    put(store, "s1", &five_hours());
    store.seal(at(24 * 3600)).unwrap();
    assert_eq!(store.seal(at(24 * 3600)).unwrap(), outband_store::Sealed::default());
    // The same readings again change nothing that can be seen.
    put(store, "s1", &five_hours());
    store.seal(at(24 * 3600)).unwrap();
    assert_eq!(store.history(&every(None), &Page::first(1000)).unwrap().rows.len(), 300);
}

fn a_late_reading_merges_into_its_chunk<S: Store>(store: &S) {
    put(store, "s1", &[(0, 1.0), (120, 3.0)]);
    store.seal(at(24 * 3600)).unwrap();
    put(store, "s1", &[(60, 2.0)]);
    let expect = vec![(at(0), 1.0), (at(60), 2.0), (at(120), 3.0)];
    assert_eq!(values(&store.history(&every(None), &Page::first(9)).unwrap().rows), expect);
    assert_eq!(store.seal(at(24 * 3600)).unwrap().points, 3);
    assert_eq!(values(&store.history(&every(None), &Page::first(9)).unwrap().rows), expect);
}

fn history_pages_over_sensors_and_windows<S: Store>(store: &S) {
    put(store, "s1", &five_hours());
    store.seal(at(3 * 3600)).unwrap();
    put(store, "s2", &five_hours());
    let mut page = Page::first(77);
    let mut seen = Vec::new();
    loop {
        let listing = store.history(&every(None), &page).unwrap();
        assert!(listing.rows.len() <= 77);
        seen.extend(listing.rows.into_iter().map(|p| (p.server.to_string(), p.observed_at)));
        match listing.next {
            Some(token) => page = Page::after(token, 77),
            None => break,
        }
    }
    assert_eq!(seen.len(), 600);
    assert!(seen.is_sorted());
    assert_eq!(store.history(&every(Some(server_id("s2"))), &Page::first(1000)).unwrap().rows.len(), 300);
}

fn a_span_is_half_open<S: Store>(store: &S) {
    put(store, "s1", &five_hours());
    for sealed in [false, true] {
        if sealed {
            store.seal(at(24 * 3600)).unwrap();
        }
        let span = HistoryFilter { from: at(60), to: at(180), ..every(None) };
        assert_eq!(
            values(&store.history(&span, &Page::first(9)).unwrap().rows),
            vec![(at(60), 4999.0), (at(120), 4998.0)]
        );
    }
}

fn old_history_expires_and_new_history_stays<S: Store>(store: &S) {
    let day = 86_400;
    put(store, "s1", &[(0, 1.0), (40 * day, 2.0)]);
    store.seal(at(41 * day)).unwrap();
    store.expire(at(41 * day), &Retention::default()).unwrap();
    assert_eq!(values(&store.history(&every(None), &Page::first(9)).unwrap().rows), vec![(at(40 * day), 2.0)]);
}
