//! `outband fleet headroom`.

use super::{Interval, or_dash};
use crate::context::Context;
use crate::error::Error;
use crate::output::{Block, Column, Document, Rows, Shown, raw, table_of};
use crate::paging;
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;
use wire::headroom as of;

/// What something uses, and what is left of it.
#[derive(Debug, Serialize)]
struct Headroom {
    name: String,
    level: String,
    servers: u64,
    /// Servers whose power is in the sums.
    telling: u64,
    /// Those whose power is in none, and why.
    unknown: Vec<Unknown>,
    by_supplies: u64,
    power: Option<Power>,
    thermal: Option<Thermal>,
    utilisation: Vec<Utilisation>,
    losses: Vec<Loss>,
    advice: String,
}

#[derive(Debug, Serialize)]
struct Unknown {
    reason: String,
    servers: u64,
}

/// In W.
#[derive(Debug, Serialize)]
struct Power {
    mean: f64,
    p95: f64,
    max: f64,
    hours: u64,
    hours_left_out: u64,
    filled: f64,
    limit: Limit,
    left: Option<f64>,
    at_most: bool,
    each: Option<f64>,
    more: Option<u64>,
    trend: Trend,
    full: Option<Full>,
}

/// In Cel and K.
#[derive(Debug, Serialize)]
struct Thermal {
    servers: u64,
    assumed: u64,
    nearest: String,
    p95: f64,
    max: f64,
    limit: f64,
    limit_basis: String,
    left: f64,
    median: f64,
    rise: Option<f64>,
    rise_most: Option<f64>,
    fan_duty: Option<f64>,
    fan_left: Option<f64>,
    trend: Trend,
    full: Option<Full>,
}

/// In percent.
#[derive(Debug, Serialize)]
struct Utilisation {
    of: String,
    servers: u64,
    mean: f64,
    p95: f64,
    most: f64,
    trend: Trend,
    full: Option<Full>,
}

/// What a day adds, with the interval that holds 80 of 100.
#[derive(Debug, Default, Serialize)]
struct Trend {
    servers: u64,
    servers_left_out: u64,
    days: u64,
    days_needed: u64,
    a_day: Option<Interval>,
    now: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
struct Limit {
    watts: Option<f64>,
    basis: Option<String>,
    unknown: Option<String>,
}

#[derive(Debug, Serialize)]
struct Full {
    state: String,
    first: Option<String>,
    likely: Option<String>,
    last: Option<String>,
}

#[derive(Debug, Serialize)]
struct Loss {
    feed: String,
    servers: u64,
    p95: f64,
    limit: Limit,
    fits: Option<bool>,
    left: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Answer {
    from_date: String,
    to_date: String,
    without_rack: u64,
    headroom: Vec<Headroom>,
    truncated: bool,
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl From<wire::Headroom> for Headroom {
    fn from(of: wire::Headroom) -> Self {
        let unknown = of.unknown.into_iter().map(|u| Unknown { reason: u.reason, servers: u.servers });
        Self {
            name: of.name,
            level: of.level,
            servers: of.servers,
            telling: of.telling,
            unknown: unknown.collect(),
            by_supplies: of.by_supplies,
            power: of.power.map(Power::from),
            thermal: of.thermal.map(Thermal::from),
            utilisation: of.utilisation.into_iter().map(Utilisation::from).collect(),
            losses: of.losses.into_iter().map(Loss::from).collect(),
            advice: of.advice,
        }
    }
}

impl From<of::Power> for Power {
    fn from(of: of::Power) -> Self {
        Self {
            mean: of.mean,
            p95: of.p95,
            max: of.max,
            hours: of.hours,
            hours_left_out: of.hours_left_out,
            filled: of.filled,
            limit: of.limit.map(Limit::from).unwrap_or_default(),
            left: of.left,
            at_most: of.at_most,
            each: of.each,
            more: of.more,
            trend: of.trend.map(Trend::from).unwrap_or_default(),
            full: of.full.map(Full::from),
        }
    }
}

impl From<of::Thermal> for Thermal {
    fn from(of: of::Thermal) -> Self {
        Self {
            servers: of.servers,
            assumed: of.assumed,
            nearest: of.nearest,
            p95: of.p95,
            max: of.max,
            limit: of.limit,
            limit_basis: of.limit_basis,
            left: of.left,
            median: of.median,
            rise: of.rise,
            rise_most: of.rise_most,
            fan_duty: of.fan_duty,
            fan_left: of.fan_left,
            trend: of.trend.map(Trend::from).unwrap_or_default(),
            full: of.full.map(Full::from),
        }
    }
}

impl From<of::Utilisation> for Utilisation {
    fn from(used: of::Utilisation) -> Self {
        Self {
            of: used.of,
            servers: used.servers,
            mean: used.mean,
            p95: used.p95,
            most: used.most,
            trend: used.trend.map(Trend::from).unwrap_or_default(),
            full: used.full.map(Full::from),
        }
    }
}

impl From<of::Trend> for Trend {
    fn from(of: of::Trend) -> Self {
        Self {
            servers: of.servers,
            servers_left_out: of.servers_left_out,
            days: of.days,
            days_needed: of.days_needed,
            now: of.a_day.map(|_| of.now),
            a_day: Interval::of(of.a_day),
        }
    }
}

impl From<of::Limit> for Limit {
    fn from(of: of::Limit) -> Self {
        Self { watts: of.watts, basis: given(of.basis), unknown: given(of.unknown) }
    }
}

impl From<of::Full> for Full {
    fn from(of: of::Full) -> Self {
        Self { state: of.state, first: given(of.first), likely: given(of.likely), last: given(of.last) }
    }
}

impl From<of::FeedLoss> for Loss {
    fn from(of: of::FeedLoss) -> Self {
        Self {
            feed: of.feed,
            servers: of.servers,
            p95: of.p95,
            limit: of.limit.map(Limit::from).unwrap_or_default(),
            fits: of.fits,
            left: of.left,
        }
    }
}

impl Full {
    /// `2027-03-01 … 2027-09-12`, or what stands for it.
    fn text(&self, shown: &Shown) -> String {
        let month = |date: &String| date.get(..7).unwrap_or(date).to_owned();
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => format!("{} … {}", month(first), month(last)),
            (Some(first), None) => format!("{} …", month(first)),
            _ if self.state == "already" => shown.word(Word::FullAlready),
            _ => shown.word(Word::NotWithinYear),
        }
    }
}

impl Headroom {
    fn power(&self, pick: impl Fn(&Power) -> Option<f64>) -> Option<f64> {
        self.power.as_ref().and_then(pick)
    }

