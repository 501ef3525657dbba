//! How a run of one sensor's values is kept: a few bits a value. Pure.
//!
//! Layout, version 1 (integers are LEB128 varints; signed ones zigzag):
//!
//! | part | holds |
//! |---|---|
//! | version | one byte, `1` |
//! | count | number of points; 0 ends the chunk |
//! | first | time of the first point, milliseconds since 1970, signed |
//! | classes | runs `(code, length)` until all points are covered: what each point has (nothing, a number, a word) and its quality |
//! | words | number of distinct words, then each as a tag (0 text, else the state's number), length and UTF-8; then runs `(index, length)` over the points that have one |
//! | bits | delta-of-delta of the times; then the numbers: 3 bits of scale, then differences, or each XORed with the one before ([`bits`]) |
//! | checksum | CRC32C of everything before it, 4 bytes, little endian |

pub mod bits;
mod decode;
mod encode;

pub use decode::decode;
pub(crate) use decode::{MOST_TEXT, spend, take_dictionary, take_runs};
pub use encode::encode;
pub(crate) use encode::{put_dictionary, put_runs, tagged};

use crate::head::WINDOW_MS;
use outband_schemas::{Quality, Timestamp, Value};

/// The newest layout.
pub const VERSION: u8 = 1;

/// The most points that a chunk may hold: one for each millisecond of a window.
pub const MOST_POINTS: usize = WINDOW_MS as usize;

/// One value of one sensor at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When it was read (the agent's clock).
    pub at: Timestamp,
    /// The value.
    pub value: Option<Value>,
    /// How far it can be trusted.
    pub quality: Quality,
}

/// Why bytes are no chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Fewer bytes than the smallest chunk has.
    #[error("{0} bytes are too few for a chunk")]
    Short(usize),
    /// The checksum is not that of the bytes.
    #[error("the checksum is {found:08x}, the bytes have {computed:08x}")]
    Checksum {
        /// The checksum that stands in the chunk.
        found: u32,
        /// That of its bytes.
        computed: u32,
    },
    /// A layout that this version does not know.
    #[error("layout {0} is unknown to this version")]
    Version(u8),
    /// The bytes are whole, but say something impossible.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// The points in the order of their times, one a time: of several with the same time the last one given counts. So adding
/// the same points again changes nothing.
pub fn normalise(mut points: Vec<Point>) -> Vec<Point> {
    if points.is_sorted_by(|a, b| a.at < b.at) {
        return points;
    }
    points.sort_by_key(|p| p.at);
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        match out.last_mut() {
            Some(last) if last.at == point.at => *last = point,
            _ => out.push(point),
        }
    }
    out
}

#[cfg(test)]
mod tests;
