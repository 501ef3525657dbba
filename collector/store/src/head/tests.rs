use super::*;
use outband_schemas::{Quality, State, Value};
use proptest::prelude::*;

fn point(ms: i64) -> Point {
    Point { at: Timestamp::from_millis(ms), value: Some(Value::Number(1.0)), quality: Quality::Good }
}

fn came(series: i64, ms: i64) -> Arrival {
    Arrival { series, received_at: Some(Timestamp::from_millis(ms + 3)), point: point(ms) }
}

/// The page that a series lies on.
fn key(start: i64, series: i64) -> PageKey {
    PageKey { start, page: place(series).0 }
}

#[test]
fn a_window_is_due_only_after_its_end_and_the_grace() {
    let mut head = Head::default();
    head.add(1, &[came(7, 5)]);
    let end = Timestamp::from_millis(WINDOW_MS);
    assert!(head.due(end, usize::MAX, 9).is_empty());
    assert_eq!(head.due(end.plus(GRACE), usize::MAX, 9), [key(0, 7)]);
}

#[test]
fn a_window_of_a_clock_that_runs_ahead_does_not_hold_the_journal_for_ever() {
    let mut head = Head::default();
    head.add(1, &[came(7, 100 * WINDOW_MS)]);
    assert_eq!(head.due(Timestamp::from_millis(5), usize::MAX, 9), [key(100 * WINDOW_MS, 7)]);
}

#[test]
fn too_many_bytes_make_every_window_due() {
    let mut head = Head::default();
    head.add(1, &[came(7, 5)]);
    head.add(2, &[came(70, 6)]);
    assert_eq!(head.due(Timestamp::from_millis(5), head.bytes() - 1, 9).len(), 2);
    assert_eq!(head.due(Timestamp::from_millis(5), head.bytes() - 1, 1).len(), 1);
    assert_eq!(head.due(Timestamp::from_millis(5), head.bytes(), 9).len(), 0);
}

#[test]
fn the_journal_is_needed_from_the_first_row_of_what_is_left() {
    let mut head = Head::default();
    head.add(3, &[came(7, 5)]);
    head.add(4, &[came(7, WINDOW_MS + 5)]);
    head.add(9, &[came(8, 6)]);
    assert_eq!(head.sealed_through(), 2);
    head.forget(&[(key(0, 7), 2)]);
    assert_eq!((head.len(), head.sealed_through()), (1, 3));
    head.forget(&[(key(WINDOW_MS, 7), 1)]);
    assert_eq!(head.sealed_through(), 9);
}

#[test]
fn a_point_that_came_while_its_window_was_sealed_stays_with_its_row_of_the_journal() {
    let mut head = Head::default();
    head.add(3, &[came(7, 5)]);
    head.add(8, &[came(7, 6)]);
    head.forget(&[(key(0, 7), 1)]);
    assert_eq!(head.page(key(0, 7)), (vec![((0, 7), vec![point(6)])], 1));
    assert_eq!((head.len(), head.sealed_through()), (1, 2));
    head.forget(&[(key(0, 7), 1)]);
    assert_eq!(head.sealed_through(), 8);
    assert!(head.is_empty() && head.of_series(7, Timestamp::EPOCH, Timestamp::from_millis(9)).is_empty());
}

#[test]
fn the_newest_point_is_that_of_the_latest_time_and_not_that_which_came_last() {
    let mut head = Head::default();
    head.add(1, &[came(7, 500), came(7, 900), came(7, 600), came(7, WINDOW_MS + 1), came(7, 800), came(8, 5)]);
    let newest = |head: &Head, series| head.newest(series).map(|n| (n.point, n.received_at));
    let of = |ms| Some((point(ms), Some(Timestamp::from_millis(ms + 3))));
    assert_eq!((newest(&head, 7), newest(&head, 8), newest(&head, 9)), (of(WINDOW_MS + 1), of(5), None));
    head.forget(&[(key(WINDOW_MS, 7), 1)]);
    assert_eq!(newest(&head, 7), of(900));
    head.forget(&[(key(0, 7), 2)]);
    assert_eq!(newest(&head, 7).map(|(point, _)| point), Some(point(800)));
}

