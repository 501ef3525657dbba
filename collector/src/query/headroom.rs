//! Headroom as it is told on the wire.

use crate::fleet::headroom::{Limit, Loss, Of, Power, Row};
use crate::query::name;
use crate::words::{self, Lang, date_text};
use outband_health::fleet::headroom::group::{Thermal, Utilisation};
use outband_health::fleet::headroom::trend::{Full, LEAST_DAYS, Trend};
use outband_proto::fleet as wire;
use wire::headroom as of;

/// A row, with its advice.
pub(super) fn told(row: &Row, lang: Lang) -> wire::Headroom {
    let (full_name, called) = match &row.of {
        Of::Site(site) => (format!("sites/{site}"), site.clone()),
        Of::Rack(site, rack) => (format!("sites/{site}/racks/{}", name::encoded(rack)), rack.clone()),
        Of::Feed(site, feed) => (feed_name(site, feed), feed.clone()),
        Of::Server(id) => (name::server(id), id.to_string()),
    };
    let line = |of: Trend, servers: u64| trend(of, servers, row.telling);
    let site = match &row.of {
        Of::Feed(site, _) => site.as_str(),
        _ => "",
    };
    wire::Headroom {
        level: row.of.level().as_str().to_owned(),
        servers: row.servers,
        telling: row.telling,
        unknown: row
            .unknown
            .iter()
            .map(|(why, servers)| of::Unknown { reason: why.as_str().to_owned(), servers: *servers })
            .collect(),
        by_supplies: row.by_supplies,
        power: row.power.as_ref().map(|p| power(p, line(p.trend, row.steady))),
        thermal: row.thermal.as_ref().map(|t| thermal(t, line(t.trend, row.steady))),
        utilisation: row.used.iter().map(|u| utilisation(u, line(u.trend, row.steady))).collect(),
        losses: row.losses.iter().map(|l| loss(site, l)).collect(),
        advice: words::headroom(row, &called, lang),
        name: full_name,
    }
}

fn feed_name(site: &str, feed: &str) -> String {
    format!("sites/{site}/feeds/{}", name::encoded(feed))
}

fn power(of_: &Power, trend: of::Trend) -> of::Power {
    let place = of_.limit.is_ok_and(|(_, basis)| basis.is_of_place());
    of::Power {
        mean: of_.load.mean,
        p95: of_.load.p95,
        max: of_.load.max,
        hours: of_.load.hours as u64,
        hours_left_out: of_.load.left_out as u64,
        filled: of_.load.filled,
        limit: Some(limit(of_.limit)),
        left: of_.room.map(|room| room.left),
        at_most: of_.room.is_some_and(|room| room.at_most),
        each: of_.room.and_then(|room| room.each).filter(|_| place),
        more: of_.room.and_then(|room| room.more).filter(|_| place),
        trend: Some(trend),
        full: of_.full.map(full),
    }
}

fn thermal(heat: &Thermal, trend: of::Trend) -> of::Thermal {
    of::Thermal {
        servers: heat.servers,
        assumed: heat.assumed,
        nearest: heat.nearest.name.clone(),
        p95: heat.nearest.p95,
        max: heat.nearest.max,
        limit: heat.nearest.limit,
        limit_basis: if heat.nearest.assumed { "ashrae_a2" } else { "sensor" }.to_owned(),
        left: heat.nearest.left(),
        median: heat.median,
        rise: heat.rise.map(|(middle, _)| middle),
        rise_most: heat.rise.map(|(_, most)| most),
        fan_duty: heat.duty,
        fan_left: heat.duty.map(|duty| (100.0 - duty).max(0.0)),
        trend: Some(trend),
        full: heat.full.map(full),
    }
}

fn utilisation(used: &Utilisation, trend: of::Trend) -> of::Utilisation {
    of::Utilisation {
        of: used.meter.as_str().to_owned(),
        servers: used.servers as u64,
        mean: used.mean,
        p95: used.p95,
        most: used.most,
        trend: Some(trend),
        full: used.full.map(full),
    }
}

fn trend(line: Trend, servers: u64, telling: u64) -> of::Trend {
    let (days, line) = line.map_or_else(|days| (days, None), |line| (line.days, Some(line)));
    of::Trend {
        servers,
        servers_left_out: telling.saturating_sub(servers),
        days: days as u64,
        a_day: line.map(|l| wire::Estimate { mean: l.a_day, low: l.low, high: l.high }),
        now: line.map(|l| l.now).unwrap_or_default(),
        days_needed: LEAST_DAYS as u64,
    }
}

fn limit(of_: Limit) -> of::Limit {
    match of_ {
        Ok((watts, basis)) => {
            of::Limit { watts: Some(watts), basis: basis.as_str().to_owned(), unknown: String::new() }
        }
        Err(why) => of::Limit { watts: None, basis: String::new(), unknown: why.as_str().to_owned() },
    }
}

fn full(when: Full) -> of::Full {
    let state = |state: &str| of::Full { state: state.to_owned(), ..of::Full::default() };
    let day = |date: Option<i32>| date.map(date_text).unwrap_or_default();
    match when {
        Full::Already => state("already"),
        Full::NotWithinYear => state("not_within_a_year"),
        Full::From { first, likely, last } => {
            of::Full { first: date_text(first), likely: day(likely), last: day(last), ..state("within_a_year") }
        }
    }
}

fn loss(site: &str, lost: &Loss) -> of::FeedLoss {
    let left = lost.limit.ok().map(|(watts, _)| watts - lost.load.p95);
    of::FeedLoss {
        feed: feed_name(site, &lost.feed),
        servers: lost.servers,
        p95: lost.load.p95,
        limit: Some(limit(lost.limit)),
        fits: left.map(|left| left >= 0.0),
        left,
    }
}
