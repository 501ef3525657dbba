//! The way of heat from a processor: a thermal resistance that falls with the air's speed (to the power of about -0.6 for finned sinks),
//! and rises as paste dries out or dust settles.

use super::dice::Dice;
use super::plan::Fate;

pub(super) struct Cooler {
    pub(super) fate: Option<Fate>,
    resistance: f64,
    dice: Dice,
}

impl Cooler {
    pub(super) fn new(mut dice: Dice, hours: i64) -> Self {
        let fate = Fate::draw(
            &mut dice,
            hours,
            0.04,
            &[("paste", 0.6, (40.0, 150.0), (0.3, 0.8)), ("dust", 0.4, (50.0, 170.0), (0.25, 0.6))],
        );
        Self { fate, resistance: dice.within(0.16, 0.22), dice }
    }

    /// The processor's temperature, in whole degrees.
    pub(super) fn temperature(&mut self, hour: i64, watts: f64, inlet: f64, airflow: f64) -> f64 {
        // It is cleaned, or pasted anew, three days after it has become too hot.
        let worn = self.fate.filter(|f| hour < f.fails + 72).map_or(0.0, |f| f.progress(hour) * f.depth);
        let resistance = self.resistance * (1.0 + worn) * (0.5 / airflow.max(0.1)).powf(0.6);
        (inlet + 4.0 + watts * resistance + 0.5 * self.dice.normal()).round()
    }
}
