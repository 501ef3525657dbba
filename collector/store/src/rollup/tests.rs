use super::*;
use crate::chunk::{ChunkError, normalise};
use outband_schemas::{State, Suspicion};
use proptest::prelude::*;

const DAY: i64 = 1_800_000_000_000 - 1_800_000_000_000 % 86_400_000;

fn point(ms: i64, value: Option<Value>, quality: Quality) -> Point {
    Point { at: Timestamp::from_millis(DAY + ms), value, quality }
}

fn number(ms: i64, n: f64) -> Point {
    point(ms, Some(Value::Number(n)), Quality::Good)
}

fn state(ms: i64, state: State, text: &str) -> Point {
    point(ms, Some(Value::State { state, text: text.to_owned() }), Quality::Good)
}

fn any_point() -> impl Strategy<Value = Point> {
    let value = prop_oneof![
        8 => (-500i32..500).prop_map(|n| Some(Value::Number(f64::from(n) / 10.0))),
        4 => (0i32..40).prop_map(|n| Some(Value::Number(f64::from(n) * 0.063))),
        2 => any::<f64>().prop_map(|n| Some(Value::Number(n))),
        3 => (0usize..State::ALL.len(), "[a-c]{0,2}")
            .prop_map(|(s, text)| Some(Value::State { state: State::ALL[s], text })),
        1 => ".{0,4}".prop_map(|t| Some(Value::Text(t))),
        1 => Just(None),
    ];
    let quality = prop_oneof![
        6 => Just(Quality::Good),
        1 => (0usize..Suspicion::ALL.len()).prop_map(|i| Quality::Suspect(Suspicion::ALL[i])),
        1 => (0usize..Cause::ALL.len()).prop_map(|i| Quality::Unavailable(Cause::ALL[i])),
    ];
    (0i64..86_400_000, value, quality).prop_map(|(ms, value, quality)| point(ms, value, quality))
}

fn any_day() -> impl Strategy<Value = Vec<Point>> {
    proptest::collection::vec(any_point(), 0..300).prop_map(normalise)
}

/// Numbers equal to the precision; a sum may be off by that of each of its numbers.
fn near(a: &Bucket, b: &Bucket) -> bool {
    let same = |x: f64, y: f64| x == y || (x - y).abs() <= 2e-7 * x.abs().max(y.abs());
    let numbers = match (&a.numbers, &b.numbers) {
        (Some(x), Some(y)) => {
            let most = x.min.abs().max(x.max.abs()) * f64::from(x.count);
            x.count == y.count
                && same(x.min, y.min)
                && same(x.max, y.max)
                && same(x.last, y.last)
                && (x.sum == y.sum || (x.sum - y.sum).abs() <= 1e-6 * most || !x.sum.is_finite())
        }
        (x, y) => x.is_none() && y.is_none(),
    };
    let rest = |b: &Bucket| Bucket { numbers: None, ..b.clone() };
    numbers && rest(a) == rest(b)
}

#[test]
fn a_sum_keeps_the_decimals_that_the_least_and_the_greatest_do_not_have() {
    let start = Timestamp::from_secs(1_800_000_000);
    let numbers = Some(Numbers { count: 3, min: 0.0, max: 0.1, sum: 0.163, last: 0.0 });
    let bucket =
        Bucket { start, good: 3, suspect: 0, unavailable: 0, cause: None, doubted: false, numbers, words: None };
    let (_, back) = decode(&encode(&[bucket], Resolution::FiveMinutes)).unwrap();
    assert_eq!(back[0].numbers, numbers);
}

