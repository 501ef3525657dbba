//! What is stored about a ticket and its server.

use super::course::STATES_FOR;
use super::timeline::Sources;
use crate::judgement::Terms;
use crate::service::{Contact, Contract};
use crate::topology::Place;
use outband_health::{Fault, Incident};
use outband_schemas::{SensorKind, Timestamp};
use outband_store::change::Changes;
use outband_store::order::{Order, OrderFilter, OrderState, Orders};
use outband_store::{
    HistoryFilter, HistoryPoint, LatestReading, Page, SeriesFilter, ServerRecord, Store, StoreError, TicketRecord,
};
use outband_ticket::{Ticket, TicketNumber};
use std::time::Duration;

/// What happened so long before the onset may be the change that one asks for.
pub const BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Rows read at once.
const BATCH: usize = 1000;

/// What a neighbour shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// What people call it.
    pub name: String,
    /// Whether it stands in the same rack.
    pub same_rack: bool,
    /// Whether the same feed supplies it.
    pub same_feed: bool,
    /// The faults that it has now.
    pub faults: Vec<Fault>,
}

/// Everything that a call pack is made of.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// The ticket with its log.
    pub record: Option<TicketRecord>,
    /// The server; `None` where the ticket is about a site as a whole.
    pub server: Option<ServerRecord>,
    /// What happened to it.
    pub sources: Sources,
    /// The states of the place from [`STATES_FOR`] before the onset on.
    pub states: Vec<HistoryPoint>,
    /// The newest value of every sensor.
    pub latest: Vec<LatestReading>,
    /// Where it stands.
    pub place: Option<Place>,
    /// The name of the contract that covered it when the ticket was opened, and the contract.
    pub contract: Option<(String, Contract)>,
    /// Whose it is, as people call them.
    pub customer: Option<String>,
    /// Servers beside it, by name.
    pub neighbours: Vec<Neighbour>,
    /// The tickets that are a part of this one, by number.
    pub members: Vec<Ticket>,
    /// Its orders that were carried out, the oldest first.
    pub orders: Vec<Order>,
}

impl Case {
    /// Reads all about a ticket; `None` where there is no such ticket.
    pub fn read<S: Store + Changes + Orders>(
        store: &S,
        terms: &Terms,
        number: TicketNumber,
    ) -> Result<Option<Self>, StoreError> {
        let Some(record) = store.ticket(number)? else { return Ok(None) };
        let ticket = &record.ticket;
        let mut server = store.server(&ticket.server)?;
        if let Some(other) = server.as_ref().and_then(|s| s.merged_into.clone()) {
            server = store.server(&other)?;
        }
        let id = server.as_ref().map_or_else(|| ticket.server.clone(), |s| s.id.clone());
        let mut sources = Sources::read(store, &id, ticket.onset.minus(BEFORE))?;
        if !sources.tickets.iter().any(|t| t.ticket.number == number) {
            sources.tickets.push(record.clone());
        }
        let series = |kind| SeriesFilter { server: Some(id.clone()), kind, ..SeriesFilter::default() };
        let filter = HistoryFilter {
            series: SeriesFilter { component: Some(ticket.component.clone()), ..series(Some(SensorKind::State)) },
            from: ticket.onset.minus(STATES_FOR),
            to: Timestamp::from_millis(i64::MAX),
        };
        let states = every(|page| store.history(&filter, page))?;
        let latest = every(|page| store.latest(&series(None), page))?;
        let place = server.as_ref().and_then(|s| terms.topology.place(s)).cloned();
        let customer = place.as_ref().and_then(|p| p.customer.clone());
        let by_name = |s| terms.service.covering_by_name(s, customer.as_deref(), ticket.created_at);
        let contract = server.as_ref().and_then(by_name).map(|(name, contract)| (name.to_owned(), contract.clone()));
        let customer = contract.as_ref().map(|(_, c)| c.customer.clone()).or(customer);
        let customer = customer.map(|key| terms.service.customers.get(&key).map_or(key, |c| c.name.clone()));
        let neighbours = match (&server, &place) {
            (Some(server), Some(place)) => neighbours(store, terms, server, place)?,
            _ => Vec::new(),
        };
        let mut members: Vec<Ticket> =
            store.open_tickets()?.into_iter().map(|r| r.ticket).filter(|t| t.parent == Some(number)).collect();
        members.sort_by_key(|t| t.number);
        let filter = OrderFilter { open: false, ticket: Some(number) };
        let mut orders = every(|page| store.orders(&filter, page))?;
        orders.retain(|order| order.state == OrderState::Done);
        orders.reverse();
        Ok(Some(Self {
            record: Some(record),
            server,
            sources,
            states,
            latest,
            place,
            contract,
            customer,
            neighbours,
            members,
            orders,
        }))
    }

    /// The contacts of the contract, by role.
    pub fn contacts(&self) -> impl Iterator<Item = (&str, &Contact)> {
        let all = self.contract.iter().flat_map(|(_, contract)| &contract.contacts);
        all.flat_map(|(role, contacts)| contacts.iter().map(move |contact| (role.as_str(), contact)))
    }
}

/// What people call a server.
pub fn called(server: &ServerRecord) -> String {
    let host = server.identity.hostname.clone().filter(|h| !h.is_empty());
    host.or_else(|| server.targets.first().map(|t| t.target.to_string())).unwrap_or_else(|| server.id.to_string())
}

fn neighbours<S: Store>(
    store: &S,
    terms: &Terms,
    server: &ServerRecord,
    place: &Place,
) -> Result<Vec<Neighbour>, StoreError> {
    if place.rack.is_none() && place.feeds.is_empty() {
        return Ok(Vec::new());
    }
    let incidents = store.open_incidents()?;
    let others = every(|page| store.servers(Some(&server.site), page))?;
    let mut found: Vec<Neighbour> = others
        .iter()
        .filter(|other| other.id != server.id)
        .filter_map(|other| {
            let there = terms.topology.place(other)?;
            let same_rack = place.rack.is_some() && there.rack == place.rack;
            let same_feed = there.feeds.iter().any(|feed| place.feeds.contains(feed));
            let of_it = |i: &&Incident| i.key.server == other.id;
            let faults = incidents.iter().filter(of_it).map(|i| i.key.fault).collect();
            (same_rack || same_feed).then(|| Neighbour { name: called(other), same_rack, same_feed, faults })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn every<T>(
    mut read: impl FnMut(&Page) -> Result<outband_store::Listing<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
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
