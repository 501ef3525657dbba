use crate::conformance::Behaviour;
use crate::conformance::make::*;
use outband_schemas::{Cause, Quality, ServerId, Timestamp};
use outband_store::history::{History, Summary};
use outband_store::rollup::Resolution::{self, FiveMinutes, Hour};
use outband_store::{Applied, HistoryFilter, Page, Retention, SeriesFilter, Store};

/// The behaviours of this file.
pub(crate) fn all<S: Store + History>() -> Vec<Behaviour<S>> {
    vec![
        ("summaries_are_the_same_whatever_they_are_made_from", summaries_are_the_same_whatever_they_are_made_from),
        (
            "a_late_reading_lands_in_its_bucket_at_once_and_for_good",
            a_late_reading_lands_in_its_bucket_at_once_and_for_good,
        ),
        (
            "summaries_outlive_the_readings_and_hours_the_five_minutes",
            summaries_outlive_the_readings_and_hours_the_five_minutes,
        ),
        (
            "a_reading_that_comes_when_the_others_of_its_day_are_gone_spoils_no_bucket",
            a_reading_that_comes_when_the_others_of_its_day_are_gone_spoils_no_bucket,
        ),
        ("summaries_page_over_sensors_and_days", summaries_page_over_sensors_and_days),
        ("silence_is_no_bucket_and_no_number", silence_is_no_bucket_and_no_number),
        ("readings_of_a_wrong_clock_are_told_too", readings_of_a_wrong_clock_are_told_too),
        ("a_span_begins_with_the_bucket_that_holds_its_start", a_span_begins_with_the_bucket_that_holds_its_start),
    ]
}

const DAY: i64 = 86_400;

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

fn summaries<S: History>(store: &S, resolution: Resolution) -> Vec<Summary> {
    store.summaries(&every(None), resolution, &Page::first(100_000)).unwrap().rows
}

/// Start, readings, least, greatest and mean of each bucket.
fn figures(rows: &[Summary]) -> Vec<(Timestamp, u32, f64, f64, f64)> {
    let of = |s: &Summary| {
        let n = s.bucket.numbers.unwrap();
        (s.bucket.start, s.bucket.readings(), n.min, n.max, n.mean())
    };
    rows.iter().map(of).collect()
}

/// Three days of readings five minutes apart, each other one of another value.
fn three_days() -> Vec<(i64, f64)> {
    (0..3 * 288).map(|n| (300 * n, 5000.0 + 75.0 * (n % 7) as f64)).collect()
}

fn summaries_are_the_same_whatever_they_are_made_from<S: Store + History>(store: &S) {
    for part in three_days().chunks(50) {
        put(store, "s1", part);
    }
    let (fine, hours) = (figures(&summaries(store, FiveMinutes)), figures(&summaries(store, Hour)));
    assert_eq!((fine.len(), hours.len()), (864, 72), "made of what is in memory");
    // Some windows sealed; all sealed and days made; all days made; the month made.
    for now in [5 * 3600, 2 * DAY, 5 * DAY, 40 * DAY] {
        store.seal(at(now)).unwrap();
        assert_eq!(figures(&summaries(store, FiveMinutes)), fine, "after {now} s");
        assert_eq!(figures(&summaries(store, Hour)), hours, "after {now} s");
    }
    assert_eq!(store.seal(at(40 * DAY)).unwrap(), outband_store::Sealed::default(), "nothing is made twice");
    let (_, readings, least, most, mean) = hours[5];
    assert_eq!((readings, least, most), (12, 5000.0, 5450.0));
    assert!(least < mean && mean < most);
}

fn a_late_reading_lands_in_its_bucket_at_once_and_for_good<S: Store + History>(store: &S) {
    put(store, "s1", &[(0, 1.0), (120, 3.0)]);
    store.seal(at(3 * DAY)).unwrap();
    assert_eq!(figures(&summaries(store, FiveMinutes)), [(at(0), 2, 1.0, 3.0, 2.0)]);
    put(store, "s1", &[(60, 8.0)]);
    for sealed in [false, true] {
        if sealed {
            assert_eq!(store.seal(at(3 * DAY)).unwrap().rolled, 1);
        }
        assert_eq!(figures(&summaries(store, FiveMinutes)), [(at(0), 3, 1.0, 8.0, 4.0)], "sealed: {sealed}");
        assert_eq!(figures(&summaries(store, Hour)), [(at(0), 3, 1.0, 8.0, 4.0)], "sealed: {sealed}");
    }
    // Sealed, while its day is not made again yet.
    put(store, "s1", &[(62, 8.5)]);
    let sealed = store.seal(at(3 * 3600)).unwrap();
    assert_eq!((sealed.chunks, sealed.rolled), (1, 0));
    assert_eq!(figures(&summaries(store, FiveMinutes))[0].1, 4);
    // A month that is made: what is put away of it, and not made yet, is told all the same.
    store.seal(at(45 * DAY)).unwrap();
    put(store, "s1", &[(63, 8.75)]);
    store.seal(at(3 * 3600)).unwrap();
    assert_eq!(figures(&summaries(store, Hour))[0].1, 5);
    // Made again.
    store.seal(at(45 * DAY)).unwrap();
    put(store, "s1", &[(61, 9.0)]);
    assert_eq!(summaries(store, Hour)[0].bucket.numbers.unwrap().max, 9.0);
    assert_eq!(store.seal(at(45 * DAY)).unwrap().rolled, 2);
    assert_eq!(summaries(store, Hour)[0].bucket.numbers.unwrap().max, 9.0);
}

