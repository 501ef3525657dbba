//! `outband fleet`: what the fleet as a whole teaches. One file a question.

mod afr;
mod headroom;
mod load;
mod rollup;
mod spares;
mod survival;

use crate::context::Context;
use crate::error::Error;
use crate::name;
use crate::output;
use crate::when;
use crate::words::Lang;
use clap::{Args, Subcommand};
use outband_proto::fleet as wire;
use serde::Serialize;

pub(crate) const HELP: &str = "\
Everything is counted over the servers that your token may see; --site and --customer count fewer. Every figure stands with its counts and its 95 % interval:
where the interval is wide, little is known.

A failure is one that was seen, or a prediction that somebody confirmed; what was only foretold, or replaced without a test, is none.

Examples:
  outband fleet afr                          failures a part-year, by model of part and of server
  outband fleet afr --class disk --from 365d -o csv
  outband fleet trend --class disk           month by month
  outband fleet survival disk --model ST4000NM0023
  outband fleet spares --site dc1            what to order, so that the shelf lasts until new parts come
  outband fleet health --by customer         racks, sites, customers, and why each point was lost
  outband fleet load --weeks 8               how many tickets the next weeks will bring
  outband fleet headroom --site dc1          power, cooling and use of racks and feeds, what is left, and until when";

#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Failures a part-year (AFR), by model of part and of server
    #[command(after_help = "\
A YEAR is what was seen: failures by part-years, with the exact Poisson interval (Garwood). DRAWN is what is believed of a model with few parts: it is drawn
towards the other models of its class, the more the fewer its parts (empirical Bayes). Parts that no inventory names a model of are told by their server's model.

Examples:
  outband fleet afr --class fan
  outband fleet afr --site dc1 --from 2026-01-01 -o wide      with makers, part numbers and how many failures were verified")]
    Afr {
        #[command(flatten)]
        which: WhichArgs,
        /// Only this sort: disk, fan, psu, memory, …; server: models of servers
        #[arg(long)]
        class: Option<String>,
        /// Only what was watched since: a time, or how long ago
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
    },
    /// Failures month by month
    #[command(after_help = "Example:\n  outband fleet trend --class disk --months 24 --by-model -o csv")]
    Trend {
        #[command(flatten)]
        which: WhichArgs,
        /// Only this sort: disk, fan, psu, memory, …; server: models of servers
        #[arg(long)]
        class: Option<String>,
        /// So many months, this one included
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=120))]
        months: i32,
        /// Model by model
        #[arg(long)]
        by_model: bool,
        /// The zone in which months are meant, e.g. Asia/Shanghai
        #[arg(long)]
        zone: Option<String>,
    },
    /// How many parts are left by age
    #[command(after_help = "\
Kaplan and Meier's curve, of parts that came into sight at an age and left it alive or failed. The age is the power-on hours that a part tells, else the time
since it was put in; parts that were there before anybody watched, and tell no hours, have no age and are left out. Where no age is known at all, the curve is
by the time since they were first seen, and says so.

