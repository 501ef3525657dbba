//! One measure of one part, day by day: how far it has moved from its own baseline, and whether that is a drift.

use super::Sample;
use super::baseline::Baseline;
use crate::stats::{median, middle};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is measured of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A fan's speed at equal duty, or against its siblings (logarithm: -0.05 is 5 % slower).
    Speed,
    /// A power supply's output for its input (logarithm).
    Efficiency,
    /// A power supply's temperature above the inlet's, in K.
    SupplyHeat,
    /// A power supply's output voltage (logarithm).
    Voltage,
    /// A power supply's share of what all give together.
    Share,
    /// A temperature above the inlet's, in K.
    Heat,
    /// Corrected memory errors: counted, not held against a load.
    Errors,
}

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worse {
    Down,
    Up,
}

impl Worse {
    /// How far a move goes the wrong way.
    fn of(self, by: f64) -> f64 {
        match self {
            Self::Down => -by,
            Self::Up => by,
        }
    }
}

/// What is taken for a drift of a measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The move that is a finding, in the measure's unit.
    pub(super) effect: f64,
    /// The least scatter of a day that is believed, in the measure's unit.
    pub(super) floor: f64,
    pub(super) worse: Worse,
    /// A hour's value that is further off than this from its day is wild.
    pub(super) wild: f64,
    /// Steps are not drifts: they are taken for a change of the part or of how it is run.
    pub(super) forgives_steps: bool,
}

impl Measure {
    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Efficiency => "efficiency",
            Self::SupplyHeat => "supply_heat",
            Self::Voltage => "voltage",
            Self::Share => "share",
            Self::Heat => "heat",
            Self::Errors => "errors",
        }
    }

    pub(super) fn terms(self) -> Terms {
        let gradual = |effect, floor, worse| Terms { effect, floor, worse, wild: f64::INFINITY, forgives_steps: true };
        match self {
            Self::Speed => Terms { effect: 0.05, floor: 0.003, worse: Worse::Down, wild: 0.15, forgives_steps: false },
            Self::Efficiency => gradual(0.012, 0.001, Worse::Down),
            Self::SupplyHeat => gradual(3.5, 0.3, Worse::Up),
            Self::Voltage => gradual(0.007, 0.0005, Worse::Down),
            Self::Share => gradual(0.03, 0.003, Worse::Down),
            Self::Heat => gradual(4.0, 0.3, Worse::Up),
            Self::Errors => gradual(f64::INFINITY, 1.0, Worse::Up),
        }
    }
}

/// One day of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Day {
    /// Days since 1970.
    pub(super) date: i32,
    /// The middle of its hours' residuals.
    pub(super) level: f32,
    /// The mean distance of an hour from the next, the widest third left out.
    pub(super) spread: f32,
    /// So many of its hours were wild, and far too low.
    pub(super) wild: f32,
    /// And so many far too high, as no part goes but as it is misread.
    #[serde(default)]
    pub(super) high: f32,
}

/// So many days are remembered.
const DAYS: usize = 64;
/// A day needs so many hours to count.
const DAY_HOURS: usize = 4;
/// A drift has lasted so many days.
pub(super) const LASTING: usize = 4;
/// A drift has moved so many times the scatter of its days.
const SIGMAS: f64 = 6.0;
/// And so many times as far as it strayed while it was learnt.
const STRAYS: f64 = 2.5;
/// What is left of an hour's doubt an hour later.
const FADE: f32 = 0.98;
/// And so many times what the steps of its sensors leave unknown: a steady load sits at one edge of a step for days.
const GRAINS: f64 = 2.2;

/// A part that had worn by so much of a finding, and gets better at once by so much of that, was repaired.
const WORN: f64 = 0.4;
const REPAIRED: f64 = 0.6;

