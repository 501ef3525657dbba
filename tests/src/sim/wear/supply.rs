//! A power supply: an efficiency curve of the 80 PLUS kind, heat from its loss, droop with its load, a share of the pair.
//!
//! Wear: drying capacitors (efficiency falls, so heat rises, and the output droops more), dust or a tired fan (heat alone), drifting current
//! share; some fail without a sign.

use super::dice::Dice;
use super::plan::Fate;

pub(super) struct Supply {
    pub(super) fate: Option<Fate>,
    rated: f64,
    unit: f64,
    volts: f64,
    replaced: i64,
    dice: Dice,
}

/// What a supply tells.
pub(super) struct Told {
    pub(super) input_watts: f64,
    pub(super) volts: f64,
    pub(super) amperes: f64,
    pub(super) temperature: f64,
}

impl Supply {
    pub(super) fn new(mut dice: Dice, hours: i64) -> Self {
        let fate = Fate::draw(
            &mut dice,
            hours,
            0.06,
            &[
                ("capacitors", 0.4, (35.0, 150.0), (0.015, 0.05)),
                ("dust", 0.2, (40.0, 150.0), (5.0, 15.0)),
                ("share", 0.15, (30.0, 120.0), (0.08, 0.2)),
                ("sudden", 0.25, (0.01, 0.02), (0.0, 0.0)),
            ],
        );
        let replaced = fate.map_or(0, |f| f.fails) + dice.within(8.0, 120.0) as i64;
        Self {
            fate,
            rated: [800.0, 1100.0, 1400.0][dice.within(0.0, 2.999) as usize],
            unit: 0.004 * dice.normal(),
            volts: 12.15 + 0.03 * dice.normal(),
            replaced,
            dice,
        }
    }

    fn gone(&self, hour: i64) -> Option<(&'static str, f64)> {
        let fate = self.fate.filter(|_| hour < self.replaced)?;
        Some((fate.mode, fate.progress(hour) * fate.depth))
    }

    pub(super) fn is_dead(&self, hour: i64) -> bool {
        self.fate.is_some_and(|f| f.fails <= hour && hour < self.replaced)
    }

    pub(super) fn is_swapped(&self, hour: i64) -> bool {
        self.fate.is_some_and(|f| f.fails < hour) && hour == self.replaced
    }

    /// How much less than its half it takes on.
    pub(super) fn shy(&self, hour: i64) -> f64 {
        self.unit * 4.0 + self.gone(hour).filter(|g| g.0 == "share").map_or(0.0, |g| g.1)
    }

    /// What it tells while it gives so many watts.
    pub(super) fn tell(&mut self, hour: i64, output: f64, inlet: f64) -> Told {
        if self.is_swapped(hour) {
            (self.unit, self.volts) = (0.004 * self.dice.normal(), 12.15 + 0.03 * self.dice.normal());
        }
        let load = (output / self.rated).clamp(0.01, 1.2);
        let (mode, gone) = self.gone(hour).unwrap_or(("", 0.0));
        let lost = if mode == "capacitors" { gone } else { 0.0 };
        // 90 % at 20 %, 94 % at 50 %, 91 % at full load.
        let efficiency = 0.94 - 0.12 * (load - 0.5).powi(2) - 0.004 / load + self.unit - lost;
        let input = output / efficiency;
        let droop = 0.10 * load * (1.0 + lost * 60.0);
        let heat = 9.0 + (input - output) * 0.16 + if mode == "dust" { gone } else { 0.0 };
        let mut noise = |size: f64| size * self.dice.normal();
        Told {
            input_watts: (input * (1.0 + noise(0.004)) / 2.0).round() * 2.0,
            volts: ((self.volts - droop + noise(0.006)) * 100.0).round() / 100.0,
            amperes: (output / (self.volts - droop) * (1.0 + noise(0.004)) * 10.0).round() / 10.0,
            temperature: (inlet + heat + noise(0.4)).round(),
        }
    }
}
