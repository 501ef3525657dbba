//! Redundancy is lost, and no failed part says why: the part that is at fault has a ticket of its own, and one cause is one ticket.

use super::{Rule, evidence, finding, psu_input_lost, worst_state};
use crate::window::{Place, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass as C, EventKind, Section, Severity, State, Timestamp};

pub(super) struct RedundancyLost;

const ID: RuleId = RuleId::new("redundancy.lost");

/// How many polls it has to last: the part that explains it may be read only after the entry.
const POLLS: u32 = 3;

impl Rule for RedundancyLost {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let places = window.places().filter(|(_, place)| !place.is_absent());
        let lost = places.filter_map(|(component, place)| {
            let sign = by_state(component.class(), place).or_else(|| by_event(window, component.class(), place))?;
            let explained = window.of_class(sign.parts).any(|(_, part)| has_failed(part));
            let f = finding(ID, Fault::RedundancyLost, component, Some(place), sign.newest);
            let evidence = vec![evidence(sign.since, sign.text.clone())];
            let f = Finding { onset: sign.since, reason: sign.text, evidence, confirm: sign.confirm, ..f };
            (!explained).then_some(f)
        });
        lost.collect()
    }
}

struct Sign {
    /// The class of part whose redundancy is lost.
    parts: C,
    text: String,
    since: Timestamp,
    newest: Timestamp,
    confirm: u32,
}

fn by_state(class: C, place: &Place) -> Option<Sign> {
    if class == C::Volume
        && let Some((State::Warning, text, since, newest)) = worst_state(place)
    {
        let text = format!("the volume's state: {text}");
        return Some(Sign { parts: C::Disk, text, since, newest, confirm: POLLS });
    }
    place.states().find_map(|(_, series, switch)| {
        let (state, text) = switch.now()?;
        let (since, newest) = (switch.since()?, series.newest()?);
        let bad = matches!(state, State::Warning | State::Critical) && speaks_of_redundancy(text);
        let text = text.to_owned();
        bad.then(|| Sign { parts: parts(class, &text), text, since, newest, confirm: POLLS })
    })
}

fn by_event(window: &Window, class: C, place: &Place) -> Option<Sign> {
    let note = place.asserted(&[EventKind::RedundancyLost]).filter(|note| note.severity != Severity::Ok)?;
    // An entry comes once: what has to be waited for is the poll of the part that explains it.
    let interval = window.contacts().filter_map(|(_, contact)| contact.interval(Section::Sensors)).max();
    let waited = window.newest()?.since(note.at) >= interval.unwrap_or_default().saturating_mul(POLLS);
    let text = format!("log entry: {}", note.message);
    waited.then(|| Sign { parts: parts(class, &text), text, since: note.at, newest: note.at, confirm: 1 })
}

fn parts(class: C, text: &str) -> C {
    if class == C::Fan || text.to_lowercase().contains("fan") { C::Fan } else { C::PowerSupply }
}

/// The words of IPMI 2.0 table 42-2 (generic event type 0Bh).
fn speaks_of_redundancy(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("redundancy lost") || text.contains("redundancy degraded") || text.contains("non-redundant")
}

fn has_failed(part: &Place) -> bool {
    let failed = [EventKind::PowerSupplyFailed, EventKind::DriveFailed];
    !part.is_absent()
        && (psu_input_lost::lost(part).is_some()
            || part.asserted(&failed).is_some()
            || worst_state(part).is_some_and(|(state, ..)| state == State::Critical))
}
