//! Temperatures that rise from day to day at comparable inlet air, and how far they are from where they end.
//!
//! Of each day its warm hours count: the third warmest hour above the inlet's air. A daily cycle is in every day alike, a hot aisle is in the
//! inlet too, one wild hour is not the third. The server's load is taken out by what a Watt makes from one day to the next; where the power is not told, more
//! certainty is asked for. What then rises over a week and more along one line, in its first half as in its second, is a rise.
//!
//! Measured on simulated servers (`tests/heat.rs`, load in waves and steps, weekends, seasons; three of ten do not tell their power): of 1000 servers that
//! live for 120 days none is foretold to reach a limit of 95 Cel within 14 days; of 300 each that lose 0.6, 1.2 and 2 K a day 213, 243 and 214 are foretold, by
//! the median 9, 9 and 5 days before; the interval holds 0.93, 0.79 and 0.81 of these.

use super::day::{Three, day_at, small};
use super::line::{Slope, weighted_median};
use crate::stats::median;
use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A day counts with so many hours.
const HOURS: u8 = 6;
/// Of the warmest hours of a day so many are kept; the least of them counts.
const WARMEST: usize = 3;
/// So many days are looked at.
const DAYS: usize = 28;
/// And so many at least.
const LEAST_DAYS: usize = 8;
/// Days that lie longer ago than this say nothing.
const SPAN: i32 = 28;
/// So many changes of the power from one day to the next, each by at least this share of it, tell how much heat a Watt makes.
const CHANGES: usize = 5;
const CHANGED: f64 = 0.03;
/// The least rise over all of the days, in K: what a sensor, a season and its fans do.
const LEAST_RISE: f64 = 3.0;
/// A rise is that many times as much as the days lie about its line.
const CLEAR: f64 = 4.0;
/// Kendall's sum is so many standard errors above noise.
const SURE: f64 = 3.0;
/// And so many where the server's power is not told, which would tell a load that grows from what is no load.
const SURE_BLIND: f64 = 4.0;
/// In each half a rise goes on with at least this share of its rate.
const STILL: f64 = 0.5;
/// Power that grows by at least this share of what the heat grows by explains it.
const EXPLAINED: f64 = 0.5;
/// A sensor that has had no day for so long is none any more.
const GONE: i32 = 60;

/// The mean of an hour's values, single bad reads left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    newest: Three,
    sum: f64,
    count: u32,
}

impl Mean {
    fn push(&mut self, value: f64) {
        if let Some(value) = self.newest.push(value) {
            self.sum += value;
            self.count = self.count.saturating_add(1);
        }
    }

    /// Ends the hour.
    fn take(&mut self) -> Option<f64> {
        let mean = (self.count > 0).then(|| self.sum / f64::from(self.count));
        (self.sum, self.count) = (0.0, 0);
        mean
    }
}

/// What a server breathes, and what power it draws.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Air {
    inlets: Vec<(ComponentId, String, Mean)>,
    powers: Vec<(ComponentId, K, String, Mean)>,
}

/// An hour of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AirHour {
    /// The inlet's temperature; `None`: the server has an inlet, and nothing was read of it.
    inlet: Option<f64>,
    power: Option<f64>,
}

impl Air {
    pub(super) fn breathe(&mut self, component: &ComponentId, sensor: &str, value: f64) {
        match self.inlets.iter_mut().find(|(c, s, _)| s == sensor && c == component) {
            Some((.., mean)) => mean.push(value),
            None => {
                let mut mean = Mean::default();
                mean.push(value);
                self.inlets.push((component.clone(), sensor.to_owned(), mean));
            }
        }
    }

    pub(super) fn draw(&mut self, component: &ComponentId, kind: K, sensor: &str, value: f64) {
        match self.powers.iter_mut().find(|(c, k, s, _)| *k == kind && s == sensor && c == component) {
            Some((.., mean)) => mean.push(value),
            None => {
                let mut mean = Mean::default();
                mean.push(value);
                self.powers.push((component.clone(), kind, sensor.to_owned(), mean));
            }
        }
    }

    /// Ends the hour.
    pub(super) fn close(&mut self) -> AirHour {
        let inlets: Vec<f64> = self.inlets.iter_mut().filter_map(|(.., mean)| mean.take()).collect();
        // Without an inlet a temperature is above nothing, and only its own rise is seen.
        let inlet = if self.inlets.is_empty() { Some(0.0) } else { median(inlets) };
        let (mut whole, mut supplies, mut any) = (None, 0.0, false);
        for (component, _, _, mean) in &mut self.powers {
            let Some(watts) = mean.take().filter(|w| *w > 0.0) else { continue };
            if component.class() == C::PowerSupply {
                supplies += watts;
                any = true;
            } else {
                whole = Some(whole.map_or(watts, |w: f64| w.max(watts)));
            }
        }
        AirHour { inlet, power: whole.or(any.then_some(supplies)) }
    }
}

