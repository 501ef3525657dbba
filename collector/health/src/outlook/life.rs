//! When a drive's endurance is used up, with an interval.
//!
//! Drives tell their life left in whole percents, so that what is known exactly is *when* a percent was passed: kept are these passages, and
//! the bytes written week by week where they are told. A date is foretold along the passages against time; where writes are told for long
//! enough, along the bytes that a percent takes and the bytes that a day takes, which says more from fewer passages. In both the usage to
//! come is taken for as uneven as the usage that was ([`Walk`]).
//!
//! A date needs at least [`LEAST_DAYS`] days and [`LEAST_STEPS`] passages after the first ([`LEAST_STEPS_WRITTEN`] where writes are told).
//! The interval holds 80 of 100 as long as the usage goes on as it was: a server that gets another task wears otherwise.
//!
//! Measured on simulated drives (`tests/life.rs`: about 390 a row, a fifth of the days unread, one read of a hundred wrong), the share whose last day was
//! within the interval:
//!
//! | usage | by time, 30 days ahead | 90 | by writes, 30 | 90 |
//! |---|---|---|---|---|
//! | even days | 0.88 | 0.81 | 0.94 | 0.90 |
//! | days like the day before (0.7), quiet weekends | 0.80 | 0.76 | 0.86 | 0.81 |
//! | the same with bursts of ten days' writes | 0.82 | 0.79 | 0.87 | 0.86 |

use super::day::{Three, date_of, day_at, day_start, hour_of, small};
use super::line::{By, Walk, aside};
use super::{Foresight, Outlook, SET_BACK};
use outband_schemas::{ComponentId, SensorKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many days from the first passage on, at least.
pub(super) const LEAST_DAYS: i32 = 28;
/// So many passages after the first, at least.
pub(super) const LEAST_STEPS: usize = 4;
/// The same where the bytes written are told.
pub(super) const LEAST_STEPS_WRITTEN: usize = 3;
/// So many weeks of bytes written, at least.
const LEAST_WEEKS: usize = 6;
/// What was longer ago says nothing of the present usage, in days.
const SPAN: i32 = 180;
/// What a percent takes in bytes changes less than the usage.
const SPAN_OF_A_PERCENT: i32 = 730;
const PASSAGES: usize = 64;
const WEEKS: usize = 27;
/// A rise by so many percent is another drive, or a count that begins anew.
const ANEW: f64 = 2.0;
/// A sensor that has not been read for so many days is none any more.
const GONE: i32 = 60;
/// What was told stands as long as the date has not moved by so many days.
const MOVED: i64 = 7;
const DAYS_A_MONTH: f64 = 365.25 / 12.0;

/// What is known of the endurance of one drive, in whatever place it is, in bounded room. A drive that was taken out for long and runs
/// again is to begin with a new one: what it was used for before says nothing of its present usage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endurance {
    /// The newest hour in which something was read, since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<i64>,
    lives: Vec<Life>,
    written: Option<Written>,
}

/// One sensor that tells the life left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Life {
    sensor: String,
    newest: Three,
    /// The last whole percent, the least that was seen.
    level: Option<f64>,
    since: i32,
    seen: i32,
    passages: VecDeque<Passage>,
}

/// A percent was passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Passage {
    date: i32,
    /// On how many days before it may have been: days on which nothing was read.
    gap: i32,
    /// What is left from then on, in percent.
    left: f64,
    /// What had been written by then, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<f64>,
}

/// The bytes written, one count a week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Written {
    sensor: String,
    newest: Three,
    bytes: Option<f64>,
    seen: i32,
    weeks: VecDeque<(i32, f64)>,
}

/// When a drive's endurance is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WearOut {
    /// The life left, in percent.
    pub left: f64,
    /// What was left at the beginning of what this rests on, in percent, and when.
    pub then: (Timestamp, f64),
    /// The percents that a month takes at the present usage.
    pub percent_a_month: f64,
    /// The bytes that a day takes, where they are told.
    pub bytes_a_day: Option<f64>,
    /// The day on which nothing is expected to be left.
    pub expected: Timestamp,
    /// The interval that holds 80 of 100: its first day.
    pub early: Timestamp,
    /// And its last day.
    pub late: Timestamp,
    /// What it rests on.
    pub by: Basis,
}