    fn full(&self) -> Option<&Full> {
        self.power.as_ref()?.full.as_ref()
    }

    /// Use of processors, else what stands for it.
    fn used(&self) -> Option<&Utilisation> {
        self.utilisation
            .iter()
            .find(|u| u.of == "cpu")
            .or_else(|| self.utilisation.iter().find(|u| u.of == "power_share"))
    }
}

/// In kW from a thousand on.
fn watts(of: Option<f64>) -> String {
    match of {
        None => "–".to_owned(),
        Some(w) if w.abs() >= 1000.0 => format!("{:.1} kW", w / 1000.0),
        Some(w) => format!("{w:.0} W"),
    }
}

fn number(of: Option<f64>) -> String {
    of.map(|v| v.to_string()).unwrap_or_default()
}

const COLUMNS: &[Column<Headroom>] = &[
    Column {
        key: "name",
        head: Word::Name,
        wide: false,
        cell: |v, _| crate::name::plain(&v.name),
        raw: |v| v.name.clone(),
    },
    Column {
        key: "servers",
        head: Word::Servers,
        wide: false,
        cell: |v, _| {
            if v.telling == v.servers { v.servers.to_string() } else { format!("{}/{}", v.telling, v.servers) }
        },
        raw: |v| v.servers.to_string(),
    },
    Column {
        key: "telling",
        head: Word::TellPower,
        wide: true,
        cell: |v, _| v.telling.to_string(),
        raw: |v| v.telling.to_string(),
    },
    Column {
        key: "power_mean_w",
        head: Word::PowerMean,
        wide: true,
        cell: |v, _| watts(v.power(|p| Some(p.mean))),
        raw: |v| number(v.power(|p| Some(p.mean))),
    },
    Column {
        key: "power_p95_w",
        head: Word::PowerP95,
        wide: false,
        cell: |v, _| watts(v.power(|p| Some(p.p95))),
        raw: |v| number(v.power(|p| Some(p.p95))),
    },
    Column {
        key: "power_max_w",
        head: Word::PowerMost,
        wide: true,
        cell: |v, _| watts(v.power(|p| Some(p.max))),
        raw: |v| number(v.power(|p| Some(p.max))),
    },
    Column {
        key: "limit_w",
        head: Word::Limit,
        wide: false,
        cell: |v, _| watts(v.power(|p| p.limit.watts)),
        raw: |v| number(v.power(|p| p.limit.watts)),
    },
    Column { key: "limit_basis", head: Word::RestsOn, wide: true, cell: |v, _| or_dash(&basis(v)), raw: basis },
    Column {
        key: "left_w",
        head: Word::Left,
        wide: false,
        cell: |v, _| watts(v.power(|p| p.left)),
        raw: |v| number(v.power(|p| p.left)),
    },
    Column { key: "more_servers", head: Word::RoomFor, wide: false, cell: |v, _| or_dash(&more(v)), raw: more },
    Column {
        key: "a_day_w",
        head: Word::ADay,
        wide: true,
        cell: |v, _| Interval::plain(v.power.as_ref().and_then(|p| p.trend.a_day.as_ref())),
        raw: |v| number(v.power(|p| p.trend.a_day.map(|a| a.mean))),
    },
    Column {
        key: "full_from",
        head: Word::FullBetween,
        wide: false,
        cell: |v, s| v.full().map_or_else(|| "–".to_owned(), |f| f.text(s)),
        raw: |v| v.full().map(|f| f.first.clone().unwrap_or_else(|| f.state.clone())).unwrap_or_default(),
    },
    Column {
        key: "inlet_left_k",
        head: Word::InletLeft,
        wide: false,
        cell: |v, _| v.thermal.as_ref().map_or_else(|| "–".to_owned(), |t| format!("{:.1} K", t.left)),
        raw: |v| number(v.thermal.as_ref().map(|t| t.left)),
    },
    Column {
        key: "inlet_nearest",
        head: Word::Hottest,
        wide: true,
        cell: |v, _| v.thermal.as_ref().map_or_else(|| "–".to_owned(), |t| crate::name::short(&t.nearest)),
        raw: |v| v.thermal.as_ref().map(|t| t.nearest.clone()).unwrap_or_default(),
    },
    Column {
        key: "used_p95_percent",
        head: Word::InUse,
        wide: false,
        cell: |v, s| v.used().map_or_else(|| "–".to_owned(), |u| used(u, s)),
        raw: |v| number(v.used().map(|u| u.p95)),
    },
    Column {
        key: "used_of",
        head: Word::UsedOf,
        wide: true,
        cell: |v, _| v.used().map_or_else(|| "–".to_owned(), |u| u.of.clone()),
        raw: |v| v.used().map(|u| u.of.clone()).unwrap_or_default(),
    },
];

/// What the limit rests on, or why there is none.
fn basis(of: &Headroom) -> String {
    let limit = of.power.as_ref().map(|p| &p.limit);
    limit.and_then(|l| l.basis.clone().or_else(|| l.unknown.clone())).unwrap_or_default()
}

fn more(of: &Headroom) -> String {
    of.power.as_ref().and_then(|p| p.more).map(|n| n.to_string()).unwrap_or_default()
}

/// A proxy says that it is one.
fn used(of: &Utilisation, shown: &Shown) -> String {
    let proxy = if of.of == "power_share" { format!(" ({})", shown.word(Word::OfPower)) } else { String::new() };
    format!("{:.0} %{proxy}", of.p95)
}

impl Document for Answer {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        if self.headroom.is_empty() {
            return vec![Block::Note(shown.word(Word::NoServers))];
        }
        let mut sheet = vec![(shown.word(Word::LookedAt), format!("{} … {}", self.from_date, self.to_date))];
        if self.without_rack > 0 {
            sheet.push((shown.word(Word::WithoutRack), self.without_rack.to_string()));
        }
        let mut blocks = vec![Block::Sheet(sheet), table_of(None, COLUMNS, &self.headroom, shown)];
        let places: Vec<&str> =
            self.headroom.iter().filter(|h| h.level != "server").map(|h| h.advice.as_str()).collect();
        if !places.is_empty() {
            blocks.push(Block::Note(places.join("\n")));
        }
        if self.truncated {
            blocks.push(Block::Note(shown.word(Word::More)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        raw(COLUMNS, &self.headroom)
    }
}

pub(super) async fn headroom(context: &Context, asked: wire::ListHeadroomRequest) -> Result<String, Error> {
    let mut span = (String::new(), String::new(), 0);
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = wire::ListHeadroomRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.fleet().list_headroom(request).await?.into_inner();
        span = (answer.from_date, answer.to_date, answer.without_rack);
        Ok((answer.rows.into_iter().map(Headroom::from).collect(), answer.next_page_token))
    })
    .await?;
    let (from_date, to_date, without_rack) = span;
    context.render(&Answer { from_date, to_date, without_rack, headroom: paged.rows, truncated: paged.more })
}
