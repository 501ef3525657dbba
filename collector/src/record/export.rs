//! One customer's evidence, as a zip file.

use super::zip::{TooLarge, Zip};
use crate::judgement::Terms;
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::{
    EventFilter, HistoryFilter, Listing, Page, SeriesFilter, ServerRecord, Store, StoreError, TicketFilter,
    TicketRecord,
};
use outband_ticket::sla;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Readings from so long before a ticket's onset, and so long after its newest change.
const AROUND: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows read at once.
const BATCH: usize = 1000;
/// The longest piece that is handed on, in bytes.
const PIECE: usize = 1 << 20;

/// Whose evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of the servers that the topology gives this customer.
    Customer(String),
    /// Of the servers of these sites.
    Sites(BTreeSet<SiteId>),
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not fit into a zip file.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A record cannot be written down.
    #[error("a record cannot be written down: {0}")]
    Encode(#[from] serde_json::Error),
    /// Whoever wanted it has gone.
    #[error("the reader has gone")]
    Gone,
}

/// The servers in question.
pub fn servers<S: Store>(store: &S, terms: &Terms, whose: &Whose) -> Result<Vec<ServerRecord>, StoreError> {
    let mut all = every(|page| store.servers(None, page))?;
    all.retain(|server| match whose {
        Whose::Customer(name) => terms.topology.place(server).and_then(|p| p.customer.as_ref()) == Some(name),
        Whose::Sites(sites) => sites.contains(&server.site),
    });
    Ok(all)
}

/// Writes the file, piece by piece, to `out`; which answers `false` where nobody listens any more.
pub fn write<S: Store + Audit>(
    store: &S,
    terms: &Terms,
    servers: &[ServerRecord],
    now: Timestamp,
    out: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), Error> {
    let mut file = File { zip: Zip::default(), sums: BTreeMap::new(), out };
    for server in servers {
        let events = every(|page| {
            let filter = EventFilter { server: Some(server.id.clone()), ..EventFilter::default() };
            store.events(&filter, page)
        })?;
        let events: Vec<Value> =
            events.iter().map(|e| json!({ "received_at_ms": e.received_at.as_millis(), "event": e.event })).collect();
        let folder = format!("servers/{}", server.id);
        let about = json!({ "name": folder, "site": server.site, "identity": server.identity });
        file.json(&format!("{folder}/server.json"), &about)?;
        file.json(&format!("{folder}/events.json"), &Value::Array(events))?;
        for record in tickets(store, &server.id)? {
            ticket(store, terms, &record, now, &mut file)?;
        }
    }
    let manifest = json!({ "made_at_ms": now.as_millis(), "servers": servers.len(), "sha256": file.sums });
    file.json("manifest.json", &manifest)?;
    let File { zip, mut out, .. } = file;
    if out(zip.end()?) { Ok(()) } else { Err(Error::Gone) }
}

fn tickets<S: Store>(store: &S, server: &ServerId) -> Result<Vec<TicketRecord>, StoreError> {
    let filter = TicketFilter { server: Some(server.clone()), ..TicketFilter::default() };
    every(|page| store.tickets(&filter, page))
}

fn ticket<S: Store + Audit>(
    store: &S,
    terms: &Terms,
    record: &TicketRecord,
    now: Timestamp,
    file: &mut File<impl FnMut(Vec<u8>) -> bool>,
) -> Result<(), Error> {
    let ticket = &record.ticket;
    let name = format!("tickets/{}", ticket.number);
    file.json(&format!("{name}/ticket.json"), &serde_json::to_value(ticket)?)?;
    file.json(&format!("{name}/log.json"), &serde_json::to_value(&record.log)?)?;
    let clocks = sla::clocks(&terms.policy, &terms.calendar, &record.log, now);
    file.json(&format!("{name}/clocks.json"), &serde_json::to_value(clocks)?)?;
    let filter = AuditFilter { resource: Some(name.clone()), ..AuditFilter::default() };
    let entries = every(|page| store.audited(&filter, page))?;
    let entries = entries.iter().map(|e| {
        json!({ "seq": e.seq, "who": e.actor.name, "peer": e.actor.peer, "deed": e.deed, "hash": e.hash.to_string() })
    });
    file.json(&format!("{name}/audit.json"), &entries.collect())?;
    let around = i64::try_from(AROUND.as_millis()).unwrap_or(i64::MAX);
    let filter = HistoryFilter {
        series: SeriesFilter {
            server: Some(ticket.server.clone()),
            component: Some(ticket.component.clone()),
            ..SeriesFilter::default()
        },
        from: Timestamp::from_millis(ticket.onset.as_millis().saturating_sub(around)),
        to: Timestamp::from_millis(ticket.updated_at.as_millis().saturating_add(around)),
    };
    let points = every(|page| store.history(&filter, page))?;
    let points: Vec<Value> = points
        .iter()
        .map(|p| {
            json!({
                "observed_at_ms": p.observed_at.as_millis(), "component": p.component.to_string(), "kind": p.kind,
                "sensor": p.sensor, "source": p.source, "value": p.value, "quality": p.quality,
            })
        })
        .collect();
    file.json(&format!("{name}/readings.json"), &Value::Array(points))
}

/// The file in the making, and the hash of each one in it.
struct File<F> {
    zip: Zip,
    sums: BTreeMap<String, String>,
    out: F,
}

impl<F: FnMut(Vec<u8>) -> bool> File<F> {
    fn json(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(value)?;
        let sum = Sha256::digest(&text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        self.sums.insert(name.to_owned(), sum);
        let bytes = self.zip.file(name, &text)?;
        if bytes.chunks(PIECE).all(|piece| (self.out)(piece.to_vec())) { Ok(()) } else { Err(Error::Gone) }
    }
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