/// The course of one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Heat {
    #[serde(with = "crate::packed::shared")]
    pub(super) sensor: String,
    hour: Mean,
    hours: u8,
    /// The warmest hours of today, warmest first.
    warmest: Vec<Warm>,
    days: VecDeque<(i32, Warm)>,
}

/// A warm hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f32, f32, Option<f32>)", into = "(f32, f32, Option<f32>)")]
struct Warm {
    /// How far above the inlet's air, in K.
    above: f32,
    /// The inlet's air, in Cel.
    inlet: f32,
    /// The server's power, in W.
    power: Option<f32>,
}

impl From<(f32, f32, Option<f32>)> for Warm {
    fn from((above, inlet, power): (f32, f32, Option<f32>)) -> Self {
        Self { above, inlet, power }
    }
}

impl From<Warm> for (f32, f32, Option<f32>) {
    fn from(Warm { above, inlet, power }: Warm) -> Self {
        (above, inlet, power)
    }
}

/// A temperature that rises from day to day at comparable inlet air.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rise {
    /// Where its line is on the newest day, in its warm hours, in Cel.
    pub now: f64,
    /// The inlet's air in those hours, in Cel; 0 where the server has no inlet sensor.
    pub inlet: f64,
    /// Where its line was on the first day, at that inlet air, in Cel.
    pub then: f64,
    /// Since when.
    pub since: Timestamp,
    /// What a day adds, in K.
    pub a_day: f64,
    /// The interval of it that holds 80 of 100.
    pub a_day_low: f64,
    /// And its upper end.
    pub a_day_high: f64,
    /// How far to each side of [`Rise::now`] 80 of 100 lie, in K.
    pub aside: f64,
}

impl Rise {
    /// The days until it reaches `limit`, in Cel, with the first and the last day of the interval; `None` where it is there already.
    pub fn days_to(&self, limit: f64) -> Option<(f64, f64, f64)> {
        let left = limit - self.now;
        let days = |left: f64, rate: f64| if rate > 0.0 { left.max(0.0) / rate } else { f64::INFINITY };
        let (first, last) = (days(left - self.aside, self.a_day_high), days(left + self.aside, self.a_day_low));
        (left > 0.0).then(|| (days(left, self.a_day), first, last))
    }

    /// Whether this still says what `newer` would.
    pub(super) fn stands(&self, newer: &Self) -> bool {
        (self.now - newer.now).abs() < 1.0 && (self.a_day / newer.a_day - 1.0).abs() < 0.25
    }
}

impl Heat {
    pub(super) fn new(sensor: &str, value: f64) -> Self {
        let mut hour = Mean::default();
        hour.push(value);
        Self { sensor: sensor.to_owned(), hour, hours: 0, warmest: Vec::new(), days: VecDeque::new() }
    }

