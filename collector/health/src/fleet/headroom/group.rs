//! What is used of a rack, a feed, a site, a server, and how much is left.

use super::course::{Course, Meter, Why};
use super::sum::{Load, Sum};
use super::trend::{Full, Trend, trend};
use super::{Span, quantile};
use crate::stats::median;
use std::collections::BTreeMap;

/// Where a sensor has no threshold of its own: the most that class A2 allows (ASHRAE TC 9.9, Thermal Guidelines for Data Processing Environments), in Cel.
pub const ASSUMED_LIMIT: f64 = 35.0;

/// Servers that share something.
#[derive(Debug, Clone)]
pub struct Group {
    span: Span,
    servers: u64,
    unknown: BTreeMap<Why, u64>,
    sum: Sum,
    steady: Sum,
    steadies: u64,
    p95s: Vec<f64>,
    by_supplies: u64,
    heat: Heat,
    meters: BTreeMap<Meter, Used>,
}

/// Heat of several servers while they are added.
#[derive(Debug, Clone)]
struct Heat {
    servers: u64,
    assumed: u64,
    /// The one that is nearest to its limit.
    nearest: Option<Nearest>,
    p95s: Vec<f64>,
    rises: Vec<f64>,
    duties: Vec<f64>,
    /// Day by day how far the nearest one was from its limit, of servers that were there through the span.
    left: Vec<Option<f64>>,
}

#[derive(Debug, Clone, Default)]
struct Used {
    means: Vec<f64>,
    p95s: Vec<f64>,
    /// Day by day, of servers that were there through the span: sum and count.
    daily: BTreeMap<usize, (f64, u32)>,
}

/// A server that is nearest to the limit of its inlet.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// Its name.
    pub name: String,
    /// What 95 of 100 hours of its inlet are not above, in Cel.
    pub p95: f64,
    /// The most, in Cel.
    pub max: f64,
    /// The limit, in Cel.
    pub limit: f64,
    /// Whether the limit is [`ASSUMED_LIMIT`].
    pub assumed: bool,
}

impl Nearest {
    /// How far its p95 is from the limit, in K.
    pub fn left(&self) -> f64 {
        self.limit - self.p95
    }
}

/// What is known of the heat.
#[derive(Debug, Clone, PartialEq)]
pub struct Thermal {
    /// Servers that tell their inlet.
    pub servers: u64,
    /// Those of them whose sensor has no threshold.
    pub assumed: u64,
    /// The one that is nearest to its limit.
    pub nearest: Nearest,
    /// The median of the servers' p95, in Cel.
    pub median: f64,
    /// How much warmer the air leaves, the median and the most of the servers, in K.
    pub rise: Option<(f64, f64)>,
    /// The duty of the fan that is driven hardest, in percent.
    pub duty: Option<f64>,
    /// How far the nearest one is from its limit, in K: negative, so that it rises towards 0.
    pub trend: Trend,
    /// When that reaches 0; `None`: too few days.
    pub full: Option<Full>,
}

/// How much is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Utilisation {
    /// Of what.
    pub meter: Meter,
    /// Servers that tell it.
    pub servers: usize,
    /// The mean of all, in percent.
    pub mean: f64,
    /// The mean of the servers' p95, in percent.
    pub p95: f64,
    /// The most of the servers' p95, in percent.
    pub most: f64,
    /// From day to day.
    pub trend: Trend,
    /// When all of it is used; `None`: too few days.
    pub full: Option<Full>,
}

/// What of some power is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// The limit less the p95, in W; below 0 where it is exceeded.
    pub left: f64,
    /// Whether some servers' power is not known: what is left is at most this.
    pub at_most: bool,
    /// The p95 of the median server, in W.
    pub each: Option<f64>,
    /// So many more like that one fit in.
    pub more: Option<u64>,
}

impl Group {
    /// Of nothing yet.
    pub fn new(span: &Span) -> Self {
        let heat = Heat {
            servers: 0,
            assumed: 0,
            nearest: None,
            p95s: Vec::new(),
            rises: Vec::new(),
            duties: Vec::new(),
            left: vec![None; span.days()],
        };
        Self {
            span: *span,
            servers: 0,
            unknown: BTreeMap::new(),
            sum: Sum::new(span),
            steady: Sum::new(span),
            steadies: 0,
            p95s: Vec::new(),
            by_supplies: 0,
            heat,
            meters: BTreeMap::new(),
        }
    }

    /// Adds this share of a server's power, and the server. `steady`: it was there through the span.
    pub fn add(&mut self, name: &str, of: &Course, share: f64, steady: bool) {
        self.servers += 1;
        match of.unknown() {
            Some(why) => *self.unknown.entry(why).or_default() += 1,
            None => {
                self.sum.add(of, share);
                self.p95s.extend(of.p95());
                self.by_supplies += u64::from(of.by_supplies() == Some(true));
                if steady {
                    self.steadies += 1;
                    self.steady.add(of, share);
                }
            }
        }
        self.heat.add(name, of, steady);
        let cpu = of.used(Meter::Cpu).is_some();
        for meter in Meter::ALL.into_iter().filter(|m| *m != Meter::PowerShare || !cpu) {
            let Some((mean, p95)) = of.used(meter) else { continue };
            let used = self.meters.entry(meter).or_default();
            used.means.push(mean);
            used.p95s.push(p95);
            for (day, p95) in of.used_daily(meter).filter(|_| steady) {
                let (sum, count) = used.daily.entry(day).or_default();
                (*sum, *count) = (*sum + p95, *count + 1);
            }
        }
    }

