//! Corrected errors of a memory module. Field studies (Schroeder 2009, Sridharan 2015) find most modules with none in a year, a few with
//! many, single bursts that never come again, and failing ones whose rate grows; a reboot of the BMC empties the counters.

use super::dice::Dice;
use super::plan::{Fate, Span, spans};

pub(super) struct Module {
    pub(super) fate: Option<Fate>,
    a_day: f64,
    bursts: Vec<Span>,
    count: f64,
    dice: Dice,
}

impl Module {
    pub(super) fn new(mut dice: Dice, hours: i64) -> Self {
        let fate = Fate::draw(
            &mut dice,
            hours,
            0.008,
            &[("growing", 0.7, (8.0, 60.0), (3.0, 7.0)), ("sudden", 0.3, (0.01, 0.02), (0.0, 0.0))],
        );
        Self {
            fate,
            a_day: if dice.chance(0.08) { dice.within(0.01, 0.3) } else { 0.0 },
            bursts: spans(&mut dice, hours, 0.01, (1.0, 3.0), (5.0, 400.0)),
            count: 0.0,
            dice,
        }
    }

    pub(super) fn bursts(&self) -> &[Span] {
        &self.bursts
    }

    pub(super) fn reset(&mut self) {
        self.count = 0.0;
    }

    /// The counter at the end of an hour.
    pub(super) fn counter(&mut self, hour: i64) -> f64 {
        let grown = self.fate.filter(|f| f.mode == "growing" && f.onset <= hour && hour < f.fails);
        // From about one a day to e^depth times as many.
        let failing = grown.map_or(0.0, |f| (f.progress(hour) * f.depth).exp());
        let burst: f64 =
            self.bursts.iter().filter(|s| s.from <= hour && hour < s.to).map(|s| s.size / (s.to - s.from) as f64).sum();
        self.count += self.dice.poisson((self.a_day + failing) / 24.0) + burst.round();
        self.count
    }
}