    pub(super) fn read(&mut self, value: f64) {
        self.hour.push(value);
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn close_hour(&mut self, air: &AirHour) {
        let Some((mean, inlet)) = self.hour.take().zip(air.inlet) else { return };
        let cut = |value: f64| ((value * 10.0).round() / 10.0) as f32;
        let warm = Warm { above: cut(mean - inlet), inlet: cut(inlet), power: air.power.map(cut) };
        self.hours = self.hours.saturating_add(1);
        let at = self.warmest.partition_point(|w| w.above >= warm.above);
        self.warmest.insert(at, warm);
        self.warmest.truncate(WARMEST);
    }

    pub(super) fn close_day(&mut self, date: i32) {
        let warm = self.warmest.last().copied().filter(|_| self.hours >= HOURS);
        self.warmest.clear();
        self.hours = 0;
        let Some(warm) = warm else { return };
        self.days.retain(|(day, _)| *day != date);
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        self.days.push_back((date, warm));
    }

    pub(super) fn forget_after(&mut self, date: i32) {
        self.days.retain(|(day, _)| *day < date);
    }

    pub(super) fn is_gone(&self, date: i32) -> bool {
        self.days.back().is_some_and(|(day, _)| date - day > GONE)
    }

    /// How it rises, where it does: over as many days as one line fits.
    pub(super) fn rise(&self, today: i32) -> Option<Rise> {
        let recent: Vec<&(i32, Warm)> = self.days.iter().filter(|(day, _)| today - day <= SPAN).collect();
        let days = at_equal_load(&recent);
        // What has had no day for some days may have gone any way since.
        days.last().filter(|day| f64::from(today) - day.date <= 3.0)?;
        let lengths = (LEAST_DAYS..=days.len()).rev().step_by(3);
        lengths.filter_map(|length| days.get(days.len() - length..)).find_map(rise_of)
    }
}

/// A day's warm hour, at the load of the newest days.
#[derive(Debug, Clone, Copy)]
struct Day {
    date: f64,
    above: f64,
    inlet: f64,
    power: Option<f64>,
}

/// The days as they would be at the load of the newest: how much heat a Watt makes shows from one day to the next, when nothing else has had the time to
/// change.
fn at_equal_load(days: &[&(i32, Warm)]) -> Vec<Day> {
    let told = |(date, warm): &&(i32, Warm)| Day {
        date: f64::from(*date),
        above: f64::from(warm.above),
        inlet: f64::from(warm.inlet),
        power: warm.power.map(f64::from),
    };
    let mut days: Vec<Day> = days.iter().map(told).collect();
    let Some(usual) = median(days.iter().rev().filter_map(|day| day.power).take(7)) else { return days };
    let changes: Vec<(f64, f64)> = days
        .iter()
        .zip(days.iter().skip(1))
        .filter_map(|(a, b)| Some((b.power? - a.power?, b.above - a.above)))
        .filter(|(watts, _)| watts.abs() >= usual * CHANGED)
        .map(|(watts, heat)| (heat / watts, watts.abs()))
        .collect();
    if changes.len() < CHANGES {
        return days;
    }
    let a_watt = weighted_median(changes).unwrap_or_default().max(0.0);
    for day in &mut days {
        day.above -= a_watt * (day.power.unwrap_or(usual) - usual);
    }
    days
}

fn rise_of(days: &[Day]) -> Option<Rise> {
    let above: Vec<(f64, f64)> = days.iter().map(|day| (day.date, day.above)).collect();
    let slope = Slope::of(&above)?;
    let (first, last) = (above.first()?, above.last()?);
    let (whole, apart) = (slope.rate * (last.0 - first.0), spread(&above, slope.rate));
    let blind = days.iter().filter(|day| day.power.is_some()).count() * 2 < days.len();
    if slope.sure < if blind { SURE_BLIND } else { SURE } || whole < LEAST_RISE || whole < CLEAR * apart {
        return None;
    }
    let (older, newer) = above.split_at_checked(above.len() / 2)?;
    let goes_on = |half: &[(f64, f64)]| Slope::of(half).is_some_and(|half| half.rate >= slope.rate * STILL);
    if !goes_on(older) || !goes_on(newer) || is_load(days, &above, slope.rate) {
        return None;
    }
    // Where the line is today, at the inlet's air of these days.
    let inlet = median(days.iter().rev().take(7).map(|day| day.inlet))?;
    let middle = median(above.iter().map(|(x, y)| y - slope.rate * x))?;
    let now = middle + slope.rate * last.0 + inlet;
    Some(Rise {
        now,
        inlet,
        then: now - whole,
        since: day_at(first.0),
        a_day: slope.rate,
        a_day_low: slope.low,
        a_day_high: slope.high,
        // A line's end is twice as uncertain as its middle.
        aside: 2.0 * 1.2816 * apart / small(above.len()).sqrt(),
    })
}

/// How far the days lie about a line of this rate: one standard error of noise, from the median distance.
fn spread(points: &[(f64, f64)], rate: f64) -> f64 {
    let Some(middle) = median(points.iter().map(|(x, y)| y - rate * x)) else { return f64::INFINITY };
    1.4826 * median(points.iter().map(|(x, y)| (y - rate * x - middle).abs())).unwrap_or(f64::INFINITY)
}

/// Whether the server's power grew alike, as it does where it grows too evenly to be told apart.
fn is_load(days: &[Day], above: &[(f64, f64)], rate: f64) -> bool {
    let power: Vec<(f64, f64)> = days.iter().filter_map(|day| Some((day.date, day.power?))).collect();
    let level = |points: &[(f64, f64)]| median(points.iter().map(|(_, y)| *y)).filter(|l| *l > 0.0);
    if power.len() * 2 < above.len() {
        return false;
    }
    let (Some(watts), Some(heat), Some(grown)) = (level(&power), level(above), Slope::of(&power)) else { return false };
    grown.rate / watts >= EXPLAINED * rate / heat
}
