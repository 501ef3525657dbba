//! What a caller may see: all, or what a token is limited to - customers, sites, the one ticket of a temporary access.
//!
//! Everything that is given has to fit. What nobody is known to own is seen only by those who see all of its site. Ask here and
//! nowhere else: [`crate::rights::Reach`] says for each method whether its handler does.

use crate::judgement::Terms;
use crate::token::{Principal, Role};
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_store::maintenance::Selector;
use outband_store::{Scope, ServerRecord, Store, StoreError};
use outband_ticket::{State, Ticket, TicketNumber};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a caller may see. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sight {
    limits: Option<Arc<Limits>>,
}

#[derive(Debug)]
struct Limits {
    sites: BTreeSet<SiteId>,
    customers: BTreeSet<String>,
    only: Option<TicketNumber>,
    terms: Arc<Terms>,
    now: Timestamp,
}

/// Whose server it is at a time: as the topology says, else as the contract that covers it says.
pub fn customer<'a>(terms: &'a Terms, server: &ServerRecord, at: Timestamp) -> Option<&'a str> {
    let stands = terms.topology.place(server).and_then(|place| place.customer.as_deref());
    stands.or_else(|| terms.service.covering(server, None, at).map(|contract| contract.customer.as_str()))
}

impl Sight {
    /// What this caller may see by these terms.
    pub fn of(principal: &Principal, terms: Arc<Terms>, now: Timestamp) -> Self {
        let Principal { sites, customers, only, .. } = principal;
        let limits = principal
            .is_limited()
            .then(|| Arc::new(Limits { sites: sites.clone(), customers: customers.clone(), only: *only, terms, now }));
        Self { limits }
    }

    /// Whether there is anything that this caller may not see.
    pub fn is_limited(&self) -> bool {
        self.limits.is_some()
    }

    /// The one ticket that a temporary access is about; `None`: it is none.
    pub fn only(&self) -> Option<TicketNumber> {
        self.limits.as_ref().and_then(|limits| limits.only)
    }

    /// Whether everything at a site may be seen, what is the site's as a whole included.
    pub fn site(&self, site: &SiteId) -> bool {
        self.limits.as_ref().is_none_or(|l| l.only.is_none() && l.customers.is_empty() && l.sites.contains(site))
    }

    /// Whether what is of this customer, wherever it stands, may be seen.
    pub fn customer(&self, customer: &str) -> bool {
        self.limits.as_ref().is_none_or(|l| l.only.is_none() && l.sites.is_empty() && l.customers.contains(customer))
    }

    /// Whether everything that is chosen by this site and this customer may be seen, wherever and whoever it is where one is not given.
    pub fn selector(&self, site: Option<&str>, customer: Option<&str>) -> bool {
        let Some(limits) = &self.limits else { return true };
        let of_site = limits.sites.is_empty() || site.is_some_and(|s| limits.sites.iter().any(|l| l.as_str() == s));
        let of_customer = limits.customers.is_empty() || customer.is_some_and(|c| limits.customers.contains(c));
        let whole = limits.sites.is_empty() && limits.customers.is_empty();
        limits.only.is_none() && !whole && of_site && of_customer
    }

    /// Whether what is decided for a selection lies within what may be seen: it names a server that may be, or all that the limits ask for.
    pub fn covers<S: Store>(&self, store: &S, selector: &Selector) -> Result<bool, StoreError> {
        match selector.server.as_deref().map(ServerId::new) {
            Some(Ok(server)) if self.is_limited() => self.server(store, &server),
            _ => Ok(self.selector(selector.site.as_deref(), selector.customer.as_deref())),
        }
    }

    /// Whether a server may be seen. One that a temporary access is about is found by [`Sight::server`].
    pub fn record(&self, server: &ServerRecord) -> bool {
        let Some(limits) = &self.limits else { return true };
        let of_site = limits.sites.is_empty() || limits.sites.contains(&server.site);
        let of_customer = limits.customers.is_empty()
            || customer(&limits.terms, server, limits.now).is_some_and(|c| limits.customers.contains(c));
        let whole = limits.sites.is_empty() && limits.customers.is_empty();
        limits.only.is_none() && !whole && of_site && of_customer
    }

