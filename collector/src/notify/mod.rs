//! Notices: what happens to tickets is told to people, on the channels that they want.
//!
//! Read in this order: [`plan`] (what an entry of a ticket's log makes, pure), [`text`] (what it says), [`send`] (the channels). The loop below
//! makes notices from the logs by a cursor, and sends what is due from the outbox. Nothing is only in memory: after a crash it goes on where
//! the store says, and what was under way is sent again under the same key.

mod backoff;
mod plan;
pub(crate) mod quiet;
mod rate;
mod secret;
mod send;
mod text;

pub use secret::Error as SecretError;
pub(crate) use send::check;

use crate::config::notify::{Notify, Recipient};
use crate::judgement::{self, Judgement};
use crate::words::Lang;
use outband_schemas::{Clock, ServerId, Timestamp};
use outband_store::{Made, Notice, Outbox, Outcome, Store, StoreError};
use plan::{Judged, Subject};
use rand::RngExt;
use rate::Bucket;
use send::{Message, Refusal};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the loop looks for what is new and what is due.
const LOOK: Duration = Duration::from_millis(500);
/// How often old notices are dropped.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);
/// Tickets a turn.
const BATCH: usize = 200;
/// Notices of a channel that are looked at in a turn.
const DUE: usize = 64;
/// Deliveries of a channel under way at once: one that hangs must not hold up the others.
const AT_ONCE: usize = 8;

/// Why the loop ended: a part of it panicked.
#[derive(Debug, thiserror::Error)]
#[error("sending notices failed: {0}")]
pub struct Error(#[from] JoinError);

/// Who is told what, replaceable while the collector runs.
#[derive(Debug, Clone)]
pub struct Terms {
    notify: Arc<RwLock<Arc<Notify>>>,
    judgement: Judgement,
}

impl Terms {
    /// By this config; `judgement` knows whose servers are whose.
    pub fn new(notify: Notify, judgement: Judgement) -> Self {
        Self { notify: Arc::new(RwLock::new(Arc::new(notify))), judgement }
    }

    /// Puts another in force.
    pub fn replace(&self, notify: Notify) {
        *self.notify.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(notify);
    }

    fn now(&self) -> Arc<Notify> {
        self.notify.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Works until `shutdown` is cancelled. What fails is logged and tried again.
pub async fn run<S: Store + Outbox, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    terms: Terms,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut desk = Desk {
        store,
        clock,
        terms,
        buckets: HashMap::new(),
        under_way: BTreeSet::new(),
        in_flight: HashMap::new(),
        tries: JoinSet::new(),
        started: Instant::now(),
    };
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expired: Option<Instant> = None;
    let mut begun = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(done) = desk.tries.join_next() => {
                // It notes its own outcome; what could not be noted is sent again.
                let (channel, ids) = done?;
                desk.in_flight.entry(channel).and_modify(|n| *n = n.saturating_sub(1));
                for id in ids {
                    desk.under_way.remove(&id);
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        let turn = desk.turn(&mut begun).await?;
        if expired.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY) && turn.is_ok() {
            desk.expire().await?;
            expired = Some(Instant::now());
        }
        match turn {
            Ok(()) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "notices cannot be made or read; it is tried again"),
        }
    }
}

struct Desk<S, C> {
    store: S,
    clock: Arc<C>,
    terms: Terms,
    buckets: HashMap<String, (u32, Bucket)>,
    under_way: BTreeSet<i64>,
    in_flight: HashMap<String, usize>,
    tries: JoinSet<(String, Vec<i64>)>,
    started: Instant,
}

/// What is due, with what a decision needs.
struct Due {
    notices: Vec<Notice>,
    to: Recipient,
}

impl<S: Store + Outbox, C: Clock + Send + Sync + 'static> Desk<S, C> {
    async fn turn(&mut self, begun: &mut bool) -> Result<Result<(), StoreError>, JoinError> {
        let (store, now, notify) = (self.store.clone(), self.clock.now(), self.terms.now());
        let (first, busy, judgement) = (!*begun, self.under_way.clone(), self.terms.judgement.terms());
        let due = tokio::task::spawn_blocking(move || {
            if first {
                store.begin_outbox(&instance(), now)?;
            }
            make(&store, &notify, &judgement, now)?;
            store_due(&store, &notify, &busy, now)
        });
        let due = match due.await? {
            Ok(due) => due,
            Err(error) => return Ok(Err(error)),
        };
        *begun = true;
        for Due { notices, to } in due {
            self.start(notices, to);
        }
        Ok(Ok(()))
    }

    /// Sends in the background, where the channel has room.
    fn start(&mut self, notices: Vec<Notice>, to: Recipient) {
        let notify = self.terms.now();
        let Some(channel) = notify.channels.get(&to.channel).cloned() else { return };
        let (at, most) = (self.started.elapsed(), channel.per_minute());
        let known = self.buckets.entry(to.channel.clone()).or_insert_with(|| (most, Bucket::new(most, at)));
        if known.0 != most {
            *known = (most, Bucket::new(most, at));
        }
        let Some(message) = message(&notices, &to, self.clock.now()) else { return };
        let in_flight = self.in_flight.entry(to.channel.clone()).or_default();
        let ids: Vec<i64> = notices.iter().map(|n| n.id).collect();
        if *in_flight >= AT_ONCE || !known.1.take(at) {
            return;
        }
        *in_flight += 1;
        let attempts = notices.iter().map(|n| n.attempts).max().unwrap_or(0);
        self.under_way.extend(&ids);
        let (store, clock) = (self.store.clone(), self.clock.clone());
        self.tries.spawn(async move {
            let sent = send::send(&channel, &message).await;
            let now = clock.now();
            let outcome = outcome(sent, attempts, &notify, now, rand::rng().random());
            tell(&outcome, &message, &to.channel);
            let settled = {
                let ids = ids.clone();
                tokio::task::spawn_blocking(move || store.settle_notices(&ids, outcome, now)).await
            };
            match settled {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a delivery cannot be noted: it is made again"),
                Err(error) => tracing::error!(%error, "noting a delivery failed"),
            }
            (to.channel, ids)
        });
    }

    async fn expire(&self) -> Result<(), JoinError> {
        let (store, keep) = (self.store.clone(), self.terms.now().keep_days);
        let before = self.clock.now().minus(Duration::from_secs(u64::from(keep) * 24 * 60 * 60));
        let dropped = tokio::task::spawn_blocking(move || store.expire_notices(before)).await?;
        if let Err(error) = dropped {
            tracing::warn!(%error, "old notices cannot be dropped; it is tried again");
        }
        Ok(())
    }
}

