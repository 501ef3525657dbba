//! `outband readings`.

use crate::context::{Context, now_ms};
use crate::error::Error;
use crate::output::{Column, List, quantity};
use crate::paging::Paged;
use crate::when::{self, Time};
use crate::words::Word;
use crate::{name, paging, watch};
use clap::Args;
use outband_proto::telemetry::{self as wire, ListLatestReadingsRequest, ListReadingsRequest, reading, seen_value};
use outband_schemas::{Cause, ComponentClass, SensorKind, State, Suspicion};
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct ReadingsArgs {
    /// The server's name, as `outband servers` shows it
    pub(crate) server: String,
    /// Only of this component: CLASS/SLOT, or a class alone (disk, fan, psu, cpu, memory, …)
    #[arg(long, value_name = "COMPONENT")]
    pub(crate) component: Option<String>,
    /// Only of this kind (temperature, fan_speed, reallocated_sectors, …)
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// History from this time on: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// History before this time; now where it is left out
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// History of the last so long before --to, or now: 30m, 6h, 7d, 2w
    #[arg(long, value_name = "LENGTH", conflicts_with = "from")]
    pub(crate) span: Option<String>,
    /// How fine history is shown: every reading, or what the sensor did in each five minutes or hour; auto: as fine as it fits
    #[arg(long, value_enum, default_value_t = Fineness::Auto)]
    pub(crate) resolution: Fineness,
    /// The latest values (the default unless --from, --to or --span is given)
    #[arg(long, conflicts_with_all = ["from", "to", "span"])]
    pub(crate) latest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fineness {
    /// Every reading of up to a day, five minutes of up to five days, else hours; coarser where the finer is not kept any more
    Auto,
    /// Every reading, kept for a month unless the collector's config says otherwise
    Raw,
    /// Least, mean and greatest of each five minutes, kept for a year
    #[value(name = "5m")]
    FiveMinutes,
    /// Of each hour, kept for five years
    #[value(name = "1h")]
    Hour,
}

impl Fineness {
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }
}

const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Serialize)]
struct View {
    component: String,
    kind: String,
    sensor: String,
    /// The number of an analog value.
    value: Option<f64>,
    unit: String,
    /// What a discrete state means: `ok`, `warning`, …
    state: Option<String>,
    /// The BMC's words for a state, or an identifying text.
    text: Option<String>,
    /// `good`, `suspect` or `unavailable`.
    quality: &'static str,
    /// Why it is doubted or missing.
    quality_reason: Option<String>,
    observed_at: Time,
    source: String,
    thresholds: Option<Thresholds>,
}

