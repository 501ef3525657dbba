//! A temperature is on its way to its limit.

use super::temperature_limit::{blame_the_inlet, is_inlet};
use super::{Rule, evidence, finding, predicted, show};
use crate::config::LimitConfig;
use crate::stats::trend;
use crate::window::{Series, Track, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{SensorKind, Timestamp};

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
        blame_the_inlet(found)
    }
}

struct Rise {
    since: Timestamp,
    newest: Timestamp,
    from: f64,
    to: f64,
    limit: f64,
    polls: f64,
}

impl TemperatureTrend {
    fn rising(&self, series: &Series) -> Option<Rise> {
        let critical = self.0.critical(series.thresholds.upper_critical);
        let limit = critical.or(series.thresholds.upper_non_critical).filter(|l| *l > COOL)?;
        let Track::Gauge(gauge) = &series.track else { return None };
        let wanted = usize::try_from(self.0.trend_polls).unwrap_or(usize::MAX).clamp(4, 16);
        let skip = gauge.samples().len().checked_sub(wanted)?;
        let samples: Vec<(Timestamp, f64)> = gauge.samples().skip(skip).copied().collect();
        let values: Vec<f64> = samples.iter().map(|(_, v)| *v).collect();
        let now = gauge.settled()?;
        let gone = (now - COOL) / (limit - COOL);
        if now >= limit || gone * 100.0 < self.0.share_percent {
            return None;
        }
        let (slope, rising) = trend(&values)?;
        // Still under way: a load that has settled at a new level is no trend.
        let (late, _) = trend(values.get(values.len() / 2..)?)?;
        let polls = (limit - now) / slope.min(late);
        let steady = slope > 0.0 && late > 0.0 && rising >= RISING;
        if !steady || polls > f64::from(self.0.horizon_polls) {
            return None;
        }
        let (since, from) = *samples.first()?;
        Some(Rise { since, newest: series.newest()?, from, to: now, limit, polls })
    }
}
