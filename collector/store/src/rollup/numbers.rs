//! The numbers of buckets as bits.
//!
//! Three bits of scale. 0 to 6: numbers are whole multiples of that negative power of ten. Then follow as varints, before the
//! bits, the first least number and the greatest common divisor of all differences (a sensor that steps by 75 rpm needs no
//! bits for 1 to 74); the differences of the least numbers from one to the next; how far the greatest lies above the least,
//! as it is or as differences, whichever is shorter; and only where these two differ, the last number and the sum, in as many
//! bits as they can need: the sum of `n` numbers, of which one is the least and one the greatest, has few values to choose
//! from. 7: four columns of numbers as a chunk has them.

use super::Numbers;
use crate::chunk::ChunkError;
use crate::chunk::bits::{BitReader, BitWriter, put_numbers, put_varint, take_numbers, take_varint, unzigzag, zigzag};

/// Powers of ten by which numbers are scaled.
const SCALES: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// In place of a scale: numbers as they are.
const RAW: u8 = 7;
/// The precision to which numbers are kept, relative to each.
const PRECISION: f64 = 1e-7;
/// Scaled numbers are less than this, and so are counts: no sum of them leaves an `i64`.
const MOST_SCALED: f64 = (1u64 << 42) as f64;
const MOST_COUNT: u32 = 1 << 20;

/// Numbers of one bucket, as multiples of a step above a base.
struct Whole {
    count: i64,
    min: i64,
    max: i64,
    last: i64,
    sum: i64,
}

/// Writes what stands before the bits, and the bits.
pub(super) fn put(out: &mut Vec<u8>, numbers: &[Numbers]) {
    if numbers.is_empty() {
        return;
    }
    let (scale, whole) = match scaled(numbers) {
        Some(found) => found,
        None => {
            out.push(RAW);
            let mut bits = BitWriter::default();
            for column in [|n: &Numbers| n.min, |n: &Numbers| n.max, |n: &Numbers| n.last, |n: &Numbers| n.sum] {
                put_numbers(&mut bits, &numbers.iter().map(column).collect::<Vec<_>>());
            }
            return out.extend(bits.finish());
        }
    };
    out.push(scale);
    let base = whole.first().map_or(0, |w| w.min);
    let step = whole
        .iter()
        .flat_map(|w| [w.min - base, w.max - w.min, w.last - w.min, w.sum - w.count * w.min])
        .fold(0u64, |g, n| gcd(g, n.unsigned_abs()))
        .max(1);
    put_varint(out, zigzag(base));
    put_varint(out, step);
    // Within 2^42 of each other, and sums within 2^62: no step overflows.
    let units = |n: i64| n / i64::try_from(step).unwrap_or(1);
    let mins: Vec<u64> = differences(whole.iter().map(|w| units(w.min - base))).collect();
    let ranges: Vec<u64> = whole.iter().map(|w| units(w.max - w.min).unsigned_abs()).collect();
    let changes: Vec<u64> = differences(whole.iter().map(|w| units(w.max - w.min))).collect();
    let mut bits = BitWriter::default();
    put_column(&mut bits, &mins);
    let as_changes = cost(&changes, best(&changes)) < cost(&ranges, best(&ranges));
    bits.put(u64::from(as_changes), 1);
    put_column(&mut bits, if as_changes { &changes } else { &ranges });
    for (w, range) in whole.iter().zip(&ranges).filter(|(_, range)| **range > 0) {
        bits.put(units(w.last - w.min).unsigned_abs(), width(*range));
        let spare = (w.count.unsigned_abs().saturating_sub(2)).saturating_mul(*range);
        bits.put(units(w.sum - w.count * w.min).unsigned_abs().saturating_sub(*range), width(spare));
    }
    out.extend(bits.finish());
}

/// Reads what [`put`] wrote: for each of these counts the numbers.
pub(super) fn take(mut rest: &[u8], counts: &[u32]) -> Result<Vec<Numbers>, ChunkError> {
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let (place, after) = rest.split_first().ok_or(ChunkError::Malformed("numbers end early"))?;
    rest = after;
    if *place == RAW {
        let mut bits = BitReader::new(rest);
        let mut column = || take_numbers(&mut bits, counts.len());
        let (min, max, last, sum) = (column()?, column()?, column()?, column()?);
        let rows = counts.iter().zip(min).zip(max).zip(last).zip(sum);
        let rows = rows.map(|((((count, min), max), last), sum)| Numbers { count: *count, min, max, sum, last });
        return Ok(rows.collect());
    }
    let scale = *SCALES.get(usize::from(*place)).ok_or(ChunkError::Malformed("a scale is unknown"))?;
    let base = unzigzag(take_varint(&mut rest)?);
    let step = take_varint(&mut rest)? as i64;
    let mut bits = BitReader::new(rest);
    let mins = sums(take_column(&mut bits, counts.len())?);
    let as_changes = bits.take(1)? == 1;
    let ranges = take_column(&mut bits, counts.len())?;
    let ranges = if as_changes { sums(ranges) } else { ranges.into_iter().map(|r| r as i64).collect() };
    let number = |units: i64| base.wrapping_add(units.wrapping_mul(step));
    let mut out = Vec::with_capacity(counts.len());
    for ((count, min), range) in counts.iter().zip(mins).zip(ranges) {
        let range = u64::try_from(range).map_err(|_| ChunkError::Malformed("a range is negative"))?;
        let lowest = number(min);
        let (mut last, mut above) = (0, 0);
        if range > 0 {
            last = bits.take(width(range))?;
            let spare = u64::from(*count).saturating_sub(2).saturating_mul(range);
            let sum = bits.take(width(spare))?;
            if last > range || sum > spare || *count < 2 {
                return Err(ChunkError::Malformed("a number lies outside its range"));
            }
            above = sum.wrapping_add(range);
        }
        let sum = lowest.wrapping_mul(i64::from(*count)).wrapping_add((above as i64).wrapping_mul(step));
        out.push(Numbers {
            count: *count,
            min: lowest as f64 / scale,
            max: number(min.wrapping_add(range as i64)) as f64 / scale,
            last: number(min.wrapping_add(last as i64)) as f64 / scale,
            sum: sum as f64 / scale,
        });
    }
    Ok(out)
}

