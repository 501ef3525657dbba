//! Requests that may come twice, and what is noted of each that changes something.

use crate::audit::{self, Caller};
use crate::query::Desk;
use crate::query::problem::{id_reused, invalid};
use outband_schemas::Clock;
use outband_store::audit::{Answer, Audit, Deed, Note, Noted, Sha256Hash};
use outband_store::{Store, StoreError};
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tonic::Status;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The requests with an id that are being answered, by whose they are: of two at a time, the second waits for the first's answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<(String, String), Lock>>>);

impl Turns {
    async fn take(&self, who: &str, id: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What only this table holds is over.
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            all.entry((who.to_owned(), id.to_owned())).or_default().clone()
        };
        lock.lock_owned().await
    }
}

/// A request that was not answered yet.
#[derive(Debug)]
pub(crate) struct Once {
    pub(crate) id: Option<String>,
    digest: Sha256Hash,
    /// Until the answer is kept, nobody else answers a request of this id.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Once {
    /// What is to be remembered of the answer: nothing, where the request has no id.
    pub(crate) fn answer(&self, answer: &impl Message) -> Option<Answer> {
        let digest = self.digest;
        self.id.clone().map(|request_id| Answer { request_id, digest, body: answer.encode_to_vec() })
    }
}

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Known<A> {
    /// It came before: this was answered.
    Answered(A),
    /// It is new.
    New(Once),
}

impl<S: Store + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// Whether this caller's request was answered already. An id under which another request came is an error.
    pub(crate) async fn known<Q: Message, A: Message + Default>(
        &self,
        caller: &Caller,
        method: &str,
        request_id: &str,
        request: &Q,
    ) -> Result<Known<A>, Status> {
        let id = audit::request_id(request_id).map_err(|e| invalid("request_id", e))?;
        let digest = audit::digest(method, request);
        let mut turn = None;
        if let Some(id) = id.clone() {
            turn = Some(self.turns.take(&caller.principal.name, &id).await);
            let (who, now, asked) = (caller.principal.name.clone(), self.now(), id.clone());
            match self.ask(move |store| store.answered(&who, &asked, now)).await? {
                Some(known) if known.digest != digest => return Err(id_reused(&id)),
                Some(known) => {
                    let answer = A::decode(&*known.body);
                    return answer.map(Known::Answered).map_err(|e| Status::internal(format!("a kept answer: {e}")));
                }
                None => {}
            }
        }
        Ok(Known::New(Once { id, digest, _turn: turn }))
    }

    /// Makes a change, and with it what is noted of it and the answer to the request: all three or none. `tell` says both of what was stored. `None`:
    /// somebody else was faster.
    pub(crate) async fn noted<T: Send + 'static, A: Message + 'static>(
        &self,
        caller: &Caller,
        once: Once,
        tell: impl Fn(&T) -> (Deed, A) + Send + Sync + 'static,
        put: impl FnOnce(&S, Note<T>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<A>, Status> {
        // The turn ends with this call, not with the note: the next of its id has to find the answer.
        let (once, tell) = (Arc::new(once), Arc::new(tell));
        let (ours, said, actor) = (once.clone(), tell.clone(), caller.actor());
        let note = Box::new(move |stored: &T| {
            let (deed, answer) = said(stored);
            let deed = Deed { request_id: ours.id.clone(), ..deed };
            Noted { actor, deed, answer: ours.answer(&answer) }
        });
        let stored = self
            .ask(move |store| match put(store, note) {
                Err(StoreError::Conflict { .. }) => Ok(None),
                other => other.map(Some),
            })
            .await?;
        drop(once);
        Ok(stored.map(|stored| tell(&stored).1))
    }

    /// Notes what was done, and the answer to it.
    pub(crate) async fn done(
        &self,
        caller: &Caller,
        deed: Deed,
        once: Once,
        answer: &impl Message,
    ) -> Result<(), Status> {
        let deed = Deed { request_id: once.id.clone(), ..deed };
        let answer = once.answer(answer);
        let actor = caller.actor();
        self.ask(move |store| store.audit_answer(actor, deed, answer)).await.map(|_| ())
    }

    /// Remembers the answer to what was noted already.
    pub(crate) async fn remember(&self, caller: &Caller, once: Once, answer: &impl Message) -> Result<(), Status> {
        let Some(answer) = once.answer(answer) else { return Ok(()) };
        let (who, now) = (caller.principal.name.clone(), self.now());
        self.ask(move |store| store.remember(&who, answer, now)).await
    }

    /// Notes that somebody wanted to change what he may not even see.
    pub(crate) fn denied(&self, caller: &Caller, method: &str, resource: &str) {
        if let Some(refusals) = self.refusals.as_ref().filter(|_| caller.principal.is_limited()) {
            refusals.note_about(caller.clone(), method, resource, "beyond the limits of the token".to_owned());
        }
    }
}
