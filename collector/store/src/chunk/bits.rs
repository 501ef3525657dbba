//! Bits and varints, and the two codes made of them: delta-of-delta for times and XOR for numbers, as in Facebook's Gorilla
//! (Pelkonen et al., VLDB 2015), with wider steps because times are in milliseconds.

use super::ChunkError;

/// Writes bits, the most significant first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    free: u32,
}

impl BitWriter {
    /// The lowest `count` bits of `value`, at most 64.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let part = (value >> (left - take)) & ((1u64 << take) - 1);
            if let Some(last) = self.bytes.last_mut() {
                // `part` has at most 8 bits and fits into what is free.
                *last |= (part << (self.free - take)) as u8;
            }
            self.free -= take;
            left -= take;
        }
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads bits, the most significant first.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 64.
    pub(super) fn take(&mut self, count: u32) -> Result<u64, ChunkError> {
        let mut value = 0u64;
        let mut left = count as usize;
        while left > 0 {
            let byte = self.bytes.get(self.at / 8).ok_or(ChunkError::Malformed("bits end early"))?;
            let used = self.at % 8;
            let take = left.min(8 - used);
            let part = (u64::from(*byte) >> (8 - used - take)) & ((1u64 << take) - 1);
            value = (value << take) | part;
            self.at += take;
            left -= take;
        }
        Ok(value)
    }
}

/// Steps of the code for differences of time: prefix bits, their number, and the width of the difference.
const STEPS: [(u64, u32, u32); 4] = [(0b10, 2, 7), (0b110, 3, 12), (0b1110, 4, 18), (0b1111, 4, 64)];

/// Writes a difference of two intervals, in milliseconds.
pub(super) fn put_step(bits: &mut BitWriter, step: i64) {
    if step == 0 {
        return bits.put(0, 1);
    }
    for (prefix, len, width) in STEPS {
        let limit = 1i64.checked_shl(width - 1).filter(|_| width < 64);
        if limit.is_none_or(|l| (-l..l).contains(&step)) {
            bits.put(prefix, len);
            // The low bits of two's complement; sign-extended when read.
            bits.put(step as u64, width);
            return;
        }
    }
}

/// Reads what [`put_step`] wrote.
pub(super) fn take_step(bits: &mut BitReader<'_>) -> Result<i64, ChunkError> {
    let mut ones = 0;
    while ones < 4 && bits.take(1)? == 1 {
        ones += 1;
    }
    let width = match ones {
        0 => return Ok(0),
        1 => 7,
        2 => 12,
        3 => 18,
        _ => 64,
    };
    let raw = bits.take(width)? << (64 - width);
    Ok((raw as i64) >> (64 - width))
}

/// The state of the XOR code: the last number and the window of bits that its difference had.
#[derive(Debug, Default)]
pub(super) struct Xor {
    last: u64,
    lead: u32,
    width: u32,
}

impl Xor {
    /// Writes a number.
    pub(super) fn put(&mut self, bits: &mut BitWriter, value: f64) {
        let raw = value.to_bits();
        let diff = raw ^ self.last;
        self.last = raw;
        if diff == 0 {
            return bits.put(0, 1);
        }
        let (lead, trail) = (diff.leading_zeros().min(31), diff.trailing_zeros());
        let fits = self.width > 0 && lead >= self.lead && trail >= 64 - self.lead - self.width;
        let width = 64 - lead - trail;
        // A new window costs 11 bits more: take it where the old one wastes more than that.
        if fits && self.width <= width + 11 {
            bits.put(0b10, 2);
        } else {
            (self.lead, self.width) = (lead, width);
            bits.put(0b11, 2);
            bits.put(u64::from(lead), 5);
            bits.put(u64::from(width - 1), 6);
        }
        bits.put(diff >> (64 - self.lead - self.width), self.width);
    }

    /// Reads a number.
    pub(super) fn take(&mut self, bits: &mut BitReader<'_>) -> Result<f64, ChunkError> {
        if bits.take(1)? == 1 {
            if bits.take(1)? == 1 {
                self.lead = bits.take(5)? as u32;
                self.width = bits.take(6)? as u32 + 1;
            }
            if self.width == 0 || self.lead + self.width > 64 {
                return Err(ChunkError::Malformed("a number's window is impossible"));
            }
            self.last ^= bits.take(self.width)? << (64 - self.lead - self.width);
        }
        Ok(f64::from_bits(self.last))
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a varint off the front.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, ChunkError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(ChunkError::Malformed("a varint ends early"))?;
        *bytes = rest;
        let part = u64::from(first & 0x7f);
        if shift == 63 && part > 1 {
            break;
        }
        value |= part << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ChunkError::Malformed("a varint is too long"))
}

/// Maps signed to unsigned so that small magnitudes stay small.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Back from [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Takes `count` bytes off the front.
pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8], count: u64) -> Result<&'a [u8], ChunkError> {
    let count = usize::try_from(count).map_err(|_| ChunkError::Malformed("a length is impossible"))?;
    let (front, rest) = bytes.split_at_checked(count).ok_or(ChunkError::Malformed("bytes end early"))?;
    *bytes = rest;
    Ok(front)
}
