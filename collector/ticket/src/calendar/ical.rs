//! Holidays from iCalendar files (RFC 5545): what governments, Apple, Google and offices publish becomes closed dates, make-up
//! days, breaks and hours of a calendar. What is not understood is listed by file and line, never swallowed.
//!
//! Which kind an event is, in this order: `X-APPLE-SPECIAL-DAY`; words of its summary (`班`, `补班`, `上班`, `working day` for a day
//! that is worked; `休`, `放假`, `closed`, `holiday` for one that is not); the first words of its description, by which Google tells
//! public holidays from observances. An event with no such mark closes its days, unless other events of the same import are
//! marked by Apple or by 休 and 班: those calendars also list festivals on which people work.

mod event;
mod lines;
mod mark;
mod recur;

use super::spec::CalendarError;
use super::zone::local_instant;
use super::{CalendarSpec, Weekday, zone};
use event::{Event, When};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use mark::Mark;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// An event may close so many days at once; one that claims more is listed instead.
const LONGEST_DAYS: i32 = 400;

/// How files are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// IANA name of the calendar's zone, in which its dates are meant.
    pub tz: String,
    /// The years to take; what repeats is unrolled over them.
    pub years: RangeInclusive<i16>,
    /// The weekday whose hours a make-up day has. Notices do not say; Friday is usual.
    pub make_up_as: Weekday,
}

/// Something in a file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unknown {
    /// The file.
    pub file: String,
    /// The line on which it, or its event, begins; from 1.
    pub line: usize,
    /// What it is and why it was not taken.
    pub what: String,
}

/// What files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Closed dates.
    pub holidays: BTreeSet<String>,
    /// Worked dates, with the weekday whose hours they have.
    pub make_up: BTreeMap<String, Weekday>,
    /// Dates whose hours an event gives.
    pub overrides: BTreeMap<String, Vec<(String, String)>>,
    /// Pieces of dates that are closed.
    pub breaks: BTreeMap<String, Vec<(String, String)>>,
    /// Events read.
    pub events: usize,
    /// Days of events outside of the years asked for.
    pub outside: usize,
    /// What was not taken.
    pub unknown: Vec<Unknown>,
}

impl Import {
    /// The first and the last year of which it tells something.
    pub fn years(&self) -> Option<(i16, i16)> {
        let dates =
            self.holidays.iter().chain(self.make_up.keys()).chain(self.overrides.keys()).chain(self.breaks.keys());
        let years: BTreeSet<i16> = dates.filter_map(|date| date.get(..4)?.parse().ok()).collect();
        Some((*years.first()?, *years.last()?))
    }

    /// Whether a date lies in a year of which it tells something.
    pub fn covers(&self, date: &str) -> bool {
        let year = date.get(..4).and_then(|year| year.parse::<i16>().ok());
        self.years().zip(year).is_some_and(|((first, last), year)| (first..=last).contains(&year))
    }

    /// A calendar's data with this in it.
    pub fn into_spec(self, mut spec: CalendarSpec) -> CalendarSpec {
        spec.holidays.extend(self.holidays);
        spec.make_up.extend(self.make_up);
        spec.overrides.extend(self.overrides);
        spec.breaks.extend(self.breaks);
        spec
    }
}

/// Reads files, each with its name. Fails only where the zone of the terms is none.
pub fn import(files: &[(&str, &str)], terms: &Terms) -> Result<Import, CalendarError> {
    let zone = TimeZone::get(&terms.tz).map_err(|source| CalendarError::Zone { name: terms.tz.clone(), source })?;
    let mut out = Import::default();
    let mut events = Vec::new();
    for (file, text) in files {
        let mut complain =
            |line: usize, what: String| out.unknown.push(Unknown { file: (*file).to_owned(), line, what });
        for event in event::events(text, &mut complain) {
            events.push((*file, event));
        }
    }
    out.events = events.len();
    let marked = events.iter().any(|(_, event)| event.mark.is_some_and(|mark| mark.certain));
    for (file, event) in &events {
        let mut intake = Intake { zone: &zone, terms, out: &mut out };
        if let Err(why) = intake.take(event, marked) {
            let what = format!("{}: {why}", event.name());
            out.unknown.push(Unknown { file: (*file).to_owned(), line: event.line, what });
        }
    }
    let both: Vec<String> = out.make_up.keys().filter(|date| out.holidays.contains(*date)).cloned().collect();
    for date in both {
        out.holidays.remove(&date);
        let what = format!("{date} is told both closed and worked; it is taken as worked");
        out.unknown.push(Unknown { file: String::new(), line: 0, what });
    }
    out.unknown.sort();
    Ok(out)
}

struct Intake<'a> {
    zone: &'a TimeZone,
    terms: &'a Terms,
    out: &'a mut Import,
}

impl Intake<'_> {
    fn take(&mut self, event: &Event, marked: bool) -> Result<(), String> {
        let all_day = matches!(event.start, When::Date(_));
        let mark = match event.mark {
            Some(found) => found.mark,
            None if all_day && !marked => Mark::Closed,
            None if all_day => return Err("not marked as closed or worked, while other events are".to_owned()),
            None => return Err("an event with times that is not marked as closed or worked".to_owned()),
        };
        if mark == Mark::Observed {
            return Err("an observance, not a day off".to_owned());
        }
        let last = Date::new(*self.terms.years.end(), 12, 31).map_err(|e| e.to_string())?;
        for start in event.instances(self.zone, last)? {
            match start {
                When::Date(first) => self.days(first, event.days()?, mark),
                When::At(_, _) => self.piece(&start, event, mark)?,
            }
        }
        Ok(())
    }

    fn days(&mut self, first: Date, days: i32, mark: Mark) {
        let begin = zone::day_of(first);
        for date in (begin..begin + days).filter_map(zone::date_of) {
            if !self.wanted(date) {
                continue;
            }
            if mark == Mark::Worked {
                self.out.make_up.insert(date.to_string(), self.terms.make_up_as);
            } else {
                self.out.holidays.insert(date.to_string());
            }
        }
    }

    fn wanted(&mut self, date: Date) -> bool {
        let wanted = self.terms.years.contains(&date.year());
        if !wanted {
            self.out.outside += 1;
        }
        wanted
    }

    /// An event with times: whole days are as those of an event without; of others, the piece.
    fn piece(&mut self, start: &When, event: &Event, mark: Mark) -> Result<(), String> {
        let (from, to) = event.local_span(start, self.zone)?;
        if to <= from {
            return Err("an event of no length".to_owned());
        }
        let (first, last) = (zone::day_of(from.date()), zone::day_of(to.date()));
        if last - first > LONGEST_DAYS {
            return Err(format!("it lasts more than {LONGEST_DAYS} days"));
        }
        for date in (first..=last).filter_map(zone::date_of) {
            let text = |at: DateTime| at.strftime("%H:%M:%S").to_string();
            let begin = if from.date() == date { from.time() } else { Time::midnight() };
            let end = if to.date() == date { text(to) } else { "24:00".to_owned() };
            if begin == Time::midnight() && end == "24:00" {
                self.days(date, 1, mark);
            } else if (to.date() != date || to.time() > begin) && self.wanted(date) {
                let hours = if mark == Mark::Worked { &mut self.out.overrides } else { &mut self.out.breaks };
                let piece = (text(date.to_datetime(begin)), end);
                let pieces = hours.entry(date.to_string()).or_default();
                if !pieces.contains(&piece) {
                    pieces.push(piece);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