#[derive(Debug, Serialize)]
struct Thresholds {
    lower_non_recoverable: Option<f64>,
    lower_critical: Option<f64>,
    lower_non_critical: Option<f64>,
    upper_non_critical: Option<f64>,
    upper_critical: Option<f64>,
    upper_non_recoverable: Option<f64>,
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column { key: "kind", head: Word::Kind, wide: false, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column { key: "sensor", head: Word::Sensor, wide: false, cell: |v, _| v.sensor.clone(), raw: |v| v.sensor.clone() },
    Column { key: "value", head: Word::Value, wide: false, cell: |v, _| value(v), raw: raw_value },
    Column { key: "unit", head: Word::Unit, wide: true, cell: |v, _| v.unit.clone(), raw: |v| v.unit.clone() },
    Column { key: "quality", head: Word::Quality, wide: false, cell: |v, _| quality(v), raw: quality },
    Column {
        key: "observed_at",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.observed_at.age(s.now_ms, s.lang),
        raw: |v| v.observed_at.text(),
    },
    Column { key: "limits", head: Word::Limits, wide: true, cell: |v, _| limits(v), raw: limits },
    Column { key: "source", head: Word::Source, wide: true, cell: |v, _| v.source.clone(), raw: |v| v.source.clone() },
];

/// Of history the moment matters, not its age.
const HISTORY: &[Column<View>] = &[
    Column {
        key: "observed_at",
        head: Word::Time,
        wide: false,
        cell: |v, _| v.observed_at.text(),
        raw: |v| v.observed_at.text(),
    },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column { key: "kind", head: Word::Kind, wide: false, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column { key: "sensor", head: Word::Sensor, wide: false, cell: |v, _| v.sensor.clone(), raw: |v| v.sensor.clone() },
    Column { key: "value", head: Word::Value, wide: false, cell: |v, _| value(v), raw: raw_value },
    Column { key: "unit", head: Word::Unit, wide: true, cell: |v, _| v.unit.clone(), raw: |v| v.unit.clone() },
    Column { key: "quality", head: Word::Quality, wide: false, cell: |v, _| quality(v), raw: quality },
    Column { key: "source", head: Word::Source, wide: true, cell: |v, _| v.source.clone(), raw: |v| v.source.clone() },
];

/// What a sensor did over a while.
#[derive(Debug, Serialize)]
struct Summary {
    component: String,
    kind: String,
    sensor: String,
    unit: String,
    from: Time,
    to: Time,
    /// Absent where no reading was a number.
    min: Option<f64>,
    mean: Option<f64>,
    max: Option<f64>,
    last: Option<f64>,
    /// States and texts, the first seen first.
    seen: Vec<Seen>,
    good: u32,
    suspect: u32,
    unavailable: u32,
    /// Why the last of those that are not there is not.
    unavailable_reason: Option<String>,
    /// Numbers and states are of suspect readings: there were no good ones.
    doubted: bool,
    source: String,
}

#[derive(Debug, Serialize)]
struct Seen {
    state: Option<String>,
    text: String,
    readings: u32,
    last: bool,
}

const SUMMARIES: &[Column<Summary>] = &[
    Column { key: "from", head: Word::Time, wide: false, cell: |v, _| v.from.text(), raw: |v| v.from.text() },
    Column { key: "to", head: Word::Until, wide: true, cell: |v, _| v.to.text(), raw: |v| v.to.text() },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column { key: "kind", head: Word::Kind, wide: false, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column { key: "sensor", head: Word::Sensor, wide: false, cell: |v, _| v.sensor.clone(), raw: |v| v.sensor.clone() },
    Column { key: "min", head: Word::Least, wide: false, cell: |v, _| shown(v.min, v), raw: |v| bare(v.min) },
    Column { key: "mean", head: Word::Mean, wide: false, cell: |v, _| shown(v.mean, v), raw: |v| bare(v.mean) },
    Column { key: "max", head: Word::Greatest, wide: false, cell: |v, _| shown(v.max, v), raw: |v| bare(v.max) },
    Column { key: "last", head: Word::Last, wide: true, cell: |v, _| shown(v.last, v), raw: |v| bare(v.last) },
    Column { key: "seen", head: Word::States, wide: false, cell: |v, _| seen(v), raw: seen },
    Column { key: "quality", head: Word::Quality, wide: false, cell: |v, _| counts(v), raw: counts },
    Column { key: "source", head: Word::Source, wide: true, cell: |v, _| v.source.clone(), raw: |v| v.source.clone() },
];

fn shown(number: Option<f64>, of: &Summary) -> String {
    // Means have more digits than any sensor.
    number.map_or_else(|| "–".to_owned(), |n| quantity((n * 1e4).round() / 1e4, &of.unit))
}

fn bare(number: Option<f64>) -> String {
    number.map(|n| n.to_string()).unwrap_or_default()
}

/// Each state, the last one first, with how many readings had it where there are several.
fn seen(v: &Summary) -> String {
    let word = |s: &Seen| match &s.state {
        Some(state) if !s.text.is_empty() && *state != s.text => format!("{state}: {}", s.text),
        Some(state) => state.clone(),
        None => s.text.clone(),
    };
    let mut all: Vec<&Seen> = v.seen.iter().collect();
    all.sort_by_key(|s| !s.last);
    match all.as_slice() {
        [one] => word(one),
        several => several.iter().map(|s| format!("{} ×{}", word(s), s.readings)).collect::<Vec<_>>().join(", "),
    }
}

/// How many readings were good, and how many were not.
fn counts(v: &Summary) -> String {
    let mut words = vec![format!("good ×{}", v.good)];
    if v.suspect > 0 {
        words.push(format!("suspect ×{}", v.suspect));
    }
    if v.unavailable > 0 {
        let reason = v.unavailable_reason.as_ref().map(|r| format!(":{r}")).unwrap_or_default();
        words.push(format!("unavailable{reason} ×{}", v.unavailable));
    }
    words.join(", ")
}

fn value(v: &View) -> String {
    match (v.value, &v.state, &v.text) {
        (Some(number), ..) => quantity(number, &v.unit),
        (None, Some(state), Some(text)) if !text.is_empty() && text != state => format!("{state}: {text}"),
        (None, Some(state), _) => state.clone(),
        (None, None, Some(text)) => text.clone(),
        (None, None, None) => "–".to_owned(),
    }
}

fn raw_value(v: &View) -> String {
    v.value.map(|n| n.to_string()).or_else(|| v.state.clone()).or_else(|| v.text.clone()).unwrap_or_default()
}

fn quality(v: &View) -> String {
    match &v.quality_reason {
        Some(reason) => format!("{}:{reason}", v.quality),
        None => v.quality.to_owned(),
    }
}

fn limits(v: &View) -> String {
    let Some(t) = &v.thresholds else { return String::new() };
    let of = |limits: [Option<f64>; 3]| {
        limits.iter().map(|l| l.map_or_else(|| "–".to_owned(), |n| n.to_string())).collect::<Vec<_>>().join("/")
    };
    let lower = of([t.lower_non_recoverable, t.lower_critical, t.lower_non_critical]);
    let upper = of([t.upper_non_critical, t.upper_critical, t.upper_non_recoverable]);
    format!("{lower} … {upper}")
}

/// `class/slot`, also where a newer collector names a class that is unknown here.
pub(crate) fn place(component: Option<wire::Component>) -> String {
    let c = component.unwrap_or_default();
    let class = u16::try_from(c.class).ok().and_then(ComponentClass::from_number);
    class.map_or_else(|| format!("class-{}/{}", c.class, c.slot), |class| format!("{class}/{}", c.slot))
}

/// The word for a stable number, or the number itself where it is unknown here.
pub(crate) fn word<T: Serialize>(number: u32, known: impl Fn(u8) -> Option<T>) -> String {
    let word = u8::try_from(number).ok().and_then(known).and_then(|t| serde_json::to_value(t).ok());
    word.and_then(|w| w.as_str().map(str::to_owned)).unwrap_or_else(|| format!("unknown-{number}"))
}

impl From<wire::Reading> for View {
    fn from(r: wire::Reading) -> Self {
        let kind = u16::try_from(r.kind).ok().and_then(SensorKind::from_number);
        let (number, state, text) = match r.value {
            Some(reading::Value::Number(n)) => (Some(n), None, None),
            Some(reading::Value::State(s)) => (None, Some(word(s.state, State::from_number)), Some(s.text)),
            Some(reading::Value::Text(t)) => (None, None, Some(t)),
            None => (None, None, None),
        };
        let (quality, quality_reason) = match (r.unavailable, r.suspicion) {
            (0, 0) => ("good", None),
            (0, s) => ("suspect", Some(word(s, Suspicion::from_number))),
            (c, _) => ("unavailable", Some(word(c, Cause::from_number))),
        };
        Self {
            component: place(r.component),
            kind: kind.map_or_else(|| format!("kind-{}", r.kind), |k| k.to_string()),
            sensor: r.sensor,
            value: number,
            unit: kind.map(|k| k.unit().to_owned()).unwrap_or_default(),
            state,
            text,
            quality,
            quality_reason,
            observed_at: Time(r.observed_at_ms),
            source: r.source,
            thresholds: r.thresholds.map(Thresholds::from),
        }
    }
}

impl From<wire::ReadingSummary> for Summary {
    fn from(r: wire::ReadingSummary) -> Self {
        let kind = u16::try_from(r.kind).ok().and_then(SensorKind::from_number);
        let seen = r.seen.into_iter().map(|s| {
            let (state, text) = match s.value {
                Some(seen_value::Value::State(s)) => (Some(word(s.state, State::from_number)), s.text),
                Some(seen_value::Value::Text(t)) => (None, t),
                None => (None, String::new()),
            };
            Seen { state, text, readings: s.readings, last: s.last }
        });
        Self {
            component: place(r.component),
            kind: kind.map_or_else(|| format!("kind-{}", r.kind), |k| k.to_string()),
            sensor: r.sensor,
            unit: kind.map(|k| k.unit().to_owned()).unwrap_or_default(),
            from: Time(r.from_ms),
            to: Time(r.to_ms),
            min: r.min,
            mean: r.mean,
            max: r.max,
            last: r.last,
            seen: seen.collect(),
            good: r.good,
            suspect: r.suspect,
            unavailable: r.unavailable,
            unavailable_reason: (r.cause != 0).then(|| word(r.cause, Cause::from_number)),
            doubted: r.doubted,
            source: r.source,
        }
    }
}

impl From<wire::Thresholds> for Thresholds {
    fn from(t: wire::Thresholds) -> Self {
        Self {
            lower_non_recoverable: t.lower_non_recoverable,
            lower_critical: t.lower_critical,
            lower_non_critical: t.lower_non_critical,
            upper_non_critical: t.upper_non_critical,
            upper_critical: t.upper_critical,
            upper_non_recoverable: t.upper_non_recoverable,
        }
    }
}

pub(crate) async fn run(context: &Context, asked: ReadingsArgs) -> Result<(), Error> {
    let past = !asked.latest && (asked.from.is_some() || asked.to.is_some() || asked.span.is_some());
    watch::show(context, async || {
        if !past {
            let paged = latest(context, &asked).await?;
            return context.render(&List { name: "readings", columns: COLUMNS, paged, none: Word::NoReadings });
        }
        match history(context, &asked).await? {
            History::Readings(paged) => {
                context.render(&List { name: "readings", columns: HISTORY, paged, none: Word::NoReadings })
            }
            History::Summaries(paged) => {
                context.render(&List { name: "summaries", columns: SUMMARIES, paged, none: Word::NoReadings })
            }
        }
    })
    .await
}

enum History {
    Readings(Paged<View>),
    Summaries(Paged<Summary>),
}

async fn latest(context: &Context, asked: &ReadingsArgs) -> Result<Paged<View>, Error> {
    paging::follow(context.limit, async |page_size, page_token| {
        let request = ListLatestReadingsRequest {
            parent: name::server(&asked.server),
            component: asked.component.clone().unwrap_or_default(),
            kind: asked.kind.clone().unwrap_or_default(),
            page_size,
            page_token,
        };
        let answer = context.api.telemetry().list_latest_readings(request).await?.into_inner();
        Ok((answer.readings.into_iter().map(View::from).collect(), answer.next_page_token))
    })
    .await
}

async fn history(context: &Context, asked: &ReadingsArgs) -> Result<History, Error> {
    let now = now_ms();
    let to_ms = asked.to.as_deref().map_or(Ok(now), |t| when::parse(t, now))?;
    let start = asked.from.as_deref().map(|t| when::parse(t, now));
    let start = start.or_else(|| asked.span.as_deref().map(|t| when::length(t).map(|ms| to_ms.saturating_sub(ms))));
    let from_ms = start.unwrap_or(Ok(to_ms - HOUR_MS))?;
    if from_ms >= to_ms {
        return Err(Error::Usage("--from must be before --to".to_owned()));
    }
    // What the first page is in, the others are, too.
    let mut resolution = asked.resolution.as_str().to_owned();
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = ListReadingsRequest {
            parent: name::server(&asked.server),
            component: asked.component.clone().unwrap_or_default(),
            kind: asked.kind.clone().unwrap_or_default(),
            from_ms,
            to_ms,
            page_size,
            page_token,
            resolution: asked.resolution.as_str().to_owned(),
            points: 0,
        };
        let answer = context.api.telemetry().list_readings(request).await?.into_inner();
        resolution = answer.resolution;
        let readings = answer.readings.into_iter().map(|r| (Some(View::from(r)), None));
        let summaries = answer.summaries.into_iter().map(|s| (None, Some(Summary::from(s))));
        Ok((readings.chain(summaries).collect(), answer.next_page_token))
    })
    .await?;
    let Paged { rows, more } = paged;
    let (readings, summaries): (Vec<Option<View>>, Vec<Option<Summary>>) = rows.into_iter().unzip();
    // A collector of an older version knows readings only.
    Ok(match resolution.as_str() {
        "5m" | "1h" => History::Summaries(Paged { rows: summaries.into_iter().flatten().collect(), more }),
        _ => History::Readings(Paged { rows: readings.into_iter().flatten().collect(), more }),
    })
}
