//! Bytes to points. Never panics, whatever the bytes; never makes more of them than a window of history can hold.

use super::bits::{BitReader, TIME, take_bytes, take_numbers, take_step, take_varint, unzigzag};
use super::encode::tagged;
use super::{ChunkError, MOST_POINTS, Point, VERSION};
use outband_schemas::{Cause, Quality, State, Suspicion, Timestamp, Value};

/// The points in a chunk, in the order of their times.
pub fn decode(bytes: &[u8]) -> Result<Vec<Point>, ChunkError> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(ChunkError::Short(bytes.len()))?;
    let (found, computed) = (u32::from_le_bytes(*checksum), crc32c::crc32c(body));
    if found != computed {
        return Err(ChunkError::Checksum { found, computed });
    }
    let (version, mut rest) = body.split_first().ok_or(ChunkError::Short(bytes.len()))?;
    if *version != VERSION {
        return Err(ChunkError::Version(*version));
    }
    let count = take_varint(&mut rest)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    // Every point but the first has at least one bit of time, so a count beyond that is no count.
    let count = usize::try_from(count)
        .ok()
        .filter(|c| *c <= rest.len().saturating_mul(8).saturating_add(1) && *c <= MOST_POINTS)
        .ok_or(ChunkError::Malformed("more points than bits"))?;
    let first = unzigzag(take_varint(&mut rest)?);
    let classes = take_runs(&mut rest, count)?;
    let words = take_words(&mut rest, classes.iter().filter(|c| **c & 3 == 2).count())?;
    points(first, &classes, words, BitReader::new(rest))
}

/// Reads so many values that were written as runs.
pub(crate) fn take_runs(rest: &mut &[u8], count: usize) -> Result<Vec<u64>, ChunkError> {
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let value = take_varint(rest)?;
        let length = take_varint(rest)?;
        let left = count - out.len();
        match usize::try_from(length) {
            Ok(n) if (1..=left).contains(&n) => out.resize(out.len() + n, value),
            _ => return Err(ChunkError::Malformed("a run is too long or empty")),
        }
    }
    Ok(out)
}

/// Text that a chunk or a row of buckets may hold at most, each word counted as often as it stands there, in bytes.
pub(crate) const MOST_TEXT: usize = 64 << 20;

/// Reads distinct words.
pub(crate) fn take_dictionary(rest: &mut &[u8]) -> Result<Vec<Value>, ChunkError> {
    let mut distinct = Vec::new();
    for _ in 0..take_varint(rest)? {
        let (tag, after) = rest.split_first().ok_or(ChunkError::Malformed("a word ends early"))?;
        *rest = after;
        let length = take_varint(rest)?;
        let text = std::str::from_utf8(take_bytes(rest, length)?)
            .map_err(|_| ChunkError::Malformed("a word is not UTF-8"))?
            .to_owned();
        distinct.push(match tag {
            0 => Value::Text(text),
            n => {
                let state = State::from_number(*n).ok_or(ChunkError::Malformed("a state is unknown"))?;
                Value::State { state, text }
            }
        });
    }
    Ok(distinct)
}

/// Takes a word's length off the text that is left. A few bytes that name one long word over and over must not become a
/// memory full of it.
pub(crate) fn spend(left: &mut usize, word: &Value) -> Result<(), ChunkError> {
    let length = tagged(word).map_or(0, |(_, text)| text.len());
    *left = left.checked_sub(length).ok_or(ChunkError::Malformed("more text than there can be"))?;
    Ok(())
}

fn take_words(rest: &mut &[u8], count: usize) -> Result<Vec<Value>, ChunkError> {
    let distinct = take_dictionary(rest)?;
    let mut left = MOST_TEXT;
    take_runs(rest, count)?
        .into_iter()
        .map(|index| {
            let word = usize::try_from(index).ok().and_then(|i| distinct.get(i));
            let word = word.ok_or(ChunkError::Malformed("a word is missing"))?;
            spend(&mut left, word)?;
            Ok(word.clone())
        })
        .collect()
}

fn points(first: i64, classes: &[u64], words: Vec<Value>, mut bits: BitReader<'_>) -> Result<Vec<Point>, ChunkError> {
    let mut times = Vec::with_capacity(classes.len());
    let (mut at, mut interval) = (first, 0i64);
    times.push(at);
    for _ in 1..classes.len() {
        interval = interval.wrapping_add(take_step(&mut bits, TIME)?);
        let next = at.wrapping_add(interval);
        if next <= at {
            return Err(ChunkError::Malformed("times do not grow"));
        }
        at = next;
        times.push(at);
    }
    let numbers = take_numbers(&mut bits, classes.iter().filter(|c| **c & 3 == 1).count())?;
    let mut numbers = numbers.into_iter();
    let mut words = words.into_iter();
    let mut out = Vec::with_capacity(classes.len());
    for (class, at) in classes.iter().zip(times) {
        let value = match class & 3 {
            0 => None,
            1 => Some(Value::Number(numbers.next().ok_or(ChunkError::Malformed("a number is missing"))?)),
            2 => Some(words.next().ok_or(ChunkError::Malformed("a word is missing"))?),
            _ => return Err(ChunkError::Malformed("a class is unknown")),
        };
        out.push(Point { at: Timestamp::from_millis(at), value, quality: quality(class >> 2)? });
    }
    Ok(out)
}

fn quality(code: u64) -> Result<Quality, ChunkError> {
    let reason = u8::try_from(code >> 2).map_err(|_| ChunkError::Malformed("a quality is unknown"))?;
    match (code & 3, reason) {
        (0, 0) => Some(Quality::Good),
        (1, n) => Suspicion::from_number(n).map(Quality::Suspect),
        (2, n) => Cause::from_number(n).map(Quality::Unavailable),
        _ => None,
    }
    .ok_or(ChunkError::Malformed("a quality is unknown"))
}
