//! An agent is not heard: nothing is known of its site.

use super::{Rule, evidence, finding};
use crate::config::SilenceConfig;
use crate::window::Window;
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, ComponentId, Section, Timestamp};
use std::time::Duration;

pub(super) struct AgentSilent(pub(super) SilenceConfig);

const ID: RuleId = RuleId::new("agent.silent");

impl Rule for AgentSilent {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding> {
        let Some(hosted) = window.hosted() else { return Vec::new() };
        // Where every BMC hangs, all that is left to hear are the readings of the agent's own host.
        let of_host = window.contacts().filter(|(origin, _)| origin.agent == hosted.agent);
        let of_host = of_host.filter_map(|(_, contact)| contact.interval(Section::Host)).max();
        let every = of_host.unwrap_or_default().max(hosted.interval);
        let limit = every.saturating_mul(self.0.agent_polls).max(Duration::from_secs(self.0.at_least_secs));
        if now.since(hosted.heard_at) <= limit {
            return Vec::new();
        }
        let component = ComponentId::lenient(ComponentClass::Agent, hosted.agent.as_str());
        let f = finding(ID, Fault::AgentSilent, &component, None, hosted.heard_at.plus(limit));
        let reason = format!("agent {} has not been heard since {}", hosted.agent, hosted.heard_at);
        let fact = evidence(hosted.heard_at, format!("agent {} last heard", hosted.agent));
        vec![Finding { onset: hosted.heard_at, reason, evidence: vec![fact], ..f }]
    }
}
