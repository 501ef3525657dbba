//! What the fleet as a whole teaches.

use crate::auth;
use crate::fleet::census::{Census, Model};
use crate::fleet::headroom::{self as rooms, Level as At};
use crate::fleet::load::{self, Forecast};
use crate::fleet::rates::{self, Figures};
use crate::fleet::rollup::{self, Level, Rollup};
use crate::fleet::spares::{self, Aim, Prediction, Proposal, Source};
use crate::fleet::{Scope, stock};
use crate::judgement::Terms;
use crate::query::callpack::language;
use crate::query::page::Pager;
use crate::query::problem::{self, invalid, not_found};
use crate::query::{Desk, headroom, health, name};
use crate::report::{self, gather};
use crate::sight::Sight;
use crate::token::Principal;
use crate::words;
use jiff::tz::TimeZone;
use outband_health::Status as HealthStatus;
use outband_health::fleet::rate::{Exposure, Rate};
use outband_health::fleet::spares::Expected;
use outband_health::fleet::survival;
use outband_health::model::Said;
use outband_proto::fleet as wire;
use outband_proto::fleet::fleet_service_server::FleetService;
use outband_schemas::{Clock, ComponentClass, SiteId, Timestamp};
use outband_store::drives::Drives;
use outband_store::outcome::Outcomes;
use outband_store::parts::Parts;
use outband_store::usage::Usage;
use outband_store::{Listing, Page, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tonic::{Code, Request, Response, Status};

/// A curve is told in so many steps.
const STEPS: usize = 400;
/// The rule whose predictions the disk model gives a probability.
const DISK_MODEL: &str = "disk.predicted";
/// Months and weeks are told at most so many.
const MOST_MONTHS: i32 = 120;
const MOST_WEEKS: i32 = 52;
/// Headroom is told over so many days, and over at most so many.
const SPAN_DAYS: i32 = 30;
const MOST_DAYS: i32 = 366;

#[tonic::async_trait]
impl<S: Store + Parts + Outcomes + Drives + Usage, C: Clock + Send + Sync + 'static> FleetService for Desk<S, C> {
    async fn list_failure_rates(
        &self,
        request: Request<wire::ListFailureRatesRequest>,
    ) -> Result<Response<wire::ListFailureRatesResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListFailureRates", &(&r.selection, &r.class, r.from_ms));
        let page = pager.page(r.page_size, &r.page_token)?;
        let (class, since) = (read_class(&r.class)?, Timestamp::from_millis(r.from_ms));
        let (rates, unplaced) = self
            .counted(&who, r.selection, move |_, census, _| {
                let mut all = rates::figures(census, since);
                all.retain(|of| is_of(census, of.model, class));
                Ok((all.iter().map(|of| rate(census, of)).collect::<Vec<_>>(), census.unplaced))
            })
            .await?;
        let listing = cut(rates, &page)?;
        Ok(Response::new(wire::ListFailureRatesResponse {
            next_page_token: pager.next(&listing),
            rates: listing.rows,
            unplaced,
            as_of_ms: self.now().as_millis(),
        }))
    }

    async fn list_monthly_failures(
        &self,
        request: Request<wire::ListMonthlyFailuresRequest>,
    ) -> Result<Response<wire::ListMonthlyFailuresResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListMonthlyFailures", &(&r.selection, &r.class, r.months, r.by_class, &r.zone));
        let page = pager.page(r.page_size, &r.page_token)?;
        let class = read_class(&r.class)?;
        let count = read_count("months", r.months, 12, MOST_MONTHS)?;
        let zone = self.zone(r.selection.as_ref(), &r.zone)?;
        let months = self
            .counted(&who, r.selection, move |_, census, _| {
                let mut all = rates::months(census, &zone, count, !r.by_class);
                all.retain(|month| class.is_none_or(|class| month.of.class == class));
                Ok(all)
            })
            .await?;
        let months = months.into_iter().map(|month| wire::MonthlyFailures {
            month: month.month.strftime("%Y-%m").to_string(),
            model: Some(wire::Model {
                class: month.of.class.to_string(),
                name: month.of.name,
                ..wire::Model::default()
            }),
            failures: month.exposure.failures,
            years: month.exposure.years,
            rate: month.exposure.rate().map(estimate),
        });
        let listing = cut(months.collect(), &page)?;
        let next_page_token = pager.next(&listing);
        Ok(Response::new(wire::ListMonthlyFailuresResponse { months: listing.rows, next_page_token }))
    }

    async fn get_survival(
        &self,
        request: Request<wire::GetSurvivalRequest>,
    ) -> Result<Response<wire::GetSurvivalResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let class = read_class(&r.class)?
            .ok_or_else(|| invalid("class", "say which sort of part, e.g. disk, fan, psu, memory"))?;
        if class == ComponentClass::Server {
            return Err(invalid("class", "servers fail again and again; ListFailureRates has their rates"));
        }
        let asked = r.model.clone();
        let survival = self
            .counted(&who, r.selection, move |_, census, _| {
                let of = |m: &Model| m.class == class && (asked.is_empty() || m.name == asked);
                let mut models = rates::figures(census, Timestamp::EPOCH);
                models.retain(|m| census.models.get(m.model).is_some_and(of));
                Ok((!models.is_empty()).then(|| curve(census, &models, &rates::lives(census, of))))
            })
            .await?;
        let hint = "the failure rates list every model there is";
        survival.map(Response::new).ok_or_else(|| not_found("Model", &format!("{class} {}", r.model), hint))
    }

    async fn list_spare_proposals(
        &self,
        request: Request<wire::ListSpareProposalsRequest>,
    ) -> Result<Response<wire::ListSpareProposalsResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let asked = (&r.selection, &r.class, r.service_level.to_bits(), r.resupply_days);
        let pager = Pager::new("ListSpareProposals", &asked);
        let page = pager.page(r.page_size, &r.page_token)?;
        let class = read_class(&r.class)?;
        let config = self.spares.now();
        let aim = Aim {
            service_level: if r.service_level == 0.0 { config.service_level } else { r.service_level },
            resupply_days: if r.resupply_days == 0 { config.resupply_days } else { r.resupply_days },
        };
        if !(0.5..=0.9999).contains(&aim.service_level) {
            return Err(invalid("service_level", "it lies between 0.5 and 0.9999"));
        }
        if aim.resupply_days > 1095 {
            return Err(invalid("resupply_days", "at most three years"));
        }
        let shelves = match config.stock.clone() {
            None => None,
            Some(path) => {
                let read = tokio::task::spawn_blocking(move || stock::load(&path)).await;
                Some(read.map_err(|_| problem::shutting_down())?.map_err(|e| {
                    tracing::warn!(error = %e, "spare parts cannot be proposed");
                    Status::new(Code::FailedPrecondition, e.to_string())
                })?)
            }
        };
        let sight = self.sight(&who);
        // What is on a shelf is the site's: who sees only some of its servers is not told.
        let whole = |site: &str| SiteId::new(site).is_ok_and(|site| sight.site(&site));
        let shelves: Option<Vec<stock::Shelf>> =
            shelves.map(|all| all.into_iter().filter(|s| whole(&s.site)).collect());
        let only = r.selection.as_ref().is_some_and(|s| !s.customer.is_empty());
        let (proposals, unmatched_stock) = self
            .counted(&who, r.selection, move |store, census, sight| {
                let told = probabilities(store, census)?;
                // Nor is a customer's share of a site told what is on the shelf for all.
                let on = |site: &str| {
                    let may = !only && SiteId::new(site).is_ok_and(|site| sight.site(&site));
                    shelves.clone().filter(|_| may)
                };
                let mut all = spares::proposals(census, aim, |of| told.get(&of.ticket).copied(), on);
                let unmatched = shelves.iter().flatten().filter(|s| census.machines.iter().any(|m| m.site == s.site));
                let unmatched: Vec<stock::Shelf> = unmatched.filter(|_| !only).cloned().collect();
                let unmatched = spares::unmatched(census, &unmatched, &all);
                let unmatched: Vec<String> = unmatched.iter().map(|s| format!("{}: {}", s.site, s.part)).collect();
                all.retain(|of| is_of(census, of.model, class));
                Ok((all.iter().map(|of| proposal(census, of)).collect::<Vec<_>>(), unmatched))
            })
            .await?;
        let listing = cut(proposals, &page)?;
        Ok(Response::new(wire::ListSpareProposalsResponse {
            next_page_token: pager.next(&listing),
            proposals: listing.rows,
            unmatched_stock,
            service_level: aim.service_level,
            resupply_days: aim.resupply_days,
        }))
    }

    async fn list_rollups(
        &self,
        request: Request<wire::ListRollupsRequest>,
    ) -> Result<Response<wire::ListRollupsResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListRollups", &(&r.selection, &r.level));
        let page = pager.page(r.page_size, &r.page_token)?;
        let levels: Vec<Level> =
            Level::ALL.into_iter().filter(|l| r.level.is_empty() || l.as_str() == r.level).collect();
        if levels.is_empty() {
            return Err(invalid("level", format!("{:?} is none of rack, site and customer", r.level)));
        }
        let (scope, sight, terms, now) = (read_scope(r.selection)?, self.sight(&who), self.terms(), self.now());
        let found = self.ask(move |store| rollup::rollups(store, &terms, &sight, &scope, &levels, now)).await?;
        let listing = cut(found.all, &page)?;
        Ok(Response::new(wire::ListRollupsResponse {
            next_page_token: pager.next(&listing),
            rollups: listing.rows.iter().map(rolled).collect(),
            without_rack: found.without_rack,
            without_customer: found.without_customer,
        }))
    }

    async fn list_load_forecasts(
        &self,
        request: Request<wire::ListLoadForecastsRequest>,
    ) -> Result<Response<wire::ListLoadForecastsResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListLoadForecasts", &(&r.selection, &r.by, r.weeks, &r.zone));
        let page = pager.page(r.page_size, &r.page_token)?;
        if !["", "all", "site", "customer"].contains(&r.by.as_str()) {
            return Err(invalid("by", format!("{:?} is none of all, site and customer", r.by)));
        }
        let weeks = usize::try_from(read_count("weeks", r.weeks, 4, MOST_WEEKS)?).unwrap_or_default();
        let zone = self.zone(r.selection.as_ref(), &r.zone)?;
        let days = u64::from(self.retention.now().ticket_days);
        let kept = self.now().minus(Duration::from_secs(days * 86_400));
        let forecasts = self
            .counted(&who, r.selection, move |_, census, _| {
                Ok(load::forecasts(census, &zone, weeks, kept, |of| match of {
                    load::Of::All => ["", "all"].contains(&r.by.as_str()),
                    load::Of::Site(_) => ["", "site"].contains(&r.by.as_str()),
                    load::Of::Customer(_) => ["", "customer"].contains(&r.by.as_str()),
                }))
            })
            .await?;
        let listing = cut(forecasts.into_iter().map(foreseen).collect(), &page)?;
        let next_page_token = pager.next(&listing);
        Ok(Response::new(wire::ListLoadForecastsResponse { forecasts: listing.rows, next_page_token }))
    }

    async fn list_headroom(
        &self,
        request: Request<wire::ListHeadroomRequest>,
    ) -> Result<Response<wire::ListHeadroomResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListHeadroom", &(&r.selection, &r.rack, &r.level, r.span_days, &r.language));
        let page = pager.page(r.page_size, &r.page_token)?;
        let lang = language(&r.language)?;
        let levels: BTreeSet<At> = match r.level.as_str() {
            "" => BTreeSet::from([At::Site, At::Rack, At::Feed]),
            level => At::ALL.into_iter().filter(|l| l.as_str() == level).collect(),
        };
        if levels.is_empty() {
            return Err(invalid("level", format!("{:?} is none of site, rack, feed and server", r.level)));
        }
        let days = read_count("span_days", r.span_days, SPAN_DAYS, MOST_DAYS)?;
        let rack = Some(r.rack).filter(|rack| !rack.is_empty());
        let scope = read_scope(r.selection)?;
        let alone = levels == BTreeSet::from([At::Server]);
        let servers = if alone { Some((page.limit, place(&page)?)) } else { None };
        let asked = rooms::Asked { scope, rack, levels, days: u16::try_from(days).unwrap_or_default(), servers };
        let (sight, terms, now) = (self.sight(&who), self.terms(), self.now());
        let found = self.ask(move |store| rooms::headroom(store, &terms, &sight, &asked, now)).await?;
        let listing = match servers {
            Some((limit, after)) => {
                let next = found.more.then(|| after.saturating_add(limit).to_string());
                Listing { rows: found.rows, next }
            }
            None => cut(found.rows, &page)?,
        };
        Ok(Response::new(wire::ListHeadroomResponse {
            next_page_token: pager.next(&listing),
            rows: listing.rows.iter().map(|row| headroom::told(row, lang)).collect(),
            from_date: words::date_text(found.span.first()),
            to_date: words::date_text(found.span.last()),
            without_rack: found.without_rack,
        }))
    }
}

