//! Rows of the journal: points that no chunk holds yet, those of one transaction in one row. Pure.
//!
//! Layout, version 2 (integers are LEB128 varints; signed ones zigzag):
//!
//! | part | holds |
//! |---|---|
//! | mark | one byte, `0`: no row of version 1 begins so |
//! | version | one byte, `2` |
//! | points | each a head byte and what it says that follows |
//! | checksum | CRC32C of everything before it, 4 bytes, little endian |
//!
//! Bits 0 to 2 of the head: which value ([`NOTHING`] …). Bit 3: the series is not the one after that before; its distance from there follows. Bit 4:
//! another time than before; the difference follows. Bit 5: not good; the quality follows. Bit 6: it came at another time than the one before; the
//! difference follows. Before the first point all of these are 0. Then comes the value.
//!
//! Version 1: per series its number, the length of a chunk, the chunk.

use crate::chunk::bits::{put_varint, scaled, take_bytes, take_varint, unzigzag, zigzag};
use crate::chunk::{self, ChunkError, Point, tagged};
use crate::head::{Arrival, quality_code, quality_of};
use outband_schemas::{State, Timestamp, Value};

/// The newest layout.
const VERSION: u8 = 2;

const NOTHING: u8 = 0;
/// A whole number.
const WHOLE: u8 = 1;
/// A number of thousandths.
const THOUSANDTHS: u8 = 2;
/// A number: eight bytes, little endian.
const NUMBER: u8 = 3;
/// A text or a state: its tag (0 text, else the state's number), length, words.
const WORD: u8 = 4;

const VALUE: u8 = 0b111;
const SERIES: u8 = 1 << 3;
const AT: u8 = 1 << 4;
const QUALITY: u8 = 1 << 5;
const RECEIVED: u8 = 1 << 6;

/// What the next point is told by.
#[derive(Debug, Default)]
struct Before {
    series: i64,
    at: i64,
    received: i64,
}

/// The bytes of a row.
pub fn encode<'a>(arrivals: impl Iterator<Item = &'a Arrival>) -> Vec<u8> {
    let mut out = vec![0, VERSION];
    let mut before = Before::default();
    for arrival in arrivals {
        put(&mut out, &mut before, arrival);
    }
    let checksum = crc32c::crc32c(&out);
    out.extend(checksum.to_le_bytes());
    out
}

fn put(out: &mut Vec<u8>, before: &mut Before, Arrival { series, received_at, point }: &Arrival) {
    let received = received_at.unwrap_or(point.at).as_millis();
    let step = series.wrapping_sub(before.series).wrapping_sub(1);
    let (later, waited) = (point.at.as_millis().wrapping_sub(before.at), received.wrapping_sub(before.received));
    let quality = quality_code(&point.quality);
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    let flags =
        flag(step != 0, SERIES) | flag(later != 0, AT) | flag(quality != 0, QUALITY) | flag(waited != 0, RECEIVED);
    let place = out.len();
    out.push(flags);
    if step != 0 {
        put_varint(out, zigzag(step));
    }
    if later != 0 {
        put_varint(out, zigzag(later));
    }
    if quality != 0 {
        out.extend(quality.to_be_bytes());
    }
    if waited != 0 {
        put_varint(out, zigzag(waited));
    }
    *before = Before { series: *series, at: point.at.as_millis(), received };
    let kind = match &point.value {
        None => NOTHING,
        Some(Value::Number(n)) => match (scaled(*n, 1.0), scaled(*n, 1000.0)) {
            (Some(whole), _) => {
                put_varint(out, zigzag(whole));
                WHOLE
            }
            (None, Some(parts)) => {
                put_varint(out, zigzag(parts));
                THOUSANDTHS
            }
            (None, None) => {
                out.extend(n.to_le_bytes());
                NUMBER
            }
        },
        Some(word) => {
            let (tag, text) = tagged(word).unwrap_or_default();
            out.push(tag);
            put_varint(out, text.len() as u64);
            out.extend(text.as_bytes());
            WORD
        }
    };
    if let Some(head) = out.get_mut(place) {
        *head |= kind;
    }
}

