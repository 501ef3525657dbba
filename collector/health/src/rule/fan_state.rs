//! A fan has stopped, turns too slowly, or its BMC says that it is not well.

use super::{Rule, STATE_POLLS, evidence, finding, predicted, show, worst_state};
use crate::config::LimitConfig;
use crate::window::{Place, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, ComponentId, EventKind, Quality, SensorKind, State, Timestamp};

pub(super) struct FanState(pub(super) LimitConfig);

const ID: RuleId = RuleId::new("fan.state");

impl Rule for FanState {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let fans = window.of_class(ComponentClass::Fan).filter(|(_, place)| !place.is_absent());
        fans.flat_map(|(component, place)| self.judge(component, place)).collect()
    }
}

impl FanState {
    fn judge(&self, component: &ComponentId, place: &Place) -> Vec<Finding> {
        let mut found = Vec::new();
        let base = |at| finding(ID, Fault::FanFailure, component, Some(place), at);
        if let Some((state @ (State::Warning | State::Critical), text, since, newest)) = worst_state(place) {
            let text = format!(
                "the fan's state is {} ({text})",
                if state == State::Critical { "critical" } else { "warning" }
            );
            let f = Finding { onset: since, confirm: STATE_POLLS, reason: text.clone(), ..base(newest) };
            let f = Finding { evidence: vec![evidence(since, text)], ..f };
            found.push(if state == State::Critical { f } else { predicted(f) });
        }
        let mut read = false;
        for (key, series) in place.of_kind(SensorKind::FanSpeed) {
            let (Some(rpm), Some(newest)) = (series.number(), series.newest()) else { continue };
            read = true;
            let lowest = series.thresholds().lower_critical.unwrap_or(0.0);
            // The limit itself may be 0, where any speed is good but none.
            if !matches!(series.quality, Quality::Good | Quality::Suspect(_)) || rpm > 0.0 && rpm >= lowest {
                continue;
            }
            let (text, fact) = if rpm <= 0.0 {
                (format!("{} does not turn", key.sensor), format!("{} at 0 rpm", key.sensor))
            } else {
                let limit = show(lowest);
                (
                    format!("{} turns at {} rpm, below its critical limit of {limit} rpm", key.sensor, show(rpm)),
                    format!("{} below its critical limit of {limit} rpm", key.sensor),
                )
            };
            let f = base(newest);
            found.push(Finding { reason: text, evidence: vec![evidence(newest, fact)], confirm: self.0.polls, ..f });
        }
        // Where the speed is read, it says more than an old entry.
        if !read && let Some(note) = place.asserted(&[EventKind::FanLimit]) {
            let text = format!("log entry: {}", note.message);
            found.push(Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..base(note.at) });
        }
        found
    }
}
