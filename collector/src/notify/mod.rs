//! Notices: what happens to tickets is told to people, on the channels that they want.
//!
//! Read in this order: [`plan`] (what an entry of a ticket's log makes, pure), [`text`] (what it says), [`send`] (the channels). The loop below
//! makes notices from the logs by a cursor, and sends what is due from the outbox. Nothing is only in memory: after a crash it goes on where
//! the store says, and what was under way is sent again under the same key.

mod backoff;
pub mod foretell;
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
use outband_ticket::Calendars;
use plan::{Judged, Subject};
use rand::RngExt;
use rate::Limit;
use send::{Message, Refusal};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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

    pub(crate) fn now(&self) -> Arc<Notify> {
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
        limits: HashMap::new(),
        resting: Resting::default(),
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

/// Until when channels want to be left alone, for those that send and for those that are told so.
#[derive(Debug, Clone, Default)]
struct Resting(Arc<Mutex<HashMap<String, Instant>>>);

impl Resting {
    fn rests(&self, channel: &str) -> bool {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(channel).copied();
        until.is_some_and(|until| until > Instant::now())
    }

    fn rest(&self, channel: &str, long: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.to_owned(), Instant::now() + long);
    }
}

struct Desk<S, C> {
    store: S,
    clock: Arc<C>,
    terms: Terms,
    limits: HashMap<String, Limit>,
    /// Until when a channel wants to be left alone.
    resting: Resting,
    under_way: BTreeSet<i64>,
    in_flight: HashMap<String, usize>,
    tries: JoinSet<(String, Vec<i64>)>,
    started: Instant,
}

/// What is due, with what a decision needs.
struct Due {
    notices: Vec<Notice>,
    to: Recipient,
    /// What mails of one ticket have in common; of a digest, nothing.
    thread: Option<String>,
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
            store_due(&store, &notify, &judgement.calendar, &busy, now)
        });
        let due = match due.await? {
            Ok(due) => due,
            Err(error) => return Ok(Err(error)),
        };
        *begun = true;
        for due in due {
            self.start(due);
        }
        Ok(Ok(()))
    }

    /// Sends in the background, where the channel has room.
    fn start(&mut self, due: Due) {
        let notify = self.terms.now();
        let name = due.to.channel.clone();
        let Some(channel) = notify.channels.get(&name).cloned() else { return };
        let (at, most) = (self.started.elapsed(), channel.per_minute());
        let limit = self.limits.entry(name.clone()).or_insert_with(|| Limit::new(most));
        if limit.per_minute() != usize::try_from(most).unwrap_or(usize::MAX) {
            *limit = Limit::new(most);
        }
        let Some(message) = message(&due, self.clock.now()) else { return };
        let in_flight = self.in_flight.entry(name.clone()).or_default();
        let ids: Vec<i64> = due.notices.iter().map(|n| n.id).collect();
        if self.resting.rests(&name) || *in_flight >= AT_ONCE || !limit.take(at) {
            return;
        }
        let attempts = due.notices.iter().map(|n| n.attempts).max().unwrap_or(0);
        *in_flight += 1;
        self.under_way.extend(&ids);
        let (store, clock, resting) = (self.store.clone(), self.clock.clone(), self.resting.clone());
        self.tries.spawn(async move {
            let sent = send::send(&channel, &message).await;
            let now = clock.now();
            if let Err(Refusal { rest: true, after: Some(after), .. }) = &sent {
                resting.rest(&name, *after);
            }
            let tried = Tried { attempts, notices: ids.len() };
            let outcome = outcome(sent, tried, &notify, now, rand::rng().random());
            tell(&outcome, &message, &name);
            let settled = {
                let ids = ids.clone();
                tokio::task::spawn_blocking(move || store.settle_notices(&ids, outcome, now)).await
            };
            match settled {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a delivery cannot be noted: it is made again"),
                Err(error) => tracing::error!(%error, "noting a delivery failed"),
            }
            (name, ids)
        });
    }

    async fn expire(&self) -> Result<(), JoinError> {
        let (store, keep) = (self.store.clone(), self.terms.now().keep_days);
        let before = self.clock.now().minus(Duration::from_secs(u64::from(keep) * 24 * 60 * 60));
        // Portion by portion, so that nobody else waits long for the store.
        let dropped = tokio::task::spawn_blocking(move || {
            while store.expire_notices(before)? > 0 {}
            Ok::<(), StoreError>(())
        })
        .await?;
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
            let by = plan::By { notify, policies: &judgement.policy };
            made.notices.extend(plan::drafts(by, record, *mark, news.since, &subject, now));
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
        return Ok(Subject { server_name: id.to_string(), ..Subject::default() });
    };
    let named = server.identity.hostname.clone().filter(|name| !name.trim().is_empty());
    let target = || server.targets.first().map(|t| t.target.to_string());
    let server_name = named.or_else(target).unwrap_or_else(|| id.to_string());
    let stands = terms.topology.place(&server).and_then(|place| place.customer.clone());
    let contract = terms.service.covering(&server, stands.as_deref(), now);
    let customer = contract.map(|c| c.customer.clone()).or(stands);
    let contacts = contract.map(|c| c.contacts.clone()).unwrap_or_default();
    Ok(Subject { server_name, customer, contacts })
}

