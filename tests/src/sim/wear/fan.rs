//! A fan: speed proportional to duty, a tolerance of its own, a tachometer that counts in steps.
//!
//! Modes of wear follow what is written of ball and sleeve bearings (friction slows the rotor at equal duty and then faster and faster;
//! a worn bearing wobbles; a dry one sticks and starts again); some fail without a sign (electronics).

use super::dice::Dice;
use super::plan::{Fate, Span, during, spans};

pub(super) struct Fan {
    pub(super) fate: Option<Fate>,
    most: f64,
    unit: f64,
    noise: f64,
    step: f64,
    misreads: f64,
    pulled: Vec<Span>,
    /// Until this hour a failed fan is not replaced.
    replaced: i64,
    renewed: bool,
    dice: Dice,
}

/// A model of fan: most rpm, tachometer's step.
pub(super) const MODELS: [(f64, f64); 4] = [(16_500.0, 60.0), (23_000.0, 120.0), (9_600.0, 30.0), (13_200.0, 100.0)];

impl Fan {
    pub(super) fn new(mut dice: Dice, model: (f64, f64), hours: i64) -> Self {
        let fate = Fate::draw(
            &mut dice,
            hours,
            0.028,
            &[
                ("friction", 0.4, (25.0, 95.0), (0.15, 0.4)),
                ("erratic", 0.2, (18.0, 60.0), (0.05, 0.12)),
                ("stalls", 0.15, (14.0, 40.0), (0.1, 0.35)),
                ("sudden", 0.25, (0.01, 0.02), (0.0, 0.0)),
            ],
        );
        let replaced = fate.map_or(0, |f| f.fails) + dice.within(8.0, 120.0) as i64;
        Self {
            fate,
            most: model.0,
            unit: 1.0 + 0.015 * dice.normal(),
            noise: dice.within(0.002, 0.006),
            step: model.1,
            misreads: if dice.chance(0.01) { dice.within(0.01, 0.03) } else { 0.0003 },
            pulled: spans(&mut dice, hours, 0.004, (1.0, 5.0), (1.0, 2.0)),
            replaced,
            renewed: false,
            dice,
        }
    }

    pub(super) fn pulled(&self) -> &[Span] {
        &self.pulled
    }

    /// A tachometer that is misread often is so all its life.
    pub(super) fn misread(&self) -> Option<Span> {
        (self.misreads > 0.001).then_some(Span { from: 0, to: i64::MAX, size: self.misreads })
    }

    /// Whether it is out of its slot at an hour.
    pub(super) fn is_out(&self, hour: i64) -> bool {
        during(&self.pulled, hour) > 0.0
    }

    /// Whether another fan comes into the slot in this hour.
    pub(super) fn is_swapped(&self, hour: i64) -> bool {
        let failed = self.fate.is_some_and(|f| f.fails < hour) && hour == self.replaced;
        failed || self.pulled.iter().any(|s| s.to == hour && s.size > 1.6)
    }

    /// What the tachometer tells at a duty (%).
    pub(super) fn speed(&mut self, hour: i64, duty: f64, inlet: f64) -> f64 {
        if self.is_swapped(hour) {
            self.unit = 1.0 + 0.015 * self.dice.normal();
            self.renewed = self.fate.is_some_and(|f| f.fails < hour) || self.renewed;
        }
        let (mut health, mut wobble, mut sticks) = (1.0, 0.0, 0.0);
        if let Some(fate) = self.fate.filter(|_| !self.renewed) {
            if hour >= fate.fails {
                return 0.0;
            }
            let gone = fate.progress(hour) * fate.depth;
            match fate.mode {
                "friction" => health -= gone,
                "erratic" => (wobble, sticks) = (gone, gone * 0.4),
                "stalls" => (sticks, health) = (gone, 1.0 - 0.05 * gone),
                _ => {}
            }
        }
        if self.dice.chance(self.misreads) {
            return [0.0, 2.0, 0.5, 3.1][(self.dice.within(0.0, 3.999)) as usize] * self.most * duty / 100.0;
        }
        if sticks > 0.0 && self.dice.chance(sticks) {
            return if self.dice.chance(0.5) { 0.0 } else { self.most * duty / 100.0 * self.dice.within(0.2, 0.8) };
        }
        // Thin warm air lets it turn a little faster.
        let air = 1.0 + 0.0008 * (inlet - 22.0);
        let share = 0.05 + 0.95 * duty / 100.0;
        let true_speed = self.most * share * self.unit * health * air;
        let read = true_speed * (1.0 + (self.noise + wobble) * self.dice.normal());
        (read / self.step).round().max(0.0) * self.step
    }
}