/// Text that no other store has.
fn instance() -> String {
    let bits: u128 = rand::rng().random();
    format!("{bits:032x}")
}

/// Makes the notices of everything that changed.
fn make<S: Store + Outbox>(
    store: &S,
    notify: &Notify,
    judgement: &judgement::Terms,
    now: Timestamp,
) -> Result<(), StoreError> {
    while let Some(news) = store.unnoticed(BATCH)? {
        let mut made = Made { through: news.through, ..Made::default() };
        for (record, mark) in &news.tickets {
            let subject = subject(store, judgement, &record.ticket.server, now)?;
            made.notices.extend(plan::drafts(notify, record, *mark, news.since, &subject, now));
            made.marks.push((record.ticket.number, record.ticket.transitions));
        }
        let new = store.make_notices(made, now)?;
        if new > 0 {
            tracing::debug!(new, "made notices");
        }
    }
    Ok(())
}

/// What people call a server, and whose it is: by the contract that covers it, else by the topology.
fn subject<S: Store>(
    store: &S,
    terms: &judgement::Terms,
    id: &ServerId,
    now: Timestamp,
) -> Result<Subject, StoreError> {
    let Some(server) = store.server(id)? else {
        return Ok(Subject { server_name: id.to_string(), customer: None });
    };
    let named = server.identity.hostname.clone().filter(|name| !name.trim().is_empty());
    let target = || server.targets.first().map(|t| t.target.to_string());
    let server_name = named.or_else(target).unwrap_or_else(|| id.to_string());
    let stands = terms.topology.place(&server).and_then(|place| place.customer.clone());
    let contract = terms.service.covering(&server, stands.as_deref(), now);
    let customer = contract.map(|c| c.customer.clone()).or(stands);
    Ok(Subject { server_name, customer })
}

/// What is to be sent now. What has to wait, or is wanted no more, is noted as such.
fn store_due<S: Store + Outbox>(
    store: &S,
    notify: &Notify,
    busy: &BTreeSet<i64>,
    now: Timestamp,
) -> Result<Vec<Due>, StoreError> {
    store.gather_digests(now)?;
    let mut groups: BTreeMap<(u8, i64), Vec<Notice>> = BTreeMap::new();
    let mut batches: HashMap<String, (u8, i64)> = HashMap::new();
    for notice in store.due_notices(now, DUE)?.into_iter().filter(|n| !busy.contains(&n.id)) {
        let own = (notice.draft.priority.number(), notice.id);
        let group = notice.batch.clone().map_or(own, |batch| *batches.entry(batch).or_insert(own));
        groups.entry(group).or_default().push(notice);
    }
    let mut due = Vec::new();
    for mut notices in groups.into_values() {
        notices.sort_by_key(|n| n.id);
        if let Some(ready) = ready(store, notify, notices, now)? {
            due.push(ready);
        }
    }
    Ok(due)
}