impl<S: Store + Parts + Outcomes, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// Counts what a caller may see of a selection, and makes something of it, on a thread that may block.
    async fn counted<T: Send + 'static>(
        &self,
        who: &Principal,
        selection: Option<wire::Selection>,
        make: impl FnOnce(&S, &Census, &Sight) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Status> {
        let (scope, sight, terms, now) = (read_scope(selection)?, self.sight(who), self.terms(), self.now());
        self.ask(move |store| make(store, &Census::take(store, &terms, &sight, &scope, now)?, &sight)).await
    }

    /// The zone that was asked for, else that of the selection.
    fn zone(&self, selection: Option<&wire::Selection>, asked: &str) -> Result<TimeZone, Status> {
        let terms: &Terms = &self.terms();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let of = selection.cloned().unwrap_or_default();
        let scope = report::sla::Scope {
            customer: given(&of.customer),
            site: given(of.site.strip_prefix("sites/").unwrap_or_default()),
        };
        let zone = gather::zone(terms, &scope, given(asked).as_deref());
        TimeZone::get(&zone).map_err(|_| invalid("zone", format!("{zone:?} is no time zone such as Asia/Shanghai")))
    }
}

/// The probabilities that the disk model gives to its open predictions, by ticket.
fn probabilities<S: Drives>(store: &S, census: &Census) -> Result<BTreeMap<u64, f64>, StoreError> {
    let mut told = BTreeMap::new();
    for of in census.foretold.iter().filter(|of| of.rule == DISK_MODEL) {
        let Some(machine) = census.machines.get(of.machine) else { continue };
        let drives = store.drives_of(&machine.id)?;
        let found = drives.iter().find(|drive| {
            let here = drive.place.as_ref().is_some_and(|(_, component)| *component == of.component);
            here && (of.serial.is_none() || drive.serial == of.serial)
        });
        if let Some(Said::Foretold(foretold)) = found.map(|drive| &drive.said) {
            told.insert(of.ticket, foretold.probability);
        }
    }
    Ok(told)
}

