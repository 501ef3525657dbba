//! A temperature is on its way to its limit: within minutes, by its newest polls; within days, by its [`crate::outlook`].

use super::temperature_limit::blame_the_inlet;
use super::{Rule, evidence, finding, predicted, show};
use crate::config::LimitConfig;
use crate::drift::is_inlet;
use crate::outlook::{Foresight, Outlook, Rise};
use crate::stats::trend;
use crate::window::{Series, Track, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{Quality, SensorKind, Timestamp};

pub(super) struct TemperatureTrend(pub(super) LimitConfig);

const ID: RuleId = RuleId::new("temperature.trend");

/// Where the way to a limit begins, in Cel: the air of a cool room.
const COOL: f64 = 20.0;
/// The share of pairs of values that have to rise: noise gives half, a steady rise all.
const RISING: f64 = 0.75;

impl Rule for TemperatureTrend {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for (component, place) in window.places().filter(|(_, place)| !place.is_absent()) {
            for (key, series) in place.of_kind(SensorKind::Temperature) {
                let Some(rise) = self.rising(series) else { continue };
                let base = predicted(finding(ID, Fault::Overheating, component, Some(place), rise.newest));
                let f = Finding {
                    onset: rise.since,
                    reason: format!(
                        "{} rose from {} to {} Cel and reaches its limit of {} Cel in about {} polls",
                        key.sensor,
                        show(rise.from),
                        show(rise.to),
                        show(rise.limit),
                        show(rise.polls.ceil())
                    ),
                    evidence: vec![evidence(
                        rise.since,
                        format!("{} rises towards its limit of {} Cel", key.sensor, show(rise.limit)),
                    )],
                    confirm: self.0.polls,
                    ..base
                };
                found.push((is_inlet(component, &key.sensor), f));
            }
        }
        let mut found = blame_the_inlet(found);
        found.extend(window.outlooks().iter().filter_map(|outlook| self.within_days(window, outlook)));
        found
    }
}

struct Climb {
    since: Timestamp,
    newest: Timestamp,
    from: f64,
    to: f64,
    limit: f64,
    polls: f64,
}

impl TemperatureTrend {
    fn limit(&self, series: &Series) -> Option<f64> {
        let critical = self.0.critical(series.thresholds().upper_critical);
        critical.or(series.thresholds().upper_non_critical).filter(|l| *l > COOL)
    }

    /// Whether a temperature has come so close to its limit that its way there counts.
    fn is_near(&self, now: f64, limit: f64) -> bool {
        now < limit && (now - COOL) / (limit - COOL) * 100.0 >= self.0.share_percent
    }

    fn rising(&self, series: &Series) -> Option<Climb> {
        let limit = self.limit(series)?;
        let Track::Gauge(gauge) = &series.track else { return None };
        let wanted = usize::try_from(self.0.trend_polls).unwrap_or(usize::MAX).clamp(4, 16);
        let skip = gauge.samples().len().checked_sub(wanted)?;
        let samples: Vec<(Timestamp, f64)> = gauge.samples().skip(skip).copied().collect();
        let values: Vec<f64> = samples.iter().map(|(_, v)| *v).collect();
        let now = gauge.settled().filter(|now| self.is_near(*now, limit))?;
        let (slope, rising) = trend(&values)?;
        // Still under way: a load that has settled at a new level is no trend.
        let (late, _) = trend(values.get(values.len() / 2..)?)?;
        let polls = (limit - now) / slope.min(late);
        let steady = slope > 0.0 && late > 0.0 && rising >= RISING;
        if !steady || polls > f64::from(self.0.horizon_polls) {
            return None;
        }
        let (since, from) = *samples.first()?;
        Some(Climb { since, newest: series.newest()?, from, to: now, limit, polls })
    }

    /// What rises from day to day, and how far it is from its limit.
    fn within_days(&self, window: &Window, outlook: &Outlook) -> Option<Finding> {
        let Foresight::Rise(rise) = &outlook.foresight else { return None };
        let component = &outlook.component;
        let place = window.place(component).filter(|place| !place.is_absent())?;
        let of_sensor = place.of_kind(SensorKind::Temperature).filter(|(key, _)| *key.sensor == *outlook.sensor);
        let read = of_sensor.filter(|(_, s)| matches!(s.quality, Quality::Good | Quality::Suspect(_)));
        let (limit, newest) =
            read.filter_map(|(_, s)| Some((self.limit(s)?, s.newest()?))).min_by(|a, b| a.0.total_cmp(&b.0))?;
        let (days, first, last) = rise.days_to(limit).filter(|_| self.is_near(rise.now, limit))?;
        if days > f64::from(self.0.horizon_days) {
            return None;
        }
        let told = format!(
            "{} rises by {} K a day{} since {}, from {} to {} Cel in its warm hours: {} K below its limit of {} Cel, which it reaches in about {} days ({}–{})",
            outlook.sensor,
            tenth(rise.a_day),
            at_inlet(rise),
            super::disk_wearout::day(rise.since),
            tenth(rise.then),
            tenth(rise.now),
            tenth(limit - rise.now),
            show(limit),
            show(days.ceil()),
            show(first.ceil()),
            if last.is_finite() { show(last.ceil()) } else { "…".to_owned() },
        );
        let base = predicted(finding(ID, Fault::Overheating, component, Some(place), newest));
        let facts = vec![evidence(outlook.told_at, told.clone())];
        Some(Finding { onset: rise.since, reason: told, evidence: facts, confirm: self.0.polls, ..base })
    }
}

fn at_inlet(rise: &Rise) -> String {
    if rise.inlet > 0.0 { format!(" at an inlet of {} Cel", tenth(rise.inlet)) } else { String::new() }
}

fn tenth(n: f64) -> String {
    show((n * 10.0).round() / 10.0)
}
