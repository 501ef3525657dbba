use super::*;
use outband_schemas::{Cause, State, Suspicion};
use proptest::prelude::*;

fn number(at: i64, value: f64) -> Point {
    Point { at: Timestamp::from_millis(at), value: Some(Value::Number(value)), quality: Quality::Good }
}

fn any_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        6 => any::<f64>().prop_map(|n| Some(Value::Number(n))),
        4 => (-500i32..500).prop_map(|n| Some(Value::Number(f64::from(n) / 10.0))),
        1 => Just(None),
        2 => (0usize..State::ALL.len(), "[a-z é中]{0,6}")
            .prop_map(|(s, text)| Some(Value::State { state: State::ALL[s], text })),
        1 => ".{0,8}".prop_map(|t| Some(Value::Text(t))),
    ]
}

fn any_quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        5 => Just(Quality::Good),
        1 => (0usize..Suspicion::ALL.len()).prop_map(|i| Quality::Suspect(Suspicion::ALL[i])),
        1 => (0usize..Cause::ALL.len()).prop_map(|i| Quality::Unavailable(Cause::ALL[i])),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 1_700_000_000_000i64..1_700_007_200_000, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    proptest::collection::vec((any_time(), any_value(), any_quality()), 0..150).prop_map(|rows| {
        rows.into_iter().map(|(at, value, quality)| Point { at: Timestamp::from_millis(at), value, quality }).collect()
    })
}

/// Equal to the bit: NaN equals itself, 0 and -0 differ.
fn same(a: &[Point], b: &[Point]) -> bool {
    let bits = |p: &Point| p.value.as_ref().and_then(Value::as_number).map(f64::to_bits);
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| {
            x.at == y.at && x.quality == y.quality && bits(x) == bits(y) && (bits(x).is_some() || x.value == y.value)
        })
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back_in_order_and_to_the_bit(points in any_points()) {
        let back = decode(&encode(points.clone())).unwrap();
        prop_assert!(same(&back, &normalise(points)));
    }

    #[test]
    fn adding_the_same_points_again_changes_no_byte(points in any_points()) {
        let once = encode(points.clone());
        let mut twice = decode(&once).unwrap();
        twice.extend(points);
        prop_assert_eq!(encode(twice), once);
    }

    #[test]
    fn one_flipped_bit_is_an_error(points in any_points(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(points);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn random_bytes_under_a_right_checksum_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() { *first = VERSION; }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(checksum.to_le_bytes());
        if let Ok(points) = decode(&bytes) { prop_assert!(points.len() <= bytes.len() * 8 + 1); }
    }

    #[test]
    fn damaged_bytes_under_a_right_checksum_never_panic(points in any_points(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(points);
        bytes.truncate(bytes.len() - 4);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(checksum.to_le_bytes());
        // Whatever it says, it says it without a panic.
        drop(decode(&bytes));
    }
}

#[test]
fn the_layout_of_version_1_does_not_change() {
    let points = vec![
        number(1_000_000, 42.0),
        number(1_060_000, 42.0),
        number(1_120_003, 43.5),
        Point { at: Timestamp::from_millis(1_180_000), value: None, quality: Quality::Unavailable(Cause::Timeout) },
    ];
    let hex: String = encode(points).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, LAYOUT_1);
}

#[test]
fn the_layout_of_version_1_does_not_change_for_numbers_with_no_short_decimals() {
    let points = vec![number(-5, 1.0 / 3.0), number(0, -0.0), number(7, f64::NAN), number(8, 12.096)];
    let hex: String = encode(points).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, LAYOUT_1_XOR);
}

const LAYOUT_1: &str = "010480897a0103480100e3a982077a3c348c7814879d51";
const LAYOUT_1_XOR: &str =
    "01040901040082c0af5f17bfeaaaaaaaaaaaaae0feff55555555555557019fffc5e7fa0624dd2f1a9fc09b541712";

#[test]
fn a_layout_of_the_future_is_refused_by_its_number() {
    let mut bytes = vec![VERSION + 1, 0];
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    assert_eq!(decode(&bytes), Err(ChunkError::Version(VERSION + 1)));
}

#[test]
fn no_points_are_a_chunk_too() {
    assert_eq!(decode(&encode(Vec::new())), Ok(Vec::new()));
}