fn read_scope(selection: Option<wire::Selection>) -> Result<Scope, Status> {
    let wire::Selection { site, customer } = selection.unwrap_or_default();
    let site = if site.is_empty() { None } else { Some(name::read_site("selection.site", &site)?.to_string()) };
    Ok(Scope { site, customer: Some(customer).filter(|c| !c.is_empty()) })
}

fn read_class(text: &str) -> Result<Option<ComponentClass>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let known: Vec<&str> = ComponentClass::ALL.iter().map(|c| c.as_str()).collect();
    text.parse().map(Some).map_err(|_| invalid("class", format!("{text:?} is none of {}", known.join(", "))))
}

fn read_count(field: &str, asked: i32, usual: i32, most: i32) -> Result<i32, Status> {
    match asked {
        0 => Ok(usual),
        n if (1..=most).contains(&n) => Ok(n),
        n => Err(invalid(field, format!("{n} is not between 1 and {most}"))),
    }
}

/// The place of a page's first row.
fn place(page: &Page) -> Result<usize, Status> {
    match &page.token {
        None => Ok(0),
        Some(token) => token.parse().map_err(|_| problem::of_store(&StoreError::BadToken)),
    }
}

/// A page of rows that are all there. The token is the place of the next one.
fn cut<T>(rows: Vec<T>, page: &Page) -> Result<Listing<T>, Status> {
    let first = place(page)?;
    let next = first.saturating_add(page.limit);
    let next = (next < rows.len()).then(|| next.to_string());
    Ok(Listing { rows: rows.into_iter().skip(first).take(page.limit).collect(), next })
}

