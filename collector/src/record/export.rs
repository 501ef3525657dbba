//! One customer's evidence, as a zip file.

use super::zip::{TooLarge, Zip};
use crate::judgement::Terms;
use crate::sight;
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_store::audit::{Audit, AuditFilter, Proof};
use outband_store::{
    EventFilter, HistoryFilter, Listing, NoticeFilter, Outbox, Page, SeriesFilter, ServerRecord, Store, StoreError,
    TicketFilter, TicketRecord,
};
use outband_ticket::calendar::tzdb_version;
use outband_ticket::sla::{self, Account, account};
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
    /// There is no room to make it in.
    #[error("the export cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// Whoever wanted it has gone.
    #[error("the reader has gone")]
    Gone,
}

/// The servers in question.
pub fn servers<S: Store>(store: &S, terms: &Terms, whose: &Whose) -> Result<Vec<ServerRecord>, StoreError> {
    let mut all = every(|page| store.servers(None, page))?;
    all.retain(|server| match whose {
        // What was last heard of while a contract held is still that customer's.
        Whose::Customer(name) => sight::customer(terms, server, server.last_seen) == Some(name),
        Whose::Sites(sites) => sites.contains(&server.site),
    });
    Ok(all)
}

/// Who used a customer's token on tickets of these servers.
pub fn people<S: Store + Audit>(store: &S, servers: &BTreeSet<ServerId>) -> Result<BTreeSet<String>, StoreError> {
    let mut names = BTreeSet::new();
    for server in servers {
        for record in tickets(store, server)? {
            let resource = Some(format!("tickets/{}", record.ticket.number));
            let filter = AuditFilter { resource, ..AuditFilter::default() };
            let entries = every(|page| store.audited(&filter, page))?;
            names.extend(entries.into_iter().filter(|e| e.deed.role == "customer").map(|e| e.actor.name));
        }
    }
    Ok(names)
}

/// Writes all but the end of the file, piece by piece, to `out`, which answers `false` where it takes no more. Answers what is to be
/// gone on with, and the SHA-256 of the manifest.
pub fn write<S: Store + Audit + Outbox>(
    store: &S,
    terms: &Terms,
    servers: &[ServerRecord],
    now: Timestamp,
    out: impl FnMut(Vec<u8>) -> bool,
) -> Result<(Zip, String), Error> {
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
        let parts = store.parts(&server.id)?;
        let parts: Vec<Value> = parts
            .iter()
            .map(|p| {
                json!({
                    "part": p.part, "current": p.current, "first_seen_ms": p.first_seen.as_millis(),
                    "last_seen_ms": p.last_seen.as_millis(),
                })
            })
            .collect();
        file.json(&format!("{folder}/parts.json"), &Value::Array(parts))?;
        for record in tickets(store, &server.id)? {
            ticket(store, terms, &record, now, &mut file)?;
        }
    }
    let manifest = json!({ "made_at_ms": now.as_millis(), "servers": servers.len(), "sha256": file.sums });
    file.json("manifest.json", &manifest)?;
    let sum = file.sums.remove("manifest.json").unwrap_or_default();
    Ok((file.zip, sum))
}

/// The last bytes of the file: `seal.json`, the entry of the audit log that holds the SHA-256 of the manifest; and the directory.
pub fn seal(mut zip: Zip, proof: &Proof) -> Result<Vec<u8>, Error> {
    let mut out = zip.file("seal.json", &serde_json::to_vec_pretty(&proven(proof))?)?;
    out.extend(zip.end()?);
    Ok(out)
}

/// An entry of the audit log with everything that its hash is of.
fn proven(proof: &Proof) -> Value {
    json!({
        "seq": proof.seq, "before": proof.before.to_string(), "body": proof.body, "hash": proof.hash.to_string(),
        "salt": proof.salt.as_deref().map(hex), "who": proof.actor.name, "peer": proof.actor.peer,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn tickets<S: Store>(store: &S, server: &ServerId) -> Result<Vec<TicketRecord>, StoreError> {
    let filter = TicketFilter { server: Some(server.clone()), ..TicketFilter::default() };
    every(|page| store.tickets(&filter, page))
}

fn ticket<S: Store + Audit + Outbox>(
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
    let mut proofs = Vec::new();
    for entry in entries.iter().rev() {
        proofs.extend(store.audit_proof(entry.seq)?.as_ref().map(proven));
    }
    file.json(&format!("{name}/audit.json"), &Value::Array(proofs))?;
    let sums = account(&terms.policy, &terms.calendar, &record.log, now);
    let sums: Vec<Value> = sums.iter().map(sum).collect();
    file.json(
        &format!("{name}/sla.json"),
        &json!({ "at_ms": now.as_millis(), "tzdb": tzdb_version(), "clocks": sums }),
    )?;
    let filter = NoticeFilter { ticket: Some(ticket.number), ..NoticeFilter::default() };
    let notices = every(|page| store.notices(&filter, page))?;
    let notices: Vec<Value> = notices
        .iter()
        .map(|n| {
            json!({
                "id": n.id, "seq": n.draft.seq, "cause": n.draft.cause, "channel": n.draft.channel,
                "recipient": n.draft.recipient, "subject": n.draft.subject, "body": n.draft.body, "key": n.key,
                "state": n.state.as_str(), "attempts": n.attempts, "made_at_ms": n.made_at.as_millis(),
                "settled_at_ms": n.settled_at.map(Timestamp::as_millis), "error": n.error,
            })
        })
        .collect();
    file.json(&format!("{name}/notices.json"), &Value::Array(notices))?;
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

/// What a clock came to and why, with the policy, the calendar and their revisions.
fn sum(sum: &Account) -> Value {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let spans: Vec<Value> = sum
        .spans
        .iter()
        .map(|s| json!({ "from_ms": s.from.as_millis(), "to_ms": s.to.as_millis(), "why": s.why.as_str() }))
        .collect();
    let pauses: Vec<Value> = sum
        .pauses
        .iter()
        .map(|p| {
            json!({ "from_ms": p.from.as_millis(), "to_ms": p.to.map(Timestamp::as_millis), "state": p.state.to_string() })
        })
        .collect();
    json!({
        "clock": sum.clock.target.to_string(), "cycle": sum.clock.cycle, "policy": sum.policy.0,
        "policy_revision": sum.policy.1, "calendar": sum.calendar, "calendar_revision": sum.basis.revision,
        "zone": sum.zone, "start_ms": sum.start.as_millis(), "due_ms": sum.clock.due.map(Timestamp::as_millis),
        "met_at_ms": sum.clock.met_at.map(Timestamp::as_millis), "elapsed_ms": millis(sum.clock.elapsed),
        "remaining_ms": sum.remaining.map(millis), "spans": spans, "pauses": pauses,
    })
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
        let sum = hex(&Sha256::digest(&text));
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
