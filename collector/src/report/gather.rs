//! Takes from the store what reports are made of.

use super::case::Case;
use super::fault::{self, FaultReport, Subject};
use super::maintained;
use super::period::{self, Period};
use super::reliability::{self, Machine, Reliability};
use super::sla::{self, Promises, Scope, SlaReport};
use crate::callpack::timeline::Sources;
use crate::discretion::Reader;
use crate::judgement::Terms;
use crate::maintenance::Whereabouts;
use crate::sight::{self, Sight};
use crate::words::Audience;
use outband_schemas::{ServerId, Timestamp};
use outband_store::change::Changes;
use outband_store::maintenance::Maintenance;
use outband_store::{Listing, Page, ServerRecord, Store, StoreError, TicketFilter, TicketRecord};
use outband_ticket::TicketNumber;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows read at once.
const BATCH: usize = 1000;
/// Servers that were merged into others are followed so far.
const MERGES: usize = 16;
/// What happened to a server is told from so long before a fault began until so long after it ended.
const AROUND: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such month, or no such zone.
    #[error(transparent)]
    Period(#[from] period::Error),
}

/// Who is who: the servers, and what the topology and the contracts say of them.
#[derive(Debug)]
struct Fleet<'a> {
    terms: &'a Terms,
    servers: BTreeMap<ServerId, ServerRecord>,
}

impl<'a> Fleet<'a> {
    fn read<S: Store>(store: &S, terms: &'a Terms) -> Result<Self, StoreError> {
        let all = every(|page| store.servers(None, page))?;
        Ok(Self { terms, servers: all.into_iter().map(|s| (s.id.clone(), s)).collect() })
    }

    /// A server, or the one that it turned out to be.
    fn server<S: Store>(&mut self, store: &S, id: &ServerId) -> Result<Option<&ServerRecord>, StoreError> {
        if !self.servers.contains_key(id) {
            let mut record = store.server(id)?;
            for _ in 0..MERGES {
                let Some(into) = record.as_ref().and_then(|r| r.merged_into.clone()) else { break };
                record = store.server(&into)?;
            }
            if let Some(record) = record {
                self.servers.insert(id.clone(), record);
            }
        }
        Ok(self.servers.get(id))
    }

    fn model(&self, server: &ServerRecord) -> Option<String> {
        let told = self.terms.topology.place(server).and_then(|place| place.model.clone());
        told.or_else(|| server.identity.model.clone())
    }

    fn case<'r, S: Store>(&mut self, store: &S, record: &'r TicketRecord) -> Result<Case<'r>, StoreError> {
        let ticket = &record.ticket;
        let server = self.server(store, &ticket.server)?.cloned();
        let site = ticket.site.as_ref().or(server.as_ref().map(|s| &s.site)).map(ToString::to_string);
        let (customer, model) = match &server {
            Some(server) => {
                let customer = sight::customer(self.terms, server, ticket.created_at);
                (customer.map(str::to_owned), self.model(server))
            }
            None => (None, None),
        };
        Ok(Case { ticket, log: &record.log, site, customer, model })
    }
}

fn is_of(scope: &Scope, site: Option<&str>, customer: Option<&str>) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_ref().is_none_or(|w| Some(w.as_str()) == found);
    is(&scope.site, site) && is(&scope.customer, customer)
}

/// The zone in which months are meant: that which was asked for, else the site's, the customer's, or that of the usual business hours.
pub fn zone(terms: &Terms, scope: &Scope, asked: Option<&str>) -> String {
    let service = &terms.service;
    let of_site = || scope.site.as_ref().and_then(|site| service.sites.get(site)).and_then(|s| s.zone.as_deref());
    let of_customer = || scope.customer.as_ref().and_then(|c| service.customers.get(c)).and_then(|c| c.zone.as_deref());
    let usual = || terms.calendar.business(None).zone().iana_name();
    asked.or_else(of_site).or_else(of_customer).or_else(usual).unwrap_or("UTC").to_owned()
}

/// Hands every case of a scope that may be seen, and can have to do with the period, to `take`, newest ticket first.
fn each<S: Store>(
    store: &S,
    fleet: &mut Fleet<'_>,
    sight: &Sight,
    scope: &Scope,
    period: &Period,
    mut take: impl FnMut(&Case<'_>),
) -> Result<(), StoreError> {
    let filter = TicketFilter { between: Some((period.from, period.to)), ..TicketFilter::default() };
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.tickets(&filter, &page)?;
        for record in &listing.rows {
            let case = fleet.case(store, record)?;
            let ours = is_of(scope, case.site.as_deref(), case.customer.as_deref());
            if ours && sight.ticket(store, case.ticket)? {
                take(&case);
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(()),
        }
    }
}

/// The SLA report of a month or year.
pub fn sla<S: Store + Maintenance>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    period: Period,
    scope: Scope,
    as_of: Timestamp,
) -> Result<SlaReport, Error> {
    let mut fleet = Fleet::read(store, terms)?;
    let promises = Promises { policies: &terms.policy, calendars: &terms.calendar };
    let mut tally = sla::Tally::new(promises, period.clone(), scope.clone(), as_of);
    maintain(store, &fleet, sight, &scope, &period, &mut tally)?;
    each(store, &mut fleet, sight, &scope, &period, |case| tally.add(case))?;
    Ok(tally.report())
}