fn summaries_outlive_the_readings_and_hours_the_five_minutes<S: Store + History>(store: &S) {
    put(store, "s1", &three_days());
    // Nothing goes before what is to be made of it is made: the last day is sealed, and not over.
    store.seal(at(3 * DAY + 1200)).unwrap();
    store.expire(at(41 * DAY), &Retention::default()).unwrap();
    store.seal(at(41 * DAY)).unwrap();
    let (fine, hours) = (figures(&summaries(store, FiveMinutes)), figures(&summaries(store, Hour)));
    assert_eq!(fine.len(), 864);
    let readings = || store.history(&every(None), &Page::first(9999)).unwrap().rows.len();
    assert!(readings() > 0, "the week of the last day was kept for it");
    store.expire(at(41 * DAY), &Retention::default()).unwrap();
    assert_eq!(readings(), 0);
    assert_eq!((figures(&summaries(store, FiveMinutes)), figures(&summaries(store, Hour))), (fine, hours.clone()));
    store.expire(at(410 * DAY), &Retention::default()).unwrap();
    assert!(summaries(store, FiveMinutes).is_empty());
    assert_eq!(figures(&summaries(store, Hour)), hours);
    assert!(store.holdings().unwrap().iter().map(|h| h.files).eq([0, 0, 1]));
    store.expire(at(8 * 366 * DAY), &Retention::default()).unwrap();
    assert!(summaries(store, Hour).is_empty());
}

fn a_reading_that_comes_when_the_others_of_its_day_are_gone_spoils_no_bucket<S: Store + History>(store: &S) {
    put(store, "s1", &three_days());
    store.seal(at(41 * DAY)).unwrap();
    store.expire(at(41 * DAY), &Retention::default()).unwrap();
    let (fine, hours) = (figures(&summaries(store, FiveMinutes)), figures(&summaries(store, Hour)));
    put(store, "s1", &[(DAY, 1.0)]);
    for sealed in [false, true] {
        if sealed {
            store.seal(at(41 * DAY)).unwrap();
        }
        assert_eq!(figures(&summaries(store, FiveMinutes)), fine, "sealed: {sealed}");
        assert_eq!(figures(&summaries(store, Hour)), hours, "sealed: {sealed}");
    }
}

fn summaries_page_over_sensors_and_days<S: Store + History>(store: &S) {
    put(store, "s1", &three_days());
    store.seal(at(5 * DAY)).unwrap();
    put(store, "s2", &three_days());
    let mut page = Page::first(77);
    let mut seen = Vec::new();
    loop {
        let listing = store.summaries(&every(None), FiveMinutes, &page).unwrap();
        assert!(listing.rows.len() <= 77);
        seen.extend(listing.rows.into_iter().map(|s| (s.server.to_string(), s.bucket.start)));
        match listing.next {
            Some(token) => page = Page::after(token, 77),
            None => break,
        }
    }
    assert_eq!(seen.len(), 2 * 864);
    assert!(seen.is_sorted());
    let one = store.summaries(&every(Some(server_id("s2"))), FiveMinutes, &Page::first(9999)).unwrap();
    assert_eq!(one.rows.len(), 864);
}

fn silence_is_no_bucket_and_no_number<S: Store + History>(store: &S) {
    let mut lost = reading(fan("Fan 1"), 600, 0.0);
    (lost.value, lost.quality) = (None, Quality::Unavailable(Cause::Timeout));
    let list = vec![reading(fan("Fan 1"), 0, 5000.0), lost, reading(fan("Fan 1"), 1800, 5000.0)];
    store.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
    for sealed in [false, true] {
        if sealed {
            store.seal(at(3 * DAY)).unwrap();
        }
        let rows = summaries(store, FiveMinutes);
        assert_eq!(rows.iter().map(|s| s.bucket.start).collect::<Vec<_>>(), [at(0), at(600), at(1800)]);
        let silent = &rows[1].bucket;
        assert_eq!((silent.readings(), silent.numbers, silent.cause), (1, None, Some(Cause::Timeout)));
    }
}

fn readings_of_a_wrong_clock_are_told_too<S: Store + History>(store: &S) {
    let year_2300 = 8_600_000_000;
    put(store, "s1", &[(-1_900_000_000, 1.0), (0, 2.0), (year_2300, 3.0)]);
    for sealed in [false, true] {
        if sealed {
            store.seal(at(3 * DAY)).unwrap();
        }
        for resolution in [FiveMinutes, Hour] {
            let values: Vec<f64> = figures(&summaries(store, resolution)).iter().map(|f| f.2).collect();
            assert_eq!(values, [1.0, 2.0, 3.0], "sealed: {sealed}");
        }
        assert_eq!(store.history(&every(None), &Page::first(9)).unwrap().rows.len(), 3);
    }
}

fn a_span_begins_with_the_bucket_that_holds_its_start<S: Store + History>(store: &S) {
    put(store, "s1", &three_days());
    for sealed in [false, true] {
        if sealed {
            store.seal(at(40 * DAY)).unwrap();
        }
        let span = |from, to, resolution| -> Vec<Timestamp> {
            let filter = HistoryFilter { from: at(from), to: at(to), ..every(None) };
            let rows = store.summaries(&filter, resolution, &Page::first(99)).unwrap().rows;
            rows.iter().map(|s| s.bucket.start).collect()
        };
        assert_eq!(span(700, 1200, FiveMinutes), [at(600), at(900)]);
        assert_eq!(span(DAY - 1, DAY + 1, FiveMinutes), [at(DAY - 300), at(DAY)]);
        assert_eq!(span(700, 3601, Hour), [at(0), at(3600)]);
    }
}
