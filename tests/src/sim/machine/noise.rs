//! Noise as a pure function of seed, channel and time: the same server shows the same noise however often it is looked at.

#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    seed: u64,
}

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Roughly normal, deviation 1, at most 3 either way; another value each second.
    pub(super) fn at(self, channel: u64, time: f64) -> f64 {
        let second = time.max(0.0) as u64;
        (0..3).map(|i| self.uniform(channel << 8 | i, second) * 2.0 - 1.0).sum()
    }

    /// In 0..1, the same at all times.
    pub(super) fn fixed(self, channel: u64) -> f64 {
        self.uniform(channel, u64::MAX)
    }

    fn uniform(self, channel: u64, step: u64) -> f64 {
        let mixed = splitmix(self.seed ^ splitmix(channel ^ splitmix(step)));
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn splitmix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
