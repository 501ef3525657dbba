//! Temporary accesses to one ticket: for a helper of the maker, say, while the fault lasts. Never for more than a ticket, never with the rights of
//! those who run the house, and over by themselves: when their time is up, when somebody ends them, when the ticket is closed.

mod live;

pub use live::Live;

use crate::query::pulse::Pulse;
use crate::react::WHO;
use crate::token::Role;
use outband_schemas::{Clock, Timestamp};
use outband_store::audit::{Actor, Deed, Outcome};
use outband_store::grant::{Grant, GrantEnd, GrantWrite, Grants};
use outband_store::{Store, StoreError, TicketWrite};
use outband_ticket::{AccessStep, Action, Command, Rejected, State, Ticket, apply};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// What may be given away for a while.
pub const ROLES: [Role; 2] = [Role::Viewer, Role::Engineer];
/// How long it lasts where nobody says otherwise.
pub const USUAL: Duration = Duration::from_secs(4 * 60 * 60);
/// How long it lasts at most; another one can be given then.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is looked whether one is over. A call is let in or not by the time of the call itself.
const EVERY: Duration = Duration::from_secs(1);

/// Why a grant is not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ticket does not take it.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// A change of a grant with the entry in its ticket's log.
pub fn write(
    grant: Grant,
    step: AccessStep,
    why: &str,
    ticket: &Ticket,
    actor: Actor,
    deed: Deed,
) -> Result<GrantWrite, Rejected> {
    let action = Action::Access { grant: grant.id, step };
    let entry = apply(ticket, Command { who: actor.name.clone(), why: why.to_owned(), action }, deed.at)?;
    let after = ticket.after(&entry);
    let deed = Deed { before: Some(ticket.etag()), after: Some(after.etag()), ..deed };
    let ticket = TicketWrite { ticket: after, expected_revision: Some(ticket.revision), transitions: vec![entry] };
    Ok(GrantWrite { grant, ticket, actor, deed })
}

/// What is to be done about an open grant, if anything: the grant after it, what happened, and why.
pub fn due(grant: &Grant, ticket: &Ticket, now: Timestamp) -> Option<(Grant, AccessStep, &'static str)> {
    let over = |how, why| Some((Grant { ended: Some((now, how)), ..grant.clone() }, AccessStep::Ended, why));
    if ticket.state == State::Closed {
        return over(GrantEnd::TicketClosed, "the ticket is closed");
    }
    if grant.until <= now {
        return over(GrantEnd::Expired, "its time is up");
    }
    let remind = ticket.state == State::Resolved && !grant.reminded;
    remind.then(|| {
        let grant = Grant { reminded: true, ..grant.clone() };
        (grant, AccessStep::Reminded, "the ticket is resolved: end it, or it ends when the ticket is closed")
    })
}

/// Looks at every open grant; answers whether any changed. One whose ticket somebody else changes meanwhile has its turn the next time.
pub fn step<S: Store + Grants>(store: &S, now: Timestamp) -> Result<bool, StoreError> {
    let mut changed = false;
    for (grant, _) in store.open_grants()? {
        let Some(record) = store.ticket(grant.ticket)? else { continue };
        let Some((after, what, why)) = due(&grant, &record.ticket, now) else { continue };
        let deed = Deed {
            at: now,
            role: WHO.to_owned(),
            method: format!("grant/{}", what.as_str()),
            resource: format!("grants/{}", grant.id),
            detail: why.to_owned(),
            outcome: Outcome::Done,
            request_id: None,
            before: None,
            after: None,
        };
        let actor = Actor { name: WHO.to_owned(), peer: None };
        match write(after, what, why, &record.ticket, actor, deed) {
            Ok(write) => match store.change_grant(write) {
                Ok(()) => changed = true,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            },
            Err(error) => tracing::error!(grant = grant.id, %error, "a temporary access cannot be changed"),
        }
    }
    Ok(changed)
}

/// Ends what is over, and reminds of what is still open when its ticket is resolved, until `shutdown`. An error is a panic in it.
pub async fn run<S, C>(
    store: S,
    clock: Arc<C>,
    live: Live,
    pulse: Pulse,
    shutdown: CancellationToken,
) -> Result<(), JoinError>
where
    S: Store + Grants,
    C: Clock + Send + Sync + 'static,
{
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = turns.tick() => {}
        }
        let (store, live, now) = (store.clone(), live.clone(), clock.now());
        let done = tokio::task::spawn_blocking(move || {
            let changed = step(&store, now)?;
            if changed {
                live.refresh(&store)?;
            }
            Ok::<_, StoreError>(changed)
        });
        match done.await? {
            Ok(true) => pulse.beat(),
            Ok(false) | Err(StoreError::Closed) => {}
            Err(error) => {
                tracing::warn!(%error, "temporary accesses cannot be looked after; those whose time is up are refused all the same")
            }
        }
    }
}

#[cfg(test)]
mod tests;
