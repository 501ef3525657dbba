//! Bytes to buckets. Never panics, whatever the bytes; never makes more than a row may hold.

use super::{Bucket, MOST_BUCKETS, MOST_WORDS, Resolution, VERSION, Words, numbers};
use crate::chunk::bits::{take_varint, unzigzag};
use crate::chunk::{ChunkError, MOST_TEXT, spend, take_dictionary, take_runs};
use outband_schemas::{Cause, Timestamp, Value};

const HAS_NUMBERS: u64 = 1;
const HAS_WORDS: u64 = 2;
const DOUBTED: u64 = 4;

/// The buckets in a row, in the order of their starts, and how long they are.
pub fn decode(bytes: &[u8]) -> Result<(Resolution, Vec<Bucket>), ChunkError> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(ChunkError::Short(bytes.len()))?;
    let (found, computed) = (u32::from_le_bytes(*checksum), crc32c::crc32c(body));
    if found != computed {
        return Err(ChunkError::Checksum { found, computed });
    }
    let (version, mut rest) = body.split_first().ok_or(ChunkError::Short(bytes.len()))?;
    if *version != VERSION {
        return Err(ChunkError::Version(*version));
    }
    let step = take_varint(&mut rest)?;
    let resolution = Resolution::ALL.into_iter().find(|r| r.step().as_secs() == step);
    let resolution = resolution.ok_or(ChunkError::Malformed("the span of a bucket is unknown"))?;
    let count = usize::try_from(take_varint(&mut rest)?).ok().filter(|c| *c <= MOST_BUCKETS);
    let count = count.ok_or(ChunkError::Malformed("more buckets than a row may hold"))?;
    let rows = if count == 0 { Vec::new() } else { buckets(rest, count, resolution)? };
    Ok((resolution, rows))
}

fn buckets(mut rest: &[u8], count: usize, resolution: Resolution) -> Result<Vec<Bucket>, ChunkError> {
    let rest = &mut rest;
    let far = ChunkError::Malformed("a start lies outside of time");
    let mut at = unzigzag(take_varint(rest)?);
    let skips = take_runs(rest, count - 1)?;
    let classes = take_runs(rest, count)?;
    let (good, suspect, unavailable) = (counts(rest, count)?, counts(rest, count)?, counts(rest, count)?);
    let with = |bit: u64| classes.iter().filter(|c| **c & bit != 0).count();
    let counted = counts(rest, with(HAS_NUMBERS))?;
    if counted.contains(&0) {
        return Err(ChunkError::Malformed("numbers of no reading"));
    }
    let mut words = take_words(rest, with(HAS_WORDS))?.into_iter();
    let mut numbers = numbers::take(rest, &counted)?.into_iter();
    let mut out = Vec::with_capacity(count);
    for (n, class) in classes.iter().enumerate() {
        if let Some(skip) = n.checked_sub(1).and_then(|before| skips.get(before)) {
            let skip = i64::try_from(*skip).ok().and_then(|s| s.checked_add(1));
            at = skip.and_then(|s| at.checked_add(s)).ok_or(far.clone())?;
        }
        let start = at.checked_mul(resolution.step_ms()).ok_or(far.clone())?;
        let cause = match class >> 3 {
            0 => None,
            n => Some(
                u8::try_from(n).ok().and_then(Cause::from_number).ok_or(ChunkError::Malformed("a cause is unknown"))?,
            ),
        };
        out.push(Bucket {
            start: Timestamp::from_millis(start),
            good: of(&good, n)?,
            suspect: of(&suspect, n)?,
            unavailable: of(&unavailable, n)?,
            cause,
            doubted: class & DOUBTED != 0,
            numbers: if class & HAS_NUMBERS != 0 { numbers.next() } else { None },
            words: if class & HAS_WORDS != 0 { words.next() } else { None },
        });
    }
    Ok(out)
}

fn of(column: &[u32], n: usize) -> Result<u32, ChunkError> {
    column.get(n).copied().ok_or(ChunkError::Malformed("a count is missing"))
}

fn counts(rest: &mut &[u8], count: usize) -> Result<Vec<u32>, ChunkError> {
    let wide = take_runs(rest, count)?;
    wide.into_iter().map(|n| u32::try_from(n).map_err(|_| ChunkError::Malformed("a count is too great"))).collect()
}

fn take_words(rest: &mut &[u8], count: usize) -> Result<Vec<Words>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let missing = ChunkError::Malformed("a word is missing");
    let dictionary = take_dictionary(rest)?;
    let word = |rest: &mut &[u8]| -> Result<Value, ChunkError> {
        let place = usize::try_from(take_varint(rest)?).ok();
        place.and_then(|p| dictionary.get(p)).cloned().ok_or(missing.clone())
    };
    let number = take_varint(rest)?;
    let mut patterns = Vec::new();
    if number > count as u64 {
        return Err(ChunkError::Malformed("more patterns than buckets"));
    }
    for _ in 0..number {
        let last = word(rest)?;
        let length = take_varint(rest)?;
        if length == 0 || length > MOST_WORDS as u64 {
            return Err(ChunkError::Malformed("a pattern is too long or empty"));
        }
        let mut seen: Vec<(Value, u32)> = Vec::new();
        for _ in 0..length {
            let value = word(rest)?;
            let n = u32::try_from(take_varint(rest)?).map_err(|_| ChunkError::Malformed("a count is too great"))?;
            seen.push((value, n));
        }
        patterns.push(Words { last, seen });
    }
    let mut left = MOST_TEXT;
    let pick = |place: u64| {
        let pattern = usize::try_from(place).ok().and_then(|p| patterns.get(p)).ok_or(missing.clone())?;
        pattern.seen.iter().map(|(value, _)| value).chain([&pattern.last]).try_for_each(|v| spend(&mut left, v))?;
        Ok(pattern.clone())
    };
    take_runs(rest, count)?.into_iter().map(pick).collect()
}
