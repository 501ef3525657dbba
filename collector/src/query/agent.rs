//! Which agents there are, and how far behind they are.

use crate::query::page::Pager;
use crate::query::{Desk, name};
use outband_proto::agent::agent_service_server::AgentService;
use outband_proto::agent::{Agent, LaneLag, ListAgentsRequest, ListAgentsResponse};
use outband_schemas::{Clock, Timestamp};
use outband_store::{AgentRecord, Store};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store, C: Clock + Send + Sync + 'static> AgentService for Desk<S, C> {
    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let request = request.into_inner();
        let pager = Pager::new("ListAgents", &());
        let page = pager.page(request.page_size, &request.page_token)?;
        let mut records = self.ask(S::agents).await?;
        // Agents are few, one a site: the store lists them all, and a page begins after a name.
        records.retain(|r| page.token.as_deref().is_none_or(|after| r.agent.as_str() > after));
        records.sort_by(|a, b| a.agent.cmp(&b.agent));
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next = records.last().filter(|_| more).map(|r| r.agent.as_str());
        let next_page_token = pager.token(next);
        let now = self.now();
        let agents = records.iter().map(|r| wire(r, self.registry.connected_since(&r.agent), now)).collect();
        Ok(Response::new(ListAgentsResponse { agents, next_page_token }))
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
