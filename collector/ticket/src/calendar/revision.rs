//! Calendars as revisioned data: who answered, from what, and for how long that is known.

use super::zone::{DAY_MS, date_of, tzdb_version};
use super::{Calendar, CalendarError, CalendarSpec, Span, ical::Import, spec};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A calendar as it was known from one import to the next. Revisions are never changed; a new year makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarRevision {
    /// The calendar's name, e.g. `cn-9-18`.
    pub id: String,
    /// Counts from 1.
    pub revision: u32,
    /// What it says.
    pub spec: CalendarSpec,
    /// The first date whose holidays are known, e.g. `2024-01-01`; `None` where that has no beginning.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// The last date whose holidays are known, itself included; `None` where that has no end.
    #[serde(default)]
    pub valid_until: Option<String>,
    /// Where it is from: files, notices, people.
    pub source: String,
    /// When it was taken in.
    pub imported_at: Timestamp,
}

/// What a reader of a result must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// It counts time after the last date whose holidays are known: it may move when the next year is imported.
    BeyondCalendar,
    /// It counts time before the first date whose holidays are known.
    BeforeCalendar,
}

/// What a computation stands on; recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Basis {
    /// The calendar's name; empty where it has none.
    pub calendar: String,
    /// Its revision; 0 where it has none.
    pub revision: u32,
    /// The version of the time zone database, e.g. `2026e`.
    pub tzdb: String,
}

/// One difference between two revisions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The date, or the field.
    pub at: String,
    /// What stood there.
    pub was: String,
    /// What stands there now.
    pub is: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.at, self.was, self.is)
    }
}

impl Basis {
    pub(super) fn new(calendar: &str, revision: u32) -> Self {
        Self { calendar: calendar.to_owned(), revision, tzdb: tzdb_version().to_owned() }
    }
}

impl TryFrom<&CalendarRevision> for Calendar {
    type Error = CalendarError;

    fn try_from(revision: &CalendarRevision) -> Result<Self, CalendarError> {
        let mut calendar = Self::try_from(&revision.spec)?;
        let midnight = |text: &String, after: i32| {
            let day = spec::day(text)? + after;
            let local = date_of(day).and_then(|d| calendar.local_instant(d.to_datetime(jiff::civil::Time::midnight())));
            Ok(local.unwrap_or(Timestamp::from_millis(i64::from(day) * DAY_MS)))
        };
        let from = revision.valid_from.as_ref().map(|d| midnight(d, 0)).transpose()?;
        let until = revision.valid_until.as_ref().map(|d| midnight(d, 1)).transpose()?;
        if from.is_some() || until.is_some() {
            let open = |edge: Option<Timestamp>, otherwise| edge.unwrap_or(Timestamp::from_millis(otherwise));
            calendar.valid = Some((open(from, i64::MIN), open(until, i64::MAX)));
        }
        calendar.basis = Basis::new(&revision.id, revision.revision);
        Ok(calendar)
    }
}

impl Calendar {
    /// What its computations stand on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// What a reader must know of a computation that counted from `from` to `to`, or found no end where `to` is `None`.
    pub fn flags(&self, from: Timestamp, to: Option<Timestamp>) -> BTreeSet<Flag> {
        let Some((first, end)) = self.valid else { return BTreeSet::new() };
        let before = from < first || to.is_some_and(|to| to < first);
        let beyond = from >= end || to.is_none_or(|to| to > end);
        let flags = [(before, Flag::BeforeCalendar), (beyond, Flag::BeyondCalendar)];
        flags.into_iter().filter_map(|(holds, flag)| holds.then_some(flag)).collect()
    }

    /// The time for which holidays are known; `None` where they are known for all of it.
    pub fn valid(&self) -> Option<Span> {
        self.valid
    }
}

impl CalendarRevision {
    /// The next revision: in the years that the import covers its holidays and make-up days take the place of those that
    /// stood there; overrides and breaks are added to.
    #[must_use]
    pub fn with(&self, import: &Import, source: &str, imported_at: Timestamp) -> Self {
        let mut spec = self.spec.clone();
        let covered = |date: &str| import.covers(date);
        spec.holidays.retain(|date| !covered(date));
        spec.make_up.retain(|date, _| !covered(date));
        spec.holidays.extend(import.holidays.iter().cloned());
        spec.holidays.sort_unstable();
        spec.make_up.extend(import.make_up.clone());
        spec.overrides.extend(import.overrides.clone());
        for (date, pieces) in &import.breaks {
            let all = spec.breaks.entry(date.clone()).or_default();
            all.extend(
                pieces.iter().filter(|piece| !self.spec.breaks.get(date).is_some_and(|b| b.contains(piece))).cloned(),
            );
        }
        let (valid_from, valid_until) = self.known_with(import);
        Self {
            id: self.id.clone(),
            revision: self.revision + 1,
            valid_from,
            valid_until,
            spec,
            source: source.to_owned(),
            imported_at,
        }
    }

    /// The dates for which holidays are known together with an import. Where years lie between the two, only the later part
    /// counts: nobody knows the holidays of those years.
    fn known_with(&self, import: &Import) -> (Option<String>, Option<String>) {
        let Some((first, last)) = import.years() else { return (self.valid_from.clone(), self.valid_until.clone()) };
        let year = |date: &Option<String>| date.as_ref().and_then(|date| date.get(..4)?.parse::<i16>().ok());
        let (mut first, mut last) = (first, last);
        if let (Some(from), Some(until)) = (year(&self.valid_from), year(&self.valid_until)) {
            if from > last + 1 {
                (first, last) = (from, until);
            } else if first <= until + 1 {
                (first, last) = (first.min(from), last.max(until));
            }
        }
        (Some(format!("{first:04}-01-01")), Some(format!("{last:04}-12-31")))
    }

    /// What is different in `next`, by date and field: for the audit entry and for whoever imported it.
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let (was, is) = (self.facts(), next.facts());
        let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let say =
            |facts: &BTreeMap<String, String>, key: &String| facts.get(key).cloned().unwrap_or_else(|| "–".to_owned());
        let all = keys.into_iter().map(|key| Change { at: key.clone(), was: say(&was, key), is: say(&is, key) });
        all.filter(|change| change.was != change.is).collect()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let spec = &self.spec;
        let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut say = |at: &str, what: String| facts.entry(at.to_owned()).or_default().push(what);
        say("tz", spec.tz.clone());
        say("week", format!("{:?}", spec.week));
        say("weekly_breaks", format!("{:?}", spec.weekly_breaks));
        say("valid_from", self.valid_from.clone().unwrap_or_default());
        say("valid_until", self.valid_until.clone().unwrap_or_default());
        spec.holidays_yearly.iter().for_each(|date| say(date, "closed every year".to_owned()));
        spec.holidays.iter().for_each(|date| say(date, "closed".to_owned()));
        spec.make_up.iter().for_each(|(date, like)| say(date, format!("worked like {like:?}")));
        spec.overrides.iter().for_each(|(date, windows)| say(date, format!("open {windows:?}")));
        spec.breaks.iter().for_each(|(date, windows)| say(date, format!("break {windows:?}")));
        facts
            .into_iter()
            .map(|(at, mut what)| {
                (at, {
                    what.dedup();
                    what.join(", ")
                })
            })
            .collect()
    }
}
