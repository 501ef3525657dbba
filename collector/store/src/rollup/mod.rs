//! What a sensor did over five minutes, or over an hour: what is left of history once its readings are too old to be kept. Pure.
//!
//! A [`Bucket`] tells silence as silence: it counts the readings that were good, doubted and missing, and has no number where
//! there was none. Hours are made of buckets of five minutes, and are to the last figure what they would be if they were made
//! of the readings.
//!
//! Numbers are kept to one part in ten million: that is the precision of the floats that some BMCs convert from, and below it
//! nearly every number is a decimal with few digits.
//!
//! Layout, version 1 (integers are LEB128 varints; signed ones zigzag; runs are `(value, length)` until all are covered):
//!
//! | part | holds |
//! |---|---|
//! | version | one byte, `0x11` |
//! | step | the span of a bucket, seconds |
//! | count | number of buckets; 0 ends the row |
//! | first | start of the first bucket, in steps since 1970, signed |
//! | skips | runs over all but the first: how many empty buckets lie before each |
//! | classes | runs: bit 0 it has numbers, bit 1 words, bit 2 these are doubted; from bit 3 the stable number of the last cause |
//! | counts | runs of good, then of doubted, then of missing readings |
//! | numbers | of those with numbers: runs of how many, then bits ([`numbers`]) after the words |
//! | words | the distinct words as in a chunk; the distinct patterns, each as last word, number of words, and pairs `(word, readings)`; runs of patterns |
//! | bits | [`numbers`] |
//! | checksum | CRC32C of everything before it, 4 bytes, little endian |

mod decode;
mod encode;
mod numbers;

pub use decode::decode;
pub use encode::encode;

use crate::chunk::Point;
use outband_schemas::{Cause, Quality, Timestamp, Value};
use std::time::Duration;

/// The newest layout. Unlike any of a chunk of readings, so that neither is taken for the other.
pub const VERSION: u8 = 0x11;

/// The most buckets that a row may hold: a day of five minutes has 288, a month of hours 744.
pub const MOST_BUCKETS: usize = 744;

/// So many different words are told of a bucket; a text that is another each time is no state.
pub const MOST_WORDS: usize = 16;

/// How long the span of a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
}

impl Resolution {
    /// Both, the finer first.
    pub const ALL: [Resolution; 2] = [Self::FiveMinutes, Self::Hour];

    /// The span of a bucket, in milliseconds.
    pub fn step_ms(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The span of a bucket.
    pub fn step(self) -> Duration {
        Duration::from_millis(self.step_ms().unsigned_abs())
    }

    /// The word used in output and in the names of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// The start of the bucket that holds `at`. Buckets are counted from 1970.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        let ms = at.as_millis();
        Timestamp::from_millis(ms.saturating_sub(ms.rem_euclid(self.step_ms())))
    }
}

/// What a sensor did over the span of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its start (the agent's clock).
    pub start: Timestamp,
    /// How many readings were good.
    pub good: u32,
    /// How many were doubted.
    pub suspect: u32,
    /// How many had no value.
    pub unavailable: u32,
    /// Why the last of those had none.
    pub cause: Option<Cause>,
    /// Whether numbers and words are those of doubted readings, because there were no good ones.
    pub doubted: bool,
    /// The numbers, where there were any.
    pub numbers: Option<Numbers>,
    /// The states or texts, where there were any.
    pub words: Option<Words>,
}

/// The numbers of a bucket, in the unit of the sensor's kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// How many.
    pub count: u32,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their sum.
    pub sum: f64,
    /// The last by time.
    pub last: f64,
}

impl Numbers {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

/// The states or texts of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// The last by time.
    pub last: Value,
    /// Each that was seen, in the order in which they first were, with the number of readings that had it. At most
    /// [`MOST_WORDS`]: readings that had yet others are only counted as readings.
    pub seen: Vec<(Value, u32)>,
}

impl Words {
    /// The one that most readings had; of several, the one seen first.
    pub fn longest(&self) -> &Value {
        let most = self.seen.iter().map(|(_, n)| *n).max().unwrap_or_default();
        self.seen.iter().find(|(_, n)| *n == most).map_or(&self.last, |(value, _)| value)
    }

