//! Whether what is kept is what was done: tickets against their logs.

pub mod export;
pub mod hold;
pub mod zip;

use outband_schemas::Timestamp;
use outband_store::{Page, Store, StoreError, TicketFilter, TicketRecord};
use outband_ticket::{State, Ticket, TicketNumber};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// Tickets read at once.
const BATCH: usize = 200;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many tickets were looked at.
    pub tickets: usize,
    /// Those that are not what their logs say.
    pub wrong: Vec<TicketNumber>,
}

/// Whether a ticket is the fold of its log.
pub fn agrees(record: &TicketRecord) -> bool {
    Ticket::fold(record.ticket.number, &record.log).as_ref() == Some(&record.ticket)
}

/// A ticket as it stood at a time, with its log up to then; `None` where it was not open yet.
pub fn at(record: &TicketRecord, time: Timestamp) -> Option<TicketRecord> {
    let ticket = Ticket::at(record.ticket.number, &record.log, time)?;
    let log = record.log.iter().take_while(|entry| entry.at <= time).cloned().collect();
    Some(TicketRecord { ticket, log, change: record.change })
}

/// Compares every ticket in these states (none given: all) with its log. Each that differs is an ERROR in the log.
pub fn check<S: Store>(store: &S, states: &[State]) -> Result<Checked, StoreError> {
    let filter = TicketFilter { states: states.to_vec(), ..TicketFilter::default() };
    let mut checked = Checked::default();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.tickets(&filter, &page)?;
        for record in &listing.rows {
            checked.tickets += 1;
            if !agrees(record) {
                tracing::error!(ticket = %record.ticket.number, "a ticket is not what its log says: the store was changed by something else");
                checked.wrong.push(record.ticket.number);
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(checked),
        }
    }
}

/// Checks the tickets that are not closed once, then waits for `shutdown`. An error is a panic in it.
pub async fn run<S: Store>(store: S, shutdown: CancellationToken) -> Result<(), JoinError> {
    let live: Vec<State> = State::ALL.into_iter().filter(|s| *s != State::Closed).collect();
    match tokio::task::spawn_blocking(move || check(&store, &live)).await? {
        Ok(checked) => tracing::debug!(tickets = checked.tickets, "tickets were compared with their logs"),
        Err(StoreError::Closed) => {}
        Err(error) => tracing::error!(%error, "tickets cannot be compared with their logs"),
    }
    shutdown.cancelled().await;
    Ok(())
}
