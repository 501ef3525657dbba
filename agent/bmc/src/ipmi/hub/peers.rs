//! Who speaks with whom: addresses hashed quickly, for every datagram looks one up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;

/// A map by address. Only those that we open lines to are put in, so that nobody can choose addresses which collide.
pub(super) type Peers<T> = HashMap<SocketAddr, T, BuildHasherDefault<Fold>>;

/// Multiplies and turns (as rustc's FxHash does).
#[derive(Debug, Default)]
pub(super) struct Fold(u64);

impl Fold {
    const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;

    fn fold(&mut self, word: u64) {
        self.0 = self.0.wrapping_add(word).wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.fold(chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.fold(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.fold(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(u64::try_from(word).unwrap_or(u64::MAX));
    }

    /// A map looks at the lowest bits, which a product mixes least.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::{BuildHasher, RandomState};

    fn crowded(hash: impl Fn(SocketAddr) -> u64) -> usize {
        // A site: 10,000 addresses in a row, one port; and as many ports of one address.
        let rows = (0..10_000u32).map(|n| SocketAddr::from(((0x0a00_0000 + n).to_be_bytes(), 623)));
        let ports = (10_000..20_000u16).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let of = |all: Vec<SocketAddr>| all.iter().map(|at| hash(*at) & 0x3fff).collect::<HashSet<_>>().len();
        of(rows.collect()).min(of(ports.collect()))
    }

    #[test]
    fn the_addresses_of_a_site_are_spread_as_well_as_by_the_standard_hash() {
        let quick = BuildHasherDefault::<Fold>::default();
        let standard = RandomState::new();
        let (ours, theirs) = (crowded(|at| quick.hash_one(at)), crowded(|at| standard.hash_one(at)));
        assert!(ours * 10 > theirs * 9, "{ours} buckets in use, {theirs} by the standard hash");
    }
}