proptest! {
    #[test]
    fn buckets_come_back_as_they_were(points in any_day()) {
        for resolution in Resolution::ALL {
            let buckets = reduce(&points, resolution);
            let (kind, back) = decode(&encode(&buckets, resolution)).unwrap();
            prop_assert_eq!(kind, resolution);
            prop_assert_eq!(back.len(), buckets.len());
            for (a, b) in buckets.iter().zip(&back) {
                prop_assert!(near(a, b), "{a:?} became {b:?}");
            }
        }
    }

    #[test]
    fn what_was_read_back_is_written_as_the_same_bytes(points in any_day()) {
        let once = encode(&reduce(&points, Resolution::FiveMinutes), Resolution::FiveMinutes);
        let (_, back) = decode(&once).unwrap();
        prop_assert_eq!(encode(&back, Resolution::FiveMinutes), once);
    }

    #[test]
    fn hours_of_five_minutes_are_hours_of_readings(points in any_day()) {
        // A text that is another each time is only counted, and counted by whoever comes first.
        let few = |b: &Bucket| b.words.as_ref().is_none_or(|w| w.seen.len() < MOST_WORDS);
        let fine = reduce(&points, Resolution::FiveMinutes);
        let (by_fives, by_points) = (coarsen(&fine, Resolution::Hour), reduce(&points, Resolution::Hour));
        prop_assert_eq!(by_fives.len(), by_points.len());
        for (a, b) in by_fives.iter().zip(&by_points).filter(|(a, _)| few(a)) {
            prop_assert!(near(a, b), "{a:?} is not {b:?}");
        }
    }

    #[test]
    fn every_reading_is_counted_once_and_numbers_lie_between_the_least_and_the_greatest(points in any_day()) {
        let buckets = reduce(&points, Resolution::Hour);
        prop_assert_eq!(buckets.iter().map(|b| b.readings() as usize).sum::<usize>(), points.len());
        for n in buckets.iter().filter_map(|b| b.numbers) {
            prop_assert!(n.min <= n.last && n.last <= n.max);
            let (least, most) = (n.min - n.min.abs() * 1e-9, n.max + n.max.abs() * 1e-9);
            prop_assert!(!n.mean().is_finite() || (least..=most).contains(&n.mean()), "{n:?}");
        }
    }

    #[test]
    fn one_flipped_bit_is_an_error(points in any_day(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&reduce(&points, Resolution::FiveMinutes), Resolution::FiveMinutes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn damaged_bytes_under_a_right_checksum_are_refused_or_say_something_whole(
        points in any_day(), at in any::<prop::sample::Index>(), to in any::<u8>()
    ) {
        let mut bytes = encode(&reduce(&points, Resolution::Hour), Resolution::Hour);
        bytes.truncate(bytes.len() - 4);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(checksum.to_le_bytes());
        if let Ok((resolution, buckets)) = decode(&bytes) {
            prop_assert!(buckets.len() <= MOST_BUCKETS);
            prop_assert!(buckets.windows(2).all(|w| w[0].start < w[1].start));
            // Written again it is a row again.
            prop_assert!(decode(&encode(&buckets, resolution)).is_ok());
        }
    }
}

#[test]
fn silence_is_told_and_is_no_zero() {
    let gone = |ms| point(ms, None, Quality::Unavailable(Cause::Timeout));
    let buckets =
        reduce(&[number(0, 40.0), gone(60_000), gone(300_000), number(900_000, 41.0)], Resolution::FiveMinutes);
    assert_eq!(buckets.len(), 3, "of what nobody tried to read there is nothing");
    assert_eq!((buckets[0].good, buckets[0].unavailable, buckets[0].cause), (1, 1, Some(Cause::Timeout)));
    assert_eq!((buckets[1].good, buckets[1].unavailable, buckets[1].numbers), (0, 1, None));
}

#[test]
fn a_doubted_value_stands_only_where_there_is_no_good_one() {
    let doubted = |ms, n| point(ms, Some(Value::Number(n)), Quality::Suspect(Suspicion::OutOfRange));
    let alone = &reduce(&[doubted(0, 999.0)], Resolution::FiveMinutes)[0];
    assert!(alone.doubted && alone.numbers.unwrap().max == 999.0);
    for points in [[doubted(0, 999.0), number(1, 40.0)], [number(0, 40.0), doubted(1, 999.0)]] {
        let bucket = &reduce(&points, Resolution::FiveMinutes)[0];
        assert!(!bucket.doubted && bucket.numbers.unwrap().max == 40.0);
        assert_eq!((bucket.good, bucket.suspect), (1, 1));
    }
}

#[test]
fn of_states_the_last_all_and_the_longest_are_told() {
    let points = [
        state(0, State::Ok, "ok"),
        state(1, State::Critical, "failed"),
        state(2, State::Ok, "ok"),
        state(3, State::Absent, ""),
    ];
    let words = reduce(&points, Resolution::Hour)[0].words.clone().unwrap();
    assert_eq!(words.last, Value::State { state: State::Absent, text: String::new() });
    assert_eq!(words.seen.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(*words.longest(), Value::State { state: State::Ok, text: "ok".to_owned() });
}

#[test]
fn a_sensor_that_never_changes_costs_a_few_bytes_a_day() {
    let day: Vec<Point> = (0..1440).map(|n| number(n * 60_000, 42.5)).collect();
    assert!(encode(&reduce(&day, Resolution::FiveMinutes), Resolution::FiveMinutes).len() < 40);
}

#[test]
fn steps_of_a_sensor_cost_no_bits_that_say_nothing() {
    let day = |step: f64| -> usize {
        let steps = (0..1440).map(|n: i64| number(n * 60_000, 5000.0 + step * ((n * n) % 4) as f64));
        encode(&reduce(&steps.collect::<Vec<_>>(), Resolution::FiveMinutes), Resolution::FiveMinutes).len()
    };
    assert!(day(75.0).abs_diff(day(1.0)) < 4, "{} and {}", day(75.0), day(1.0));
    assert!(day(0.063).abs_diff(day(1.0)) < 4, "{} and {}", day(0.063), day(1.0));
}

fn row() -> Vec<Bucket> {
    let points = [
        number(0, 42.0),
        number(60_000, 43.5),
        number(120_000, 42.5),
        point(180_000, None, Quality::Unavailable(Cause::Timeout)),
        state(400_000, State::Warning, "degraded"),
        state(460_000, State::Ok, "ok"),
        number(1_000_000, 12.096),
    ];
    reduce(&points, Resolution::FiveMinutes)
}

#[test]
fn the_layout_of_version_1_does_not_change() {
    let hex: String = encode(&row(), Resolution::FiveMinutes).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, LAYOUT);
}

#[test]
fn the_layout_of_version_1_does_not_change_for_numbers_that_are_no_decimals() {
    let points = [number(0, 1.0 / 3.0), number(1, 2.0 / 3.0), number(3_600_000, 1e300)];
    let hex: String =
        encode(&reduce(&points, Resolution::Hour), Resolution::Hour).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, LAYOUT_RAW);
}

const LAYOUT: &str = "11ac0203c0b4dc050001010121010201010103010201010100030101000203010101020408646567726164656403026f6b01010200010101000103a0900504c00075339f77003e9f403d64be00";
const LAYOUT_RAW: &str = "11901c02b0843d0001010202010101000200020201010107f8bdff555555555555570fd078ac5a775548327e2f7fe5555555555555c3f41d2b169dd5520c9f8bdff955555555555570fd074ac5a775548327e227ffc3e41c7e43c8800759c034aa8bef";

#[test]
fn a_row_of_readings_and_a_row_of_buckets_are_not_taken_for_each_other() {
    assert_eq!(decode(&crate::chunk::encode(Vec::new())), Err(ChunkError::Version(crate::chunk::VERSION)));
    assert_eq!(crate::chunk::decode(&encode(&[], Resolution::Hour)), Err(ChunkError::Version(VERSION)));
    assert_eq!(decode(&encode(&[], Resolution::Hour)), Ok((Resolution::Hour, Vec::new())));
}

#[test]
fn a_row_of_more_buckets_than_a_month_has_hours_is_refused() {
    let points: Vec<Point> = (0..=MOST_BUCKETS as i64).map(|n| number(n * 3_600_000, 1.0)).collect();
    assert!(decode(&encode(&reduce(&points, Resolution::Hour), Resolution::Hour)).is_err());
}