Examples:
  outband fleet survival disk                            every model of the class in one
  outband fleet survival disk --model ST4000NM0023 -o csv")]
    Survival {
        /// Which sort of part: disk, fan, psu, memory, …
        class: String,
        /// Only of this model, as `outband fleet afr` names it
        #[arg(long)]
        model: Option<String>,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// What each site will need, and what to order
    #[command(after_help = "\
NEEDED is the smallest shelf that lasts, as likely as --level says, until parts that are ordered now are there. It counts the rate of each part's model at its
age, how well that rate is known, and every open prediction with its probability. What is on the shelf stands in the file that [spares] stock of collector.toml
names; without it ORDER is NEEDED. Where too little was watched of a class, only predictions count, and the row says so.

Examples:
  outband fleet spares                                   what is to be ordered
  outband fleet spares --all --site dc1                  everything that is in place there
  outband fleet spares --level 0.99 --days 14            another certainty, quicker supply")]
    Spares {
        #[command(flatten)]
        which: WhichArgs,
        /// Only this sort: disk, fan, psu, memory, …
        #[arg(long)]
        class: Option<String>,
        /// So likely the shelf is to last, e.g. 0.95 [default: as the collector's config says]
        #[arg(long)]
        level: Option<f64>,
        /// New parts come after so many days [default: as the collector's config says]
        #[arg(long)]
        days: Option<u32>,
        /// Also what need not be ordered
        #[arg(long)]
        all: bool,
    },
    /// Health of racks, sites and customers, with the reason for every point lost
    #[command(after_help = "\
A roll-up is made of its servers' health: half of what the worst one lost, and half of the mean loss. STALE and UNKNOWN are not OK: nothing recent is known.

Examples:
  outband fleet health                       everything, worst first
  outband fleet health --by rack --site dc1 -o wide")]
    Health {
        #[command(flatten)]
        which: WhichArgs,
        /// What is rolled up
        #[arg(long, value_parser = ["rack", "site", "customer"])]
        by: Option<String>,
    },
    /// How many tickets the next weeks will bring
    #[command(after_help = "\
The level is that of the last 13 weeks, the season that of the same weeks in past years where two are known, and the interval as wide as the weeks were uneven.
With fewer than 8 whole weeks nothing is foretold. The first week is the one that runs.

Examples:
  outband fleet load
  outband fleet load --by site --weeks 8 --zone Asia/Shanghai")]
    Load {
        #[command(flatten)]
        which: WhichArgs,
        /// What is told apart
        #[arg(long, value_parser = ["all", "site", "customer"], default_value = "all")]
        by: String,
        /// So many weeks
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=52))]
        weeks: i32,
        /// The zone in which weeks are meant, e.g. Asia/Shanghai
        #[arg(long)]
        zone: Option<String>,
    },
    /// What is left of the power, cooling and use of racks, feeds and sites, and until when
    #[command(after_help = "\
P95 is what 95 of 100 hours are not above, of what all servers drew in the same hour; MOST is the sum of what each drew at most. LIMIT is what the topology
(rack_limit_w, feed_limit_w) says the rack or feed can carry; else what the servers' supplies give with one lost in each, which says nothing of room for more
servers; else it is not known, and -o wide says why. ROOM FOR counts servers like the median one in it. FULL is the 80 % interval of the day on which the line
through the p95 of days reaches the limit, of servers that were there through the span: what came, went or moved is no trend, and two weeks are needed.
INLET is what the nearest inlet has left to its own threshold at p95 (35 Cel where it has none). USED is of processors; where no BMC tells it, power stands for
it and says so. SERVERS 38/40: two tell no power, and what is left is at most that. Servers' days are summed up once an hour.

Examples:
  outband fleet headroom --site dc1
  outband fleet headroom --rack r12 --by server -o wide      each server of a rack
  outband fleet headroom --by feed                           does the other feed carry it all when one is lost?
  outband fleet headroom --span 90d -o json                  with counts, spans and sources of every figure")]
    Headroom {
        #[command(flatten)]
        which: WhichArgs,
        /// Only of this rack, as the topology names it
        #[arg(long)]
        rack: Option<String>,
        /// What is told apart [default: sites, racks and feeds]
        #[arg(long, value_parser = ["site", "rack", "feed", "server"])]
        by: Option<String>,
        /// Over so many days, e.g. 30d; at most 366d
        #[arg(long, default_value = "30d")]
        span: String,
    },
}

/// Which servers are counted.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Only of this site
    #[arg(long)]
    site: Option<String>,
    /// Only of this customer, as the topology or the contract names it
    #[arg(long)]
    customer: Option<String>,
}

impl WhichArgs {
    fn wire(&self) -> Option<wire::Selection> {
        let site = self.site.as_deref().map(name::site).unwrap_or_default();
        Some(wire::Selection { site, customer: self.customer.clone().unwrap_or_default() })
    }
}

/// A number with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
}

impl Interval {
    fn of(estimate: Option<wire::Estimate>) -> Option<Self> {
        estimate.map(|e| Self { mean: e.mean, low: e.low, high: e.high })
    }

    /// As a share: `1.2 % (0.4–2.9)`.
    fn percent(of: Option<&Self>) -> String {
        let show = |v: f64| number(v * 100.0);
        of.map_or_else(|| "–".to_owned(), |e| format!("{} % ({}–{})", show(e.mean), show(e.low), show(e.high)))
    }

