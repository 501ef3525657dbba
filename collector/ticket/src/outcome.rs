//! Whether a ticket was right: a fold over its log, for figures of how often rules are.
//!
//! What nobody has verified counts neither as right nor as wrong. A part that was replaced without a test is such a case: that the
//! trouble went with the part shows only that something was done.

use crate::{Action, Resolution, State, Transition, Verdict};
use outband_schemas::Timestamp;
use std::time::Duration;

/// What is known of whether a ticket was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// What it says, or foretold, was there.
    Right,
    /// It was not.
    Wrong,
    /// It ended, and nobody knows.
    Unknown,
    /// It has not ended.
    Pending,
    /// It says nothing of its rule: an exercise, or merged into another ticket.
    Aside,
}

impl Answer {
    /// Every one.
    pub const ALL: [Answer; 5] = [Self::Right, Self::Wrong, Self::Unknown, Self::Pending, Self::Aside];

    /// The word used in the store, on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Aside => "aside",
        }
    }

    /// The answer of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == word)
    }

    /// Whether somebody, or the machine itself, has verified it.
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Right | Self::Wrong)
    }
}

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// On nothing.
    Nothing,
    /// The predicted failure was seen.
    Seen,
    /// It was resolved as a false alarm.
    FalseAlarm,
    /// It ended by itself, and nobody said what it was.
    Recovered,
    /// Somebody said so.
    Verdict(Verdict),
}

impl Basis {
    /// The word used in the store, on the wire and in output: that of the verdict, `seen`, or nothing.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Seen => "seen",
            Self::FalseAlarm => "resolved_false_alarm",
            Self::Recovered => "recovered",
            Self::Verdict(verdict) => verdict.as_str(),
        }
    }

    /// The basis of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Nothing, Self::Seen, Self::FalseAlarm, Self::Recovered]
            .into_iter()
            .chain(Verdict::ALL.map(Self::Verdict))
            .find(|basis| basis.as_str() == word)
    }
}

/// What became of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was opened for a failure that was predicted, rather than seen.
    pub predicted: bool,
    /// Whether it was right.
    pub answer: Answer,
    /// What that rests on.
    pub basis: Basis,
    /// When it was opened (the collector's clock).
    pub opened_at: Timestamp,
    /// When the answer was known: the failure was seen or confirmed, or somebody said that there is none. `None`: it is not known.
    pub known_at: Option<Timestamp>,
    /// When the failure was seen: of one that was not predicted, when the ticket was opened.
    pub seen_at: Option<Timestamp>,
    /// The part that was at fault instead, as whoever gave the verdict named it: a serial or a place.
    pub other: Option<String>,
}

impl Outcome {
    /// What became of the ticket with this log. `None` where the log does not begin with its opening.
    pub fn of(log: &[Transition]) -> Option<Self> {
        let first = log.first().filter(|entry| matches!(entry.action, Action::Open { .. }))?;
        let mut known = Known::default();
        log.iter().for_each(|entry| known.take_in(entry));
        let seen_at = known.escalated.or((!known.predicted).then_some(first.at));
        let (answer, basis, known_at) = known.answer(log.last().map_or(State::New, |entry| entry.to));
        let other = known.other.filter(|_| basis == Basis::Verdict(Verdict::OtherPart));
        Some(Self { predicted: known.predicted, answer, basis, opened_at: first.at, known_at, seen_at, other })
    }

    /// Whether it was closed and nobody ever said what it was. Such a ticket confirms nothing.
    pub fn lacks_verdict(&self) -> bool {
        self.answer == Answer::Unknown && self.basis == Basis::Nothing
    }

    /// How long before the failure was seen or confirmed a right prediction stood there.
    pub fn lead(&self) -> Option<Duration> {
        let known_at = self.known_at.filter(|_| self.predicted && self.answer == Answer::Right)?;
        Some(known_at.since(self.opened_at))
    }

    /// When the part failed, as far as that was verified: a prediction that came true, or a failure that was seen and that nobody denies.
    pub fn failed_at(&self) -> Option<Timestamp> {
        match (self.answer, self.predicted) {
            (Answer::Right, _) => self.seen_at.into_iter().chain(self.known_at).min(),
            (Answer::Unknown | Answer::Pending, false) => self.seen_at,
            _ => None,
        }
    }

    /// When the part failed that was at fault instead ([`Self::other`]): when a failure was seen, else when somebody said so.
    pub fn other_failed_at(&self) -> Option<Timestamp> {
        self.other.as_ref()?;
        self.seen_at.into_iter().chain(self.known_at).min()
    }
}

/// What a log says, as far as it was read.
#[derive(Debug, Default)]
struct Known {
    predicted: bool,
    aside: bool,
    recovered: bool,
    /// The part that the verdict names.
    other: Option<String>,
    /// When the predicted failure was seen.
    escalated: Option<Timestamp>,
    verdict: Option<(Verdict, Timestamp)>,
    false_alarm: Option<Timestamp>,
}

impl Known {
    fn take_in(&mut self, entry: &Transition) {
        match &entry.action {
            Action::Open { opening, .. } => self.predicted = opening.as_ref().is_some_and(|o| o.predicted),
            Action::Import { snapshot } => {
                // Of logs that begin without saying what was opened.
                self.predicted |= snapshot.predicted;
                self.aside |= snapshot.drill || snapshot.merged_into.is_some();
            }
            Action::Escalate => {
                self.predicted = true;
                self.escalated.get_or_insert(entry.at);
            }
            Action::Verdict { verdict, part, .. } => {
                self.verdict = Some((*verdict, entry.at));
                self.other.clone_from(part);
            }
            Action::Resolve { resolution } => {
                self.false_alarm = (*resolution == Resolution::FalseAlarm).then_some(entry.at);
                self.aside |= *resolution == Resolution::Merged;
                self.recovered = *resolution == Resolution::Recovered;
            }
            Action::Reopen => {
                (self.false_alarm, self.recovered) = (None, false);
                // That there was nothing does not hold any more; that there was something does.
                self.verdict = self.verdict.filter(|(verdict, _)| *verdict == Verdict::Confirmed);
            }
            Action::Drill | Action::Merge { .. } => self.aside = true,
            _ => {}
        }
    }

    fn answer(&self, state: State) -> (Answer, Basis, Option<Timestamp>) {
        if self.aside {
            return (Answer::Aside, Basis::Nothing, None);
        }
        let said = self.verdict.map(|(verdict, at)| (verdict, Basis::Verdict(verdict), at));
        match said {
            Some((Verdict::Confirmed, basis, at)) => {
                return (Answer::Right, basis, Some(self.escalated.map_or(at, |seen| seen.min(at))));
            }
            Some((Verdict::NoFaultFound | Verdict::FalseAlarm | Verdict::OtherPart, basis, at)) => {
                return (Answer::Wrong, basis, Some(at));
            }
            Some((Verdict::ReplacedWithoutTest, ..)) | None => {}
        }
        match (self.escalated, self.false_alarm, said) {
            (Some(at), _, _) => (Answer::Right, Basis::Seen, Some(at)),
            (None, Some(at), _) => (Answer::Wrong, Basis::FalseAlarm, Some(at)),
            (None, None, Some((_, basis, _))) => (Answer::Unknown, basis, None),
            (None, None, None) if state == State::Closed => {
                let basis = if self.recovered { Basis::Recovered } else { Basis::Nothing };
                (Answer::Unknown, basis, None)
            }
            (None, None, None) => (Answer::Pending, Basis::Nothing, None),
        }
    }
}

#[cfg(test)]
mod tests;