/// What a date rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The percents against time.
    Time,
    /// The percents against the bytes written, and these against time.
    Writes,
}

/// Why no date can be foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It has not been watched for long enough since it first changed, in days.
    TooShort {
        /// For so many days.
        days: u32,
    },
    /// It has not changed enough.
    TooLittle {
        /// So many percents were passed.
        steps: u32,
    },
    /// Nothing is left already.
    Nothing,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort { days } => {
                write!(f, "it was seen to change for {days} days only; a date needs {LEAST_DAYS}")
            }
            Self::TooLittle { steps } => {
                write!(f, "not enough change was seen to foretell a date: {steps} steps of a percent")
            }
            Self::Nothing => write!(f, "nothing is left already"),
        }
    }
}

impl WearOut {
    /// Whether this still says what `newer` would.
    pub(super) fn stands(&self, newer: &Self) -> bool {
        let days = |a: Timestamp, b: Timestamp| (a.as_millis() - b.as_millis()).abs() / 86_400_000;
        self.by == newer.by && days(self.expected, newer.expected) < MOVED && days(self.early, newer.early) < MOVED
    }
}

impl Endurance {
    /// Whether a kind of reading speaks of endurance.
    pub fn is_of(kind: SensorKind) -> bool {
        matches!(kind, SensorKind::LifeLeft | SensorKind::BytesWritten)
    }

    /// Whether the drive has told what is left of its life.
    pub fn is_told(&self) -> bool {
        !self.lives.is_empty()
    }

    /// Takes in a good reading of the drive; of any other kind it takes nothing.
    pub fn take(&mut self, kind: SensorKind, sensor: &str, value: f64, at: Timestamp) {
        if !value.is_finite() || !Self::is_of(kind) {
            return;
        }
        let hour = self.turn(hour_of(at));
        match kind {
            SensorKind::LifeLeft => self.live(sensor, value, date_of(hour)),
            _ => self.write(sensor, value, date_of(hour)),
        }
    }

    /// The hour that a reading counts for. What was noted of days that have not been yet came of a clock that was wrong.
    fn turn(&mut self, hour: i64) -> i64 {
        let current = self.hour.unwrap_or(hour);
        if hour < current && current - hour < SET_BACK {
            return current;
        }
        if date_of(hour) < date_of(current) {
            self.forget_after(date_of(hour));
        }
        self.hour = Some(hour);
        hour
    }

    /// What is foreseen of the drive, which is in `place`, on the day on which it was last read. `before` is what was told last: it stands
    /// where little has changed.
    pub fn outlook(&self, place: &ComponentId, before: Option<&Outlook>) -> Option<Outlook> {
        let today = date_of(self.hour?);
        let (sensor, told) = self.foresee(today)?;
        let foresight = told.map_or_else(Foresight::NoDate, Foresight::WearOut);
        Some(match before.filter(|b| b.sensor == sensor && b.foresight.stands(&foresight)) {
            Some(before) => Outlook { component: place.clone(), ..before.clone() },
            None => {
                Outlook { component: place.clone(), sensor: sensor.to_owned(), told_at: day_start(today), foresight }
            }
        })
    }

    /// Takes in a life left.
    pub(super) fn live(&mut self, sensor: &str, value: f64, date: i32) {
        let bytes = self.written.as_ref().filter(|w| date - w.seen <= 1).and_then(|w| w.bytes);
        match self.lives.iter_mut().find(|life| life.sensor == sensor) {
            Some(life) => life.take(value, date, bytes),
            None => {
                let (newest, passages) = (Three::default(), VecDeque::new());
                let mut life =
                    Life { sensor: sensor.to_owned(), newest, level: None, since: date, seen: date, passages };
                life.take(value, date, bytes);
                self.lives.push(life);
            }
        }
    }

    /// Takes in a count of bytes written.
    pub(super) fn write(&mut self, sensor: &str, value: f64, date: i32) {
        let known = self.written.as_mut().filter(|w| w.sensor == sensor || date - w.seen < ANOTHER);
        match known {
            Some(written) if written.sensor == sensor => {
                if written.take(value, date) {
                    // The count began anew: what was written before it is not in it.
                    self.lives.iter_mut().flat_map(|l| &mut l.passages).for_each(|p| p.bytes = None);
                }
            }
            Some(_) => {}
            None => {
                let mut written = Written {
                    sensor: sensor.to_owned(),
                    newest: Three::default(),
                    bytes: None,
                    seen: date,
                    weeks: VecDeque::new(),
                };
                written.take(value, date);
                self.lives.iter_mut().flat_map(|l| &mut l.passages).for_each(|p| p.bytes = None);
                self.written = Some(written);
            }
        }
    }

