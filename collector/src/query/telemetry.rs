//! Readings and log entries, latest and past.

use crate::auth;
use crate::query::page::Pager;
use crate::query::problem::{invalid, not_found};
use crate::query::{Desk, name};
use crate::sight::Sight;
use outband_proto::telemetry::telemetry_service_server::TelemetryService;
use outband_proto::telemetry::{
    self as wire, ListEventsRequest, ListEventsResponse, ListGapsRequest, ListGapsResponse, ListLatestReadingsRequest,
    ListLatestReadingsResponse, ListReadingsRequest, ListReadingsResponse, ServerEvent, ServerGap,
};
use outband_schemas::{Clock, Reading, ServerId, Severity, Timestamp, Value};
use outband_store::history::{History, Summary, choose};
use outband_store::rollup::Resolution;
use outband_store::volume::Class;
use outband_store::{EventFilter, GapFilter, HistoryFilter, HistoryPoint, Listing, Store, StoreError};
use tonic::{Request, Response, Status};

/// So many points a sensor are shown unless somebody asks for another number: a day of readings.
const POINTS: u32 = 1500;

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// The server of a parent; `None` for `servers/-`. A server that turned out to be another is that other one.
    /// What the caller may not see is as if it were not there.
    pub(super) async fn parent(&self, parent: &str, sight: &Sight) -> Result<Option<ServerId>, Status> {
        let Some(id) = name::read_parent(parent)? else { return Ok(None) };
        let (asked, sight) = (id.clone(), sight.clone());
        let record =
            self.ask(move |store| if sight.server(store, &asked)? { store.server(&asked) } else { Ok(None) }).await?;
        let record = record.ok_or_else(|| not_found("Server", parent, "list the servers to see those there are"))?;
        Ok(Some(record.merged_into.unwrap_or(id)))
    }
}

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// How fine what was asked for is shown.
    fn class(&self, r: &ListReadingsRequest, from: Timestamp, to: Timestamp) -> Result<Class, Status> {
        match r.resolution.as_str() {
            "" => Ok(Class::Raw),
            "auto" => {
                let points = match u32::try_from(r.points) {
                    Ok(0) => POINTS,
                    Ok(n) => n,
                    Err(_) => return Err(invalid("points", format!("{} is negative", r.points))),
                };
                // A word that is no kind is refused where the sensors are read.
                let retention = self.retention.of_kind(r.kind.parse().ok());
                Ok(choose(from, to, points, &retention.limits(self.now())))
            }
            word => Class::ALL
                .into_iter()
                .find(|class| class.as_str() == word)
                .ok_or_else(|| invalid("resolution", format!("{word:?} is none of auto, raw, 5m, 1h"))),
        }
    }
}