    /// As a number: `1.2 (0.4–2.9)`.
    fn plain(of: Option<&Self>) -> String {
        of.map_or_else(|| "–".to_owned(), |e| format!("{} ({}–{})", number(e.mean), number(e.low), number(e.high)))
    }

    /// For programs; empty where it is not known.
    fn raw(of: Option<&Self>, pick: fn(&Self) -> f64) -> String {
        of.map(|e| pick(e).to_string()).unwrap_or_default()
    }
}

/// Two digits that count, and no more than people read.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 9.95 => format!("{value:.0}"),
        v if v >= 0.095 || v == 0.0 => format!("{value:.1}"),
        v if v >= 0.0095 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// A model as it is shown.
#[derive(Debug, Clone, Default, Serialize)]
struct Model {
    class: String,
    name: String,
    manufacturer: String,
    part_number: String,
}

impl From<Option<wire::Model>> for Model {
    fn from(model: Option<wire::Model>) -> Self {
        let wire::Model { class, name, manufacturer, part_number } = model.unwrap_or_default();
        Self { class, name, manufacturer, part_number }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// A span in whole days; a day that has begun counts.
fn days(span: &str) -> Result<i32, Error> {
    let seconds = when::seconds(span)?;
    Ok(i32::try_from(seconds.div_euclid(86_400) + i64::from(seconds % 86_400 > 0)).unwrap_or(i32::MAX).max(1))
}

pub(crate) async fn run(context: &Context, command: FleetCommand) -> Result<(), Error> {
    let text = match command {
        FleetCommand::Afr { which, class, from } => afr::rates(context, &which, class, from).await?,
        FleetCommand::Trend { which, class, months, by_model, zone } => {
            let request = wire::ListMonthlyFailuresRequest {
                selection: which.wire(),
                class: class.unwrap_or_default(),
                months,
                by_class: !by_model,
                zone: zone.unwrap_or_default(),
                ..wire::ListMonthlyFailuresRequest::default()
            };
            afr::months(context, request).await?
        }
        FleetCommand::Survival { class, model, which } => {
            let model = model.unwrap_or_default();
            survival::curve(context, wire::GetSurvivalRequest { selection: which.wire(), class, model }).await?
        }
        FleetCommand::Spares { which, class, level, days, all } => {
            let request = wire::ListSpareProposalsRequest {
                selection: which.wire(),
                class: class.unwrap_or_default(),
                service_level: level.unwrap_or_default(),
                resupply_days: days.unwrap_or_default(),
                ..wire::ListSpareProposalsRequest::default()
            };
            spares::proposals(context, request, all).await?
        }
        FleetCommand::Health { which, by } => {
            let (selection, level) = (which.wire(), by.unwrap_or_default());
            rollup::rollups(context, wire::ListRollupsRequest { selection, level, ..Default::default() }).await?
        }
        FleetCommand::Load { which, by, weeks, zone } => {
            let (selection, zone) = (which.wire(), zone.unwrap_or_default());
            let request = wire::ListLoadForecastsRequest { selection, by, weeks, zone, ..Default::default() };
            load::forecasts(context, request).await?
        }
        FleetCommand::Headroom { which, rack, by, span } => {
            let request = wire::ListHeadroomRequest {
                selection: which.wire(),
                rack: rack.unwrap_or_default(),
                level: by.unwrap_or_default(),
                span_days: days(&span)?,
                language: if context.lang == Lang::ZhCn { "zh-CN" } else { "" }.to_owned(),
                ..wire::ListHeadroomRequest::default()
            };
            headroom::headroom(context, request).await?
        }
    };
    output::print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        for (value, text) in
            [(0.0, "0.0"), (1.234, "1.2"), (0.0312, "0.03"), (57.3, "57"), (9.97, "10"), (0.0004, "4.0e-4")]
        {
            assert_eq!(number(value), text);
        }
        let of = Interval { mean: 0.0123, low: 0.004, high: 0.029 };
        assert_eq!(Interval::percent(Some(&of)), "1.2 % (0.4–2.9)");
        assert_eq!(Interval::plain(None), "–");
    }
}
