//! Checksums over everything that must not change unseen.

use crate::Lane;

/// Over an entry: its place as well as its bytes, so that a body that turns up under another number does not pass.
pub(crate) fn of_entry(lane: Lane, seq: i64, at_ms: i64, body: &[u8]) -> i64 {
    of(&[&lane.number().to_le_bytes(), &seq.to_le_bytes(), &at_ms.to_le_bytes(), body])
}

/// Over a row of numbers.
pub(crate) fn of_numbers(numbers: &[i64]) -> i64 {
    i64::from(numbers.iter().fold(0, |crc, n| crc32c::crc32c_append(crc, &n.to_le_bytes())))
}

/// Over several fields in turn.
pub(crate) fn of(parts: &[&[u8]]) -> i64 {
    i64::from(parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)))
}

/// CRC32C of a body alone: by it, two ends compare what they hold under a number.
pub fn of_body(body: &[u8]) -> u32 {
    crc32c::crc32c(body)
}
