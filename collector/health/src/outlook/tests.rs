//! What is foreseen comes true as often as it says, and what only looks like a course foresees nothing.

mod heat;
mod life;

use super::*;
use std::time::Duration;

/// Dice with a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between 0 and 1.
    fn even(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, with a standard deviation of 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (a, b) = (self.even().max(1e-12), self.even());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

const DAY_ONE: i32 = 20_000;

fn at(day: i32, hour: i64) -> Timestamp {
    day_start(DAY_ONE + day).plus(Duration::from_secs(u64::try_from(hour).unwrap() * 3600))
}

fn name(text: &str) -> ComponentId {
    text.parse().unwrap()
}
