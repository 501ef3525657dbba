//! Whether a target answers.

use crate::SortedMap;
use outband_schemas::{AgentId, Cause, Gap, Section, TargetId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Where readings come from: one target of one agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The agent.
    pub agent: AgentId,
    /// The target, unique within the agent.
    pub target: TargetId,
}

/// How a target answers, section by section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    sections: SortedMap<Section, Polls>,
    heard_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Polls {
    first_ok: Option<Timestamp>,
    ok: Option<Timestamp>,
    tried: Option<Timestamp>,
    /// Polls in a row that failed as a whole.
    failures: u32,
    failing_since: Option<Timestamp>,
    cause: Option<(Cause, String)>,
    gaps: VecDeque<Duration>,
}

const GAPS: usize = 8;

impl Polls {
    fn tried(&mut self, at: Timestamp) {
        if let Some(before) = self.tried.filter(|before| *before < at) {
            if self.gaps.len() == GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back(at.since(before));
        }
        self.tried = Some(at);
    }
}

impl Contact {
    pub(super) fn heard(&mut self, received_at: Timestamp) {
        self.heard_at = Some(received_at);
    }

    /// When its agent last sent anything of it (the collector's clock).
    pub fn heard_at(&self) -> Option<Timestamp> {
        self.heard_at
    }

    pub(super) fn succeeded(&mut self, section: Section, at: Timestamp) {
        let polls = self.sections.or_default(&section);
        polls.tried(at);
        polls.first_ok.get_or_insert(at);
        polls.ok = Some(at);
        (polls.failures, polls.failing_since, polls.cause) = (0, None, None);
    }

    pub(super) fn failed(&mut self, section: Section, at: Timestamp, gap: &Gap) {
        let polls = self.sections.or_default(&section);
        polls.tried(at);
        polls.failures = polls.failures.saturating_add(1);
        polls.failing_since.get_or_insert(at);
        polls.cause = Some((gap.cause, gap.detail.clone()));
    }

    /// Whether a section was ever read.
    pub fn has_read(&self, section: Section) -> bool {
        self.newest_ok_of(section).is_some()
    }

    /// Whether a poll of a section at `at` is its first, or a further part of its first.
    pub(super) fn is_first(&self, section: Section, at: Timestamp) -> bool {
        self.sections.get(&section).and_then(|p| p.first_ok).is_none_or(|first| first == at)
    }

    /// The newest good poll of a section.
    pub fn newest_ok_of(&self, section: Section) -> Option<Timestamp> {
        self.sections.get(&section).and_then(|p| p.ok)
    }

    /// The newest good poll of any section.
    pub fn newest_ok(&self) -> Option<Timestamp> {
        self.sections.values().filter_map(|p| p.ok).max()
    }

    /// The newest poll of any section, good or not.
    pub fn newest_try(&self) -> Option<Timestamp> {
        self.sections.values().filter_map(|p| p.tried).max()
    }

    /// How many polls of a section have failed in a row, since when, and why.
    pub fn failing(&self, section: Section) -> Option<(u32, Timestamp, Cause, &str)> {
        let polls = self.sections.get(&section)?;
        let (cause, detail) = polls.cause.as_ref()?;
        Some((polls.failures, polls.failing_since?, *cause, detail.as_str()))
    }

    /// How often a section is polled: the median of the last few gaps between polls. `None` before the second poll.
    pub fn interval(&self, section: Section) -> Option<Duration> {
        let mut gaps: Vec<Duration> = self.sections.get(&section)?.gaps.iter().copied().collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied()
    }
}