#[test]
fn series_of_many_pages_stay_apart() {
    let mut head = Head::default();
    for series in [1, 63, 64, 65, 4096, i64::MAX] {
        head.add(1, &[came(series, series % 1000)]);
    }
    let due = head.due(Timestamp::from_millis(WINDOW_MS).plus(GRACE), 0, 99);
    let series: Vec<i64> = due.iter().flat_map(|page| head.page(*page).0).map(|((_, series), _)| series).collect();
    assert_eq!(series, [1, 63, 64, 65, 4096, i64::MAX]);
    assert_eq!(head.of_series(64, Timestamp::EPOCH, Timestamp::from_secs(9)), [point(64)]);
    head.forget(&[(key(0, 63), 2)]);
    assert_eq!(head.starts(63), [0_i64; 0]);
    assert_eq!((head.starts(65), head.starts(i64::MAX)), (vec![0], vec![0]));
}

#[test]
fn memory_that_was_taken_is_given_back() {
    let mut head = Head::default();
    for n in 0..500 {
        head.add(1, &[came(n % 90, n * 40_000)]);
    }
    assert!(head.bytes() > 500);
    for page in head.due(Timestamp::EPOCH, 0, usize::MAX) {
        let (_, points) = head.page(page);
        head.forget(&[(page, points)]);
    }
    assert_eq!((head.bytes(), head.len()), (0, 0));
}

#[test]
fn times_before_1970_have_a_window_too() {
    assert_eq!(window_start(Timestamp::from_millis(-1)), -WINDOW_MS);
    assert_eq!(window_start(Timestamp::from_millis(0)), 0);
}

/// What a server tells every minute for two hours: `still` sensors that never change, `moving` ones that go to and fro, each its own milliseconds later.
fn polls(first: i64, still: i64, moving: i64, jitter: i64) -> Vec<Vec<Arrival>> {
    let value = |n: i64, minute: i64| match n {
        n if n < still / 2 => Value::State { state: State::Ok, text: "Enabled, OK".to_owned() },
        n if n < still => Value::Number(12.06 + n as f64),
        n => Value::Number((7200 + 120 * ((minute / 7 + n) % 3) + 120 * ((minute * 7 + n * 13) % 5 / 4)) as f64),
    };
    let poll = |minute: i64| {
        let at = |n: i64| minute * 60_000 + n * 3 + (minute * 31 + n * 17) % (jitter + 1);
        let reading = |n: i64| Arrival {
            series: first + n,
            received_at: Some(Timestamp::from_millis(minute * 60_000 + 900 + minute * 7919 % 83)),
            point: Point { at: Timestamp::from_millis(at(n)), value: Some(value(n, minute)), quality: Quality::Good },
        };
        (0..still + moving).map(reading).collect()
    };
    (0..120).map(poll).collect()
}

/// How many bytes of memory a series takes after two hours, of so many servers.
fn bytes_a_series(servers: i64, jitter: i64) -> f64 {
    let mut head = Head::default();
    let all: Vec<_> = (0..servers).map(|n| polls(n * 80, 40, 40, jitter)).collect();
    for minute in 0..120 {
        for (row, server) in (1..).zip(&all) {
            head.add(row, &server[minute]);
        }
    }
    for server in [0, servers - 1] {
        for n in [0, 30, 79] {
            let sent: Vec<Point> = all[server as usize].iter().map(|poll| poll[n].point.clone()).collect();
            let series = server * 80 + n as i64;
            assert_eq!(head.of_series(series, Timestamp::EPOCH, Timestamp::from_millis(WINDOW_MS)), sent);
        }
    }
    head.bytes() as f64 / (servers * 80) as f64
}

#[test]
fn two_hours_of_a_sensor_take_less_memory_than_a_hundred_bytes() {
    let bytes = bytes_a_series(40, 0);
    assert!(bytes < 100.0, "{bytes}");
}

#[test]
fn sensors_that_are_read_a_little_sooner_or_later_each_time_take_a_byte_more_a_point() {
    let bytes = bytes_a_series(40, 9);
    assert!(bytes < 220.0, "{bytes}");
}

#[test]
fn groups_of_sensors_that_take_turns_are_told_once_each() {
    let mut head = Head::default();
    let (many, few) = (polls(0, 20, 20, 0), polls(40, 4, 4, 0));
    for (many, few) in many.iter().zip(&few) {
        head.add(1, many);
        head.add(1, few);
    }
    assert!(head.bytes() < 48 * 100, "{}", head.bytes());
    assert_eq!(head.len(), 48 * 120);
}

