//! Slow wear, as [`crate::drift`] sees it over days and weeks: fans, power supplies, cooling, memory.

use super::{Rule, evidence, finding, predicted, show};
use crate::drift::{Measure, Sign, SignClass, SignFact, What};
use crate::window::Window;
use crate::{Fault, Finding, RuleId};
use outband_schemas::Timestamp;

/// The rule of one class of parts.
pub(super) struct Wear(pub(super) SignClass);

impl Rule for Wear {
    fn id(&self) -> RuleId {
        RuleId::new(match self.0 {
            SignClass::Fan => "fan.wear",
            SignClass::Psu => "psu.wear",
            SignClass::Thermal => "cooling.wear",
            SignClass::Dimm => "memory.wear",
        })
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let ours = window.signs().iter().filter(|s| s.class == self.0 && s.score >= 1.0);
        ours.filter_map(|sign| self.tell(window, sign)).collect()
    }
}

impl Wear {
    fn fault(&self) -> Fault {
        match self.0 {
            SignClass::Fan => Fault::FanFailure,
            SignClass::Psu => Fault::PsuFailure,
            SignClass::Thermal => Fault::Overheating,
            SignClass::Dimm => Fault::MemoryErrors,
        }
    }

    fn tell(&self, window: &Window, sign: &Sign) -> Option<Finding> {
        // A part that is not there, or of which nothing was read since the start, shows nothing.
        let place = window.place(&sign.component).filter(|place| !place.is_absent())?;
        let newest = place.newest()?;
        let onset = sign.since().unwrap_or(newest);
        let told: Vec<String> = sign.facts.iter().map(|fact| told(fact, fact.by)).collect();
        let base = predicted(finding(self.id(), self.fault(), &sign.component, Some(place), newest));
        Some(Finding {
            onset,
            reason: format!("{}, since {}", told.join("; "), day(onset)),
            // One fact for each time that it has come as far again, so that the ticket tells how it went on.
            evidence: sign.facts.iter().map(|fact| evidence(fact.since, told_in_steps(fact))).collect(),
            ..base
        })
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn told_in_steps(fact: &SignFact) -> String {
    let step = match fact.what {
        What::Moved => fact.by / fact.share * fact.share.floor().max(1.0),
        What::Errors => 2_f64.powf(fact.by.max(1.0).log2().floor()),
        // How much it jumps about, or how often it stands still, is another number each day.
        What::Erratic | What::Stalls => f64::NAN,
    };
    format!("{}{}", told(fact, step), if fact.what == What::Moved { " or more" } else { "" })
}

/// A fact in words, moved by `by`.
fn told(fact: &SignFact, by: f64) -> String {
    let name = if fact.sensor.is_empty() { fact.measure.as_str() } else { fact.sensor.as_str() };
    let percent = |by: f64| show(((by.exp() - 1.0).abs() * 1000.0).round() / 10.0);
    let one = |by: f64| show((by.abs() * 10.0).round() / 10.0);
    match (fact.what, fact.measure) {
        (What::Erratic, _) => format!("{name} jumps about far more than it did, and than its siblings do"),
        (What::Stalls, _) => format!("{name} was caught far off its speed, or standing still, on several days"),
        (What::Errors, _) | (_, Measure::Errors) => {
            format!("corrected memory errors on several days, {} in two weeks", show(by.round()))
        }
        (What::Moved, Measure::Speed) => format!("{name} is slower at equal load, by {} %", percent(by)),
        (What::Moved, Measure::Efficiency) => format!("less output for its input, by {} %", percent(by)),
        (What::Moved, Measure::Voltage) => format!("lower output voltage at equal load, by {} %", percent(by)),
        (What::Moved, Measure::Share) => {
            format!("a smaller share of the load than before, by {} points", one(by * 100.0))
        }
        (What::Moved, Measure::SupplyHeat) => {
            format!("hotter above the incoming air at equal load, by {} Cel", one(by))
        }
        (What::Moved, Measure::Heat) => {
            format!("{name} is hotter above the incoming air at equal power and airflow, by {} Cel", one(by))
        }
    }
}
