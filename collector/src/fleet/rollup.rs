//! The health of racks, sites and customers, made of that of their servers by the score of sites: half of the worst one's loss, half of
//! the mean loss, every point with its server and reason.

use super::Scope;
use crate::judgement::Terms;
use crate::sight::{self, Sight};
use outband_health::{Health, Status, score};
use outband_schemas::{ServerId, Timestamp};
use outband_store::{Page, Store, StoreError};
use std::collections::BTreeMap;

/// Rows read at once.
const BATCH: usize = 1000;

/// What is rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The racks of a site.
    Rack,
    /// Sites.
    Site,
    /// Customers.
    Customer,
}

impl Level {
    /// Every one.
    pub const ALL: [Level; 3] = [Self::Rack, Self::Site, Self::Customer];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rack => "rack",
            Self::Site => "site",
            Self::Customer => "customer",
        }
    }
}

/// Of what a roll-up is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A rack of a site.
    Rack(String, String),
    /// A site.
    Site(String),
    /// A customer.
    Customer(String),
}

/// The health of something that has servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// What it is.
    pub of: Of,
    /// Its health; penalties name servers.
    pub health: Health,
    /// How many of its servers are in each status.
    pub counts: BTreeMap<Status, u64>,
}

/// All roll-ups of some levels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rollups {
    /// By level and name.
    pub all: Vec<Rollup>,
    /// Servers in no known rack.
    pub without_rack: u64,
    /// Servers of nobody that is known.
    pub without_customer: u64,
}

/// Rolls up what may be seen of a scope. A server that was never assessed is of unknown health.
pub fn rollups<S: Store>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    scope: &Scope,
    levels: &[Level],
    now: Timestamp,
) -> Result<Rollups, StoreError> {
    let mut healths: BTreeMap<ServerId, Health> = BTreeMap::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.healths(None, &page)?;
        for record in listing.rows {
            if let outband_store::Scope::Server(id) = record.scope {
                healths.insert(id, record.health);
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => break,
        }
    }
    let mut groups: BTreeMap<Of, Vec<(ServerId, Health)>> = BTreeMap::new();
    let mut out = Rollups::default();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.servers(None, &page)?;
        for server in listing.rows.iter().filter(|server| sight.record(server)) {
            let customer = sight::customer(terms, server, now);
            if !scope.holds(server.site.as_str(), customer) {
                continue;
            }
            let rack = terms.topology.place(server).and_then(|place| place.rack.clone());
            out.without_rack += u64::from(rack.is_none());
            out.without_customer += u64::from(customer.is_none());
            let health = healths.remove(&server.id).unwrap_or_else(|| unknown(now));
            let site = server.site.to_string();
            for level in levels {
                let of = match level {
                    Level::Rack => rack.clone().map(|rack| Of::Rack(site.clone(), rack)),
                    Level::Site => Some(Of::Site(site.clone())),
                    Level::Customer => customer.map(|customer| Of::Customer(customer.to_owned())),
                };
                if let Some(of) = of {
                    groups.entry(of).or_default().push((server.id.clone(), health.clone()));
                }
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => break,
        }
    }
    out.all = groups
        .into_iter()
        .map(|(of, servers)| {
            let mut counts = BTreeMap::new();
            servers.iter().for_each(|(_, h)| *counts.entry(h.status).or_default() += 1);
            Rollup { of, health: score::site(&servers, now), counts }
        })
        .collect();
    Ok(out)
}

fn unknown(now: Timestamp) -> Health {
    Health { score: None, status: Status::Unknown, penalties: Vec::new(), assessed_at: now, newest_reading: None }
}
