//! One sensor's values, reduced to what rules need.

use crate::{Names, packed};
use outband_schemas::{Quality, Reading, Section, SensorKind, Source, State, Suspicion, Thresholds, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Names one series of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// What is measured.
    pub kind: SensorKind,
    /// The sensor's own name.
    #[serde(with = "packed::shared_arc")]
    pub sensor: Arc<str>,
    /// By which way it is read. The same sensor read by two protocols is two series.
    pub via: Via,
}

/// The way by which a sensor is read, as its source tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Via {
    /// IPMI: `ipmi:` or `sel:`.
    Ipmi,
    /// Redfish: a URI.
    Redfish,
    /// Another, such as the agent's own host.
    Other,
}

impl Via {
    /// The way that a source names.
    pub fn of(source: &Source) -> Self {
        match source.0.as_str() {
            s if s.starts_with("ipmi:") || s.starts_with("sel:") => Self::Ipmi,
            s if s.starts_with('/') => Self::Redfish,
            _ => Self::Other,
        }
    }
}

/// One sensor's values, reduced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The section that it is polled with.
    pub section: Section,
    /// The BMC's own limits, where it has any: most sensors have none.
    thresholds: Option<Box<Thresholds>>,
    /// The newest quality.
    pub quality: Quality,
    /// Good values so far.
    pub polls: u32,
    /// The values.
    pub track: Track,
    /// When the newest good value was read; [`NEVER`] before. There are very many series: an option would take twice the room.
    newest: Timestamp,
    /// The time between the newest two good values, in milliseconds; [`NO_RHYTHM`] where there are not two.
    rhythm_ms: u64,
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);
const NO_RHYTHM: u64 = u64::MAX;

/// The values of a series, by their nature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Track {
    /// It counts up, or should.
    Counter(Box<Counter>),
    /// It goes up and down.
    Gauge(Gauge),
    /// It says how it is.
    Switch(Switch),
    /// A text: nothing to reckon with.
    Text,
}

/// Where a BMC has no limits.
const UNLIMITED: Thresholds = Thresholds {
    lower_non_recoverable: None,
    lower_critical: None,
    lower_non_critical: None,
    upper_non_critical: None,
    upper_critical: None,
    upper_non_recoverable: None,
};

impl Series {
    pub(super) fn new(section: Section, kind: SensorKind) -> Self {
        let track = match kind {
            SensorKind::State => Track::Switch(Switch::default()),
            k if counts(k) => Track::Counter(Box::default()),
            _ => Track::Gauge(Gauge::new(kind)),
        };
        Self { section, thresholds: None, quality: Quality::Good, polls: 0, track, newest: NEVER, rhythm_ms: NO_RHYTHM }
    }

    /// When the newest good value was read. `None`: never.
    pub fn newest(&self) -> Option<Timestamp> {
        (self.newest != NEVER).then_some(self.newest)
    }

    /// The time between the newest two good values; `None` where there are not two. What a BMC has read in turn comes more seldom than its section is polled.
    pub fn rhythm(&self) -> Option<Duration> {
        (self.rhythm_ms != NO_RHYTHM).then(|| Duration::from_millis(self.rhythm_ms))
    }

    /// The newest good number, single wild values left out.
    pub fn number(&self) -> Option<f64> {
        match &self.track {
            Track::Counter(counter) => counter.value(),
            Track::Gauge(gauge) => gauge.settled(),
            Track::Switch(_) | Track::Text => None,
        }
    }

    /// The BMC's own limits.
    pub fn thresholds(&self) -> &Thresholds {
        self.thresholds.as_deref().unwrap_or(&UNLIMITED)
    }

    pub(super) fn limit(&mut self, thresholds: Thresholds) {
        match &mut self.thresholds {
            Some(known) => **known = thresholds,
            None => self.thresholds = (!thresholds.is_empty()).then(|| Box::new(thresholds)),
        }
    }

    pub(super) fn read(&mut self, reading: &Reading, at: Timestamp, names: &Names) {
        self.quality = reading.quality.clone();
        if let Some(thresholds) = reading.thresholds.filter(|t| !t.is_empty()) {
            self.limit(thresholds);
        }
        let trusted = matches!(self.quality, Quality::Good | Quality::Suspect(Suspicion::Coerced));
        let Some(value) = reading.value.as_ref().filter(|_| trusted) else { return };
        // A clock that stepped back does not make the past of the present.
        let at = self.newest().map_or(at, |newest| at.max(newest.plus(Duration::from_millis(1))));
        let rhythm = self.newest().and_then(|newest| u64::try_from(at.since(newest).as_millis()).ok());
        (self.newest, self.rhythm_ms) = (at, rhythm.unwrap_or(NO_RHYTHM));
        self.polls = self.polls.saturating_add(1);
        match (&mut self.track, value) {
            (Track::Counter(counter), Value::Number(n)) => {
                counter.count(*n, at, self.polls, reading.kind.row().counter)
            }
            (Track::Gauge(gauge), Value::Number(n)) => gauge.sample(*n, at),
            (Track::Switch(switch), Value::State { state, text }) => switch.set(*state, text, at, names),
            _ => {}
        }
    }
}

/// Kinds whose increases count. Pending sectors go down again once they are rewritten, yet each rise counts.
fn counts(kind: SensorKind) -> bool {
    kind == SensorKind::PendingSectors || (kind.row().counter && kind != SensorKind::Energy)
}

/// One increase of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When it was seen.
    pub at: Timestamp,
    /// In which poll of the series.
    pub poll: u32,
    /// The value before.
    pub from: f64,
    /// The value after.
    pub to: f64,
}