#[tonic::async_trait]
impl<S: Store + History, C: Clock + Send + Sync + 'static> TelemetryService for Desk<S, C> {
    async fn list_latest_readings(
        &self,
        request: Request<ListLatestReadingsRequest>,
    ) -> Result<Response<ListLatestReadingsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListLatestReadings", &(&r.parent, &r.component, &r.kind));
        let page = pager.page(r.page_size, &r.page_token)?;
        let filter = name::read_series(self.parent(&r.parent, &sight).await?, &r.component, &r.kind)?;
        let listing =
            self.ask(move |store| only(&sight, store, store.latest(&filter, &page)?, |row| Some(&row.server))).await?;
        Ok(Response::new(ListLatestReadingsResponse {
            next_page_token: pager.next(&listing),
            readings: listing.rows.into_iter().map(|row| row.reading.into()).collect(),
        }))
    }

    async fn list_readings(
        &self,
        request: Request<ListReadingsRequest>,
    ) -> Result<Response<ListReadingsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let asked = (&r.parent, &r.component, &r.kind, r.from_ms, r.to_ms, &r.resolution, r.points);
        let pager = Pager::new("ListReadings", &asked);
        let page = pager.page(r.page_size, &r.page_token)?;
        let series = name::read_series(self.parent(&r.parent, &sight).await?, &r.component, &r.kind)?;
        let to = if r.to_ms == 0 { self.now() } else { Timestamp::from_millis(r.to_ms) };
        let from = Timestamp::from_millis(r.from_ms);
        if from > to {
            return Err(invalid("from_ms", format!("{from} is after to_ms, {to}")));
        }
        let class = self.class(&r, from, to)?;
        let filter = HistoryFilter { series, from, to };
        let mut answer = ListReadingsResponse { resolution: class.as_str().to_owned(), ..Default::default() };
        match class {
            Class::Raw => {
                let ask = move |store: &S| only(&sight, store, store.history(&filter, &page)?, |row| Some(&row.server));
                let listing = self.ask(ask).await?;
                answer.next_page_token = pager.next(&listing);
                answer.readings = listing.rows.into_iter().map(|point| reading(point).into()).collect();
            }
            Class::Rolled(resolution) => {
                let ask = move |store: &S| {
                    let listing = store.summaries(&filter, resolution, &page)?;
                    only(&sight, store, listing, |row| Some(&row.server))
                };
                let listing = self.ask(ask).await?;
                answer.next_page_token = pager.next(&listing);
                answer.summaries = listing.rows.into_iter().map(|row| summary(row, resolution)).collect();
            }
        }
        Ok(Response::new(answer))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListEvents", &(&r.parent, r.min_severity));
        let page = pager.page(r.page_size, &r.page_token)?;
        let min_severity = match r.min_severity {
            0 => None,
            n => Some(u8::try_from(n).ok().and_then(Severity::from_number).ok_or_else(|| {
                let known: Vec<_> = Severity::ALL.iter().map(|s| format!("{} {}", s.number(), s.as_str())).collect();
                invalid("min_severity", format!("{n} is none of {}", known.join(", ")))
            })?),
        };
        let filter = EventFilter { server: self.parent(&r.parent, &sight).await?, min_severity };
        let listing =
            self.ask(move |store| only(&sight, store, store.events(&filter, &page)?, |row| Some(&row.server))).await?;
        let next_page_token = pager.next(&listing);
        let events = listing.rows.into_iter().map(|row| ServerEvent {
            name: format!("{}/events/{}", name::server(&row.server), row.id),
            event: Some(row.event.into()),
            received_at_ms: row.received_at.as_millis(),
        });
        Ok(Response::new(ListEventsResponse { events: events.collect(), next_page_token }))
    }

    async fn list_gaps(&self, request: Request<ListGapsRequest>) -> Result<Response<ListGapsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListGaps", &r.parent);
        let page = pager.page(r.page_size, &r.page_token)?;
        let filter = GapFilter { server: self.parent(&r.parent, &sight).await?, agent: None };
        let listing =
            self.ask(move |store| only(&sight, store, store.gaps(&filter, &page)?, |row| row.server.as_ref())).await?;
        let next_page_token = pager.next(&listing);
        let gaps = listing.rows.into_iter().map(|row| ServerGap {
            // A gap in an agent's stream is no server's: it may be any of them.
            server: row.server.as_ref().map(name::server).unwrap_or_default(),
            agent: row.agent.as_ref().map(name::agent).unwrap_or_default(),
            gap: Some(row.gap.into()),
        });
        Ok(Response::new(ListGapsResponse { gaps: gaps.collect(), next_page_token }))
    }
}

/// The rows of servers that may be seen. What is no server's in particular is seen by those who see all.
fn only<S: Store, T>(
    sight: &Sight,
    store: &S,
    listing: Listing<T>,
    server: impl Fn(&T) -> Option<&ServerId>,
) -> Result<Listing<T>, StoreError> {
    let rows = sight.seen(listing.rows, |sight, row| match server(row) {
        Some(id) => sight.server(store, id),
        None => Ok(false),
    })?;
    Ok(Listing { rows, next: listing.next })
}

fn reading(point: HistoryPoint) -> Reading {
    Reading {
        component: point.component,
        kind: point.kind,
        sensor: point.sensor,
        value: point.value,
        quality: point.quality,
        observed_at: point.observed_at,
        source: point.source,
        thresholds: None,
    }
}

fn summary(row: Summary, resolution: Resolution) -> wire::ReadingSummary {
    let bucket = row.bucket;
    let numbers = bucket.numbers;
    let seen = bucket.words.iter().flat_map(|words| {
        words.seen.iter().map(|(value, readings)| wire::SeenValue {
            value: match value {
                Value::State { state, text } => {
                    let state = wire::StateValue { state: state.number().into(), text: text.clone() };
                    Some(wire::seen_value::Value::State(state))
                }
                Value::Text(text) => Some(wire::seen_value::Value::Text(text.clone())),
                Value::Number(_) => None,
            },
            readings: *readings,
            last: *value == words.last,
        })
    });
    wire::ReadingSummary {
        component: Some(row.component.into()),
        kind: row.kind.number().into(),
        sensor: row.sensor,
        source: row.source.0,
        from_ms: bucket.start.as_millis(),
        to_ms: bucket.start.plus(resolution.step()).as_millis(),
        good: bucket.good,
        suspect: bucket.suspect,
        unavailable: bucket.unavailable,
        cause: bucket.cause.map_or(0, |cause| cause.number().into()),
        doubted: bucket.doubted,
        min: numbers.map(|n| n.min),
        mean: numbers.map(|n| n.mean()),
        max: numbers.map(|n| n.max),
        last: numbers.map(|n| n.last),
        seen: seen.collect(),
    }
}
