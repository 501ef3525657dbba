//! Exercises.

use crate::assess::synthetic;
use crate::audit::Caller;
use crate::auth;
use crate::config::drills::LONGEST;
use crate::drill::{end, measure};
use crate::query::once::Known;
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::{Desk, name};
use crate::sight::Sight;
use outband_proto::drill as wire;
use outband_proto::drill::drill_service_server::DrillService;
use outband_schemas::{Clock, Timestamp};
use outband_store::audit::{Audit, Deed};
use outband_store::drill::{Drill, DrillChange, Drills};
use outband_store::{Page, Store, StoreError, TicketFilter, TicketRecord};
use std::time::Duration;
use tonic::{Code, Request, Response, Status};

const START: &str = "outband.drill.v1.DrillService/StartDrill";
const END: &str = "outband.drill.v1.DrillService/EndDrill";
/// How long a drill lasts where nobody says.
const USUAL: Duration = Duration::from_secs(3600);

#[tonic::async_trait]
impl<S: Store + Drills + Audit, C: Clock + Send + Sync + 'static> DrillService for Desk<S, C> {
    async fn list_drills(
        &self,
        request: Request<wire::ListDrillsRequest>,
    ) -> Result<Response<wire::ListDrillsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let all = request.into_inner().all;
        let drills = self
            .ask(move |store| sight.seen(store.drills(all)?, |sight, drill| sight.server(store, &drill.server)))
            .await?;
        Ok(Response::new(wire::ListDrillsResponse { drills: drills.iter().map(|d| shown(d, None)).collect() }))
    }

    async fn get_drill(
        &self,
        request: Request<wire::GetDrillRequest>,
    ) -> Result<Response<wire::GetDrillResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let drill = self.stored_drill(&request.into_inner().name, &sight).await?;
        let of = drill.clone();
        let ticket = self.ask(move |store| ticket(store, &of)).await?;
        Ok(Response::new(wire::GetDrillResponse { drill: Some(shown(&drill, ticket.as_ref())) }))
    }

    async fn start_drill(
        &self,
        request: Request<wire::StartDrillRequest>,
    ) -> Result<Response<wire::StartDrillResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, START, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let sight = self.sight(&caller.principal);
        if sight.only().is_some() {
            self.denied(&caller, START, "drills");
            return Err(Status::permission_denied("a temporary access is for one ticket, and a drill opens another"));
        }
        let asked = r.drill.unwrap_or_default();
        let server = name::read_server("drill.server", &asked.server)?;
        if synthetic::fault(&asked.fault).is_none() {
            return Err(invalid(
                "drill.fault",
                format!("{:?} is no fault of a server, e.g. disk_failure", asked.fault),
            ));
        }
        if asked.reason.trim().is_empty() {
            return Err(invalid("drill.reason", "say why"));
        }
        let component = match asked.component.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| invalid("drill.component", format!("{text:?} is not CLASS/SLOT")))?),
        };
        let lasts = match u64::try_from(r.lasts_secs) {
            Ok(0) => USUAL,
            Ok(secs) if Duration::from_secs(secs) <= LONGEST => Duration::from_secs(secs),
            _ => return Err(invalid("lasts_secs", "a drill lasts at most a day")),
        };
        let now = self.now();
        let drill = Drill {
            id: 0,
            server: server.clone(),
            component,
            fault: asked.fault,
            pages: asked.pages,
            reason: asked.reason.trim().to_owned(),
            runbook: asked.runbook,
            author: caller.principal.name.clone(),
            plan: None,
            starts_at: now,
            ends_at: now.plus(lasts),
            ended_at: None,
            revision: 0,
        };
        let change = DrillChange { at: now, who: drill.author.clone(), what: "start".to_owned(), drill };
        let id = server.clone();
        let is_there = self
            .ask(move |store| {
                Ok(sight.server(store, &id)? && store.server(&id)?.is_some_and(|s| s.merged_into.is_none()))
            })
            .await?;
        if !is_there {
            self.denied(&caller, START, &name::server(&server));
            return Err(not_found("Server", &name::server(&server), "list the servers to see those there are"));
        }
        let by = caller.clone();
        let tell = move |drill: &Drill| {
            let deed = by.did(now, START, format!("drills/{}", drill.id), drill.reason.clone());
            let answer = wire::StartDrillResponse { drill: Some(shown(drill, None)) };
            (Deed { after: Some(etag(drill)), ..deed }, answer)
        };
        let started = self.noted(&caller, once, tell, move |store, note| store.put_drill(&change, Some(note))).await?;
        Ok(Response::new(started.ok_or_else(|| changed_meanwhile("drills", None))?))
    }

    async fn end_drill(
        &self,
        request: Request<wire::EndDrillRequest>,
    ) -> Result<Response<wire::EndDrillResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, END, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let found = self.stored_drill(&r.name, &self.sight(&caller.principal)).await;
        let drill = found.inspect_err(|status| {
            if status.code() == Code::NotFound {
                self.denied(&caller, END, &r.name);
            }
        })?;
        let before = etag(&drill);
        if !r.etag.is_empty() && r.etag != before {
            return Err(changed_meanwhile(&r.name, Some(&before)));
        }
        if drill.ended_at.is_some() {
            return Ok(Response::new(wire::EndDrillResponse { drill: Some(shown(&drill, None)) }));
        }
        let now = self.now();
        let who = caller.principal.name.clone();
        let (by, name) = (caller.clone(), r.name.clone());
        let tell = move |drill: &Drill| {
            let deed = by.did(now, END, name.clone(), drill.reason.clone());
            let deed = Deed { before: Some(before.clone()), after: Some(etag(drill)), ..deed };
            (deed, wire::EndDrillResponse { drill: Some(shown(drill, None)) })
        };
        let ended =
            self.noted(&caller, once, tell, move |store, note| end(store, drill, &who, now, Some(note))).await?;
        Ok(Response::new(ended.ok_or_else(|| changed_meanwhile(&r.name, None))?))
    }
}

