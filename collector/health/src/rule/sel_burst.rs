//! The same log entry again and again: a loose contact, a flapping sensor.

use super::{ADVICE, Rule, evidence, finding};
use crate::config::EventConfig;
use crate::window::Window;
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{EventKind, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) struct SelBurst(pub(super) EventConfig);

const ID: RuleId = RuleId::new("log.burst");

/// What comes often without anything being wrong, or has a rule of its own.
const IGNORED: [EventKind; 9] = [
    EventKind::LogCleared,
    EventKind::LogFull,
    EventKind::PowerChange,
    EventKind::OsChange,
    EventKind::Change,
    EventKind::Audit,
    EventKind::MemoryCorrectable,
    EventKind::MemoryUncorrectable,
    EventKind::MemoryLoggingLimit,
];

impl Rule for SelBurst {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding> {
        let from = now.minus(Duration::from_secs(self.0.span_secs));
        let mut found = Vec::new();
        for (component, place) in window.places() {
            let kinds: BTreeSet<EventKind> = place.events().map(|e| e.kind).filter(|k| !IGNORED.contains(k)).collect();
            for kind in kinds {
                let Some((n, note)) = place.count(&[kind], from).filter(|(n, _)| *n >= self.0.burst) else { continue };
                let onset = place.events().find(|e| e.kind == kind && e.at >= from).map_or(note.at, |e| e.at);
                let fact = evidence(onset, format!("at least {} entries of the kind {}", self.0.burst, kind.as_str()));
                let f = finding(ID, Fault::EventBurst, component, Some(place), note.at);
                let reason = format!("{n} log entries of the kind {}, the newest: {}", kind.as_str(), note.message);
                found.push(Finding { level: Level::Advice, penalty: ADVICE, onset, reason, evidence: vec![fact], ..f });
            }
        }
        found
    }
}