/// The least scale at which all numbers are whole: to the bit, or else to the precision.
fn scaled(numbers: &[Numbers]) -> Option<(u8, Vec<Whole>)> {
    if numbers.iter().any(|n| n.count >= MOST_COUNT || n.count == 0) {
        return None;
    }
    let at = |precision: f64| {
        (0u8..).zip(SCALES).find_map(|(place, scale)| {
            let whole: Option<Vec<Whole>> = numbers.iter().map(|n| whole(n, scale, precision)).collect();
            whole.map(|w| (place, w))
        })
    };
    at(0.0).or_else(|| at(PRECISION))
}

fn whole(n: &Numbers, scale: f64, precision: f64) -> Option<Whole> {
    let one = |number: f64| {
        let whole = (number * scale).round();
        let near = (whole / scale - number).abs() <= number.abs() * precision;
        // Neither holds for what is no number.
        (whole.abs() < MOST_SCALED && near).then_some(whole as i64)
    };
    let (count, min, max, last) = (i64::from(n.count), one(n.min)?, one(n.max)?, one(n.last)?);
    let sum = (n.sum * scale).round();
    // What lies between the least and the greatest may have more decimals than these.
    let most = n.min.abs().max(n.max.abs()) * f64::from(n.count);
    let is_whole = (sum / scale - n.sum).abs() <= most * PRECISION;
    if min > max || last < min || last > max || (count == 1 && min != max) || !is_whole {
        return None;
    }
    let range = max - min;
    // One is the least and one the greatest: rounding leads no sum out of what is left to the others.
    let least = count * min + range;
    let most = least + (count - 2).max(0) * range;
    let sum = if range == 0 { count * min } else { (sum as i64).clamp(least, most) };
    Some(Whole { count, min, max, last, sum })
}

fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn differences(numbers: impl Iterator<Item = i64>) -> impl Iterator<Item = u64> {
    let mut last = 0i64;
    numbers.map(move |n| zigzag(n.wrapping_sub(std::mem::replace(&mut last, n))))
}

fn sums(differences: Vec<u64>) -> Vec<i64> {
    let mut last = 0i64;
    differences
        .into_iter()
        .map(|d| {
            last = last.wrapping_add(unzigzag(d));
            last
        })
        .collect()
}

/// How many bits a number up to `most` needs.
fn width(most: u64) -> u32 {
    64 - most.leading_zeros()
}

/// In place of the bits of a Rice code: the column is all zeros.
const ZEROS: u32 = 15;
/// After so many ones the number itself follows, in 64 bits.
const ESCAPE: u64 = 32;

/// What a column costs in Rice code with `low` bits as they are (Rice, "Some practical universal noiseless coding
/// techniques", JPL 1979).
fn cost(column: &[u64], low: u32) -> u64 {
    if low == ZEROS {
        return 0;
    }
    let of = |n: u64| if n >> low < ESCAPE { (n >> low) + 1 + u64::from(low) } else { ESCAPE + 64 };
    column.iter().map(|n| of(*n)).sum()
}

fn best(column: &[u64]) -> u32 {
    if column.iter().all(|n| *n == 0) {
        return ZEROS;
    }
    (0..ZEROS).min_by_key(|low| cost(column, *low)).unwrap_or_default()
}

fn put_column(bits: &mut BitWriter, column: &[u64]) {
    let low = best(column);
    bits.put(u64::from(low), 4);
    if low == ZEROS {
        return;
    }
    for n in column {
        let high = n >> low;
        if high < ESCAPE {
            // So many ones and a zero.
            bits.put(((1u64 << high) - 1) << 1, high as u32 + 1);
            bits.put(*n, low);
        } else {
            bits.put(u64::MAX, ESCAPE as u32);
            bits.put(*n, 64);
        }
    }
}

fn take_column(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<u64>, ChunkError> {
    let low = bits.take(4)? as u32;
    if low == ZEROS {
        return Ok(vec![0; count]);
    }
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let mut high = 0;
        while high < ESCAPE && bits.take(1)? == 1 {
            high += 1;
        }
        out.push(if high == ESCAPE { bits.take(64)? } else { (high << low) | bits.take(low)? });
    }
    Ok(out)
}
