//! Memory errors: corrected ones in a burst predict, as does what the BMC itself calls too many; uncorrected ones have happened.

use super::memory_cells;
use super::{Rule, STATE_POLLS, evidence, finding, predicted, show, worst_state};
use crate::config::EventConfig;
use crate::window::{Counter, EventNote, Place, Step, Track, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, ComponentId, EventKind, SensorKind, Severity, State, Timestamp};
use std::time::Duration;

pub(super) struct MemoryEcc(pub(super) EventConfig);

const ID: RuleId = RuleId::new("memory.ecc");

impl Rule for MemoryEcc {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding> {
        let from = now.minus(Duration::from_secs(self.0.span_secs));
        // Every place: a BMC that cannot tell the module puts the entry on the board or on the server.
        let places = window.places().filter(|(_, place)| !place.is_absent());
        places.flat_map(|(component, place)| self.judge(component, place, from)).collect()
    }
}

impl MemoryEcc {
    fn judge(&self, component: &ComponentId, place: &Place, from: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        let base = |at| finding(ID, Fault::MemoryErrors, component, Some(place), at);
        if let Some((n, note)) = place.count(&[EventKind::MemoryUncorrectable], from) {
            let text = format!("{n} uncorrected memory errors, the newest: {}", note.message);
            let fact = evidence(note.at, format!("log entry: {}", note.message));
            found.push(Finding { reason: text, evidence: vec![fact], ..base(note.at) });
        }
        if let Some((n, note)) = place.count(&[EventKind::MemoryCorrectable], from)
            && n >= self.0.correctable
        {
            let fact = evidence(note.at, format!("at least {} corrected errors in the log", self.0.correctable));
            let reason = format!("{n} corrected memory errors in the log, the newest: {}", note.message);
            found.push(predicted(Finding { reason, evidence: vec![fact], ..base(note.at) }));
        }
        if let Some((_, note)) = place.count(&[EventKind::MemoryLoggingLimit], from) {
            let reason = format!("so many corrected memory errors that logging stopped: {}", note.message);
            let fact = evidence(note.at, format!("log entry: {}", note.message));
            found.push(predicted(Finding { reason, evidence: vec![fact], ..base(note.at) }));
        }
        if let Some(note) = too_many(place, from) {
            let reason = format!("the BMC calls the module's corrected errors too many: {}", note.message);
            let fact = evidence(note.at, format!("log entry: {}", note.message));
            let f = predicted(Finding { reason, evidence: vec![fact], ..base(note.at) });
            found.push(if note.severity == Severity::Critical { Finding { level: Level::Critical, ..f } } else { f });
        }
        for kind in [SensorKind::CorrectableErrors, SensorKind::UncorrectableErrors] {
            found.extend(place.of_kind(kind).filter_map(|(_, series)| match &series.track {
                Track::Counter(counter) => self.grown(kind, counter, from, &base),
                Track::Gauge(_) | Track::Switch(_) | Track::Text => None,
            }));
        }
        if component.class() == ComponentClass::Memory
            && let Some((state @ (State::Warning | State::Critical), text, since, newest)) = worst_state(place)
        {
            let text = format!("the memory module says: {text}");
            let f = Finding { onset: since, confirm: STATE_POLLS, reason: text.clone(), ..base(newest) };
            let f = Finding { evidence: vec![evidence(since, text)], ..f };
            found.push(if state == State::Critical { f } else { predicted(f) });
        }
        locate(&mut found, place);
        found
    }

    fn grown(
        &self,
        kind: SensorKind,
        counter: &Counter,
        from: Timestamp,
        base: &impl Fn(Timestamp) -> Finding,
    ) -> Option<Finding> {
        let new: Vec<&Step> = counter.steps().filter(|s| s.at >= from).collect();
        let (first, last) = (new.first()?, new.last()?);
        let grown = last.to - first.from;
        let uncorrected = kind == SensorKind::UncorrectableErrors;
        let limit = if uncorrected { 1.0 } else { f64::from(self.0.correctable) };
        if grown < limit {
            return None;
        }
        let a_day = counter
            .a_day()
            .map_or_else(String::new, |(rate, days)| format!("; {} a day over {} days", show(rate), show(days)));
        let f = Finding {
            onset: first.at,
            reason: format!("{kind} rose by {} in {} increases{a_day}", show(grown), new.len()),
            evidence: new
                .iter()
                .map(|s| evidence(s.at, format!("{kind} {} -> {}", show(s.from), show(s.to))))
                .collect(),
            ..base(last.at)
        };
        Some(if uncorrected { f } else { predicted(f) })
    }
}

/// The newest entry in which the BMC itself judges corrected errors: Dell's "Correctable memory error rate exceeded" (MEM0701, MEM0702), HPE's "Corrected
/// Memory Error threshold exceeded", Lenovo's and Huawei's predictive failure (PFA). One is enough: the counting was done there.
fn too_many(place: &Place, from: Timestamp) -> Option<&EventNote> {
    let judged = |note: &&EventNote| {
        let said = note.message.to_ascii_lowercase();
        let has = |word: &str| said.contains(word);
        let limit = (has("threshold") || has("rate") || has("limit")) && (has("exceed") || has("reached"));
        let stands = !note.deasserted && note.severity != Severity::Ok && note.at >= from;
        stands && (limit || has("predictive") || has("predicted") || has("pfa"))
    };
    place.events().rev().filter(|note| note.kind == EventKind::MemoryCorrectable).find(judged)
}

/// Adds to the findings where on the module the errors are, as far as the log says.
fn locate(found: &mut [Finding], place: &Place) {
    let errors = [EventKind::MemoryCorrectable, EventKind::MemoryUncorrectable, EventKind::MemoryLoggingLimit];
    let notes: Vec<&EventNote> =
        place.events().filter(|note| errors.contains(&note.kind) && !note.deasserted).collect();
    let Some((told, last)) = memory_cells::told(&notes).zip(notes.last()) else { return };
    for finding in found {
        finding.reason = format!("{}; {told}", finding.reason);
        finding.evidence.push(evidence(last.at, told.clone()));
    }
}
