//! What is wrong with a BMC's answers. Each kind strikes every n-th datagram; 0: never.

use std::time::Duration;

/// How often which lie is told.
#[derive(Debug, Clone, Default)]
pub struct Lies {
    /// The answer is lost.
    pub lose_every: u64,
    /// The answer comes twice.
    pub double_every: u64,
    /// The answer stops half-way.
    pub truncate_every: u64,
    /// A bit of the answer is flipped.
    pub flip_every: u64,
    /// The answer comes this much later, after that of a later request if need be.
    pub late_every: (u64, Duration),
    told: u64,
}

impl Lies {
    /// What becomes of an answer: datagrams, each with its delay.
    pub(super) fn tell(&mut self, answer: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        self.told += 1;
        let strikes = |every: u64| every != 0 && self.told.is_multiple_of(every);
        if strikes(self.lose_every) {
            return Vec::new();
        }
        if strikes(self.truncate_every) {
            return vec![(Duration::ZERO, answer[..answer.len() / 2].to_vec())];
        }
        if strikes(self.flip_every) {
            let mut answer = answer;
            let at = answer.len() * 2 / 3;
            answer[at] ^= 0x10;
            return vec![(Duration::ZERO, answer)];
        }
        if strikes(self.late_every.0) {
            return vec![(self.late_every.1, answer)];
        }
        let times = if strikes(self.double_every) { 2 } else { 1 };
        vec![(Duration::ZERO, answer); times]
    }
}