    /// Forgets what was noted of days after `date`.
    pub(super) fn forget_after(&mut self, date: i32) {
        for life in &mut self.lives {
            life.passages.retain(|p| p.date <= date);
            (life.since, life.seen) = (life.since.min(date), life.seen.min(date));
        }
        if let Some(written) = &mut self.written {
            written.weeks.retain(|(day, _)| *day <= date);
            written.seen = written.seen.min(date);
        }
    }

    /// What is foreseen today, by the sensor that says that the least is left; `None`: none says anything.
    pub(super) fn foresee(&self, today: i32) -> Option<(&str, Result<WearOut, Refusal>)> {
        let read = self.lives.iter().filter(|l| today - l.seen <= GONE && l.level.is_some());
        let life = read.min_by(|a, b| a.level.unwrap_or(100.0).total_cmp(&b.level.unwrap_or(100.0)))?;
        Some((&life.sensor, life.foresee(self.written.as_ref(), today)))
    }
}

/// Another sensor counts the bytes from now on where the one that did has been silent for so many days.
const ANOTHER: i32 = 7;

impl Written {
    /// Answers whether the count began anew.
    fn take(&mut self, value: f64, date: i32) -> bool {
        let Some(value) = self.newest.push(value) else { return false };
        let anew = self.bytes.is_some_and(|bytes| value < bytes);
        if anew {
            self.weeks.clear();
        }
        (self.bytes, self.seen) = (Some(value), date);
        if self.weeks.back().is_none_or(|(day, _)| date - day >= 7) {
            if self.weeks.len() == WEEKS {
                self.weeks.pop_front();
            }
            self.weeks.push_back((date, value));
        }
        anew
    }

    /// The weeks up to now, as days and bytes.
    fn course(&self, today: i32) -> Vec<(f64, f64)> {
        let old = |(day, bytes): &(i32, f64)| (f64::from(*day), *bytes);
        let mut course: Vec<(f64, f64)> = self.weeks.iter().filter(|(day, _)| today - day <= SPAN).map(old).collect();
        let last = self.weeks.back().map_or(i32::MIN, |(day, _)| *day);
        course.extend(self.bytes.filter(|_| self.seen - last >= 1).map(|bytes| (f64::from(self.seen), bytes)));
        course
    }
}

impl Life {
    fn take(&mut self, value: f64, date: i32, bytes: Option<f64>) {
        let Some(value) = self.newest.push(value) else { return };
        let value = value.floor().clamp(0.0, 100.0);
        let Some(level) = self.level else {
            (self.level, self.since, self.seen) = (Some(value), date, date);
            return;
        };
        if value >= level + ANEW {
            self.passages.clear();
            (self.level, self.since) = (Some(value), date);
        } else if value < level {
            match self.passages.back_mut().filter(|p| p.date == date) {
                // Two in one day are one passage of both.
                Some(passage) => (passage.left, passage.bytes) = (value, bytes.or(passage.bytes)),
                None => {
                    if self.passages.len() == PASSAGES {
                        self.passages.pop_front();
                    }
                    self.passages.push_back(Passage { date, gap: date - self.seen, left: value, bytes });
                }
            }
            self.level = Some(value);
        }
        self.seen = date;
    }