/// One measure of one part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    baseline: Baseline,
    /// Today's residuals: of the hour's median, and of its first value.
    today: Vec<(f32, f32)>,
    /// In how many of today's hours it was caught far below, and far above.
    #[serde(default)]
    caught: (u16, u16),
    days: VecDeque<Day>,
    /// Steps that were forgiven.
    forgiven: f32,
    /// The level, the spread and the wild hours of a day while it was learnt.
    normal: Option<Day>,
    /// How far its level strayed from that meanwhile, one day left out.
    strayed: f32,
    /// What the steps of the sensors leave unknown.
    grain: f32,
    /// Its load is not known: it is held against its mates.
    #[serde(default)]
    unled: bool,
}

impl Watch {
    /// Takes in an hour.
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn hour(&mut self, sample: &Sample) {
        let Sample { x, y, first, grain, caught, .. } = *sample;
        self.caught = (self.caught.0 + u16::from(caught.0), self.caught.1 + u16::from(caught.1));
        // The doubt of the worst hour of the last days: where a sensor counts in steps, a day may sit on one edge of a step.
        self.grain = (grain as f32).max(self.grain * FADE);
        self.unled = x.is_none();
        if let Some(residual) = self.baseline.residual(x.unwrap_or(0.0), y, self.moved()) {
            self.today.push((residual as f32, (residual + first - y) as f32));
        }
    }

    /// What a load that comes up for the first time is held against: how far the measure has moved at other loads, if it clearly has. Were a little
    /// passed on each time, many loads in turn would add their errors up.
    fn moved(&self) -> f64 {
        let known = self.known();
        let newest = median(self.days.iter().rev().take(7).map(|d| f64::from(d.level) - known));
        known + newest.filter(|by| by.abs() > f64::from(self.strayed.max(self.grain))).unwrap_or(0.0)
    }

    /// Where its level stands when it is well: its normal, and the steps that were forgiven.
    fn known(&self) -> f64 {
        f64::from(self.normal.map_or(0.0, |n| n.level) + self.forgiven)
    }

    /// Begins to learn again, if it has not learnt yet.
    pub(super) fn restart(&mut self) {
        if !self.baseline.learnt() {
            *self = Self::default();
        }
    }

