//! `outband readings`.

use crate::context::{Context, now_ms};
use crate::error::Error;
use crate::output::{Column, List, quantity};
use crate::paging::Paged;
use crate::when::{self, Time};
use crate::words::Word;
use crate::{name, paging, watch};
use clap::Args;
use outband_proto::telemetry::{self as wire, ListLatestReadingsRequest, ListReadingsRequest, reading};
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
    /// The latest values (the default unless --from or --to is given)
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(crate) latest: bool,
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
    let past = !asked.latest && (asked.from.is_some() || asked.to.is_some());
    watch::show(context, async || {
        let (columns, paged) =
            if past { (HISTORY, history(context, &asked).await?) } else { (COLUMNS, latest(context, &asked).await?) };
        context.render(&List { name: "readings", columns, paged, none: Word::NoReadings })
    })
    .await
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

async fn history(context: &Context, asked: &ReadingsArgs) -> Result<Paged<View>, Error> {
    let now = now_ms();
    let to_ms = asked.to.as_deref().map_or(Ok(now), |t| when::parse(t, now))?;
    let from_ms = asked.from.as_deref().map_or(Ok(to_ms - HOUR_MS), |t| when::parse(t, now))?;
    if from_ms >= to_ms {
        return Err(Error::Usage("--from must be before --to".to_owned()));
    }
    paging::follow(context.limit, async |page_size, page_token| {
        let request = ListReadingsRequest {
            parent: name::server(&asked.server),
            component: asked.component.clone().unwrap_or_default(),
            kind: asked.kind.clone().unwrap_or_default(),
            from_ms,
            to_ms,
            page_size,
            page_token,
        };
        let answer = context.api.telemetry().list_readings(request).await?.into_inner();
        Ok((answer.readings.into_iter().map(View::from).collect(), answer.next_page_token))
    })
    .await
}
