//! `VEVENT` (RFC 5545 section 3.6.1), as far as days need it.

use super::lines::{Line, clipped, lines};
use super::mark::{self, Found};
use super::recur::Rule;
use super::{LONGEST_DAYS, local_instant};
use crate::calendar::zone::{day_of, instant};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use std::time::Duration;

/// A date, or a local time in a zone; without a zone it floats and is meant in the calendar's.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum When {
    Date(Date),
    At(DateTime, Option<TimeZone>),
}

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) line: usize,
    pub(super) mark: Option<Found>,
    pub(super) start: When,
    summary: String,
    end: Option<When>,
    duration: Option<Length>,
    rules: Vec<Rule>,
    except: Vec<When>,
    more: Vec<When>,
}

#[derive(Debug, Clone, Copy)]
struct Length {
    days: i32,
    seconds: u64,
}

impl When {
    fn date(&self) -> Date {
        match self {
            Self::Date(date) => *date,
            Self::At(at, _) => at.date(),
        }
    }

    /// The same time of day on another date.
    fn on(&self, date: Date) -> Self {
        match self {
            Self::Date(_) => Self::Date(date),
            Self::At(at, zone) => Self::At(date.to_datetime(at.time()), zone.clone()),
        }
    }

    /// The local time in `home`.
    fn local(&self, home: &TimeZone) -> Result<DateTime, String> {
        match self {
            Self::Date(date) => Ok(date.to_datetime(Time::midnight())),
            Self::At(at, None) => Ok(*at),
            Self::At(at, Some(zone)) if zone == home => Ok(*at),
            Self::At(at, Some(zone)) => {
                let at = local_instant(zone, *at).and_then(instant).ok_or("a time beyond all calendars")?;
                Ok(at.to_zoned(home.clone()).datetime())
            }
        }
    }

    fn plus(&self, length: Length) -> Result<Self, String> {
        let seconds = Duration::from_secs(length.seconds);
        let span = jiff::Span::new().try_days(length.days).map_err(|e| e.to_string())?;
        match self {
            Self::Date(date) => date.checked_add(span).map(Self::Date).map_err(|e| e.to_string()),
            Self::At(at, zone) => {
                let later = at.checked_add(span).and_then(|at| at.checked_add(seconds)).map_err(|e| e.to_string())?;
                Ok(Self::At(later, zone.clone()))
            }
        }
    }
}

impl Event {
    /// For messages.
    pub(super) fn name(&self) -> String {
        if self.summary.is_empty() {
            "event without summary".to_owned()
        } else {
            format!("{:?}", clipped(&self.summary))
        }
    }

    /// When it takes place, until `last`.
    pub(super) fn instances(&self, home: &TimeZone, last: Date) -> Result<Vec<When>, String> {
        let mut all = vec![self.start.clone()];
        for rule in &self.rules {
            all.extend(rule.dates(self.start.date(), last).into_iter().map(|date| self.start.on(date)));
        }
        all.extend(self.more.iter().cloned());
        let except: Vec<DateTime> = self.except.iter().map(|when| when.local(home)).collect::<Result<_, _>>()?;
        let mut told = Vec::new();
        for when in all {
            let local = when.local(home)?;
            // An exception given as a date takes away whatever begins on it.
            let gone = self.except.iter().zip(&except).any(|(when, at)| match when {
                When::Date(date) => *date == local.date(),
                When::At(..) => *at == local,
            });
            if !gone && !told.contains(&when) {
                told.push(when);
            }
        }
        Ok(told)
    }

    /// The days of an event without times.
    pub(super) fn days(&self) -> Result<i32, String> {
        let days = match (&self.end, self.duration) {
            (Some(end), _) => day_of(end.date()) - day_of(self.start.date()),
            (None, Some(length)) => length.days,
            (None, None) => 1,
        };
        // Some write the last day as the end, so that a day begins and ends on the same date.
        let days = if days == 0 { 1 } else { days };
        if (1..=LONGEST_DAYS).contains(&days) { Ok(days) } else { Err(format!("it lasts {days} days")) }
    }

    /// Begin and end of an instance in local time.
    pub(super) fn local_span(&self, start: &When, home: &TimeZone) -> Result<(DateTime, DateTime), String> {
        let from = start.local(home)?;
        let to = match (&self.end, self.duration) {
            (Some(end), _) => {
                let (a, b) = (self.start.local(home)?, end.local(home)?);
                let length = b.duration_since(a);
                from.checked_add(length).map_err(|e| e.to_string())?
            }
            (None, Some(length)) => start.plus(length)?.local(home)?,
            (None, None) => from,
        };
        Ok((from, to))
    }
}

/// The events of a file. What is no event, such as a zone's rules or an alarm, is passed over; what is broken is complained about.
pub(super) fn events(text: &str, complain: &mut impl FnMut(usize, String)) -> Vec<Event> {
    let mut out = Vec::new();
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut inside: Vec<Line> = Vec::new();
    for line in lines(text, complain) {
        let component = line.value.trim().to_ascii_uppercase();
        match line.name.as_str() {
            "BEGIN" => {
                if component == "VEVENT" {
                    inside.clear();
                }
                if !["VCALENDAR", "VEVENT", "VTIMEZONE", "STANDARD", "DAYLIGHT", "VALARM"].contains(&component.as_str())
                {
                    complain(line.number, format!("a {component}, of which only events are taken"));
                }
                open.push((component, line.number));
            }
            "END" => {
                let Some((begun, at)) = open.pop() else {
                    complain(line.number, format!("END:{component} without a BEGIN"));
                    continue;
                };
                if begun != component {
                    complain(line.number, format!("END:{component} where {begun} is open since line {at}"));
                }
                if begun == "VEVENT" {
                    match event_of(at, &inside) {
                        Ok(event) => out.push(event),
                        Err(why) => complain(at, why),
                    }
                }
            }
            _ if open.last().is_some_and(|(begun, _)| begun == "VEVENT") => inside.push(line),
            _ => {}
        }
    }
    for (component, at) in open {
        complain(at, format!("{component} is not ended: the file is cut off"));
    }
    out
}