    fn add(&mut self, value: &Value, readings: u32) {
        if let Some((_, n)) = self.seen.iter_mut().find(|(v, _)| v == value) {
            *n = n.saturating_add(readings);
        } else if self.seen.len() < MOST_WORDS {
            self.seen.push((value.clone(), readings));
        }
    }
}

impl Bucket {
    /// One without any reading.
    fn empty(start: Timestamp) -> Self {
        Self { start, good: 0, suspect: 0, unavailable: 0, cause: None, doubted: false, numbers: None, words: None }
    }

    /// How many readings it is made of.
    pub fn readings(&self) -> u32 {
        self.good.saturating_add(self.suspect).saturating_add(self.unavailable)
    }

    /// Adds a reading that is later than all before.
    fn take(&mut self, point: &Point) {
        let doubted = match &point.quality {
            Quality::Good => {
                self.good = self.good.saturating_add(1);
                false
            }
            Quality::Suspect(_) => {
                self.suspect = self.suspect.saturating_add(1);
                true
            }
            Quality::Unavailable(cause) => {
                self.unavailable = self.unavailable.saturating_add(1);
                self.cause = Some(*cause);
                return;
            }
        };
        let Some(value) = &point.value else { return };
        if matches!(value, Value::Number(n) if !n.is_finite()) || !self.trusts(doubted) {
            return;
        }
        match value {
            Value::Number(n) => self.add_numbers(&Numbers { count: 1, min: *n, max: *n, sum: *n, last: *n }),
            Value::State { .. } | Value::Text(_) => match &mut self.words {
                Some(words) => {
                    words.add(value, 1);
                    if words.last != *value {
                        words.last = value.clone();
                    }
                }
                None => self.words = Some(Words { last: value.clone(), seen: vec![(value.clone(), 1)] }),
            },
        }
    }

    /// Adds what came after all that is in it.
    fn absorb(&mut self, later: &Bucket) {
        self.good = self.good.saturating_add(later.good);
        self.suspect = self.suspect.saturating_add(later.suspect);
        self.unavailable = self.unavailable.saturating_add(later.unavailable);
        self.cause = later.cause.or(self.cause);
        if (later.numbers.is_none() && later.words.is_none()) || !self.trusts(later.doubted) {
            return;
        }
        if let Some(numbers) = &later.numbers {
            self.add_numbers(numbers);
        }
        if let Some(words) = &later.words {
            match &mut self.words {
                Some(mine) => {
                    for (value, n) in &words.seen {
                        mine.add(value, *n);
                    }
                    mine.last = words.last.clone();
                }
                None => self.words = Some(words.clone()),
            }
        }
    }

    /// Whether values that are doubted, or not, belong beside those that are there; good ones push out doubted ones.
    fn trusts(&mut self, doubted: bool) -> bool {
        let empty = self.numbers.is_none() && self.words.is_none();
        if empty {
            self.doubted = doubted;
        } else if self.doubted && !doubted {
            (self.doubted, self.numbers, self.words) = (false, None, None);
        }
        self.doubted == doubted
    }

    fn add_numbers(&mut self, later: &Numbers) {
        self.numbers = Some(match self.numbers {
            None => *later,
            Some(n) => Numbers {
                count: n.count.saturating_add(later.count),
                min: n.min.min(later.min),
                max: n.max.max(later.max),
                sum: n.sum + later.sum,
                last: later.last,
            },
        });
    }
}

/// Buckets of readings that are in the order of their times, one a time ([`crate::chunk::normalise`]).
pub fn reduce(points: &[Point], resolution: Resolution) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = Vec::new();
    for point in points {
        bucket_at(&mut out, resolution.start_of(point.at), |bucket| bucket.take(point));
    }
    out
}

/// Longer buckets of shorter ones, which are in the order of their starts.
pub fn coarsen(buckets: &[Bucket], resolution: Resolution) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = Vec::new();
    for bucket in buckets {
        bucket_at(&mut out, resolution.start_of(bucket.start), |longer| longer.absorb(bucket));
    }
    out
}

fn bucket_at(out: &mut Vec<Bucket>, start: Timestamp, change: impl FnOnce(&mut Bucket)) {
    if out.last().is_none_or(|last| last.start != start) {
        out.push(Bucket::empty(start));
    }
    if let Some(bucket) = out.last_mut() {
        change(bucket);
    }
}

#[cfg(test)]
mod tests;
