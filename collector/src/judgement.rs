//! What is judged and promised by, in one place for the loop that assesses and for those who answer operators.

use crate::assess::Predicting;
use crate::compat::Compatibility;
use crate::config::Config;
use crate::service::Service;
use crate::topology::Topology;
use outband_health::{FoldingConfig, RuleConfig};
use outband_schemas::Timestamp;
use outband_ticket::calendar::tzdb_version;
use outband_ticket::{CalendarError, Calendars, Policies, SlaPolicy};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
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
    /// Parts that fit.
    pub compatibility: Arc<Compatibility>,
    /// Who bought what for which servers.
    pub service: Arc<Service>,
    /// What disks are judged by; `None`: by rules and wear alone.
    pub disks: Option<Arc<Predicting>>,
    /// A rule whose precision is below this beyond doubt is proposed to be muted; `None`: none ever is.
    pub mute_below: Option<f64>,
}

impl TryFrom<&Config> for Terms {
    type Error = CalendarError;

    fn try_from(config: &Config) -> Result<Self, Self::Error> {
        Ok(Self {
            rules: config.health.clone(),
            policy: config.sla.policy().into(),
            calendar: config.sla.calendar_of_its_own()?.into(),
            folding: config.folding.clone(),
            topology: Arc::default(),
            compatibility: Arc::default(),
            service: Arc::default(),
            disks: None,
            mute_below: config.outcomes.mute_below,
        })
    }
}

impl Terms {
    /// These terms, by these calendars.
    #[must_use]
    pub fn with_calendars(self, calendar: Calendars) -> Self {
        Self { calendar, ..self }
    }

    /// These terms, with contracts and every revision of what was or is promised, with the time from which it is in force.
    #[must_use]
    pub fn with_service(self, service: Service, revisions: Vec<(Timestamp, SlaPolicy)>) -> Self {
        let policy = Policies::kept(self.policy.usual().clone(), revisions);
        Self { policy, service: Arc::new(service), ..self }
    }

    /// These terms, with what disks are judged by.
    #[must_use]
    pub fn with_disks(self, disks: Option<Predicting>) -> Self {
        Self { disks: disks.map(Arc::new), ..self }
    }

    /// These terms, with parts that fit.
    #[must_use]
    pub fn with_compatibility(self, compatibility: Compatibility) -> Self {
        Self { compatibility: Arc::new(compatibility), ..self }
    }

    /// These terms, for servers that stand there.
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology: Arc::new(topology), ..self }
    }
}

impl Terms {
    /// A text that changes whenever a clock might be counted otherwise: other promises, another calendar, other zone data. After the
    /// print proper, what clocks are counted by, by name and revision: [`changes`] tells two such texts apart for people.
    pub fn print(&self) -> String {
        let tzdb = tzdb_version();
        let all = format!("{:?} {:?} {:?} {tzdb}", self.policy, self.calendar, self.service.contracts);
        let print = Sha256::digest(all).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let policies = self.policy.names().filter_map(|name| self.policy.newest(name));
        let policies = policies.map(|policy| format!("policy {} {}", policy.name, policy.revision));
        let calendars = self.calendar.all().map(|(name, c)| format!("calendar {name} {}", c.basis().revision));
        policies
            .chain(calendars)
            .chain([format!("time zone data {tzdb}")])
            .fold(print, |text, fact| text + "; " + &fact)
    }
}

/// What stands in the second print of terms and not in the first.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let known: BTreeSet<&str> = before.split("; ").skip(1).collect();
    let new: Vec<String> = after.split("; ").skip(1).filter(|fact| !known.contains(fact)).map(str::to_owned).collect();
    if new.is_empty() { vec!["contracts, or hours of the config".to_owned()] } else { new }
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

    #[test]
    fn two_prints_tell_what_clocks_are_counted_by_otherwise() {
        let terms = Terms::try_from(&Config::default()).unwrap();
        let edited = SlaPolicy { revision: 2, ..SlaPolicy::default() };
        let after = Terms { policy: edited.into(), ..terms.clone() };
        assert_eq!(changes(&terms.print(), &after.print()), ["policy default 2"]);
        assert_eq!(terms.print(), Terms::clone(&terms).print());
        assert_eq!(changes("a; policy default 1", "b; policy default 1"), ["contracts, or hours of the config"]);
    }
}
