//! What is remembered of one drive: bounded, fed day by day, oldest first.

mod rows;

use super::{Attribute, Day};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Days that any window looks back.
const WINDOW: Day = 180;

/// One day's reading of a drive. `None`: not reported.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Smart {
    /// Power-on hours.
    pub hours: Option<f64>,
    /// Raw values, in the order of [`Attribute::ALL`].
    pub raw: [Option<f64>; Attribute::COUNT],
}

/// A value from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Step {
    day: Day,
    value: f64,
}

/// One attribute of one drive. Most are told once and never change: only what did has a course.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub struct Track {
    /// The first value, or the newest of those that have left the window.
    base: Option<Step>,
    course: Option<Box<Course>>,
}

/// How an attribute changed.
#[derive(Debug, Clone, Default, PartialEq)]
struct Course {
    steps: VecDeque<Step>,
    first: f64,
    peak: f64,
    rises: u32,
    first_rise: Option<Day>,
    last_rise: Option<Day>,
    last_fall: Option<Day>,
}

/// An attribute as it is kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    base: Option<Step>,
    steps: VecDeque<Step>,
    first: f64,
    peak: f64,
    rises: u32,
    first_rise: Option<Day>,
    last_rise: Option<Day>,
    last_fall: Option<Day>,
}

/// That of an attribute which has its first value still.
fn still(base: Option<Step>) -> Course {
    let value = base.map_or(0.0, |b| b.value);
    Course { first: value, peak: value, ..Course::default() }
}

impl From<Told> for Track {
    fn from(told: Told) -> Self {
        let Told { base, steps, first, peak, rises, first_rise, last_rise, last_fall } = told;
        let course = Course { steps, first, peak, rises, first_rise, last_rise, last_fall };
        Self { base, course: (course != still(base)).then(|| Box::new(course)) }
    }
}

impl From<Track> for Told {
    fn from(Track { base, course }: Track) -> Self {
        let course = course.map_or_else(|| still(base), |course| *course);
        let Course { steps, first, peak, rises, first_rise, last_rise, last_fall } = course;
        Self { base, steps, first, peak, rises, first_rise, last_rise, last_fall }
    }
}

impl Track {
    fn read(&mut self, day: Day, value: f64) {
        let Some(old) = self.now() else {
            self.base = Some(Step { day, value });
            return;
        };
        if value == old || value.is_nan() {
            return;
        }
        let course = self.course.get_or_insert_with(|| Box::new(still(self.base)));
        if value > old {
            course.rises += 1;
            course.first_rise.get_or_insert(day);
            course.last_rise = Some(day);
        } else {
            course.last_fall = Some(day);
        }
        course.peak = course.peak.max(value);
        match course.steps.back_mut().filter(|s| s.day == day) {
            Some(step) => step.value = value,
            None => course.steps.push_back(Step { day, value }),
        }
        while course.steps.front().is_some_and(|s| s.day < day - WINDOW) {
            self.base = course.steps.pop_front();
        }
    }

    /// The newest value. `None`: never reported.
    pub fn now(&self) -> Option<f64> {
        self.newest_first().next().map(|s| s.value)
    }

    /// The value at the end of `day`, at most 180 days ago; where there was none yet, the first one.
    pub fn at(&self, day: Day) -> Option<f64> {
        self.steps().rev().find(|s| s.day <= day).or(self.base.as_ref()).map(|s| s.value)
    }

    /// The first value that was reported; 0 before.
    pub fn first(&self) -> f64 {
        self.course.as_ref().map_or_else(|| still(self.base).first, |c| c.first)
    }

    /// The greatest value ever reported.
    pub fn peak(&self) -> f64 {
        self.course.as_ref().map_or_else(|| still(self.base).peak, |c| c.peak)
    }

    /// On how many readings it had risen, ever.
    pub fn rises(&self) -> u32 {
        self.course.as_ref().map_or(0, |c| c.rises)
    }

    /// The day on which it first rose.
    pub fn first_rise(&self) -> Option<Day> {
        self.course.as_ref().and_then(|c| c.first_rise)
    }

    /// The day on which it last rose.
    pub fn last_rise(&self) -> Option<Day> {
        self.course.as_ref().and_then(|c| c.last_rise)
    }