    /// Whether the server of this id may be seen; one that turned out to be another is that other one.
    pub fn server<S: Store>(&self, store: &S, id: &ServerId) -> Result<bool, StoreError> {
        let Some(limits) = &self.limits else { return Ok(true) };
        if let Some(only) = limits.only {
            let ticket = store.ticket(only)?.map(|record| record.ticket);
            return Ok(ticket.is_some_and(|t| t.server == *id && t.state != State::Closed));
        }
        // What a storm at a site is about.
        if let Some(site) = id.as_str().strip_prefix("site.").and_then(|site| SiteId::new(site).ok()) {
            return Ok(self.site(&site));
        }
        let mut record = store.server(id)?;
        if let Some(other) = record.as_ref().and_then(|r| r.merged_into.clone()) {
            record = store.server(&other)?;
        }
        Ok(record.is_some_and(|r| self.record(&r)))
    }

    /// Whether a ticket may be seen. A temporary access ends with the ticket that it is for.
    pub fn ticket<S: Store>(&self, store: &S, ticket: &Ticket) -> Result<bool, StoreError> {
        let Some(limits) = &self.limits else { return Ok(true) };
        if let Some(only) = limits.only {
            return Ok(only == ticket.number && ticket.state != State::Closed);
        }
        if ticket.site.as_ref().is_some_and(|site| self.site(site)) {
            return Ok(true);
        }
        self.server(store, &ticket.server)
    }

    /// Whether the ticket of this number is there and may be seen.
    pub fn number<S: Store>(&self, store: &S, number: TicketNumber) -> Result<bool, StoreError> {
        if self.limits.is_none() {
            return Ok(true);
        }
        match store.ticket(number)? {
            Some(record) => self.ticket(store, &record.ticket),
            None => Ok(false),
        }
    }

    /// Whether the health of something may be seen.
    pub fn scope<S: Store>(&self, store: &S, scope: &Scope) -> Result<bool, StoreError> {
        match scope {
            Scope::Site(site) => Ok(self.site(site)),
            Scope::Server(server) | Scope::Component(server, _) => self.server(store, server),
        }
    }

    /// Whether what a resource name stands for may be seen: `tickets/12`, `servers/srv-1/…`, `sites/dc1`. Whatever else there is may not.
    pub fn resource<S: Store>(&self, store: &S, name: &str) -> Result<bool, StoreError> {
        if self.limits.is_none() {
            return Ok(true);
        }
        let mut parts = name.split('/');
        match (parts.next(), parts.next()) {
            (Some("tickets"), Some(number)) => match number.parse() {
                Ok(number) => self.number(store, TicketNumber(number)),
                Err(_) => Ok(false),
            },
            (Some("servers"), Some(id)) => ServerId::new(id).map_or(Ok(false), |id| self.server(store, &id)),
            (Some("sites"), Some(id)) => Ok(SiteId::new(id).is_ok_and(|id| self.site(&id))),
            (Some("customers"), Some(name)) => Ok(self.customer(name)),
            _ => Ok(false),
        }
    }

    /// Those of these rows that may be seen, by what `may` says of each.
    pub fn seen<T>(
        &self,
        rows: Vec<T>,
        may: impl Fn(&Self, &T) -> Result<bool, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        if self.limits.is_none() {
            return Ok(rows);
        }
        let mut seen = Vec::new();
        for row in rows {
            if may(self, &row)? {
                seen.push(row);
            }
        }
        Ok(seen)
    }
}

impl Principal {
    /// Whether this token is limited to some of what there is. A customer's always is.
    pub fn is_limited(&self) -> bool {
        self.role == Role::Customer || self.only.is_some() || !self.sites.is_empty() || !self.customers.is_empty()
    }
}
