//! Incidents that have not ended, those without a ticket of their own included.

use crate::auth;
use crate::query::page::Pager;
use crate::query::{Desk, name};
use outband_health::{Hold, Incident, Stage};
use outband_proto::incident as wire;
use outband_proto::incident::incident_service_server::IncidentService;
use outband_schemas::{Clock, Timestamp};
use outband_store::recall::Recall;
use outband_store::{Store, StoreError};
use outband_ticket::TicketNumber;
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store + Recall, C: Clock + Send + Sync + 'static> IncidentService for Desk<S, C> {
    async fn list_incidents(
        &self,
        request: Request<wire::ListIncidentsRequest>,
    ) -> Result<Response<wire::ListIncidentsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let server = if r.server.is_empty() { None } else { Some(name::read_server("server", &r.server)?) };
        let ticket = if r.ticket.is_empty() { None } else { Some(name::read_ticket(&r.ticket)?) };
        let pager = Pager::new("ListIncidents", &(&r.server, r.held, &r.ticket));
        let page = pager.page(r.page_size, &r.page_token)?;
        let mut found = self
            .ask(move |store| {
                let found = match ticket {
                    Some(ticket) => of_ticket(store, ticket)?,
                    None => store.open_incidents()?,
                };
                sight.seen(found, |sight, incident| sight.server(store, &incident.key.server))
            })
            .await?;
        found.retain(|i| server.as_ref().is_none_or(|s| i.key.server == *s) && (!r.held || i.hold.is_some()));
        found.sort_by_cached_key(place);
        found.retain(|i| page.token.as_ref().is_none_or(|after| place(i) > *after));
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(place);
        let next_page_token = pager.token(next.as_deref());
        Ok(Response::new(wire::ListIncidentsResponse {
            incidents: found.iter().map(|i| shown(i, ticket.is_some())).collect(),
            next_page_token,
        }))
    }
}

/// What a ticket is about: its incidents, those of the tickets that are a part of it, and those that have none because of it.
fn of_ticket<S: Store + Recall>(store: &S, ticket: TicketNumber) -> Result<Vec<Incident>, StoreError> {
    let mut found = store.incidents_of(ticket)?;
    let members: BTreeSet<_> = found.iter().flat_map(|i| i.members.iter().cloned()).collect();
    let parts = store.open_tickets()?.into_iter().filter(|r| r.ticket.parent == Some(ticket));
    let parts: BTreeSet<u64> = parts.map(|r| r.ticket.number.0).collect();
    let into = Some(Hold::Folded { into: ticket.0 });
    let open = store.open_incidents()?.into_iter().filter(|i| i.ticket != Some(ticket.0));
    let belongs =
        |i: &Incident| i.hold == into || members.contains(&i.key) || i.ticket.is_some_and(|n| parts.contains(&n));
    found.extend(open.filter(belongs));
    Ok(found)
}

/// Its place in the listing.
fn place(incident: &Incident) -> String {
    let key = &incident.key;
    format!("{}\u{1f}{}\u{1f}{}\u{1f}{:016x}", key.server, key.component, key.fault, incident.noted_at.as_millis())
}

fn shown(incident: &Incident, in_full: bool) -> wire::Incident {
    let stage = match incident.stage {
        Stage::Pending => "pending",
        Stage::Open => "open",
        Stage::Verifying { .. } => "verifying",
        Stage::Dismissed { .. } => "dismissed",
        Stage::Ended { .. } => "ended",
    };
    let (hold, held_by, until, folded) = match &incident.hold {
        None => ("", String::new(), None, None),
        Some(Hold::Watched { until }) => ("watched", String::new(), Some(*until), None),
        Some(Hold::Folded { into }) => ("folded", String::new(), None, Some(*into)),
        Some(Hold::Suppressed { by, until }) => ("suppressed", by.clone(), Some(*until), None),
    };
    wire::Incident {
        server: name::server(&incident.key.server),
        component: incident.key.component.to_string(),
        fault: incident.key.fault.as_str().to_owned(),
        stage: stage.to_owned(),
        predicted: incident.predicted,
        reason: incident.reason.clone(),
        onset_ms: incident.onset.as_millis(),
        noted_at_ms: incident.noted_at.as_millis(),
        ticket: folded.or(incident.ticket).map(|n| name::ticket(TicketNumber(n))).unwrap_or_default(),
        hold: hold.to_owned(),
        held_by,
        held_until_ms: until.map(Timestamp::as_millis),
        members: i32::try_from(incident.members.len()).unwrap_or(i32::MAX),
        member_names: incident
            .members
            .iter()
            .filter(|_| in_full)
            .map(|key| format!("{} {} {}", name::server(&key.server), key.component, key.fault))
            .collect(),
    }
}