    fn foresee(&self, written: Option<&Written>, today: i32) -> Result<WearOut, Refusal> {
        if self.level == Some(0.0) {
            return Err(Refusal::Nothing);
        }
        let refuse = |passages: &[Passage], least: usize| {
            let steps = passages.len().saturating_sub(1);
            let days = passages.first().map_or(0, |p| today - p.date);
            match steps < least {
                true => Err(Refusal::TooLittle { steps: u32::try_from(steps).unwrap_or(u32::MAX) }),
                false if days < LEAST_DAYS => Err(Refusal::TooShort { days: days.unsigned_abs() }),
                false => Ok(()),
            }
        };
        let within =
            |span: i32| -> Vec<Passage> { self.passages.iter().filter(|p| today - p.date <= span).copied().collect() };
        if let Some(written) = written {
            let passages: Vec<Passage> = within(SPAN_OF_A_PERCENT).into_iter().filter(|p| p.bytes.is_some()).collect();
            if refuse(&passages, LEAST_STEPS_WRITTEN).is_ok()
                && let Some(told) = by_writes(&passages, written, today)
            {
                return Ok(told);
            }
        }
        let passages = within(SPAN);
        refuse(&passages, LEAST_STEPS)?;
        let steps = u32::try_from(passages.len() - 1).unwrap_or(u32::MAX);
        by_time(&passages, today).ok_or(Refusal::TooLittle { steps })
    }
}

/// Along the passages against time.
fn by_time(passages: &[Passage], today: i32) -> Option<WearOut> {
    let (first, last) = (passages.first()?, passages.last()?);
    let now = f64::from(today);
    let mut points: Vec<(f64, f64)> = passages.iter().map(|p| (-p.left, f64::from(p.date))).collect();
    let doubt = doubt(passages);
    let mut walk = Walk::of(&points, By::Y, doubt)?;
    if now - f64::from(last.date) > walk.rate {
        // The next percent is overdue: at the earliest it is passed now.
        points.push((1.0 - last.left, now));
        walk = Walk::of(&points, By::Y, doubt)?;
    }
    let expected = (f64::from(last.date) + walk.rate * last.left).max(now + walk.rate * (last.left - 1.0));
    let aside = aside(&[(&walk, last.left)], doubt * spread(first, last));
    told(first, last, DAYS_A_MONTH / walk.rate, None, (expected, aside), Basis::Time, now)
}

/// Along the bytes that a percent takes, and the bytes that a day takes.
fn by_writes(passages: &[Passage], written: &Written, today: i32) -> Option<WearOut> {
    let (first, last) = (passages.first()?, passages.last()?);
    let weeks = written.course(today);
    if weeks.len() <= LEAST_WEEKS {
        return None;
    }
    let of_percents: Vec<(f64, f64)> = passages.iter().filter_map(|p| Some((-p.left, p.bytes?))).collect();
    let usage = Walk::of(&weeks, By::X, 0.0).filter(|w| w.rate > 0.0)?;
    let doubt = doubt(passages) * usage.rate * usage.rate;
    let percent = Walk::of(&of_percents, By::X, doubt).filter(|w| w.rate > 0.0)?;
    let (day, bytes) = *weeks.last()?;
    let since = bytes - last.bytes?;
    // A passage that has not come yet though its bytes were written comes now.
    let left = (percent.rate * last.left - since).max(percent.rate * (last.left - 1.0));
    let days = left / usage.rate;
    let aside = aside(&[(&usage, days), (&percent, last.left)], doubt * spread(first, last)) / usage.rate;
    let a_month = DAYS_A_MONTH * usage.rate / percent.rate;
    told(first, last, a_month, Some(usage.rate), (day + days, aside), Basis::Writes, f64::from(today))
}

/// The variance of the day of a passage: it was seen at the first read after it, in days squared.
fn doubt(passages: &[Passage]) -> f64 {
    passages.iter().map(|p| f64::from(p.gap * p.gap)).sum::<f64>() / 12.0 / small(passages.len())
}

/// By how much the doubt of the first and the last passage is in the date of nothing left.
fn spread(first: &Passage, last: &Passage) -> f64 {
    let share = last.left / (first.left - last.left);
    (1.0 + share).powi(2) + share * share
}

fn told(
    first: &Passage,
    last: &Passage,
    percent_a_month: f64,
    bytes_a_day: Option<f64>,
    (expected, aside): (f64, f64),
    by: Basis,
    now: f64,
) -> Option<WearOut> {
    (percent_a_month.is_finite() && expected.is_finite() && aside.is_finite()).then(|| WearOut {
        left: last.left,
        then: (day_start(first.date), first.left),
        percent_a_month,
        bytes_a_day,
        expected: day_at(expected.max(now)),
        early: day_at((expected - aside).max(now)),
        late: day_at(expected + aside),
        by,
    })
}
