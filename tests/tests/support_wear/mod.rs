//! The simulated racks as the collector sees them: its words for their parts and kinds, what it makes of what happened, and the truth as its judge
//! takes it.
#![allow(dead_code, reason = "each that includes it needs another part of it")]

use outband_health::drift::judge::Failure;
use outband_health::drift::{Drift, SignClass};
use outband_schemas::{ComponentClass as C, ComponentId, SensorKind};
use outband_tests::sim::wear::{Happening, Truth, at};

/// A component by its name.
pub(crate) fn component(name: &str) -> ComponentId {
    let class = match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "fan" => C::Fan,
        "psu" => C::PowerSupply,
        "cpu" => C::Cpu,
        "dimm" => C::Memory,
        "inlet" => C::Board,
        _ => C::Server,
    };
    ComponentId::lenient(class, name)
}

/// A kind by its word in [`Row`](super::Row); `None`: there is no such kind.
pub(crate) fn kind(word: &str) -> Option<SensorKind> {
    match word {
        "memory_ce_count" => Some(SensorKind::CorrectableErrors),
        other => other.parse().ok(),
    }
}

/// Tells a server's detectors what happened, as far as the collector would know of it: firmware that changed, another part in the place, a
/// part that was pulled or put back.
pub(crate) fn happen(drift: &mut Drift, happening: &Happening) {
    match happening.event {
        "replaced" => drift.renew(&component(&happening.component), at(happening.at)),
        "firmware_update" => drift.changed(at(happening.at)),
        "removed" | "inserted" => drift.reseated(&component(&happening.component), at(happening.at)),
        _ => {}
    }
}

/// The class as the detectors call it.
pub(crate) fn class(truth: &Truth) -> Option<SignClass> {
    SignClass::ALL.into_iter().find(|c| c.as_str() == truth.class.as_str())
}

/// The truth as the judge takes it; the part is the server and the component's name.
pub(crate) fn failure(truth: &Truth) -> Option<Failure<(usize, String)>> {
    let part = (truth.server, truth.component.clone());
    Some(Failure { part, class: class(truth)?, onset: at(truth.onset), fails: at(truth.fails) })
}
