//! A voltage is out of its critical limits.

use super::{Rule, evidence, finding, is_read, show};
use crate::config::LimitConfig;
use crate::window::Window;
use crate::{Fault, Finding, RuleId};
use outband_schemas::{EventKind, Quality, SensorKind, Timestamp};

pub(super) struct VoltageLimit(pub(super) LimitConfig);

const ID: RuleId = RuleId::new("voltage.limit");

impl Rule for VoltageLimit {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for (component, place) in window.places().filter(|(_, place)| !place.is_absent()) {
            for (key, series) in place.of_kind(SensorKind::Voltage) {
                let (Some(volts), Some(newest)) = (series.number(), series.newest()) else { continue };
                let t = series.thresholds();
                let (side, limit) = match (t.lower_critical, t.upper_critical) {
                    (Some(low), _) if volts < low => ("below", low),
                    (_, Some(high)) if volts > high => ("above", high),
                    _ => continue,
                };
                if !matches!(series.quality, Quality::Good | Quality::Suspect(_)) {
                    continue;
                }
                let (v, limit) = (show(volts), show(limit));
                let f = finding(ID, Fault::VoltageOutOfRange, component, Some(place), newest);
                found.push(Finding {
                    penalty: 60,
                    reason: format!("{} is at {v} V, {side} its critical limit of {limit} V", key.sensor),
                    evidence: vec![evidence(newest, format!("{} {side} its critical limit of {limit} V", key.sensor))],
                    confirm: self.0.polls,
                    ..f
                });
            }
            if !is_read(window, component, place, SensorKind::Voltage)
                && let Some(note) = place.asserted(&[EventKind::VoltageLimit])
            {
                let text = format!("log entry: {}", note.message);
                let f = finding(ID, Fault::VoltageOutOfRange, component, Some(place), note.at);
                found.push(Finding { penalty: 60, reason: text.clone(), evidence: vec![evidence(note.at, text)], ..f });
            }
        }
        found
    }
}
