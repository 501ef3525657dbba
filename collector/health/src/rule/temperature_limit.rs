//! A temperature is over its limit. Where the inlet air is, the air is what is wrong, and the rest follows from it.

use super::{Rule, evidence, finding, is_read, show};
use crate::config::LimitConfig;
use crate::drift::is_inlet;
use crate::window::Window;
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{EventKind, Quality, SensorKind, Timestamp};

pub(super) struct TemperatureLimit(pub(super) LimitConfig);

const ID: RuleId = RuleId::new("temperature.limit");

impl Rule for TemperatureLimit {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let mut found: Vec<(bool, Finding)> = Vec::new();
        for (component, place) in window.places().filter(|(_, place)| !place.is_absent()) {
            for (key, series) in place.of_kind(SensorKind::Temperature) {
                let (Some(value), Some(newest)) = (series.number(), series.newest()) else { continue };
                if !matches!(series.quality, Quality::Good | Quality::Suspect(_)) {
                    continue;
                }
                let t = series.thresholds();
                let over = |limit: Option<f64>| limit.filter(|limit| *limit > 0.0 && value >= *limit);
                let (level, penalty, word, limit) = if let Some(l) = over(t.upper_non_recoverable) {
                    (Level::Fatal, 100, "non-recoverable", l)
                } else if let Some(l) = over(self.0.critical(t.upper_critical)) {
                    (Level::Critical, 70, "critical", l)
                } else {
                    continue;
                };
                let f = finding(ID, Fault::Overheating, component, Some(place), newest);
                found.push((
                    is_inlet(component, &key.sensor),
                    Finding {
                        level,
                        penalty,
                        reason: format!(
                            "{} is at {} Cel, over its {word} limit of {} Cel",
                            key.sensor,
                            show(value),
                            show(limit)
                        ),
                        evidence: vec![evidence(
                            newest,
                            format!("{} over its {word} limit of {} Cel", key.sensor, show(limit)),
                        )],
                        confirm: self.0.polls,
                        ..f
                    },
                ));
            }
            if !is_read(window, component, place, SensorKind::Temperature)
                && let Some(note) = place.asserted(&[EventKind::TemperatureLimit])
            {
                let text = format!("log entry: {}", note.message);
                let f = finding(ID, Fault::Overheating, component, Some(place), note.at);
                found.push((false, Finding { reason: text.clone(), evidence: vec![evidence(note.at, text)], ..f }));
            }
        }
        blame_the_inlet(found)
    }
}

/// Where the inlet is among the findings, the others become its evidence: one cause, one ticket.
pub(super) fn blame_the_inlet(found: Vec<(bool, Finding)>) -> Vec<Finding> {
    let (mut inlets, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|(inlet, _)| *inlet);
    let Some((_, first)) = inlets.first_mut() else { return others.into_iter().map(|(_, f)| f).collect() };
    for (_, other) in others {
        first.level = first.level.max(other.level);
        first.penalty = first.penalty.max(other.penalty);
        first.evidence.extend(other.evidence);
    }
    inlets.into_iter().map(|(_, f)| f).collect()
}