fn event_of(line: usize, lines: &[Line]) -> Result<Event, String> {
    let first = |name: &str| lines.iter().find(|line| line.name == name);
    let text = |name: &str| first(name).map(Line::text).unwrap_or_default();
    let every = |name: &'static str| lines.iter().filter(move |line| line.name == name);
    let summary = text("SUMMARY");
    let named = |why: String| format!("{:?}: {why}", clipped(&summary));
    if text("STATUS").eq_ignore_ascii_case("CANCELLED") {
        return Err(named("cancelled".to_owned()));
    }
    if first("RECURRENCE-ID").is_some() {
        return Err(named("a changed instance of a series (RECURRENCE-ID) is not read here".to_owned()));
    }
    if let Some(rule) = first("EXRULE") {
        return Err(named(format!("EXRULE {:?} is not read here", clipped(&rule.value))));
    }
    let start = first("DTSTART").ok_or_else(|| named("it has no DTSTART".to_owned()))?;
    let start = one(start).map_err(&named)?;
    let end = first("DTEND").map(one).transpose().map_err(&named)?;
    let mixed = matches!((&start, &end), (When::Date(_), Some(When::At(..))) | (When::At(..), Some(When::Date(_))));
    if mixed {
        return Err(named("of DTSTART and DTEND only one has a time".to_owned()));
    }
    let lists = |name| -> Result<Vec<When>, String> {
        every(name).map(list).collect::<Result<Vec<_>, _>>().map(|all| all.concat()).map_err(&named)
    };
    Ok(Event {
        line,
        mark: mark::of(first("X-APPLE-SPECIAL-DAY").map(|l| l.value.trim()), &summary, &text("DESCRIPTION")),
        start,
        end,
        duration: first("DURATION").map(|l| length(&l.value)).transpose().map_err(&named)?,
        rules: every("RRULE").map(|l| Rule::parse(&l.value)).collect::<Result<_, _>>().map_err(&named)?,
        except: lists("EXDATE")?,
        more: lists("RDATE")?,
        summary: summary.clone(),
    })
}

fn one(line: &Line) -> Result<When, String> {
    list(line)?.pop().ok_or_else(|| format!("{} is empty", line.name))
}

fn list(line: &Line) -> Result<Vec<When>, String> {
    let zone = match line.param("TZID") {
        // A leading slash says that the name is global (section 3.2.19).
        Some(name) => Some(zone(name).ok_or_else(|| format!("the zone {name:?} is unknown"))?),
        None => None,
    };
    let bad = |text: &str| format!("{} {:?} is no date or time that is read here", line.name, clipped(text));
    let read = |text: &str| match text.split_once('T') {
        None => date(text).map(When::Date),
        Some((day, time)) => {
            let (time, utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
            let at = date(day)?.to_datetime(time_of(time)?);
            Some(When::At(at, if utc { Some(TimeZone::UTC) } else { zone.clone() }))
        }
    };
    line.value.split(',').map(str::trim).map(|text| read(text).ok_or_else(|| bad(text))).collect()
}

/// A zone by its IANA name, or by the name that Windows has for one of the more common.
fn zone(name: &str) -> Option<TimeZone> {
    let name = name.trim_start_matches('/');
    let iana = match name {
        "China Standard Time" | "中国标准时间" => "Asia/Shanghai",
        "Taipei Standard Time" => "Asia/Taipei",
        "Singapore Standard Time" => "Asia/Singapore",
        "Tokyo Standard Time" => "Asia/Tokyo",
        "India Standard Time" => "Asia/Kolkata",
        "W. Europe Standard Time" => "Europe/Berlin",
        "Romance Standard Time" => "Europe/Paris",
        "GMT Standard Time" => "Europe/London",
        "Eastern Standard Time" => "America/New_York",
        "Central Standard Time" => "America/Chicago",
        "Pacific Standard Time" => "America/Los_Angeles",
        name => name,
    };
    TimeZone::get(iana).ok()
}

/// `20261001`.
pub(super) fn date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `093000`.
fn time_of(text: &str) -> Option<Time> {
    if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let field = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    // A leap second is the second before it.
    Time::new(field(0)?, field(2)?, field(4)?.min(59), 0).ok()
}

/// `P1D`, `P2W`, `PT8H30M`, `P1DT12H` (section 3.3.6); none below zero.
fn length(text: &str) -> Result<Length, String> {
    let bad = || format!("DURATION {:?} is not read here", clipped(text));
    let body = text.trim().trim_start_matches('+').strip_prefix('P').ok_or_else(bad)?;
    let mut length = Length { days: 0, seconds: 0 };
    let mut number = String::new();
    for c in body.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        if c == 'T' && number.is_empty() {
            continue;
        }
        let n: u32 = number.parse().ok().filter(|n| *n < 1_000_000).ok_or_else(bad)?;
        number.clear();
        let days = i32::try_from(n).map_err(|_| bad())?;
        match c {
            'W' => length.days = length.days.saturating_add(days * 7),
            'D' => length.days = length.days.saturating_add(days),
            'H' => length.seconds += u64::from(n) * 3600,
            'M' => length.seconds += u64::from(n) * 60,
            'S' => length.seconds += u64::from(n),
            _ => return Err(bad()),
        }
    }
    if number.is_empty() { Ok(length) } else { Err(bad()) }
}