/// A counter: where it began, and each increase. A fall is a reset once a second poll confirms it; a rise that is gone at
/// the next poll was a bad read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    first: Option<(Timestamp, f64)>,
    value: Option<f64>,
    newest: Option<Timestamp>,
    /// Most stand still for good.
    moved: Option<Box<Moved>>,
}

/// How a counter moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Moved {
    steps: VecDeque<Step>,
    fallen: Option<f64>,
    /// What it rose by on the newest days on which it rose, whatever it fell back to in between: day since 1970 and sum.
    days: VecDeque<(i64, f64)>,
}

const STEPS: usize = 32;
/// So many days of rises are remembered.
const DAYS: usize = 14;
const DAY_MILLIS: i64 = 86_400_000;

impl Counter {
    /// Where it began.
    pub fn first(&self) -> Option<(Timestamp, f64)> {
        self.first
    }

    /// The newest value.
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Its increases, oldest first, at most the newest 32.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.moved.iter().flat_map(|moved| moved.steps.iter())
    }

    /// How much it rises a day, and over how many days that is: from the first of the remembered days on, a counter that began anew counted through.
    pub fn a_day(&self) -> Option<(f64, f64)> {
        let newest = self.newest?.as_millis().div_euclid(DAY_MILLIS);
        let moved = self.moved.as_deref()?;
        let recent = || moved.days.iter().filter(|(day, _)| newest - day < 14);
        let (first, _) = recent().next()?;
        let days = f64::from(i32::try_from(newest - first + 1).ok()?);
        Some((recent().map(|(_, n)| n).sum::<f64>() / days, days))
    }

    fn count(&mut self, n: f64, at: Timestamp, poll: u32, monotonic: bool) {
        self.newest = Some(at);
        let Some(value) = self.value else {
            (self.first, self.value) = (Some((at, n)), Some(n));
            return;
        };
        if n > value {
            let moved = self.moved.get_or_insert_default();
            moved.fallen = None;
            if moved.steps.len() == STEPS {
                moved.steps.pop_front();
            }
            moved.steps.push_back(Step { at, poll, from: value, to: n });
            moved.rose(n - value, at);
            self.value = Some(n);
            return;
        }
        if n >= value {
            if let Some(moved) = &mut self.moved {
                moved.fallen = None;
            }
            return;
        }
        if !monotonic {
            self.value = Some(n);
            return;
        }
        let moved = self.moved.get_or_insert_default();
        match moved.steps.back().copied() {
            // Back where it was one poll ago: the rise was a bad read.
            Some(last) if last.from <= n && last.poll + 1 == poll => {
                moved.steps.pop_back();
                self.value = Some(last.from);
                moved.rose(last.from - last.to, at);
                if n > last.from {
                    self.count(n, at, poll, monotonic);
                }
            }
            _ if moved.fallen.is_some() => {
                moved.steps.clear();
                // What it has counted since it began anew.
                moved.rose(n, at);
                moved.fallen = None;
                (self.first, self.value) = (Some((at, n)), Some(n));
            }
            _ => moved.fallen = Some(n),
        }
    }
}

impl Moved {
    fn rose(&mut self, by: f64, at: Timestamp) {
        let day = at.as_millis().div_euclid(DAY_MILLIS);
        match self.days.back_mut().filter(|(d, _)| *d == day) {
            Some((_, sum)) => *sum += by,
            None => {
                if self.days.len() == DAYS {
                    self.days.pop_front();
                }
                self.days.push_back((day, by));
            }
        }
    }
}

/// A gauge: its newest values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    /// In one block of just that room: a ring's head would take as much as one of them.
    samples: Vec<(Timestamp, f64)>,
    most: u8,
}

/// So many values of a gauge are remembered where a rule looks for a run or a trend.
const SAMPLES: u8 = 16;
/// And so many elsewhere: there are very many, and one bad read among them is seen.
const FEW: u8 = 4;

impl Gauge {
    fn new(kind: SensorKind) -> Self {
        use SensorKind as K;
        let looked_at =
            matches!(kind, K::Temperature | K::InputVoltage | K::FailurePredicted | K::CriticalWarning | K::SpareLeft);
        Self { samples: Vec::new(), most: if looked_at { SAMPLES } else { FEW } }
    }

    /// The newest values, oldest first, at most 16; of kinds that no rule follows, 4.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, f64)> + ExactSizeIterator {
        self.samples.iter()
    }

    /// The median of the newest three: what a single bad read does not move.
    pub fn settled(&self) -> Option<f64> {
        crate::stats::median(self.samples.iter().rev().take(3).map(|(_, v)| *v))
    }

    fn sample(&mut self, n: f64, at: Timestamp) {
        if self.samples.len() == usize::from(self.most) {
            self.samples.remove(0);
        } else if self.samples.len() == self.samples.capacity() {
            self.samples.reserve_exact(usize::from(FEW));
        }
        self.samples.push((at, n));
    }
}

/// A state: what it is, since when, for how many polls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    state: Option<State>,
    #[serde(with = "packed::shared_arc")]
    text: Arc<str>,
    since: Option<Timestamp>,
    polls: u32,
}

impl Switch {
    /// What it is, and the BMC's words.
    pub fn now(&self) -> Option<(State, &str)> {
        self.state.map(|state| (state, self.text.as_ref()))
    }

    /// When it became so, as far as was seen.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// For how many polls in a row.
    pub fn polls(&self) -> u32 {
        self.polls
    }

    fn set(&mut self, state: State, text: &str, at: Timestamp, names: &Names) {
        if self.state == Some(state) {
            self.polls = self.polls.saturating_add(1);
        } else {
            (self.since, self.polls) = (Some(at), 1);
        }
        self.state = Some(state);
        if *self.text != *text {
            self.text = names.share(text);
        }
    }
}
