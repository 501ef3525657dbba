//! A component says that it is not well, and it is of no class with a rule of its own; a processor or a bus reports errors.

use super::{ADVICE, Rule, STATE_POLLS, evidence, finding, predicted, worst_state};
use crate::window::{Place, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass as C, ComponentId, EventKind, Severity, State, Timestamp};

pub(super) struct ComponentState;

const ID: RuleId = RuleId::new("component.state");

impl Rule for ComponentState {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let places = window.places().filter(|(_, place)| !place.is_absent());
        places
            .flat_map(|(component, place)| by_state(component, place).into_iter().chain(by_event(component, place)))
            .collect()
    }
}

/// The fault of a component of this class whose state is bad. `None`: it has a rule of its own, or its state is the sum of
/// others (server, chassis), or it says nothing of health (a link that is down).
fn fault(class: C) -> Option<Fault> {
    match class {
        C::Cpu => Some(Fault::ProcessorErrors),
        C::StorageController | C::Gpu | C::Volume | C::Battery | C::Board => Some(Fault::ComponentFailure),
        C::Server | C::Bmc | C::Memory | C::Disk | C::PowerSupply | C::Fan | C::Network | C::Chassis => None,
        C::Firmware | C::Agent | C::Other => None,
    }
}

fn by_state(component: &ComponentId, place: &Place) -> Option<Finding> {
    let fault = fault(component.class())?;
    let (state, text, since, newest) = worst_state(place)?;
    let text = format!("its state: {text}");
    let f = finding(ID, fault, component, Some(place), newest);
    let f = Finding {
        onset: since,
        confirm: STATE_POLLS,
        reason: text.clone(),
        evidence: vec![evidence(since, text)],
        ..f
    };
    match state {
        State::Critical => Some(f),
        // A volume that is degraded has lost its redundancy, which is another rule's.
        State::Warning if component.class() == C::Volume => None,
        State::Warning => Some(predicted(f)),
        State::Absent | State::Unknown | State::Ok => None,
    }
}

fn by_event(component: &ComponentId, place: &Place) -> Vec<Finding> {
    let kinds = [(EventKind::ProcessorError, Fault::ProcessorErrors), (EventKind::BusError, Fault::BusErrors)];
    let mut found = Vec::new();
    for (kind, fault) in kinds {
        let Some(note) = place.asserted(&[kind]) else { continue };
        let text = format!("log entry: {}", note.message);
        let f = finding(ID, fault, component, Some(place), note.at);
        let f = Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..f };
        match note.severity {
            Severity::Critical => found.push(f),
            Severity::Warning => found.push(Finding { level: Level::Advice, penalty: ADVICE, ..f }),
            Severity::Ok | Severity::Unknown => {}
        }
    }
    found
}
