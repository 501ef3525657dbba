//! One server over a span.

use super::{Span, quantile};
use crate::fleet::usage::{Day, HOURS, Level};
use crate::stats::median;

/// A server that has told nothing for so many hours is silent.
pub const SILENT_HOURS: usize = 48;

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meter {
    /// Processors.
    Cpu,
    /// Memory or its bandwidth.
    Memory,
    /// Input and output.
    Io,
    /// Power, as a share of what 99 of 100 of the server's own hours are not above: no use is told, and this stands for it.
    PowerShare,
}

impl Meter {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Io, Self::PowerShare];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::PowerShare => "power_share",
        }
    }

    fn of(self, day: &Day) -> Option<Level> {
        match self {
            Self::Cpu => day.cpu,
            Self::Memory => day.memory,
            Self::Io => day.io,
            Self::PowerShare => None,
        }
    }
}

/// Why nothing can be said of a server's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It answers, and tells no power.
    NoSensor,
    /// It has been silent for two days and more.
    Silent,
    /// Nothing was told in the whole span.
    Nothing,
}

impl Why {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSensor => "tells_no_power",
            Self::Silent => "silent",
            Self::Nothing => "nothing_told",
        }
    }
}

/// A server's air over a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Air {
    /// What 95 of 100 hours are not above, in Cel.
    pub p95: f64,
    /// The most, in Cel.
    pub max: f64,
    /// The newest upper warning threshold of the sensor, in Cel.
    pub limit: Option<f64>,
}

/// One server over a span.
#[derive(Debug, Clone)]
pub struct Course {
    pub(super) mean: Vec<Option<f32>>,
    pub(super) peak: Vec<Option<f32>>,
    /// The median of the hours that it told.
    pub(super) usual: f64,
    /// Day by day the air, with the sensor's limit.
    pub(super) airs: Vec<Option<(f64, Option<f64>)>>,
    air: Option<Air>,
    days: Vec<Option<Day>>,
    silent: bool,
    any: bool,
}

impl Course {
    /// Of its days, in whatever order; those outside of the span are passed over.
    pub fn of(span: &Span, days: &[(i32, Day)]) -> Self {
        let mut course = Self {
            mean: vec![None; span.hours()],
            peak: vec![None; span.hours()],
            usual: 0.0,
            airs: vec![None; span.days()],
            air: None,
            days: vec![None; span.days()],
            silent: false,
            any: false,
        };
        for (date, day) in days {
            if let Some(at) = span.at(*date) {
                course.put(at, day);
            }
        }
        course.usual = median(course.told()).unwrap_or_default();
        let newest = course.mean.iter().rposition(Option::is_some);
        course.silent = newest.is_some_and(|newest| newest + SILENT_HOURS < span.begun);
        course.air = course.breathes();
        course
    }

    fn put(&mut self, at: usize, day: &Day) {
        self.any |= day.seen > 0;
        if let Some(power) = &day.power {
            let both = self.mean.iter_mut().zip(&mut self.peak).skip(at * HOURS);
            for ((mean, peak), (m, p)) in both.zip(power.mean.0.iter().zip(power.peak.0)) {
                (*mean, *peak) = (*m, p);
            }
        }
        if let (Some(to), Some(inlet)) = (self.airs.get_mut(at), &day.inlet) {
            *to = quantile(inlet.mean.told().collect(), 0.95).map(|p95| (p95, inlet.limit.map(f64::from)));
        }
        if let Some(to) = self.days.get_mut(at) {
            *to = Some(day.clone());
        }
    }

    fn breathes(&self) -> Option<Air> {
        let inlets = || self.days.iter().flatten().filter_map(|day| day.inlet.as_ref());
        Some(Air {
            p95: quantile(inlets().flat_map(|i| i.mean.told()).collect(), 0.95)?,
            max: inlets().map(|i| f64::from(i.max)).reduce(f64::max)?,
            limit: inlets().rev().find_map(|i| i.limit).map(f64::from),
        })
    }

    /// The hours' power that it told, in W.
    pub(super) fn told(&self) -> impl Iterator<Item = f64> {
        self.mean.iter().flatten().map(|v| f64::from(*v))
    }

    /// Why its power is not known; `None`: it is.
    pub fn unknown(&self) -> Option<Why> {
        match () {
            () if !self.any => Some(Why::Nothing),
            () if self.silent => Some(Why::Silent),
            () if self.mean.iter().all(Option::is_none) => Some(Why::NoSensor),
            () => None,
        }
    }

    /// Whether its power was summed from its supplies when it was told last; `None`: it never was.
    pub fn by_supplies(&self) -> Option<bool> {
        self.days.iter().rev().flatten().find_map(|d| d.power.as_ref()).map(|p| p.sensor.is_empty())
    }

    /// What 95 of 100 hours are not above, in W.
    pub fn p95(&self) -> Option<f64> {
        quantile(self.told().collect(), 0.95)
    }

    /// The air that it breathes.
    pub fn air(&self) -> Option<Air> {
        self.air
    }

    /// The limit of its own power: what its supplies can still give when one is lost, or what it is held to where that is less; whether a supply may be lost.
    pub fn limit(&self) -> Option<(f64, bool)> {
        let newest = |pick: fn(&Day) -> Option<f32>| self.days.iter().rev().flatten().find_map(pick).map(f64::from);
        let supplies = self.days.iter().flatten().map(|d| d.supplies).max().unwrap_or_default();
        let left = newest(|d| d.capacity).map(|all| match supplies {
            0 | 1 => (all, false),
            n => (all * f64::from(n - 1) / f64::from(n), true),
        });
        let held = newest(|d| d.cap);
        match (left, held) {
            (Some((left, redundant)), Some(held)) => Some((left.min(held), redundant)),
            (Some(left), None) => Some(left),
            (None, held) => held.map(|held| (held, false)),
        }
    }

    /// How much warmer the air leaves it: mean of the days' p95, in K.
    pub fn rise(&self) -> Option<f64> {
        median(self.days.iter().flatten().filter_map(|d| d.exhaust).map(|l| f64::from(l.p95)))
    }

    /// The duty of the fan that is driven hardest: what 95 of 100 days' p95 are not above, in percent.
    pub fn duty(&self) -> Option<f64> {
        quantile(self.days.iter().flatten().filter_map(|d| d.fan).map(|l| f64::from(l.p95)).collect(), 0.95)
    }

    /// How much is used: the mean and the p95 over the span, in percent.
    pub fn used(&self, meter: Meter) -> Option<(f64, f64)> {
        if meter == Meter::PowerShare {
            let most = quantile(self.told().collect(), 0.99).filter(|m| *m > 0.0)?;
            let (sum, count) = self.told().fold((0.0, 0_u32), |(s, n), v| (s + v, n + 1));
            return Some((sum / f64::from(count.max(1)) / most * 100.0, self.p95()? / most * 100.0));
        }
        let levels: Vec<Level> = self.days.iter().flatten().filter_map(|d| meter.of(d)).collect();
        let count = f64::from(u32::try_from(levels.len()).ok().filter(|n| *n > 0)?);
        let mean = levels.iter().map(|l| f64::from(l.mean)).sum::<f64>() / count;
        Some((mean, quantile(levels.iter().map(|l| f64::from(l.p95)).collect(), 0.95)?))
    }

    /// The same at the p95 of each day.
    pub(super) fn used_daily(&self, meter: Meter) -> impl Iterator<Item = (usize, f64)> {
        let days = self.days.iter().enumerate();
        days.filter_map(move |(at, day)| Some((at, f64::from(meter.of(day.as_ref()?)?.p95))))
    }
}