/// The points of a row, in the order in which they came. Of a row of version 1 what stands before a damage is answered with it.
pub fn decode(row: &[u8]) -> (Vec<Arrival>, Result<(), ChunkError>) {
    let mut out = Vec::new();
    let done = match row.strip_prefix(&[0]) {
        Some(_) => newer(row, &mut out),
        None => first(row, &mut out),
    };
    (out, done)
}

fn first(mut rest: &[u8], out: &mut Vec<Arrival>) -> Result<(), ChunkError> {
    while !rest.is_empty() {
        let series = i64::try_from(take_varint(&mut rest)?).map_err(|_| ChunkError::Malformed("a series"))?;
        let length = take_varint(&mut rest)?;
        let points = chunk::decode(take_bytes(&mut rest, length)?)?;
        out.extend(points.into_iter().map(|point| Arrival { series, received_at: None, point }));
    }
    Ok(())
}

fn newer(row: &[u8], out: &mut Vec<Arrival>) -> Result<(), ChunkError> {
    let (body, checksum) = row.split_last_chunk::<4>().ok_or(ChunkError::Short(row.len()))?;
    let (found, computed) = (u32::from_le_bytes(*checksum), crc32c::crc32c(body));
    if found != computed {
        return Err(ChunkError::Checksum { found, computed });
    }
    let (version, mut rest) = body.get(1..).and_then(<[u8]>::split_first).ok_or(ChunkError::Short(row.len()))?;
    if *version != VERSION {
        return Err(ChunkError::Version(*version));
    }
    let mut before = Before::default();
    while !rest.is_empty() {
        out.push(take(&mut rest, &mut before)?);
    }
    Ok(())
}