/// Adds the windows that touched the servers of a scope that may be seen: whoever sees a server sees why it was kept quiet.
fn maintain<S: Store + Maintenance>(
    store: &S,
    fleet: &Fleet<'_>,
    sight: &Sight,
    scope: &Scope,
    period: &Period,
    tally: &mut sla::Tally<'_>,
) -> Result<(), StoreError> {
    let span = (period.from, period.to.min(tally.as_of()));
    let ours = fleet.servers.values().filter(|server| {
        let customer = sight::customer(fleet.terms, server, period.from.max(server.first_seen));
        server.first_seen < span.1 && sight.record(server) && is_of(scope, Some(server.site.as_str()), customer)
    });
    let stands = ours.map(|server| {
        let (place, model) = (fleet.terms.topology.place(server), server.identity.model.as_deref());
        (&server.id, Whereabouts { site: Some(&server.site), place, model })
    });
    let servers: Vec<_> = stands.collect();
    for window in store.windows(true)?.iter().filter(|w| w.created_at < span.1 && w.ended_at.is_none_or(|e| e > span.0))
    {
        let changes = store.window_changes(window.id)?;
        let people = changes.iter().map(|change| change.who.clone());
        tally.maintained(maintained::spans(&changes, &servers, span), people);
    }
    Ok(())
}

/// The reliability report of a month or year.
pub fn reliability<S: Store>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    period: Period,
    scope: Scope,
    as_of: Timestamp,
) -> Result<Reliability, Error> {
    let mut fleet = Fleet::read(store, terms)?;
    let mut tally = reliability::Tally::new(period.clone(), scope.clone(), as_of);
    for server in fleet.servers.values().filter(|server| sight.record(server)) {
        let customer = sight::customer(terms, server, period.from.max(server.first_seen)).map(str::to_owned);
        let site = server.site.to_string();
        if is_of(&scope, Some(&site), customer.as_deref()) {
            let watched = (server.first_seen, server.last_seen);
            tally.watch(&Machine { model: fleet.model(server), site, customer, watched });
        }
    }
    each(store, &mut fleet, sight, &scope, &period, |case| tally.add(case))?;
    Ok(tally.report())
}

/// The report of one ticket's fault, for its audience, `reader` where that is a customer; `None` where there is no such ticket that may be seen.
pub fn fault<S: Store + Changes>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    number: TicketNumber,
    (audience, reader): (Audience, &Reader),
    now: Timestamp,
) -> Result<Option<FaultReport>, Error> {
    let Some(record) = store.ticket(number)? else { return Ok(None) };
    if !sight.ticket(store, &record.ticket)? {
        return Ok(None);
    }
    let mut fleet = Fleet { terms, servers: BTreeMap::new() };
    let case = fleet.case(store, &record)?;
    let server = fleet.servers.get(&record.ticket.server);
    let parts = match server {
        Some(server) => store.parts(&server.id)?,
        None => Vec::new(),
    };
    let ticket = &record.ticket;
    let until = if ticket.is_open() { now } else { ticket.updated_at.plus(AROUND).min(now) };
    let mut sources = match server {
        Some(server) => Sources::read(store, &server.id, ticket.onset.minus(AROUND))?,
        None => Sources::default(),
    };
    let timeline = sources.timeline(ticket.onset.minus(AROUND), until);
    sources.tickets.push(record.clone());
    let told = reader.scrubbed(sources.scrubber());
    let promises = Promises { policies: &terms.policy, calendars: &terms.calendar };
    let contract = server.and_then(|s| {
        let owner = terms.topology.place(s).and_then(|place| place.customer.as_deref());
        terms.service.covering_by_name(s, owner, ticket.created_at)
    });
    let subject = Subject {
        ticket: case.ticket,
        log: case.log,
        server,
        parts: &parts,
        model: case.model.as_deref(),
        customer: case.customer.as_deref(),
        contract: contract.map(|(name, contract)| (name, contract.package.as_str())),
        timeline: &timeline,
        told: &told,
    };
    Ok(Some(fault::fault(subject, promises, audience, now)))
}

/// All pages.
fn every<T>(mut read: impl FnMut(&Page) -> Result<Listing<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = read(&page)?;
        all.extend(listing.rows);
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(all),
        }
    }
}
