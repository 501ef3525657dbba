//! What is judged and promised by, in one place for the loop that assesses and for those who answer operators.

use crate::config::Config;
use crate::service::Service;
use crate::topology::Topology;
use outband_health::{FoldingConfig, RuleConfig};
use outband_ticket::{Calendar, CalendarError, Calendars, Policies, SlaPolicy};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Thresholds and promises.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The thresholds of the rules.
    pub rules: RuleConfig,
    /// What is promised.
    pub policy: Policies,
    /// Business hours.
    pub calendar: Calendars,
    /// When many incidents are told as one.
    pub folding: FoldingConfig,
    /// Where servers stand.
    pub topology: Arc<Topology>,
    /// Who bought what for which servers.
    pub service: Arc<Service>,
}

impl TryFrom<&Config> for Terms {
    type Error = CalendarError;

    fn try_from(config: &Config) -> Result<Self, Self::Error> {
        Ok(Self {
            rules: config.health.clone(),
            policy: config.sla.policy().into(),
            calendar: config.sla.calendar()?.into(),
            folding: config.folding.clone(),
            topology: Arc::default(),
            service: Arc::default(),
        })
    }
}

impl Terms {
    /// These terms, with calendars that clocks may name.
    #[must_use]
    pub fn with_calendars(self, named: BTreeMap<String, Calendar>) -> Self {
        let usual = self.calendar.business(None).clone();
        Self { calendar: Calendars::new(usual, named), ..self }
    }

    /// These terms, with contracts and every revision of what their packages promise or promised.
    #[must_use]
    pub fn with_service(self, service: Service, revisions: Vec<SlaPolicy>) -> Self {
        let policy = Policies::new(self.policy.usual().clone(), revisions);
        Self { policy, service: Arc::new(service), ..self }
    }

    /// These terms, for servers that stand there.
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology: Arc::new(topology), ..self }
    }
}

impl Terms {
    /// A text that changes whenever a clock might be counted otherwise: other promises, another calendar, other zone data.
    pub fn print(&self) -> String {
        let tzdb = outband_ticket::calendar::tzdb_version();
        let all = format!("{:?} {:?} {:?} {tzdb}", self.policy, self.calendar, self.service.contracts);
        Sha256::digest(all).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// The terms in force, replaceable while the collector runs. Clones share them, so that a clock is never shown by other terms than it is breached by.
#[derive(Debug, Clone)]
pub struct Judgement {
    now: Arc<RwLock<Arc<Terms>>>,
}

impl Judgement {
    /// By these terms.
    pub fn new(terms: Terms) -> Self {
        Self { now: Arc::new(RwLock::new(Arc::new(terms))) }
    }

    /// Puts others in force, from the next step and the next answer on.
    pub fn replace(&self, terms: Terms) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    /// The terms in force.
    pub fn terms(&self) -> Arc<Terms> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_ticket::SlaPolicy;

    #[test]
    fn terms_that_are_replaced_are_in_force_for_everyone_who_holds_the_judgement() {
        let judgement = Judgement::new(Terms::try_from(&Config::default()).unwrap());
        let desk = judgement.clone();
        let mut others = Terms::clone(&desk.terms());
        others.policy = SlaPolicy { clocks: Vec::new(), ..SlaPolicy::default() }.into();
        judgement.replace(others);
        assert!(desk.terms().policy.usual().clocks.is_empty());
    }
}