impl<S: Store + Drills + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    async fn stored_drill(&self, name: &str, sight: &Sight) -> Result<Drill, Status> {
        let id: u64 = name
            .strip_prefix("drills/")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("name", format!("{name:?} is not drills/NUMBER")))?;
        let sight = sight.clone();
        let found = self
            .ask(move |store| match store.drill(id)? {
                Some(drill) if sight.server(store, &drill.server)? => Ok(Some(drill)),
                _ => Ok(None),
            })
            .await?;
        found.ok_or_else(|| not_found("Drill", name, "list the drills to see those there are"))
    }
}

/// The ticket of a drill, once it has one.
fn ticket<S: Store>(store: &S, drill: &Drill) -> Result<Option<TicketRecord>, StoreError> {
    let Some(place) = synthetic::place(drill) else { return Ok(None) };
    let filter = TicketFilter { server: Some(drill.server.clone()), ..TicketFilter::default() };
    let mut page = Page::first(500);
    loop {
        let listing = store.tickets(&filter, &page)?;
        if let Some(found) = listing.rows.into_iter().find(|r| r.ticket.drill && r.ticket.component == place) {
            return Ok(Some(found));
        }
        match listing.next {
            Some(next) => page = Page::after(next, 500),
            None => return Ok(None),
        }
    }
}

fn etag(drill: &Drill) -> String {
    format!("{}-{}", drill.id, drill.revision)
}

fn shown(drill: &Drill, record: Option<&TicketRecord>) -> wire::Drill {
    let measure = |m: measure::Measure| wire::Measure {
        what: m.what.to_owned(),
        who: m.done.as_ref().map(|(who, _)| who.clone()).unwrap_or_default(),
        after_ms: m.done.map(|(_, after)| i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
    };
    wire::Drill {
        name: format!("drills/{}", drill.id),
        server: name::server(&drill.server),
        component: drill.component.as_ref().map(ToString::to_string).unwrap_or_default(),
        fault: drill.fault.clone(),
        pages: drill.pages,
        reason: drill.reason.clone(),
        runbook: drill.runbook.clone(),
        author: drill.author.clone(),
        plan: drill.plan.clone().unwrap_or_default(),
        starts_at_ms: drill.starts_at.as_millis(),
        ends_at_ms: drill.ends_at.as_millis(),
        ended_at_ms: drill.ended_at.map(Timestamp::as_millis),
        ticket: record.map(|r| name::ticket(r.ticket.number)).unwrap_or_default(),
        measures: record.map(|r| measure::measures(r).into_iter().map(measure).collect()).unwrap_or_default(),
        etag: etag(drill),
    }
}