fn ready<S: Store + Outbox>(
    store: &S,
    notify: &Notify,
    notices: Vec<Notice>,
    now: Timestamp,
) -> Result<Option<Due>, StoreError> {
    let Some(first) = notices.first() else { return Ok(None) };
    let gone = |what: &str| Outcome::Failed { error: format!("the config has no {what} any more") };
    let to = match notify.recipients.get(&first.draft.recipient) {
        Some(to) if notify.channels.contains_key(&to.channel) => to.clone(),
        Some(_) => return settle_all(store, &notices, gone("such channel"), now),
        None => return settle_all(store, &notices, gone("such recipient"), now),
    };
    let mut wanted = Vec::new();
    for notice in notices {
        let judged = match store.ticket(notice.draft.ticket)? {
            Some(record) => plan::judge(&notice, &record, &to, now),
            None => Judged::Drop("the ticket is gone".to_owned()),
        };
        match judged {
            Judged::Send => wanted.push(notice),
            Judged::Wait(until, why) => store.settle_notices(&[notice.id], Outcome::Held { until, why }, now)?,
            Judged::Drop(why) => store.settle_notices(&[notice.id], Outcome::Cancelled { why }, now)?,
        }
    }
    Ok((!wanted.is_empty()).then_some(Due { notices: wanted, to }))
}

fn settle_all<S: Outbox>(
    store: &S,
    notices: &[Notice],
    outcome: Outcome,
    now: Timestamp,
) -> Result<Option<Due>, StoreError> {
    let ids: Vec<i64> = notices.iter().map(|n| n.id).collect();
    store.settle_notices(&ids, outcome, now)?;
    Ok(None)
}

/// One message for one notice, or for a digest of several.
fn message(notices: &[Notice], to: &Recipient, now: Timestamp) -> Option<Message> {
    let first = notices.first()?;
    let draft = &first.draft;
    let (subject, body) = if notices.len() == 1 {
        (draft.subject.clone(), draft.body.clone())
    } else {
        let texts: Vec<(&str, &str)> =
            notices.iter().map(|n| (n.draft.subject.as_str(), n.draft.body.as_str())).collect();
        let text = text::digest(&texts, Lang::from_tag(&draft.lang).unwrap_or_default());
        (text.subject, text.body)
    };
    Some(Message {
        key: first.batch.clone().unwrap_or_else(|| first.key.clone()),
        to: to.to.clone(),
        subject,
        body,
        ticket: draft.ticket.0,
        seq: draft.seq,
        cause: draft.cause.clone(),
        priority: notices.iter().map(|n| n.draft.priority.number()).min().unwrap_or(4),
        lang: draft.lang.clone(),
        made_at: first.made_at,
        now,
    })
}

fn outcome(sent: Result<(), Refusal>, attempts: u32, notify: &Notify, now: Timestamp, draw: f64) -> Outcome {
    let failed = attempts.saturating_add(1);
    match sent {
        Ok(()) => Outcome::Delivered,
        Err(refusal) if refusal.for_good || failed >= notify.tries => Outcome::Failed { error: refusal.why },
        Err(refusal) => {
            let most = backoff::most(notify.first_retry.duration(), notify.longest_retry.duration(), failed);
            let wait = backoff::wait(most, draw, refusal.after);
            Outcome::Retry { at: now.plus(wait), error: refusal.why }
        }
    }
}

/// Names and keys only: texts and addresses are nobody's business in a log.
fn tell(outcome: &Outcome, message: &Message, channel: &str) {
    let (key, ticket) = (&message.key, message.ticket);
    match outcome {
        Outcome::Delivered => tracing::debug!(channel, ticket, key, "notice delivered"),
        Outcome::Retry { error, .. } | Outcome::Later { error, .. } | Outcome::Apart { error } => {
            tracing::warn!(channel, ticket, key, %error, "a notice is not delivered yet; it is tried again")
        }
        Outcome::Failed { error } => {
            tracing::error!(channel, ticket, key, %error, "a notice is given up: see `outband notices list --state failed`");
        }
        Outcome::Held { .. } | Outcome::Cancelled { .. } => {}
    }
}
