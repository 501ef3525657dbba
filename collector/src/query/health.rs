//! What is well, what is not, and why.

use crate::auth;
use crate::query::page::Pager;
use crate::query::problem::{invalid, not_found, shutting_down};
use crate::query::{Desk, name};
use crate::token::Principal;
use outband_health::model::Said;
use outband_health::{Health, Status as HealthStatus};
use outband_proto::health as wire;
use outband_proto::health::health_service_server::HealthService;
use outband_proto::health::{
    GetHealthRequest, GetHealthResponse, GetServerRequest, GetServerResponse, ListHealthRequest, ListHealthResponse,
    ListServersRequest, ListServersResponse, WatchHealthRequest, WatchHealthResponse,
};
use outband_schemas::{Clock, Timestamp};
use outband_store::drives::{DriveRecord, Drives};
use outband_store::{HealthRecord, Page, PartRecord, Scope, ServerRecord, Store, StoreError};
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Rows a turn when everything is read.
const BATCH: usize = 1000;

#[tonic::async_trait]
impl<S: Store + Drives, C: Clock + Send + Sync + 'static> HealthService for Desk<S, C> {
    async fn list_servers(
        &self,
        request: Request<ListServersRequest>,
    ) -> Result<Response<ListServersResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListServers", &r.site);
        let page = pager.page(r.page_size, &r.page_token)?;
        let site = if r.site.is_empty() { None } else { Some(name::read_site("site", &r.site)?) };
        let (servers, next_page_token) = self
            .ask(move |store| {
                let listing = store.servers(site.as_ref(), &page)?;
                let next = pager.next(&listing);
                let seen = sight.seen(listing.rows, |sight, row| sight.server(store, &row.id))?;
                let servers = seen.iter().map(|row| Ok(server(row, health_of(store, row)?, &[])));
                Ok((servers.collect::<Result<Vec<_>, StoreError>>()?, next))
            })
            .await?;
        Ok(Response::new(ListServersResponse { servers, next_page_token }))
    }

    async fn get_server(&self, request: Request<GetServerRequest>) -> Result<Response<GetServerResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let asked = request.into_inner().name;
        let id = name::read_server("name", &asked)?;
        let found = self
            .ask(move |store| {
                let mut record = store.server(&id)?;
                // A server that turned out to be another is that other one.
                if let Some(other) = record.as_ref().and_then(|r| r.merged_into.clone()) {
                    record = store.server(&other)?;
                }
                let Some(record) = record else { return Ok(None) };
                if !sight.server(store, &record.id)? {
                    return Ok(None);
                }
                let parts = store.parts(&record.id)?;
                let mut server = server(&record, health_of(store, &record)?, &parts);
                let drives = store.drives_of(&record.id)?;
                for part in &mut server.parts {
                    part.disk_model = drives.iter().find(|d| is_in(d, &part.component)).map(judgement);
                }
                Ok(Some(server))
            })
            .await?;
        let server = found.ok_or_else(|| not_found("Server", &asked, "list the servers to see those there are"))?;
        Ok(Response::new(GetServerResponse { server: Some(server) }))
    }

    async fn get_health(&self, request: Request<GetHealthRequest>) -> Result<Response<GetHealthResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let asked = request.into_inner().name;
        let scope = name::read_scope("name", &asked)?;
        let (own, children) = self
            .ask(move |store| {
                if !sight.scope(store, &scope)? {
                    return Ok((None, Vec::new()));
                }
                let own = store.health(&scope)?;
                let children = match scope {
                    Scope::Site(_) | Scope::Server(_) => all_healths(store, Some(&scope))?,
                    Scope::Component(..) => Vec::new(),
                };
                Ok((own, children))
            })
            .await?;
        let own = own.ok_or_else(|| no_such(&asked))?;
        Ok(Response::new(GetHealthResponse {
            health: Some(health(&own)),
            children: children.iter().map(health).collect(),
        }))
    }

    async fn list_health(&self, request: Request<ListHealthRequest>) -> Result<Response<ListHealthResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListHealth", &r.parent);
        let page = pager.page(r.page_size, &r.page_token)?;
        let parent = match r.parent.as_str() {
            "" => None,
            parent => Some(name::read_scope("parent", parent)?),
        };
        if let Some(Scope::Component(..)) = parent {
            return Err(invalid("parent", "a component has nothing below it; use GetHealth"));
        }
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.healths(parent.as_ref(), &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, row| sight.scope(store, &row.scope))?, next))
            })
            .await?;
        Ok(Response::new(ListHealthResponse { healths: seen.iter().map(health).collect(), next_page_token }))
    }

    type WatchHealthStream = ReceiverStream<Result<WatchHealthResponse, Status>>;

    async fn watch_health(
        &self,
        request: Request<WatchHealthRequest>,
    ) -> Result<Response<Self::WatchHealthStream>, Status> {
        let who = auth::principal(&request)?;
        let asked = request.into_inner().name;
        let scope = if asked.is_empty() { None } else { Some(name::read_scope("name", &asked)?) };
        if let Some(scope) = scope.clone() {
            let sight = self.sight(&who);
            let there = self.ask(move |store| Ok(sight.scope(store, &scope)? && store.health(&scope)?.is_some()));
            if !there.await? {
                return Err(no_such(&asked));
            }
        }
        let (out, answers) = mpsc::channel(64);
        let desk = self.clone();
        tokio::spawn(async move {
            let end = desk.send_healths(scope, &who, &out).await;
            if let Err(status) = end {
                // The watcher may be gone; then there is nobody to tell.
                out.send(Err(status)).await.unwrap_or_default();
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// Sends every health in the scope, then each that changes, until the watcher leaves (`Ok`) or the collector stops.
    async fn send_healths(
        &self,
        scope: Option<Scope>,
        who: &Principal,
        out: &mpsc::Sender<Result<WatchHealthResponse, Status>>,
    ) -> Result<(), Status> {
        // Before the first reading, so that no change falls between the two.
        let mut ear = self.pulse.listen();
        let mut sent: HashMap<String, wire::Health> = HashMap::new();
        loop {
            let (scope, sight) = (scope.clone(), self.sight(who));
            let now = self
                .ask(move |store| {
                    sight.seen(watched(store, scope.as_ref())?, |sight, row| sight.scope(store, &row.scope))
                })
                .await?;
            for record in &now {
                let health = health(record);
                // The time alone is no news: a quiet fleet is assessed all the time.
                let news = wire::Health { assessed_at_ms: 0, newest_reading_ms: 0, ..health.clone() };
                if sent.get(&health.name) == Some(&news) {
                    continue;
                }
                sent.insert(health.name.clone(), news);
                if out.send(Ok(WatchHealthResponse { health: Some(health) })).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(shutting_down()),
                () = out.closed() => return Ok(()),
                more = ear.next() => if !more { return Err(shutting_down()) },
            }
        }
    }
}

fn no_such(name: &str) -> Status {
    not_found("Health", name, "`ListHealth` shows what there is")
}

fn watched<S: Store>(store: &S, scope: Option<&Scope>) -> Result<Vec<HealthRecord>, StoreError> {
    let own = scope.map(|s| store.health(s)).transpose()?.flatten();
    let below = match scope {
        Some(Scope::Component(..)) => Vec::new(),
        other => all_healths(store, other)?,
    };
    Ok(own.into_iter().chain(below).collect())
}

fn all_healths<S: Store>(store: &S, parent: Option<&Scope>) -> Result<Vec<HealthRecord>, StoreError> {
    let mut all = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.healths(parent, &page)?;
        all.extend(listing.rows);
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(all),
        }
    }
}

fn health_of<S: Store>(store: &S, server: &ServerRecord) -> Result<Option<HealthRecord>, StoreError> {
    store.health(&Scope::Server(server.id.clone()))
}

fn server(record: &ServerRecord, own: Option<HealthRecord>, parts: &[PartRecord]) -> wire::Server {
    let id = &record.identity;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    wire::Server {
        name: name::server(&record.id),
        site: name::site(&record.site),
        serial: text(&id.serial),
        uuid: text(&id.uuid),
        manufacturer: text(&id.manufacturer),
        model: text(&id.model),
        hostname: text(&id.hostname),
        targets: record.targets.iter().map(|t| format!("{}/{}", t.agent, t.target)).collect(),
        last_seen_ms: record.last_seen.as_millis(),
        health: own.as_ref().map(health),
        parts: parts.iter().filter(|p| p.current).map(part).collect(),
        etag: format!("{}-{}", record.id, record.rev),
    }
}

fn part(record: &PartRecord) -> wire::Part {
    let part = &record.part;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    wire::Part {
        component: part.component.to_string(),
        manufacturer: text(&part.manufacturer),
        model: text(&part.model),
        part_number: text(&part.part_number),
        serial: text(&part.serial),
        firmware: text(&part.firmware),
        capacity_bytes: part.capacity_bytes.unwrap_or_default(),
        disk_model: None,
    }
}

fn is_in(drive: &DriveRecord, component: &str) -> bool {
    drive.place.as_ref().is_some_and(|(_, place)| place.to_string() == component)
}

/// What the disk model says of a drive.
fn judgement(drive: &DriveRecord) -> wire::DiskJudgement {
    let said = |verdict: &str| wire::DiskJudgement { verdict: verdict.to_owned(), ..wire::DiskJudgement::default() };
    match &drive.said {
        Said::New => said("new"),
        Said::Blind { why } => wire::DiskJudgement { reason: why.as_str().to_owned(), ..said("not_judged") },
        Said::Well { probability } => wire::DiskJudgement { probability: Some(*probability), ..said("well") },
        Said::Foretold(foretold) => wire::DiskJudgement {
            probability: Some(foretold.probability),
            model: foretold.model.clone(),
            since_ms: i64::from(foretold.since) * 86_400_000,
            ..said("failing")
        },
    }
}

fn health(record: &HealthRecord) -> wire::Health {
    told(name::scope(&record.scope), &record.health, matches!(record.scope, Scope::Site(_)))
}

/// A score under a name. `of_servers`: its penalties name servers.
pub(super) fn told(name: String, health: &Health, of_servers: bool) -> wire::Health {
    use wire::health::Status as Wire;
    let status = match health.status {
        HealthStatus::Ok => Wire::Ok,
        HealthStatus::Warning => Wire::Warning,
        HealthStatus::Critical => Wire::Critical,
        HealthStatus::Stale => Wire::Stale,
        HealthStatus::Unknown => Wire::Unknown,
    };
    wire::Health {
        name,
        score: health.score.map(u32::from),
        status: status.into(),
        penalties: health
            .penalties
            .iter()
            .map(|p| wire::Penalty {
                points: u32::from(p.points),
                component: if of_servers && !p.component.starts_with("servers/") {
                    format!("servers/{}", p.component)
                } else {
                    p.component.clone()
                },
                rule: p.rule.clone(),
                reason: p.reason.clone(),
            })
            .collect(),
        assessed_at_ms: health.assessed_at.as_millis(),
        newest_reading_ms: health.newest_reading.map_or(0, Timestamp::as_millis),
    }
}
