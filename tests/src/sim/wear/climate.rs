//! The air that comes into a rack: ASHRAE's recommended 18–27 °C, a day's and a year's swing, hot aisles.

use super::dice::Dice;
use super::plan::{Plan, Span, during, spans};

pub(super) struct Climate {
    base: f64,
    day: f64,
    year: f64,
    hot: Vec<Span>,
    noise: f64,
    dice: Dice,
}

impl Climate {
    pub(super) fn new(plan: &Plan, rack: usize) -> Self {
        let mut dice = Dice::new(plan.seed, &[1, rack as u64]);
        Self {
            base: dice.within(20.0, 25.0),
            day: dice.within(0.3, 1.2),
            year: dice.within(0.5, 2.5),
            hot: spans(&mut dice, plan.hours, 0.3, (6.0, 96.0), (4.0, 11.0)),
            noise: 0.0,
            dice,
        }
    }

    pub(super) fn hot(&self) -> &[Span] {
        &self.hot
    }

    /// The inlet at an hour, in Cel. Hours are asked for in order.
    pub(super) fn inlet(&mut self, hour: i64) -> f64 {
        let angle = |period: f64| (hour as f64 / period * std::f64::consts::TAU).sin();
        self.noise = 0.95 * self.noise + 0.1 * self.dice.normal();
        self.base + self.day * angle(24.0) + self.year * angle(8766.0) + self.noise + during(&self.hot, hour)
    }
}
