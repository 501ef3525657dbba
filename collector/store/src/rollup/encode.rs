//! Buckets to bytes.

use super::{Bucket, Resolution, VERSION, numbers};
use crate::chunk::bits::{put_varint, zigzag};
use crate::chunk::{put_dictionary, put_runs, tagged};
use std::collections::HashMap;

/// The bytes of these buckets, which are in the order of their starts, each start once.
pub fn encode(buckets: &[Bucket], resolution: Resolution) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, resolution.step().as_secs());
    put_varint(&mut out, buckets.len() as u64);
    if let Some(first) = buckets.first() {
        let step = |bucket: &Bucket| bucket.start.as_millis().div_euclid(resolution.step_ms());
        put_varint(&mut out, zigzag(step(first)));
        let skips = buckets.iter().zip(buckets.iter().skip(1)).map(|(a, b)| step(b).wrapping_sub(step(a)) - 1);
        put_runs(&mut out, skips.map(i64::unsigned_abs));
        put_runs(&mut out, buckets.iter().map(class_code));
        for count in [|b: &Bucket| b.good, |b: &Bucket| b.suspect, |b: &Bucket| b.unavailable] {
            put_runs(&mut out, buckets.iter().map(|b| u64::from(count(b))));
        }
        let all: Vec<_> = buckets.iter().filter_map(|b| b.numbers).collect();
        put_runs(&mut out, all.iter().map(|n| u64::from(n.count)));
        put_words(&mut out, buckets);
        numbers::put(&mut out, &all);
    }
    let checksum = crc32c::crc32c(&out);
    out.extend(checksum.to_le_bytes());
    out
}

fn class_code(bucket: &Bucket) -> u64 {
    u64::from(bucket.numbers.is_some())
        | u64::from(bucket.words.is_some()) << 1
        | u64::from(bucket.doubted) << 2
        | bucket.cause.map_or(0, |cause| u64::from(cause.number())) << 3
}

fn put_words(out: &mut Vec<u8>, buckets: &[Bucket]) {
    let words = || buckets.iter().filter_map(|b| b.words.as_ref());
    if words().next().is_none() {
        return;
    }
    let values = words().flat_map(|w| w.seen.iter().map(|(value, _)| value).chain([&w.last]));
    let index = put_dictionary(out, values.filter_map(tagged));
    let place = |value| tagged(value).and_then(|t| index.get(&t).copied()).unwrap_or_default();
    // Sensors that say the same all day have one pattern, or two.
    let mut known: HashMap<Vec<u64>, u64> = HashMap::new();
    let mut patterns: Vec<Vec<u64>> = Vec::new();
    let mut which = Vec::new();
    for w in words() {
        let mut pattern = vec![place(&w.last), w.seen.len() as u64];
        pattern.extend(w.seen.iter().flat_map(|(value, n)| [place(value), u64::from(*n)]));
        let next = patterns.len() as u64;
        which.push(*known.entry(pattern.clone()).or_insert_with(|| {
            patterns.push(pattern);
            next
        }));
    }
    put_varint(out, patterns.len() as u64);
    for number in patterns.iter().flatten() {
        put_varint(out, *number);
    }
    put_runs(out, which.into_iter());
}