/// What is to be sent now. What has to wait, or is wanted no more, is noted as such.
fn store_due<S: Store + Outbox>(
    store: &S,
    notify: &Notify,
    calendars: &Calendars,
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
        if let Some(ready) = ready(store, notify, calendars, notices, now)? {
            due.push(ready);
        }
    }
    Ok(due)
}

fn ready<S: Store + Outbox>(
    store: &S,
    notify: &Notify,
    calendars: &Calendars,
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
    let mut thread = None;
    for notice in notices {
        let judged = match store.ticket(notice.draft.ticket)? {
            Some(record) => {
                let ticket = &record.ticket;
                thread = Some(format!("ticket-{}.{}", ticket.number, ticket.created_at.as_millis()));
                plan::judge(&notice, &record, &to, calendars, now)
            }
            None => Judged::Drop("the ticket is gone".to_owned()),
        };
        match judged {
            Judged::Send => wanted.push(notice),
            Judged::Wait(until, why) => store.settle_notices(&[notice.id], Outcome::Held { until, why }, now)?,
            Judged::Drop(why) => store.settle_notices(&[notice.id], Outcome::Cancelled { why }, now)?,
        }
    }
    let thread = thread.filter(|_| wanted.len() == 1);
    Ok((!wanted.is_empty()).then_some(Due { notices: wanted, to, thread }))
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
fn message(due: &Due, now: Timestamp) -> Option<Message> {
    let Due { notices, to, thread } = due;
    let first = notices.first()?;
    let draft = &first.draft;
    let (subject, body) = if notices.len() == 1 {
        (draft.subject.clone(), draft.body.clone())
    } else {
        let drafts = notices.iter().map(|n| &n.draft);
        let part = drafts.map(|d| text::Part {
            ticket: d.ticket.0,
            priority: d.priority.as_str(),
            subject: &d.subject,
            body: &d.body,
        });
        let parts: Vec<text::Part<'_>> = part.collect();
        let text = text::digest(&parts, Lang::from_tag(&draft.lang).unwrap_or_default());
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
        thread: thread.clone(),
        made_at: first.made_at,
        now,
    })
}

/// A try: how often these notices were tried before, and how many they are.
#[derive(Debug, Clone, Copy)]
struct Tried {
    attempts: u32,
    notices: usize,
}

fn outcome(sent: Result<(), Refusal>, tried: Tried, notify: &Notify, now: Timestamp, draw: f64) -> Outcome {
    let failed = tried.attempts.saturating_add(1);
    let Err(refusal) = sent else { return Outcome::Delivered };
    if let (true, Some(after)) = (refusal.rest, refusal.after) {
        return Outcome::Later { at: now.plus(after), error: refusal.why };
    }
    if refusal.for_good || failed >= notify.tries {
        // What a channel does not take as one it may take one by one.
        let together = tried.notices > 1;
        return if together { Outcome::Apart { error: refusal.why } } else { Outcome::Failed { error: refusal.why } };
    }
    let most = backoff::most(notify.first_retry.duration(), notify.longest_retry.duration(), failed);
    let wait = backoff::wait(most, draw, refusal.after);
    Outcome::Retry { at: now.plus(wait), error: refusal.why }
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
