//! A BMC gives no readings. Silence is a state with a reason, never "OK".

use super::{Rule, evidence, finding};
use crate::config::SilenceConfig;
use crate::window::{Contact, Origin, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{Cause, ComponentClass, ComponentId, Section, Timestamp};
use std::time::Duration;

pub(super) struct BmcSilent(pub(super) SilenceConfig);

const ID: RuleId = RuleId::new("bmc.silent");

impl Rule for BmcSilent {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding> {
        window.contacts().filter_map(|(origin, contact)| self.judge(window, origin, contact, now)).collect()
    }
}

impl BmcSilent {
    fn judge(&self, window: &Window, origin: &Origin, contact: &Contact, now: Timestamp) -> Option<Finding> {
        let (since, newest, why) = self.refused(contact).or_else(|| self.forgotten(window, origin, contact, now))?;
        let component = ComponentId::lenient(ComponentClass::Bmc, origin.target.as_str());
        let f = finding(ID, Fault::BmcSilent, &component, None, newest);
        let fact = evidence(since, format!("no readings of {}: {why}", origin.target));
        let reason = format!("the BMC {} gives no readings since {since}: {why}", origin.target);
        Some(Finding { level: Level::Warning, penalty: 50, onset: since, reason, evidence: vec![fact], ..f })
    }

    /// The agent asks, and gets nothing.
    fn refused(&self, contact: &Contact) -> Option<(Timestamp, Timestamp, String)> {
        let (failures, since, cause, detail) = contact.failing(Section::Sensors)?;
        let newest = contact.newest_try()?;
        let quiet = !matches!(cause, Cause::NotSupported | Cause::Cancelled);
        // Another section that still answers is an answer: the BMC is there, only this part of it fails.
        let others = contact.newest_ok().is_some_and(|ok| ok > since);
        let silent_for = newest.since(since);
        let long = silent_for >= Duration::from_secs(self.0.at_least_secs);
        // An agent asks a BMC that does not answer more and more seldom: the time of so many polls says as much as so many polls.
        let usual = contact.interval(Section::Sensors).map(|interval| interval.saturating_mul(self.0.bmc_polls));
        let often = failures >= self.0.bmc_polls || (failures > 1 && usual.is_some_and(|usual| silent_for >= usual));
        let why = if detail.is_empty() { cause.as_str().to_owned() } else { format!("{} ({detail})", cause.as_str()) };
        (quiet && !others && long && often).then_some((since, newest, why))
    }

    /// The agent is there, but says nothing of this target. By the agent's clock, so that a backlog is no silence; and by the
    /// collector's, so that an agent's clock that steps is none.
    fn forgotten(
        &self,
        window: &Window,
        origin: &Origin,
        contact: &Contact,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp, String)> {
        let newest = contact.newest_try()?;
        let interval = contact.interval(Section::Sensors)?;
        let limit = interval.saturating_mul(self.0.bmc_polls).max(Duration::from_secs(self.0.at_least_secs));
        let agent = window.agent_newest(&origin.agent)?;
        let unheard = now.since(contact.heard_at()?) > limit;
        (unheard && agent.since(newest) > limit)
            .then(|| (newest, agent, format!("agent {} tells nothing of it", origin.agent)))
    }
}