fn any_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        (0..3_i64).prop_map(|n| Some(Value::Number(n as f64))),
        (-9..9_i64).prop_map(|n| Some(Value::Number(n as f64 / 100.0))),
        any::<i64>().prop_map(|n| Some(Value::Number(n as f64))),
        prop_oneof![any::<f64>(), Just(-0.0), Just(0.0)]
            .prop_filter("a number", |n| n.is_finite())
            .prop_map(|n| Some(Value::Number(n))),
        ".{0,3}".prop_map(|t| Some(Value::Text(t))),
        (1..=5_u8, "[ab]?").prop_map(|(s, text)| State::from_number(s).map(|state| Value::State { state, text })),
    ]
}

fn any_quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        4 => Just(Quality::Good),
        1 => (0..Suspicion::ALL.len()).prop_map(|n| Quality::Suspect(Suspicion::ALL[n])),
        1 => (0..Cause::ALL.len()).prop_map(|n| Quality::Unavailable(Cause::ALL[n])),
    ]
}

fn any_arrival() -> impl Strategy<Value = Arrival> {
    let at = prop_oneof![
        1 => any::<i64>(),
        2 => 0..WINDOW_MS,
        6 => (0..20_i64).prop_map(|n| n * 60_000),
        1 => (0..20_i64).prop_map(|n| WINDOW_MS + n * 60_000),
    ];
    let series = prop_oneof![4 => 0..9_i64, 2 => 0..140_i64, 1 => any::<i64>()];
    let received = prop_oneof![1 => Just(None), 4 => (0..3_i64).prop_map(Some), 1 => any::<i64>().prop_map(Some)];
    (series, at, received, any_value(), any_quality()).prop_map(|(series, at, received, value, quality)| Arrival {
        series,
        // The smallest time stands for none.
        received_at: received.filter(|ms| *ms != i64::MIN).map(Timestamp::from_millis),
        point: Point { at: Timestamp::from_millis(at), value, quality },
    })
}

/// As it is told, with the bits of numbers: zero has two.
fn told(point: &Point) -> (Point, Option<u64>) {
    (point.clone(), point.value.as_ref().and_then(Value::as_number).map(f64::to_bits))
}

fn same(found: &[Point], wanted: &[Point]) -> bool {
    found.iter().map(told).eq(wanted.iter().map(told))
}

proptest! {
    #[test]
    fn every_point_comes_back_to_the_last_bit(
        mut batches in prop::collection::vec((prop::collection::vec(any_arrival(), 0..30), any::<bool>()), 0..12),
        rest in prop::collection::vec(any_arrival(), 0..30),
    ) {
        let mut head = Head::default();
        let mut all: Vec<Arrival> = Vec::new();
        // As often as not by series, as polls come.
        batches.iter_mut().for_each(|(batch, sorted)| if *sorted { batch.sort_by_key(|a| a.series) });
        for (row, (batch, _)) in (1..).zip(&batches) {
            head.add(row, batch);
            all.extend(batch.iter().cloned());
        }
        // What comes while all that is sealed stays.
        let due = head.due(Timestamp::EPOCH, 0, usize::MAX);
        let sealed: Vec<(PageKey, usize)> = due.iter().map(|page| (*page, head.page(*page).1)).collect();
        for page in &due {
            for ((start, series), points) in head.page(*page).0 {
                let of = |a: &&Arrival| a.series == series && window_start(a.point.at) == start;
                let wanted: Vec<Point> = all.iter().filter(of).map(|a| a.point.clone()).collect();
                prop_assert!(same(&points, &wanted), "{points:?} {wanted:?}");
            }
        }
        prop_assert_eq!(sealed.iter().map(|(_, count)| count).sum::<usize>(), all.len());
        for half in [false, true] {
            let series: std::collections::BTreeSet<i64> = all.iter().chain(&rest).map(|a| a.series).collect();
            for series in series {
                let of: Vec<&Arrival> = all.iter().filter(|a| a.series == series).collect();
                let newest = of.iter().max_by_key(|a| a.point.at);
                let found = head.newest(series);
                prop_assert_eq!(found.as_ref().map(|n| told(&n.point)), newest.map(|a| told(&a.point)));
                prop_assert_eq!(found.and_then(|n| n.received_at), newest.and_then(|a| a.received_at));
                let starts: std::collections::BTreeSet<i64> = of.iter().map(|a| window_start(a.point.at)).collect();
                prop_assert_eq!(head.starts(series), starts.into_iter().collect::<Vec<_>>());
            }
            prop_assert_eq!(head.len(), all.len());
            if !half {
                head.add(99, &rest);
                head.forget(&sealed);
                all.clone_from(&rest);
            }
        }
        for (page, _) in sealed {
            head.forget(&[(page, usize::MAX)]);
        }
    }
}
