//! Customers, contracts and packages, from the file that `[service]` names: what a ticket is promised.
//!
//! A package is a policy of clocks. What a package promises is kept by revision: an edited one is a new revision, and a ticket keeps the
//! one that it was opened under.

mod contact;
mod package;

pub use contact::{Contact, VERIFIED_FOR};
pub use package::{Clock, Escalate, Package, PauseIn};

use jiff::civil::Date;
use outband_schemas::Timestamp;
use outband_store::deadline::Deadlines;
use outband_store::{ServerRecord, StoreError};
use outband_ticket::SlaPolicy;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error("{path}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The revisions of what it promises cannot be kept.
    #[error("keeping what is promised: {0}")]
    Store(#[from] StoreError),
}

/// Customers, contracts and packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Who pays.
    pub customers: BTreeMap<String, Customer>,
    /// What can be bought.
    pub packages: BTreeMap<String, Package>,
    /// Who bought what for which servers, by the contract's name.
    pub contracts: BTreeMap<String, Contract>,
    /// What is to be known of sites.
    pub sites: BTreeMap<String, Site>,
}

/// A site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// The IANA name of the zone in which its reports' months are meant; `None`: that of its customer.
    pub zone: Option<String>,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// As it is called.
    pub name: String,
    /// The IANA name of the zone in which its reports' months are meant; `None`: that of the usual business hours.
    #[serde(default)]
    pub zone: Option<String>,
}

/// A contract. It covers servers by their serials, by their sites, or, where it names neither, those that the topology gives the customer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Whose.
    pub customer: String,
    /// Which package.
    pub package: String,
    /// Its first and its last day, in UTC.
    pub from: String,
    /// The last day.
    pub until: String,
    /// Sites that it covers.
    #[serde(default)]
    pub sites: BTreeSet<String>,
    /// Chassis serials that it covers.
    #[serde(default)]
    pub serials: BTreeSet<String>,
    /// Who is told when a clock escalates, by the role that a package's steps name, e.g. `duty`: each in their order.
    #[serde(default)]
    pub contacts: BTreeMap<String, Vec<Contact>>,
}

impl Service {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|what| Error::Wrong { path: path.to_owned(), what })
    }

    /// Reads it from text, or says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let service: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        for (name, package) in &service.packages {
            if name == SlaPolicy::DEFAULT {
                return Err(format!("packages.{name}: that name is the policy of tickets without a contract"));
            }
            package.policy(name).map_err(|e| format!("packages.{name}: {e}"))?;
        }
        let customers = service.customers.iter().map(|(name, c)| ("customers", name, &c.zone));
        let sites = service.sites.iter().map(|(name, s)| ("sites", name, &s.zone));
        for (table, name, zone) in customers.chain(sites) {
            if let Some(zone) = zone.as_ref().filter(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
                return Err(format!("{table}.{name}: {zone:?} is no time zone such as Asia/Shanghai"));
            }
        }
        for (name, contract) in &service.contracts {
            let wrong = |what: String| format!("contracts.{name}: {what}");
            if !service.customers.contains_key(&contract.customer) {
                return Err(wrong(format!("there is no customer {:?}", contract.customer)));
            }
            if !service.packages.contains_key(&contract.package) {
                return Err(wrong(format!("there is no package {:?}", contract.package)));
            }
            let days = (day(&contract.from), day(&contract.until));
            if !matches!(days, (Some(from), Some(until)) if from <= until) {
                return Err(wrong("from and until are days such as 2026-12-31, in this order".to_owned()));
            }
            for (role, contacts) in &contract.contacts {
                if let Some(what) = contacts.iter().find_map(Contact::problem) {
                    return Err(wrong(format!("contacts.{role}: {what}")));
                }
            }
        }
        Ok(service)
    }

    /// What each package promises, before it has a revision.
    fn policies(&self) -> impl Iterator<Item = SlaPolicy> {
        self.packages.iter().filter_map(|(name, package)| package.policy(name).ok())
    }

    /// The calendars that its packages name.
    pub fn calendars(&self) -> impl Iterator<Item = &str> {
        let clocks = self.packages.values().flat_map(|package| &package.clocks);
        clocks.filter_map(|clock| clock.calendar.as_deref())
    }

    /// The same as [`Service::covering`], with the contract's name.
    pub fn covering_by_name(
        &self,
        server: &ServerRecord,
        customer: Option<&str>,
        at: Timestamp,
    ) -> Option<(&str, &Contract)> {
        let covering = self.covering(server, customer, at)?;
        let mut named = self.contracts.iter();
        named.find(|(_, contract)| std::ptr::eq(*contract, covering)).map(|(name, contract)| (name.as_str(), contract))
    }

    /// The contract that covers a server at a time: one that names its serial before one that names its site, before one of
    /// the customer that the topology gives it.
    pub fn covering(&self, server: &ServerRecord, customer: Option<&str>, at: Timestamp) -> Option<&Contract> {
        let serial = server.identity.serial.as_deref();
        let rank = |c: &Contract| {
            if serial.is_some_and(|s| c.serials.contains(s)) {
                Some(0)
            } else if c.sites.contains(server.site.as_str()) {
                Some(1)
            } else if c.sites.is_empty() && c.serials.is_empty() && customer == Some(c.customer.as_str()) {
                Some(2)
            } else {
                None
            }
        };
        let valid = self.contracts.values().filter(|c| c.holds(at));
        valid.filter_map(|c| Some((rank(c)?, c))).min_by_key(|(rank, _)| *rank).map(|(_, c)| c)
    }
}

impl Contract {
    fn holds(&self, at: Timestamp) -> bool {
        let Ok(today) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return false };
        let today = today.to_zoned(jiff::tz::TimeZone::UTC).date();
        day(&self.from).is_some_and(|from| from <= today) && day(&self.until).is_some_and(|until| today <= until)
    }
}

fn day(text: &str) -> Option<Date> {
    text.parse().ok()
}

/// Keeps what is promised now, to tickets without a contract too, a new revision where it is not what was promised last, and answers
/// every revision with the time from which it is in force.
pub fn keep_revisions<S: Deadlines>(
    store: &S,
    usual: &SlaPolicy,
    service: &Service,
    now: Timestamp,
) -> Result<Vec<(Timestamp, SlaPolicy)>, Error> {
    let mut all = store.policies()?;
    for policy in service.policies().chain([usual.clone()]) {
        let newest = all.iter().map(|(_, p)| p).filter(|p| p.name == policy.name).max_by_key(|p| p.revision);
        if newest.is_some_and(|newest| newest.promises_as(&policy)) {
            continue;
        }
        let policy = SlaPolicy { revision: newest.map_or(1, |p| p.revision.saturating_add(1)), ..policy };
        store.keep_policy(&policy, now)?;
        tracing::info!(policy = policy.name, revision = policy.revision, "a new revision of what is promised");
        all.push((now, policy));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