fn is_of(census: &Census, model: usize, class: Option<ComponentClass>) -> bool {
    class.is_none_or(|class| census.models.get(model).is_some_and(|m| m.class == class))
}

fn model(census: &Census, index: usize) -> wire::Model {
    let (model, make) = (census.models.get(index), census.makes.get(index).cloned().unwrap_or_default());
    wire::Model {
        class: model.map(|m| m.class.to_string()).unwrap_or_default(),
        name: model.map(|m| m.name.clone()).unwrap_or_default(),
        manufacturer: make.manufacturer.unwrap_or_default(),
        part_number: make.part_number.unwrap_or_default(),
    }
}

fn estimate(rate: Rate) -> wire::Estimate {
    wire::Estimate { mean: rate.per_year, low: rate.low, high: rate.high }
}

fn expected(of: Expected) -> wire::Estimate {
    wire::Estimate { mean: of.mean, low: of.low, high: of.high }
}

fn rate(census: &Census, of: &Figures) -> wire::FailureRate {
    let Exposure { failures, years } = of.exposure;
    wire::FailureRate {
        model: Some(model(census, of.model)),
        parts: of.parts,
        in_place: of.in_place,
        years,
        failures,
        verified: of.verified,
        rate: of.exposure.rate().map(estimate),
        drawn: of.drawn.map(|belief| estimate(belief.rate())),
    }
}

