//! An input read as a script: what to do next, and with which bytes.

/// The rest of an input. Where it is at its end, it gives zeros and empty slices.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// The next two bytes, little endian.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Up to so many bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length in one byte, then so many bytes.
    pub fn slice(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    /// A number that is small, or near the end of the range: where arithmetic breaks.
    pub fn number(&mut self) -> i64 {
        match self.byte() {
            n @ 0..=0xEF => i64::from(n),
            0xF0 => i64::MAX,
            0xF1 => i64::MAX - 1,
            0xF2 => i64::MIN,
            0xF3 => -1,
            0xF4 => i64::MAX - i64::from(self.byte()),
            _ => i64::from(self.word()),
        }
    }
}

/// Writes a script's slice: [`Script::slice`] reads it back. Cut at 255 bytes.
pub fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend(&bytes[..usize::from(len)]);
}