    /// The day on which it last fell.
    pub fn last_fall(&self) -> Option<Day> {
        self.course.as_ref().and_then(|c| c.last_fall)
    }

    /// Rises after `day`: how many days had one, and the greatest of them.
    pub fn rises_after(&self, day: Day) -> (u32, f64) {
        let (mut days, mut greatest) = (0, 0.0_f64);
        let mut newer: Option<f64> = None;
        for step in self.newest_first() {
            if let Some(newer) = newer.filter(|n| *n > step.value) {
                days += 1;
                greatest = greatest.max(newer - step.value);
            }
            if step.day <= day {
                break;
            }
            newer = Some(step.value);
        }
        (days, greatest)
    }

    /// The greatest value from the end of `day` on.
    pub fn peak_after(&self, day: Day) -> Option<f64> {
        let mut peak: Option<f64> = None;
        for step in self.newest_first() {
            peak = Some(peak.map_or(step.value, |p| p.max(step.value)));
            if step.day <= day {
                break;
            }
        }
        peak
    }

    fn newest_first(&self) -> impl Iterator<Item = &Step> {
        self.steps().rev().chain(self.base.as_ref())
    }

    fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.course.iter().flat_map(|course| course.steps.iter())
    }
}

/// A day on which the medium showed new errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorDay {
    /// The day.
    pub day: Day,
    /// How many of the medium's attributes rose.
    pub attributes: u8,
}

/// One drive, by its serial: a drive that moves takes its history along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    tracks: [Track; Attribute::COUNT],
    hours: Option<(Day, f64)>,
    errors: VecDeque<ErrorDay>,
    first_error: Option<Day>,
    error_days: u32,
}

impl History {
    /// Takes in what was read on `day`. Days come in order; several readings of one day are allowed.
    pub fn read(&mut self, day: Day, smart: &Smart) {
        if let Some(hours) = smart.hours {
            self.hours = Some((day, hours));
        }
        let mut rose = 0_u8;
        for ((attribute, track), raw) in Attribute::ALL.into_iter().zip(&mut self.tracks).zip(smart.raw) {
            let Some(raw) = raw.filter(|v| v.is_finite()) else { continue };
            let before = track.rises();
            track.read(day, raw);
            rose += u8::from(attribute.is_medium() && track.rises() > before);
        }
        if rose == 0 {
            return;
        }
        match self.errors.back_mut().filter(|e| e.day == day) {
            Some(error) => error.attributes = error.attributes.max(rose),
            None => {
                self.error_days += 1;
                self.first_error.get_or_insert(day);
                self.errors.push_back(ErrorDay { day, attributes: rose });
            }
        }
        // The newest stays however old it is: "since" is measured from it.
        while self.errors.len() > 1 && self.errors.front().is_some_and(|e| e.day < day - WINDOW) {
            self.errors.pop_front();
        }
    }

    /// One attribute.
    pub fn track(&self, attribute: Attribute) -> &Track {
        &self.tracks[attribute as usize]
    }

    /// The attributes that speak of the medium.
    pub fn medium(&self) -> impl Iterator<Item = &Track> {
        Attribute::ALL.into_iter().filter(|a| a.is_medium()).map(|a| self.track(a))
    }

    /// Power-on hours on `day`, reckoned on from the newest value.
    pub fn hours(&self, day: Day) -> Option<f64> {
        self.hours.map(|(read, hours)| hours + 24.0 * f64::from(day - read))
    }

    /// Days with new errors of the medium in the `window` days that end with `day`.
    pub fn errors(&self, day: Day, window: Day) -> impl Iterator<Item = &ErrorDay> {
        self.errors.iter().rev().take_while(move |e| e.day > day - window)
    }

    /// The first day with new errors of the medium.
    pub fn first_error(&self) -> Option<Day> {
        self.first_error
    }

    /// The newest day with new errors of the medium.
    pub fn last_error(&self) -> Option<Day> {
        self.errors.back().map(|e| e.day)
    }

    /// On how many days the medium had new errors, ever.
    pub fn error_days(&self) -> u32 {
        self.error_days
    }
}
