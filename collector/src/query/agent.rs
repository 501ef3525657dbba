//! Which agents there are, and how far behind they are. One that joined and never came is among them, so that somebody asks why.

use crate::query::page::Pager;
use crate::query::{Desk, name};
use outband_proto::agent::agent_service_server::AgentService;
use outband_proto::agent::{Agent, LaneLag, ListAgentsRequest, ListAgentsResponse};
use outband_schemas::{Clock, SpoolId, Timestamp};
use outband_store::enrol::{AgentCertificate, Enrolments};
use outband_store::{AgentRecord, Epoch, Store};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store + Enrolments, C: Clock + Send + Sync + 'static> AgentService for Desk<S, C> {
    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let request = request.into_inner();
        let pager = Pager::new("ListAgents", &());
        let page = pager.page(request.page_size, &request.page_token)?;
        let (mut records, certificates, revoked) =
            self.ask(|store| Ok((store.agents()?, store.certificates()?, store.revocations()?))).await?;
        let certificates: HashMap<_, _> = certificates.into_iter().map(|c| (c.agent.clone(), c)).collect();
        let revoked: HashMap<_, _> = revoked.into_iter().collect();
        let now = self.now();
        let known: HashSet<_> = records.iter().map(|r| r.agent.clone()).collect();
        let awaited = certificates.values().filter(|c| !known.contains(&c.agent) && c.not_after > now);
        let awaited = awaited.filter(|c| identity(Some(c), revoked.get(&c.agent).copied()).0 != "revoked");
        records.extend(awaited.map(never_seen));
        // Agents are few, one a site: the store lists them all, and a page begins after a name.
        records.retain(|r| page.token.as_deref().is_none_or(|after| r.agent.as_str() > after));
        records.sort_by(|a, b| a.agent.cmp(&b.agent));
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next = records.last().filter(|_| more).map(|r| r.agent.as_str());
        let next_page_token = pager.token(next);
        let agents = records
            .iter()
            .map(|r| {
                let known = identity(certificates.get(&r.agent), revoked.get(&r.agent).copied());
                // Of one that is connected, it is known for sure.
                let (identity, until) = match self.registry.certificate(&r.agent) {
                    Some(Some(until)) => ("certificate", Some(until)),
                    Some(None) => ("token", None),
                    None => known,
                };
                let certificate_until_ms = until.map_or(0, Timestamp::as_millis);
                let agent = wire(r, self.registry.connected_since(&r.agent), now);
                Agent { identity: identity.to_owned(), certificate_until_ms, ..agent }
            })
            .collect();
        Ok(Response::new(ListAgentsResponse { agents, next_page_token }))
    }
}

/// How an agent says who it is, as far as is known of one that is away.
fn identity(certificate: Option<&AgentCertificate>, revoked: Option<Timestamp>) -> (&'static str, Option<Timestamp>) {
    match (certificate, revoked) {
        (Some(c), Some(revoked)) if c.issued_at.as_secs() <= revoked.as_secs() => ("revoked", None),
        (Some(c), _) => ("certificate", Some(c.not_after)),
        (None, Some(_)) => ("revoked", None),
        (None, None) => ("token", None),
    }
}

/// An agent that joined and never came: all that is known of it stands in its certificate.
fn never_seen(certificate: &AgentCertificate) -> AgentRecord {
    AgentRecord {
        agent: certificate.agent.clone(),
        site: certificate.site.clone(),
        version: String::new(),
        targets: Vec::new(),
        sensor_interval: Duration::ZERO,
        spool_id: SpoolId::from_bits(0),
        epoch: Epoch(0),
        hello_at: Timestamp::EPOCH,
        last_heard: Timestamp::EPOCH,
        lanes: Vec::new(),
    }
}

fn wire(record: &AgentRecord, connected_since: Option<Timestamp>, now: Timestamp) -> Agent {
    Agent {
        name: name::agent(&record.agent),
        site: name::site(&record.site),
        version: record.version.clone(),
        connected: connected_since.is_some(),
        last_heard_ms: record.last_heard.as_millis(),
        connected_since_ms: connected_since.map_or(0, Timestamp::as_millis),
        identity: String::new(),
        certificate_until_ms: 0,
        target_count: i32::try_from(record.targets.len()).unwrap_or(i32::MAX),
        lanes: record
            .lanes
            .iter()
            .map(|lane| LaneLag {
                lane: lane.lane.as_str().to_owned(),
                committed: lane.committed,
                announced: lane.announced,
                lag_ms: lane.newest_observed.map_or(0, |t| i64::try_from(now.since(t).as_millis()).unwrap_or(i64::MAX)),
            })
            .collect(),
    }
}
