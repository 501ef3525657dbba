//! A fan's speed against its own past: at equal duty where the duty is known, else against its siblings.

use super::{Place, SeriesKey, Via};
use crate::SortedMap;
use crate::config::RuleConfig;
use crate::stats::median;
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How a fan's speed is judged. The baselines are the medians of the first polls; `recent` are the newest speeds, each with its
/// baseline, of which it is a share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FanTrack {
    /// By duty in steps of 5 %; one step only, 255, against siblings.
    baselines: SortedMap<u8, Baseline>,
    recent: VecDeque<(Timestamp, u8, f64)>,
    by_duty: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Baseline {
    learnt: Vec<f64>,
    level: Option<f64>,
}

const SIBLINGS: u8 = u8::MAX;
const RECENT: usize = 16;

impl FanTrack {
    /// Its newest speeds as a share of its baseline, oldest first; empty before there is one.
    pub fn shares(&self) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> {
        let level = |bucket: &u8| self.baselines.get(bucket)?.level;
        self.recent.iter().filter_map(move |(at, bucket, value)| Some((*at, value / level(bucket)?)))
    }

    /// The median of the newest five shares; `None` before there are five.
    pub fn share(&self) -> Option<f64> {
        if self.recent.len() < 5 {
            return None;
        }
        median(self.shares().rev().take(5).map(|(_, share)| share))
    }

    /// Whether the duty is known, so that equal duty is compared.
    pub fn by_duty(&self) -> bool {
        self.by_duty
    }

    fn sample(&mut self, bucket: u8, value: f64, at: Timestamp, polls: u32) {
        let baseline = self.baselines.or_default(&bucket);
        let Some(level) = baseline.level else {
            baseline.learnt.push(value);
            if baseline.learnt.len() >= usize::try_from(polls.max(1)).unwrap_or(usize::MAX) {
                baseline.level = median(std::mem::take(&mut baseline.learnt));
            }
            return;
        };
        if level <= 0.0 {
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((at, bucket, value));
    }
}

struct Sample {
    component: ComponentId,
    key: SeriesKey,
    rpm: f64,
    duty: Option<f64>,
    at: Timestamp,
}

/// After a poll of the sensors: compares the speeds that it brought with each other.
pub(super) fn close_poll(
    places: &mut SortedMap<ComponentId, Place>,
    via: Via,
    polled_at: Timestamp,
    config: &RuleConfig,
) {
    let samples = samples(places, via, polled_at);
    let enough = usize::try_from(config.fan.siblings).unwrap_or(usize::MAX);
    for sample in &samples {
        // Against the others, so that a fan that wears does not move its own measure.
        let others = samples.iter().filter(|s| s.key != sample.key || s.component != sample.component);
        let siblings = median(others.map(|s| s.rpm)).filter(|m| samples.len() >= enough && *m > 0.0);
        let Some(place) = places.get_mut(&sample.component) else { continue };
        let track = place.fan(&sample.key);
        let polls = config.fan.baseline_polls;
        match (sample.duty, siblings) {
            (Some(duty), _) => {
                track.by_duty = true;
                track.sample(bucket(duty), sample.rpm, sample.at, polls);
            }
            (None, Some(siblings)) => {
                track.by_duty = false;
                track.sample(SIBLINGS, sample.rpm / siblings, sample.at, polls);
            }
            (None, None) => {}
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=22 before the cast")]
fn bucket(duty: f64) -> u8 {
    (duty / 5.0).round().clamp(0.0, 22.0) as u8
}

/// The speeds that this poll brought. A fan that stands is left out: it would drag the others' measure.
fn samples(places: &SortedMap<ComponentId, Place>, via: Via, polled_at: Timestamp) -> Vec<Sample> {
    let fresh = |at: Timestamp| at >= polled_at;
    let newest = |place: &Place, kind: SensorKind| -> Vec<(SeriesKey, Timestamp, f64)> {
        let of_via = place.of_kind(kind).filter(|(key, _)| key.via == via);
        of_via
            .filter_map(|(key, series)| match &series.track {
                super::Track::Gauge(gauge) => {
                    let (at, value) = *gauge.samples().next_back()?;
                    fresh(at).then(|| (key.clone(), at, value))
                }
                _ => None,
            })
            .collect()
    };
    let fans = places.iter().filter(|(c, _)| c.class() == ComponentClass::Fan);
    let duties: Vec<f64> = places.values().flat_map(|p| newest(p, SensorKind::FanDuty)).map(|d| d.2).collect();
    // One duty for all fans, where the BMC gives just one.
    let common = match duties.as_slice() {
        [one] => Some(*one),
        _ => None,
    };
    let mut samples = Vec::new();
    for (component, place) in fans {
        let own = newest(place, SensorKind::FanDuty).first().map(|d| d.2);
        for (key, at, rpm) in newest(place, SensorKind::FanSpeed) {
            if rpm > 0.0 {
                samples.push(Sample { component: component.clone(), key, rpm, duty: own.or(common), at });
            }
        }
    }
    samples
}