fn curve(census: &Census, models: &[Figures], lives: &rates::Lives) -> wire::GetSurvivalResponse {
    use wire::get_survival_response::{Axis, Step};
    let steps = survival::kaplan_meier(&lives.lives);
    let ends = |pick: fn(&survival::Life) -> f64| lives.lives.iter().map(pick);
    wire::GetSurvivalResponse {
        models: models.iter().map(|of| rate(census, of)).collect(),
        axis: if lives.aged { Axis::Age } else { Axis::Observed }.into(),
        parts: lives.lives.len() as u64,
        failures: lives.lives.iter().filter(|l| l.failed).count() as u64,
        ageless_parts: lives.ageless.0,
        ageless_failures: lives.ageless.1,
        from_age: ends(|l| l.enter).min_by(f64::total_cmp).unwrap_or_default(),
        to_age: ends(|l| l.exit).max_by(f64::total_cmp).unwrap_or_default(),
        median_years: survival::median(&steps),
        steps: survival::thinned(&steps, STEPS)
            .iter()
            .map(|s| Step {
                age_years: s.age,
                at_risk: s.at_risk,
                failed: s.failed,
                survival: Some(wire::Estimate { mean: s.survival, low: s.low, high: s.high }),
            })
            .collect(),
    }
}

fn proposal(census: &Census, of: &Proposal) -> wire::SpareProposal {
    use wire::spare_proposal::{Basis, Foretold, Source as Wire};
    let foretold = |p: &Prediction| Foretold {
        ticket: format!("tickets/{}", p.ticket),
        rule: p.rule.clone(),
        probability: p.probability,
        source: match p.source {
            Source::Model => Wire::Model,
            Source::Precision => Wire::Precision,
            Source::Unmeasured => Wire::Unmeasured,
        }
        .into(),
    };
    wire::SpareProposal {
        site: format!("sites/{}", of.site),
        model: Some(model(census, of.model)),
        in_place: of.in_place,
        foretold: of.foretold.iter().map(foretold).collect(),
        expected: Some(expected(of.expected)),
        expected_30_days: Some(expected(of.month)),
        needed: of.needed,
        on_shelf: of.on_shelf,
        order: of.order,
        basis: if of.rated { Basis::Model } else { Basis::ForetoldOnly }.into(),
    }
}

fn rolled(of: &Rollup) -> wire::Rollup {
    let name = match &of.of {
        rollup::Of::Rack(site, rack) => format!("sites/{site}/racks/{}", name::encoded(rack)),
        rollup::Of::Site(site) => format!("sites/{site}"),
        rollup::Of::Customer(customer) => format!("customers/{}", name::encoded(customer)),
    };
    let count = |status: HealthStatus| of.counts.get(&status).copied().unwrap_or_default();
    wire::Rollup {
        health: Some(health::told(name, &of.health, true)),
        servers: of.counts.values().sum(),
        ok: count(HealthStatus::Ok),
        warning: count(HealthStatus::Warning),
        critical: count(HealthStatus::Critical),
        stale: count(HealthStatus::Stale),
        unknown: count(HealthStatus::Unknown),
    }
}

fn foreseen(of: Forecast) -> wire::LoadForecast {
    use wire::load_forecast::Week;
    let number = outband_health::fleet::gamma::number;
    wire::LoadForecast {
        name: match of.of {
            load::Of::All => String::new(),
            load::Of::Site(site) => format!("sites/{site}"),
            load::Of::Customer(customer) => format!("customers/{}", name::encoded(&customer)),
        },
        past: of.past,
        weeks: of
            .weeks
            .iter()
            .map(|(monday, week)| Week {
                monday: monday.to_string(),
                tickets: Some(wire::Estimate { mean: week.expected, low: number(week.low), high: number(week.high) }),
                season: week.season,
            })
            .collect(),
        weekdays: of.weekdays.to_vec(),
        refused: of.refused.map(|why| why.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_row_once() {
        let (mut page, mut all) = (Page::first(3), Vec::new());
        loop {
            let listing = cut((0..8).collect(), &page).unwrap();
            all.extend(listing.rows);
            match listing.next {
                Some(token) => page = Page::after(token, 3),
                None => break,
            }
        }
        assert_eq!(all, (0..8).collect::<Vec<_>>());
        assert_eq!(cut(vec![1], &Page::after("x", 3)).unwrap_err().code(), Code::InvalidArgument);
        assert!(cut(vec![1], &Page::after("18446744073709551615", 3)).unwrap().rows.is_empty());
    }
}
