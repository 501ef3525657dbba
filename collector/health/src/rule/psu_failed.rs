//! A power supply has failed, or says that it will.

use super::{Rule, STATE_POLLS, evidence, finding, predicted, psu_input_lost, worst_state};
use crate::window::{Place, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, ComponentId, EventKind, State, Timestamp};

pub(super) struct PsuFailed;

const ID: RuleId = RuleId::new("psu.failed");

impl Rule for PsuFailed {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let supplies = window.of_class(ComponentClass::PowerSupply).filter(|(_, place)| !place.is_absent());
        // Without input it is not well either; but that is the feed's fault.
        supplies.filter(|(_, place)| psu_input_lost::lost(place).is_none()).filter_map(|(c, p)| judge(c, p)).collect()
    }
}

fn judge(component: &ComponentId, place: &Place) -> Option<Finding> {
    let base = |at| finding(ID, Fault::PsuFailure, component, Some(place), at);
    if let Some((state @ (State::Warning | State::Critical), text, since, newest)) = worst_state(place) {
        let text = format!("the power supply says: {text}");
        let f = Finding { onset: since, confirm: STATE_POLLS, reason: text.clone(), ..base(newest) };
        let f = Finding { evidence: vec![evidence(since, text)], ..f };
        return Some(if state == State::Critical { f } else { predicted(f) });
    }
    let failed = place.asserted(&[EventKind::PowerSupplyFailed]);
    let note = failed.or_else(|| place.asserted(&[EventKind::PowerSupplyPredictedFailure]))?;
    let text = format!("log entry: {}", note.message);
    let f = Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..base(note.at) };
    Some(if failed.is_some() { f } else { predicted(f) })
}
