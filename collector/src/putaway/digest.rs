//! Digests of names as they stand on the wire: made for every reading, so in a few nanoseconds, and with secrets, so that nobody can choose names that look
//! alike. By folded multiplication, as in wyhash (Wang Yi, 2019); two of them at once.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 128 bits that stand for some bytes.
pub(super) type Digest = [u64; 2];

/// The secrets of one process.
#[derive(Debug)]
pub(super) struct Digests {
    secrets: [u64; 4],
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // The two halves of 128 bits.
    (product as u64) ^ ((product >> 64) as u64)
}

impl Digests {
    /// With secrets that the system gives.
    pub(super) fn new() -> Self {
        // An even secret would lose bits, a zero all of them.
        let secret = |_| RandomState::new().build_hasher().finish() | 1;
        Self { secrets: [0, 1, 2, 3].map(secret) }
    }

    /// The digest of pieces and a number. Where one piece ends and the next begins counts.
    pub(super) fn of<const N: usize>(&self, pieces: [&[u8]; N], number: u32) -> Digest {
        let [a, b, c, d] = self.secrets;
        let mut state = [fold(u64::from(number) ^ a, b), fold(u64::from(number) ^ c, d)];
        let mut take = |word: u64| {
            state = [fold(state[0] ^ word, a).wrapping_add(word), fold(state[1] ^ word, c).wrapping_add(b)];
        };
        for piece in pieces {
            take(piece.len() as u64 ^ d);
            let (words, rest) = piece.as_chunks::<8>();
            for word in words {
                take(u64::from_le_bytes(*word));
            }
            let mut last = [0; 8];
            if let Some(last) = last.get_mut(..rest.len()) {
                last.copy_from_slice(rest);
            }
            take(u64::from_le_bytes(last));
        }
        [fold(state[0], b), fold(state[1], d)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_differs_anywhere_has_another_digest() {
        let digests = Digests::new();
        let mut seen = HashSet::new();
        for n in 0..20_000_u32 {
            let (fan, uri) = (format!("Fan {n}"), format!("/redfish/v1/Chassis/1/Thermal#/Fans/{n}"));
            assert!(seen.insert(digests.of([fan.as_bytes(), b"", uri.as_bytes()], 1)));
            assert!(seen.insert(digests.of([b"", fan.as_bytes(), uri.as_bytes()], 1)));
            assert!(seen.insert(digests.of([b"fan", b"", uri.as_bytes()], 1)));
            assert!(seen.insert(digests.of([b"fan", b"", b""], n)));
        }
        assert_eq!(seen.len(), 80_000);
        let halves = |half: usize| seen.iter().map(|d| d[half]).collect::<HashSet<_>>().len();
        assert_eq!([halves(0), halves(1)], [80_000; 2]);
    }

    #[test]
    fn the_same_has_the_same_and_another_process_another() {
        let (one, other) = (Digests::new(), Digests::new());
        let of = |d: &Digests| d.of([b"fan", b"x", b"y"], 3);
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
    }
}
