//! Checksums over everything that must not change unseen.

use crate::Lane;

/// Over an entry: its place as well as its bytes, so that a body that turns up under another number does not pass.
pub(crate) fn of_entry(lane: Lane, seq: i64, at_ms: i64, body: &[u8]) -> i64 {
    of(&[&lane.number().to_le_bytes(), &seq.to_le_bytes(), &at_ms.to_le_bytes(), body])
}

/// Over several fields in turn.
pub(crate) fn of(parts: &[&[u8]]) -> i64 {
    i64::from(parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)))
}
