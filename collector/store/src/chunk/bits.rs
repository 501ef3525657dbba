//! Bits and varints, and the codes made of them: delta-of-delta for times and XOR for numbers, as in Facebook's Gorilla
//! (Pelkonen et al., VLDB 2015), with wider steps because times are in milliseconds; and differences for numbers that are
//! whole, or have a few decimals, as most of what sensors give.

use super::ChunkError;

/// Writes bits, the most significant first.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// What does not fill eight bytes yet, from the top.
    word: u64,
    used: u32,
}

impl BitWriter {
    /// The lowest `count` bits of `value`, at most 64.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        if count == 0 {
            return;
        }
        let value = value << (64 - count);
        self.word |= value >> self.used;
        let free = 64 - self.used;
        if count < free {
            self.used += count;
            return;
        }
        self.bytes.extend(self.word.to_be_bytes());
        self.word = if free == 64 { 0 } else { value << free };
        self.used = count - free;
    }

    /// The bytes, the last one filled up with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let left = self.word.to_be_bytes();
        self.bytes.extend(left.iter().take(self.used.div_ceil(8) as usize));
        self.bytes
    }
}

/// Reads bits, the most significant first.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 64.
    pub(crate) fn take(&mut self, count: u32) -> Result<u64, ChunkError> {
        // Nearly always all of it lies within the next eight bytes.
        if (1..=56).contains(&count)
            && let Some(word) = self.bytes.get(self.at / 8..).and_then(<[u8]>::first_chunk::<8>)
        {
            let word = u64::from_be_bytes(*word) << (self.at % 8);
            self.at += count as usize;
            return Ok(word >> (64 - count));
        }
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

/// The steps of a code for signed differences: the widths, in bits, that follow one, two, … leading ones. A difference of
/// zero is a single zero bit; the last step has no zero after its ones.
type Steps = &'static [u32];

/// Steps for differences of intervals, in milliseconds.
pub(super) const TIME: Steps = &[7, 12, 18, 64];

/// Steps for differences of scaled numbers.
pub(super) const SCALED: Steps = &[3, 6, 12, 20, 64];

/// Writes a difference.
pub(super) fn put_step(bits: &mut BitWriter, steps: Steps, step: i64) {
    if step == 0 {
        return bits.put(0, 1);
    }
    for (ones, width) in (1u32..).zip(steps) {
        let last = ones as usize == steps.len();
        let limit = 1i64 << (width - 1).min(62);
        if last || (-limit..limit).contains(&step) {
            bits.put(u64::MAX, ones);
            bits.put(0, u32::from(!last));
            // The low bits of two's complement; sign-extended when read.
            bits.put(step as u64, *width);
            return;
        }
    }
}

/// How many bits [`put_step`] writes.
fn step_len(steps: Steps, step: i64) -> u32 {
    if step == 0 {
        return 1;
    }
    let fits = |width: &u32| (-(1i64 << (width - 1).min(62))..1i64 << (width - 1).min(62)).contains(&step);
    let last = steps.len().saturating_sub(1);
    let at = steps.iter().position(fits).unwrap_or(last).min(last);
    let ones = at as u32 + 1;
    ones + u32::from(at < last) + steps.get(at).copied().unwrap_or_default()
}

/// Reads what [`put_step`] wrote.
pub(super) fn take_step(bits: &mut BitReader<'_>, steps: Steps) -> Result<i64, ChunkError> {
    let mut ones = 0;
    while ones < steps.len() && bits.take(1)? == 1 {
        ones += 1;
    }
    let Some(width) = ones.checked_sub(1).and_then(|n| steps.get(n)) else { return Ok(0) };
    let raw = bits.take(*width)? << (64 - width);
    Ok((raw as i64) >> (64 - width))
}

/// Powers of ten by which numbers are scaled: their place is written in three bits.
const SCALES: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

/// In place of a scale: the numbers are XORed.
const XORED: u64 = 7;

/// The largest whole number below which a float holds all of them.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Writes numbers: as differences of whole numbers, where one power of ten makes all of them whole and brings them back
/// to the bit, or each XORed with the one before, whichever is shorter.
pub(crate) fn put_numbers(bits: &mut BitWriter, numbers: &[f64]) {
    if numbers.is_empty() {
        return;
    }
    let mut whole = Vec::with_capacity(numbers.len());
    let place = (0u64..).zip(SCALES).find_map(|(place, scale)| {
        whole.clear();
        whole.extend(numbers.iter().map_while(|n| scaled(*n, scale)));
        (whole.len() == numbers.len()).then_some(place)
    });
    match place {
        Some(place) if differences_len(&whole) <= xored_len(numbers) => put_differences(bits, place, &whole),
        _ => put_xored(bits, numbers),
    }
}

/// How many bits the differences take.
fn differences_len(whole: &[i64]) -> u32 {
    let mut last = 0;
    whole.iter().map(|n| step_len(SCALED, n - std::mem::replace(&mut last, *n))).fold(0, u32::saturating_add)
}

/// How many bits the XORed numbers take.
fn xored_len(numbers: &[f64]) -> u32 {
    let mut xor = Xor::default();
    numbers.iter().map(|n| xor.code(*n).len()).fold(0, u32::saturating_add)
}

fn put_differences(bits: &mut BitWriter, place: u64, whole: &[i64]) {
    bits.put(place, 3);
    let mut last = 0;
    for n in whole {
        // Neither is beyond 2^53: the difference fits.
        put_step(bits, SCALED, n - last);
        last = *n;
    }
}

fn put_xored(bits: &mut BitWriter, numbers: &[f64]) {
    bits.put(XORED, 3);
    let mut xor = Xor::default();
    for n in numbers {
        xor.put(bits, *n);
    }
}

/// The whole number of such parts that a number is, where that brings it back to the bit.
pub(crate) fn scaled(number: f64, scale: f64) -> Option<i64> {
    let parts = number * scale;
    // False for NaN and the infinities.
    let fits = parts.abs() < WHOLE;
    // To the nearest; from there on all are whole.
    let whole = if parts.abs() < WHOLE / 2.0 { parts + 0.5_f64.copysign(parts) } else { parts } as i64;
    // As it will be read; the bits tell -0 from 0.
    (fits && (whole as f64 / scale).to_bits() == number.to_bits()).then_some(whole)
}

/// Reads `count` numbers that [`put_numbers`] wrote.
pub(crate) fn take_numbers(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let place = bits.take(3)?;
    let Some(scale) = usize::try_from(place).ok().and_then(|p| SCALES.get(p)) else {
        let mut xor = Xor::default();
        return (0..count).map(|_| xor.take(bits)).collect();
    };
    let mut last = 0i64;
    (0..count)
        .map(|_| {
            last = last.wrapping_add(take_step(bits, SCALED)?);
            Ok(last as f64 / scale)
        })
        .collect()
}

/// The state of the XOR code: the last number and the window of bits that its difference had.
#[derive(Debug, Default)]
struct Xor {
    last: u64,
    lead: u32,
    width: u32,
}

impl Xor {
    /// How the next number is written.
    fn code(&mut self, value: f64) -> Code {
        let raw = value.to_bits();
        let diff = raw ^ self.last;
        self.last = raw;
        if diff == 0 {
            return Code::Same;
        }
        let (lead, trail) = (diff.leading_zeros().min(31), diff.trailing_zeros());
        let fits = self.width > 0 && lead >= self.lead && trail >= 64 - self.lead - self.width;
        let width = 64 - lead - trail;
        // A new window costs 11 bits more: take it where the old one wastes more than that.
        let is_new = !(fits && self.width <= width + 11);
        if is_new {
            (self.lead, self.width) = (lead, width);
        }
        Code::Other { diff: diff >> (64 - self.lead - self.width), lead: self.lead, width: self.width, is_new }
    }

    /// Writes a number.
    fn put(&mut self, bits: &mut BitWriter, value: f64) {
        match self.code(value) {
            Code::Same => bits.put(0, 1),
            Code::Other { diff, lead, width, is_new } => {
                if is_new {
                    bits.put(0b11, 2);
                    bits.put(u64::from(lead), 5);
                    bits.put(u64::from(width - 1), 6);
                } else {
                    bits.put(0b10, 2);
                }
                bits.put(diff, width);
            }
        }
    }

    /// Reads a number.
    fn take(&mut self, bits: &mut BitReader<'_>) -> Result<f64, ChunkError> {
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

/// How a number is written.
enum Code {
    /// It is the one before.
    Same,
    /// It differs in a window of bits.
    Other { diff: u64, lead: u32, width: u32, is_new: bool },
}

impl Code {
    fn len(&self) -> u32 {
        match self {
            Self::Same => 1,
            Self::Other { width, is_new, .. } => 2 + if *is_new { 11 } else { 0 } + width,
        }
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
