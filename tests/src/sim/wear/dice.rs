//! Chance, from a seed and a name, so that one more fan does not change what befalls the others.

use rand::{RngExt, SeedableRng, rngs::StdRng};

pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn new(seed: u64, names: &[u64]) -> Self {
        let mixed = names.iter().fold(seed, |s, n| {
            (s ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        });
        Self(StdRng::seed_from_u64(mixed))
    }

    /// In `low..high`.
    pub(super) fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// Normal, deviation 1 (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.0.random::<f64>().max(1e-12), self.0.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// How many of something that comes `mean` times on average (Knuth; for large means the normal).
    pub(super) fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), 1.0, -1.0);
        while product > limit {
            product *= self.0.random::<f64>();
            n += 1.0;
        }
        n
    }
}