fn take(rest: &mut &[u8], before: &mut Before) -> Result<Arrival, ChunkError> {
    let short = || ChunkError::Malformed("a point ends early");
    let (head, behind) = rest.split_first().ok_or_else(short)?;
    *rest = behind;
    let mut told = |bit: u8| if head & bit == 0 { Ok(0) } else { take_varint(rest).map(unzigzag) };
    let step = told(SERIES)?;
    let later = told(AT)?;
    let quality = match head & QUALITY {
        0 => 0,
        _ => u16::from_be_bytes(take_bytes(rest, 2)?.try_into().map_err(|_| short())?),
    };
    let waited = if head & RECEIVED == 0 { 0 } else { unzigzag(take_varint(rest)?) };
    before.series = before.series.wrapping_add(step).wrapping_add(1);
    before.at = before.at.wrapping_add(later);
    before.received = before.received.wrapping_add(waited);
    let value = match head & VALUE {
        NOTHING => None,
        WHOLE => Some(Value::Number(unzigzag(take_varint(rest)?) as f64)),
        THOUSANDTHS => Some(Value::Number(unzigzag(take_varint(rest)?) as f64 / 1000.0)),
        NUMBER => Some(Value::Number(f64::from_le_bytes(take_bytes(rest, 8)?.try_into().map_err(|_| short())?))),
        WORD => {
            let (tag, behind) = rest.split_first().ok_or_else(short)?;
            *rest = behind;
            let length = take_varint(rest)?;
            let text = std::str::from_utf8(take_bytes(rest, length)?);
            let text = text.map_err(|_| ChunkError::Malformed("a word is not UTF-8"))?.to_owned();
            Some(match State::from_number(*tag) {
                Some(state) => Value::State { state, text },
                None => Value::Text(text),
            })
        }
        _ => return Err(ChunkError::Malformed("a value is unknown")),
    };
    let quality = quality_of(quality).ok_or(ChunkError::Malformed("a quality is unknown"))?;
    let point = Point { at: Timestamp::from_millis(before.at), value, quality };
    Ok(Arrival { series: before.series, received_at: Some(Timestamp::from_millis(before.received)), point })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{Cause, Quality, Suspicion};
    use proptest::prelude::*;

    fn any_arrival() -> impl Strategy<Value = Arrival> {
        let value = prop_oneof![
            Just(None),
            (-500..500_i64).prop_map(|n| Some(Value::Number(n as f64))),
            (-500..500_i64).prop_map(|n| Some(Value::Number(n as f64 / 100.0))),
            (0..500_i64).prop_map(|n| Some(Value::Number(n as f64 * 0.063))),
            prop_oneof![any::<f64>(), Just(-0.0)].prop_map(|n| Some(Value::Number(n))),
            ".{0,3}".prop_map(|t| Some(Value::Text(t))),
            (1..=5_u8, "[ab]?").prop_map(|(s, text)| State::from_number(s).map(|state| Value::State { state, text })),
        ];
        let quality = prop_oneof![
            4 => Just(Quality::Good),
            1 => (0..Suspicion::ALL.len()).prop_map(|n| Quality::Suspect(Suspicion::ALL[n])),
            1 => (0..Cause::ALL.len()).prop_map(|n| Quality::Unavailable(Cause::ALL[n])),
        ];
        let time = || prop_oneof![any::<i64>(), (0..5_i64).prop_map(|n| n * 60_000)];
        let series = prop_oneof![1..i64::MAX, 1..9_i64];
        (series, time(), time(), value, quality).prop_map(|(series, at, received, value, quality)| Arrival {
            series,
            received_at: Some(Timestamp::from_millis(received)),
            point: Point { at: Timestamp::from_millis(at), value, quality },
        })
    }

    fn bits(a: &Arrival) -> Option<u64> {
        a.point.value.as_ref().and_then(Value::as_number).map(f64::to_bits)
    }

    proptest! {
        #[test]
        fn every_point_comes_back_to_the_last_bit(arrivals in prop::collection::vec(any_arrival(), 0..40)) {
            let (back, done) = decode(&encode(arrivals.iter()));
            prop_assert_eq!(done, Ok(()));
            prop_assert_eq!(back.len(), arrivals.len());
            for (a, b) in back.iter().zip(&arrivals) {
                prop_assert_eq!((a.series, a.received_at, a.point.at), (b.series, b.received_at, b.point.at));
                prop_assert_eq!((&a.point.quality, bits(a)), (&b.point.quality, bits(b)));
                prop_assert!(bits(a).is_some() || a.point.value == b.point.value);
            }
        }

        #[test]
        fn one_flipped_bit_is_an_error(
            arrivals in prop::collection::vec(any_arrival(), 1..9),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let mut row = encode(arrivals.iter());
            let at = at.index(row.len());
            row[at] ^= 1 << bit;
            // A row whose first byte is spoilt is read as one of version 1, which has its own checksums.
            prop_assert!(decode(&row).1.is_err());
        }

        #[test]
        fn any_bytes_under_a_right_checksum_never_panic(mut row in prop::collection::vec(any::<u8>(), 0..200)) {
            row.splice(0..0, [0, VERSION]);
            let checksum = crc32c::crc32c(&row);
            row.extend(checksum.to_le_bytes());
            prop_assert!(decode(&row).0.len() <= row.len());
        }
    }

    #[test]
    fn a_row_of_the_version_before_is_read() {
        let points: Vec<Point> = (0..3)
            .map(|n| Point {
                at: Timestamp::from_secs(n),
                value: Some(Value::Number(n as f64)),
                quality: Quality::Good,
            })
            .collect();
        let mut row = Vec::new();
        for series in [5_u64, 900] {
            let chunk = chunk::encode(points.clone());
            put_varint(&mut row, series);
            put_varint(&mut row, chunk.len() as u64);
            row.extend(chunk);
        }
        let (back, done) = decode(&row);
        assert_eq!(done, Ok(()));
        let found: Vec<(i64, Point)> = back.iter().map(|a| (a.series, a.point.clone())).collect();
        let all = |series| points.iter().map(move |p| (series, p.clone()));
        assert_eq!(found, all(5).chain(all(900)).collect::<Vec<_>>());
        assert!(back.iter().all(|a| a.received_at.is_none()));
    }

    #[test]
    fn a_poll_of_a_server_takes_a_few_bytes_a_reading() {
        let arrivals: Vec<Arrival> = (1..=80)
            .map(|series| Arrival {
                series,
                received_at: Some(Timestamp::from_secs(1_800_000_001)),
                point: Point {
                    at: Timestamp::from_secs(1_800_000_000),
                    value: Some(Value::Number(40.0 + series as f64 / 4.0)),
                    quality: Quality::Good,
                },
            })
            .collect();
        let row = encode(arrivals.iter());
        assert!(row.len() < 80 * 4 + 20, "{}", row.len());
    }
}