    /// Ends the day `date`; `against_mates` is how far the part moved against its mates, for one that is held against them.
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn close(&mut self, date: i32, terms: Terms, against_mates: Option<f64>) {
        let (today, caught) = (std::mem::take(&mut self.today), std::mem::take(&mut self.caught));
        if today.len() < DAY_HOURS {
            return;
        }
        let level = if self.unled { against_mates } else { middle(today.iter().map(|h| f64::from(h.0))) };
        let Some(level) = level else { return };
        // From one hour to the next, so that a load which is judged a little off does not look like a wobble.
        let firsts: Vec<f64> = today.iter().map(|h| f64::from(h.1)).collect();
        let wild = |far: fn(f64, f64) -> bool| {
            let lone = |w: &&[f64]| {
                median(w.iter().copied()).zip(w.get(2)).is_some_and(|(around, own)| far(own - around, terms.wild))
            };
            f32::from(u8::try_from(firsts.windows(5).filter(lone).count()).unwrap_or(u8::MAX))
        };
        let day = Day {
            date,
            level: level as f32,
            spread: spread(&firsts) as f32,
            wild: wild(|off, wild| off < -wild).max(f32::from(caught.0)),
            high: wild(|off, wild| off > wild).max(f32::from(caught.1)),
        };
        // Where a clock was ahead for a while, what it dated later is dated wrong.
        while self.days.back().is_some_and(|d| d.date >= date) {
            self.days.pop_back();
        }
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        self.days.push_back(day);
        if self.normal.is_none() && self.baseline.learnt() {
            self.normal = self.typical();
            let level = self.normal.map_or(0.0, |n| n.level);
            let mut strays: Vec<f32> = self.days.iter().map(|d| (d.level - level).abs()).collect();
            strays.sort_by(f32::total_cmp);
            self.strayed = strays.iter().rev().nth(1).copied().unwrap_or(0.0);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    fn typical(&self) -> Option<Day> {
        let of = |f: fn(&Day) -> f32| median(self.days.iter().map(|d| f64::from(f(d)))).map(|v| v as f32);
        let mean = |f: fn(&Day) -> f32| self.days.iter().map(f).sum::<f32>() / self.days.len().max(1) as f32;
        let (wild, high) = (mean(|d| d.wild), mean(|d| d.high));
        Some(Day { date: self.days.back()?.date, level: of(|d| d.level)?, spread: of(|d| d.spread)?, wild, high })
    }

    /// Its newest days, oldest first, each with the level that is left once its normal and what was forgiven are taken off. Empty before it
    /// has been learnt.
    pub(super) fn days(&self) -> impl DoubleEndedIterator<Item = (&Day, f64)> + ExactSizeIterator {
        let known = if self.normal.is_some() { self.days.len() } else { 0 };
        let off = self.known();
        self.days.iter().take(known).map(move |d| (d, f64::from(d.level) - off))
    }

    /// What the steps of its sensors leave unknown of it now.
    pub(super) fn grain(&self) -> f64 {
        f64::from(self.grain)
    }

    /// How it was while it was learnt
    pub(super) fn normal(&self) -> Option<&Day> {
        self.normal.as_ref()
    }

    /// The scatter of its days, from one day to the next: a slow drift does not count into it.
    pub(super) fn scatter(&self, terms: Terms) -> f64 {
        let steps = self.days.iter().zip(self.days.iter().skip(1)).map(|(a, b)| f64::from(b.level - a.level).abs());
        median(steps).map_or(terms.floor, |m| (m * 1.4826 / std::f64::consts::SQRT_2).max(terms.floor))
    }

    /// A step three days ago: level before and after were steady, and differ by more than the steps of the sensors leave unknown. What it was by, and on which
    /// date.
    pub(super) fn step(&self, terms: Terms) -> Option<(i32, f64)> {
        let newest: Vec<&Day> = self.days.iter().rev().take(7).rev().collect();
        let [a, b, c, d, e, f, g] = newest.as_slice() else { return None };
        let (old, new) = ([*a, *b, *c, *d], [*e, *f, *g]);
        let level = |days: &[&Day]| median(days.iter().map(|d| f64::from(d.level)));
        let (before, after) = (level(&old)?, level(&new)?);
        let by = after - before;
        let steady = |x: &Day, y: &Day| f64::from(y.level - x.level).abs() <= 0.35 * by.abs();
        // Days that go to and fro are no step, whatever their medians make of them: each is nearer to its own level, but for one of those before.
        let off =
            |days: &[&Day], own: f64| days.iter().filter(|d| (f64::from(d.level) - own).abs() > 0.5 * by.abs()).count();
        let large = by.abs() > (4.0 * self.scatter(terms)).max(terms.effect * 0.4).max(self.grain());
        let holds = steady(a, d) && steady(e, g) && off(&old, before) <= 1 && off(&new, after) == 0;
        (large && holds).then_some((e.date, by))
    }

    /// By how much the days after a date differ from those before it.
    pub(super) fn shift(&self, date: i32) -> f64 {
        let after = median(self.days.iter().filter(|d| d.date > date).take(4).map(|d| f64::from(d.level)));
        self.before(date).zip(after).map_or(0.0, |(before, after)| after - before)
    }

    /// How far the newest days are from where it is when it is well.
    pub(super) fn now(&self) -> f64 {
        median(self.days.iter().rev().take(3).map(|d| f64::from(d.level))).map_or(0.0, |level| level - self.known())
    }

    /// Takes a step of a part that may have been seen to at the same time: one that takes off most of what had worn is its repair. As good as it was is no new
    /// normal: were it one, the part would look as worn as before.
    pub(super) fn accept(&mut self, terms: Terms, date: i32, by: f64) {
        let worn = terms.worse.of(self.before(date).map_or(0.0, |level| level - self.known()));
        let better = -terms.worse.of(by);
        let repaired = worn >= WORN * terms.effect && better >= REPAIRED * worn;
        let share = if repaired { (1.0 - worn / better).max(0.0) } else { 1.0 };
        self.forgive(date, by * share);
    }

    /// The level of the days before a date.
    fn before(&self, date: i32) -> Option<f64> {
        median(self.days.iter().rev().filter(|d| d.date < date).take(4).map(|d| f64::from(d.level)))
    }

    /// Takes a step for a new normal.
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn forgive(&mut self, date: i32, by: f64) {
        self.forgiven += by as f32;
        for day in self.days.iter_mut().filter(|d| d.date < date) {
            day.level += by as f32;
        }
    }

    /// How far it has drifted the wrong way over the last days, in parts of what is a finding, and since which date; `common` is what moved
    /// its peers alike by date. 0 where it has not, or not for long enough, or not clearly.
    pub(super) fn drift(&self, terms: Terms, common: impl Fn(i32) -> f64) -> Option<Drifted> {
        let moved: Vec<(i32, f64)> = self.days().map(|(d, level)| (d.date, unshared(level, common(d.date)))).collect();
        let newest = moved.get(moved.len().checked_sub(LASTING)?..)?;
        let by = median(newest.iter().map(|d| d.1))?;
        let wrong = |v: f64| terms.worse.of(v);
        let least = newest.iter().map(|d| wrong(d.1)).fold(f64::INFINITY, f64::min);
        let clear =
            (SIGMAS * self.scatter(terms)).max(STRAYS * f64::from(self.strayed)).max(GRAINS * f64::from(self.grain));
        if least < 0.5 * clear || wrong(by) < clear {
            return None;
        }
        let since = moved.iter().rev().take_while(|d| wrong(d.1) > 0.25 * wrong(by)).last()?.0;
        Some(Drifted { share: wrong(by) / terms.effect, by, since })
    }
}

/// The mean distance of a value from the next, the widest third left out: a few misread ones do not make a wobble.
fn spread(values: &[f64]) -> f64 {
    let mut apart: Vec<f64> = values.windows(2).filter_map(|w| Some((w.last()? - w.first()?).abs())).collect();
    apart.sort_by(f64::total_cmp);
    apart.truncate(apart.len() - apart.len() / 3);
    apart.iter().sum::<f64>() / apart.len().max(1) as f64
}

/// What is left of a move once what moved the peers the same way is taken off. Peers can explain a move, never make one.
fn unshared(own: f64, common: f64) -> f64 {
    if own * common <= 0.0 { own } else { own.signum() * (own.abs() - common.abs()).max(0.0) }
}

/// A measure that has moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drifted {
    /// In parts of what is a finding.
    pub(super) share: f64,
    /// In the measure's unit.
    pub(super) by: f64,
    /// Since which date.
    pub(super) since: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(levels: [f32; 7], grain: f32) -> Watch {
        let day = |(date, level): (i32, f32)| Day { date, level, spread: 0.0, wild: 0.0, high: 0.0 };
        let calm = (-8..0).map(|date| (date, 0.001 * (date & 1) as f32));
        Watch { days: calm.chain((0..).zip(levels)).map(day).collect(), grain, ..Watch::default() }
    }

    #[test]
    fn a_step_is_one_where_the_days_after_it_agree_and_no_more_than_one_before_is_off() {
        let terms = Measure::Efficiency.terms();
        let by = |levels, grain| watch(levels, grain).step(terms).map(|s| (s.0, (s.1 * 1e4).round()));
        assert_eq!(by([0.0, 0.001, 0.0, 0.0, 0.01, 0.011, 0.01], 0.0), Some((4, 100.0)));
        assert_eq!(by([0.0, 0.001, 0.007, 0.0, 0.01, 0.011, 0.01], 0.0).map(|s| s.0), Some(4));
        // One day to and fro, as coarse sensors go at a steady load.
        assert_eq!(by([-0.0012, -0.0018, 0.0023, -0.0022, 0.0044, -0.0028, 0.0048], 0.0), None);
        assert_eq!(by([0.0, 0.001, 0.0, 0.0, 0.01, 0.011, 0.01], 0.02), None, "within a step of the sensor");
        assert_eq!(by([0.0, 0.004, 0.008, 0.012, 0.016, 0.020, 0.024], 0.0), None, "what goes on is no step");
    }
}
