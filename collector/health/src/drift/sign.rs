//! What slow change says of a part.

use super::watch::{Drifted, Measure};
use super::{Name, day_start};
use outband_schemas::{ComponentId, Timestamp};
use serde::{Deserialize, Serialize};

/// What kind of part a sign speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignClass {
    /// A fan.
    Fan,
    /// A power supply.
    Psu,
    /// Heat that is not carried away as it was.
    Thermal,
    /// A memory module.
    Dimm,
}

impl SignClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Fan, Self::Psu, Self::Thermal, Self::Dimm];

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fan => "fan",
            Self::Psu => "psu",
            Self::Thermal => "thermal",
            Self::Dimm => "dimm",
        }
    }
}

/// What was seen of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It has moved the wrong way.
    Moved,
    /// It jumps about.
    Erratic,
    /// The part stood still and started again.
    Stalls,
    /// Corrected errors come on several days.
    Errors,
}

/// One fact of a sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignFact {
    /// The measure.
    pub measure: Measure,
    /// The sensor, where it has a name.
    pub sensor: String,
    /// What was seen.
    pub what: What,
    /// By how much, in the measure's unit; for stalls and errors their number; for an erratic measure its spread.
    pub by: f64,
    /// In parts of what is a finding: 1 is one.
    pub share: f64,
    /// Since which day.
    pub since: Timestamp,
}

impl SignFact {
    pub(super) fn of(name: &Name, drifted: &Drifted) -> Self {
        Self {
            measure: name.measure,
            sensor: name.sensor.clone(),
            what: What::Moved,
            by: drifted.by,
            share: drifted.share,
            since: day_start(drifted.since),
        }
    }
}

/// A part that changes for the worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// The place.
    pub component: ComponentId,
    /// The kind of part.
    pub class: SignClass,
    /// How far it has come: 1 is a finding, and more is worse. Comparable between parts of one class.
    pub score: f64,
    /// What it rests on.
    pub facts: Vec<SignFact>,
}

impl Sign {
    pub(super) fn new(component: &ComponentId, class: SignClass, score: f64, facts: Vec<SignFact>) -> Self {
        Self { component: component.clone(), class, score, facts }
    }

    /// Since when the first of its facts holds.
    pub fn since(&self) -> Option<Timestamp> {
        self.facts.iter().map(|f| f.since).min()
    }
}