    /// Servers that were added.
    pub fn servers(&self) -> u64 {
        self.servers
    }

    /// How many tell no power, by the reason.
    pub fn unknown(&self) -> &BTreeMap<Why, u64> {
        &self.unknown
    }

    /// Of how many the power is summed from their supplies.
    pub fn by_supplies(&self) -> u64 {
        self.by_supplies
    }

    /// How many were there through the span, of those that tell their power.
    pub fn steadies(&self) -> u64 {
        self.steadies
    }

    /// The hours of it.
    pub fn sum(&self) -> &Sum {
        &self.sum
    }

    /// The power that is drawn; `None`: nobody tells.
    pub fn load(&self) -> Option<Load> {
        self.sum.load()
    }

    /// How the power goes on, of servers that were there through the span.
    pub fn trend(&self) -> Trend {
        trend(&self.dated(&self.steady.daily()))
    }

    /// When the power reaches a limit; `None`: too few days. Of servers that were there through the span the line tells what it adds; the rest stays as it is.
    pub fn full(&self, limit: f64) -> Option<Full> {
        let line = self.trend().ok()?;
        let others = self.load()?.p95 - self.steady.load()?.p95;
        Some(line.full(limit - others.max(0.0)))
    }

    /// What is left of a limit.
    pub fn room(&self, limit: f64) -> Option<Room> {
        let left = limit - self.load()?.p95;
        let each = median(self.p95s.iter().copied()).filter(|each| *each > 0.0);
        let more = each.map(|each| count(left / each));
        Some(Room { left, at_most: !self.unknown.is_empty(), each, more })
    }

    /// The heat; `None`: nobody tells.
    pub fn thermal(&self) -> Option<Thermal> {
        let heat = &self.heat;
        let left: Vec<(usize, f64)> =
            heat.left.iter().enumerate().filter_map(|(day, left)| Some((day, -(*left)?))).collect();
        let trend = trend(&self.dated(&left));
        let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
        Some(Thermal {
            servers: heat.servers,
            assumed: heat.assumed,
            nearest: heat.nearest.clone()?,
            median: median(heat.p95s.iter().copied())?,
            rise: median(heat.rises.iter().copied()).zip(most(&heat.rises)),
            duty: most(&heat.duties),
            full: trend.as_ref().ok().map(|line| line.full(0.0)),
            trend,
        })
    }

    /// How much is used, of what anybody tells.
    pub fn used(&self) -> Vec<Utilisation> {
        let of = |(meter, used): (&Meter, &Used)| {
            let count = f64::from(u32::try_from(used.means.len()).unwrap_or(u32::MAX));
            let daily: Vec<(usize, f64)> =
                used.daily.iter().map(|(day, (sum, count))| (*day, sum / f64::from(*count))).collect();
            let trend = trend(&self.dated(&daily));
            Some(Utilisation {
                meter: *meter,
                servers: used.means.len(),
                mean: used.means.iter().sum::<f64>() / count,
                p95: used.p95s.iter().sum::<f64>() / count,
                most: quantile(used.p95s.clone(), 1.0)?,
                full: trend.as_ref().ok().map(|line| line.full(100.0)),
                trend,
            })
        };
        self.meters.iter().filter_map(of).collect()
    }

    fn dated(&self, days: &[(usize, f64)]) -> Vec<(i32, f64)> {
        days.iter().map(|(day, value)| (self.span.date(*day), *value)).collect()
    }
}

impl Heat {
    fn add(&mut self, name: &str, of: &Course, steady: bool) {
        self.rises.extend(of.rise());
        self.duties.extend(of.duty());
        let Some(air) = of.air() else { return };
        self.servers += 1;
        self.assumed += u64::from(air.limit.is_none());
        self.p95s.push(air.p95);
        let limit = air.limit.unwrap_or(ASSUMED_LIMIT);
        let near = Nearest { name: name.to_owned(), p95: air.p95, max: air.max, limit, assumed: air.limit.is_none() };
        if self.nearest.as_ref().is_none_or(|known| near.left() < known.left()) {
            self.nearest = Some(near);
        }
        for (to, air) in self.left.iter_mut().zip(&of.airs).filter(|_| steady) {
            if let Some((p95, _)) = air {
                let left = limit - p95;
                *to = Some(to.map_or(left, |known| known.min(left)));
            }
        }
    }
}

/// How many whole ones; less than none is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn count(of: f64) -> u64 {
    of.floor().clamp(0.0, 1e9) as u64
}
