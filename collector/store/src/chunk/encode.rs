//! Points to bytes.

use super::bits::{BitWriter, TIME, put_numbers, put_step, put_varint, zigzag};
use super::{Point, VERSION, normalise};
use outband_schemas::{Quality, Value};
use std::collections::HashMap;

/// The bytes of these points, in the order of their times ([`normalise`]).
pub fn encode(points: Vec<Point>) -> Vec<u8> {
    let points = normalise(points);
    let mut out = vec![VERSION];
    put_varint(&mut out, points.len() as u64);
    if let Some(first) = points.first() {
        put_varint(&mut out, zigzag(first.at.as_millis()));
        put_runs(&mut out, points.iter().map(class_code));
        put_words(&mut out, &points);
        out.extend(put_bits(&points));
    }
    let checksum = crc32c::crc32c(&out);
    out.extend(checksum.to_le_bytes());
    out
}

/// What a point has (bits 0 and 1: nothing, number, word) and its quality (bits 2 and 3: good, suspect, unavailable; from
/// bit 4 the stable number of the reason).
fn class_code(point: &Point) -> u64 {
    let has = match &point.value {
        None => 0,
        Some(Value::Number(_)) => 1,
        Some(Value::State { .. } | Value::Text(_)) => 2,
    };
    let quality = match &point.quality {
        Quality::Good => 0,
        Quality::Suspect(s) => 1 | (u64::from(s.number()) << 2),
        Quality::Unavailable(c) => 2 | (u64::from(c.number()) << 2),
    };
    has | (quality << 2)
}

/// Writes values as runs: each with how often it stands in a row.
pub(crate) fn put_runs(out: &mut Vec<u8>, values: impl Iterator<Item = u64>) {
    let mut run: Option<(u64, u64)> = None;
    for value in values {
        run = match run {
            Some((last, length)) if last == value => Some((last, length + 1)),
            Some((last, length)) => {
                put_varint(out, last);
                put_varint(out, length);
                Some((value, 1))
            }
            None => Some((value, 1)),
        };
    }
    if let Some((last, length)) = run {
        put_varint(out, last);
        put_varint(out, length);
    }
}

/// A state or a text as it is written: 0 or the state's number, and the words. `None` for a number.
pub(crate) fn tagged(value: &Value) -> Option<(u8, &str)> {
    match value {
        Value::State { state, text } => Some((state.number(), text.as_str())),
        Value::Text(text) => Some((0, text.as_str())),
        Value::Number(_) => None,
    }
}

/// Writes the distinct ones of these words, in the order in which they come; answers the place of each.
pub(crate) fn put_dictionary<'a>(
    out: &mut Vec<u8>,
    words: impl Iterator<Item = (u8, &'a str)>,
) -> HashMap<(u8, &'a str), u64> {
    let mut index = HashMap::new();
    let mut distinct = Vec::new();
    for word in words {
        index.entry(word).or_insert_with(|| {
            distinct.push(word);
            distinct.len() as u64 - 1
        });
    }
    put_varint(out, distinct.len() as u64);
    for (tag, text) in distinct {
        out.push(tag);
        put_varint(out, text.len() as u64);
        out.extend(text.as_bytes());
    }
    index
}

fn put_words(out: &mut Vec<u8>, points: &[Point]) {
    let words = || points.iter().filter_map(|p| p.value.as_ref().and_then(tagged));
    let index = put_dictionary(out, words());
    put_runs(out, words().filter_map(|w| index.get(&w).copied()));
}

fn put_bits(points: &[Point]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    let mut last = points.first().map_or(0, |p| p.at.as_millis());
    let mut interval = 0i64;
    for point in points.iter().skip(1) {
        // Wrapping, so that even times at the two ends of the range come back as they were.
        let next = point.at.as_millis().wrapping_sub(last);
        put_step(&mut bits, TIME, next.wrapping_sub(interval));
        (last, interval) = (point.at.as_millis(), next);
    }
    let numbers: Vec<f64> = points.iter().filter_map(|p| p.value.as_ref().and_then(Value::as_number)).collect();
    put_numbers(&mut bits, &numbers);
    bits.finish()
}
