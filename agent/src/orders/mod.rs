//! What the collector asks to have done at BMCs: only what this agent's own config allows, once per id.
//!
//! An order's id is on the disk before anything is done about it; its answer goes into the event lane, in one transaction with the mark that it is
//! answered. What lies between the two when the agent is killed is answered as unknown at the next start, and not repeated.
//!
//! Read in this order: [`judge`] (whether), this file (when, and what is remembered), [`act`] (how).

pub mod act;
mod collect;
pub mod judge;
#[cfg(test)]
mod tests;

use crate::config::{HOST_TARGET, Orders, TargetConfig};
use crate::spooler::{Body, Spooler};
use judge::{Given, Judged};
use outband_proto::ingest as wire;
use outband_proto::order::{Answer, AnswerBody, Outcome, Unread};
use outband_schemas::{AgentId, Clock, Lane, OrderKind, Section, TargetId};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// So many orders are carried out at the same time at most, each at another BMC.
const AT_ONCE: usize = 4;
/// So many wait at most. The collector sends again what got no answer.
pub const WAITING: usize = 256;
/// How long what is being done may take to end when the agent stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Waits between tries to write an answer to a spool that has no room.
const SPOOL_WAITS: [u64; 6] = [1, 2, 5, 10, 30, 60];

/// What came down.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Do this.
    Order(Box<wire::Order>),
    /// Leave this undone, where it is not begun.
    Revoke(String),
}

/// What orders are judged by; a reload brings another.
#[derive(Debug, Clone)]
pub struct Plan {
    /// This agent.
    pub agent: AgentId,
    /// What is allowed.
    pub orders: Orders,
    /// The BMCs.
    pub targets: Arc<BTreeMap<TargetId, TargetConfig>>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// How it went.
    pub outcome: Outcome,
    /// In words. Holds no secrets.
    pub detail: String,
    /// What it brought: media type and bytes.
    pub content: Option<(&'static str, Vec<u8>)>,
    /// Of a BMC that was read: what could not be, and why.
    pub unread: Vec<(Section, String)>,
}

impl Done {
    fn said(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), content: None, unread: Vec::new() }
    }
}

/// Whoever carries out what was judged to be allowed. [`act::Network`] does it at real BMCs.
pub trait Hand: Clone + Send + 'static {
    /// Does it.
    fn act(&self, order: Given) -> impl Future<Output = Done> + Send;
    /// Has all sections of a BMC read now, for as long at most.
    fn read(&self, target: TargetId, within: Duration) -> impl Future<Output = Done> + Send;
}

/// Carries out orders.
pub struct Runner<H, K> {
    /// Who does it.
    pub hand: H,
    /// Where ids and answers are kept.
    pub spooler: Spooler,
    /// Tells the time.
    pub clock: K,
    /// What is allowed.
    pub plan: watch::Receiver<Plan>,
}

struct Turn {
    waiting: VecDeque<Box<wire::Order>>,
    /// Orders that are being carried out: where, and under which id.
    busy: BTreeMap<String, (Id, TargetId, String)>,
    running: JoinSet<(String, Done)>,
}

impl<H: Hand, K: Clock + Send + Sync + 'static> Runner<H, K> {
    /// Carries out what comes until cancelled.
    pub async fn run(self, mut inbox: mpsc::Receiver<Ask>, cancel: CancellationToken) {
        self.answer_for_the_killed().await;
        let mut turn = Turn { waiting: VecDeque::new(), busy: BTreeMap::new(), running: JoinSet::new() };
        loop {
            self.start(&mut turn).await;
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = turn.running.join_next_with_id() => self.ended(&mut turn, ended).await,
                ask = inbox.recv() => match ask {
                    Some(ask) => self.take(&mut turn, ask).await,
                    None => break,
                },
            }
        }
        // What waits was not begun: the collector sends it again. What is cut off here is answered as unknown after the next start.
        let ended = timeout(STOP_WITHIN, async {
            while let Some(ended) = turn.running.join_next_with_id().await {
                self.ended(&mut turn, ended).await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(
                "orders were still being carried out when the agent stopped; they are answered as unknown at the next start"
            );
        }
    }

    async fn answer_for_the_killed(&self) {
        let unanswered = match self.spooler.orders_unanswered().await {
            Ok(ids) => ids,
            Err(error) => return tracing::error!(%error, "it cannot be known which orders were cut off"),
        };
        for id in unanswered {
            tracing::warn!(id, "an order was cut off when the agent ended; it is not repeated");
            let detail =
                "the agent ended while it was being carried out: it may have been done or not; it is not repeated";
            self.answer(&id, Done::said(Outcome::Unknown, detail)).await;
        }
    }

    async fn take(&self, turn: &mut Turn, ask: Ask) {
        match ask {
            Ask::Order(order) => {
                let known = turn.waiting.iter().any(|o| o.id == order.id) || turn.busy.contains_key(&order.id);
                if !known && turn.waiting.len() < WAITING {
                    turn.waiting.push_back(order);
                }
            }
            Ask::Revoke(id) => {
                turn.waiting.retain(|o| o.id != id);
                // Remembered, so that one that is still under way is not begun either.
                if !turn.busy.contains_key(&id) && self.is_new(&id).await {
                    tracing::info!(id, "an order was revoked before it was begun");
                    self.answer(&id, Done::said(Outcome::Refused, "revoked before it was begun")).await;
                }
            }
        }
    }

    /// Whether nothing was done about this order yet; it is remembered now. Where that cannot be written down, nothing is done.
    async fn is_new(&self, id: &str) -> bool {
        match self.spooler.order_seen(id).await {
            Ok(seen) => !seen,
            Err(error) => {
                tracing::error!(id, %error, "an order cannot be remembered, and so is not begun");
                false
            }
        }
    }

    /// Begins what can be begun: one order a BMC at a time.
    async fn start(&self, turn: &mut Turn) {
        let mut passed_over = VecDeque::new();
        while turn.busy.len() < AT_ONCE
            && let Some(order) = turn.waiting.pop_front()
        {
            let busy: BTreeSet<&str> = turn.busy.values().map(|(_, target, _)| target.as_str()).collect();
            if busy.contains(order.target.as_str()) {
                passed_over.push_back(order);
                continue;
            }
            self.begin(turn, *order).await;
        }
        passed_over.append(&mut turn.waiting);
        turn.waiting = passed_over;
    }

    async fn begin(&self, turn: &mut Turn, order: wire::Order) {
        let (id, kind, target) = (order.id.clone(), order.kind.clone(), order.target.clone());
        let approval = order.approval.clone();
        let spool = self.spooler.held().borrow().id;
        if !self.is_new(&id).await {
            return self.repeat(&id).await;
        }
        let plan = self.plan.borrow().clone();
        match judge::judge(order, &plan, spool, self.clock.now()) {
            Judged::Go(given) => {
                tracing::info!(id, kind, target, approval = given.approval, "carrying out an order");
                let (hand, name, at) = (self.hand.clone(), id.clone(), given.target.id.clone());
                let task = turn.running.spawn(async move { (name, hand.act(*given).await) });
                turn.busy.insert(id, (task.id(), at, kind));
            }
            Judged::Read(target, within) => {
                tracing::info!(id, %target, approval, "reading a BMC now, as it was asked");
                let (hand, name, at) = (self.hand.clone(), id.clone(), target.clone());
                let task = turn.running.spawn(async move { (name, hand.read(target, within).await) });
                turn.busy.insert(id, (task.id(), at, kind));
            }
            Judged::No(done) => {
                tracing::warn!(id, kind, target, why = done.detail, "an order is not carried out");
                self.answer(&id, done).await;
            }
        }
    }

    /// Says again what became of an order. A collector that was restored from a backup does not know.
    async fn repeat(&self, id: &str) {
        let (key, _) = outband_spool::order_answered(id, Vec::new());
        let said = match self.spooler.bookmark(key).await {
            Ok(said) => said.unwrap_or_default(),
            Err(error) => return tracing::warn!(id, %error, "the answer to an order that comes again cannot be found"),
        };
        if !said.is_empty() {
            let body = Body { bytes: said, at: self.clock.now() };
            if let Err(error) = self.spooler.append(Lane::Event, vec![body], Vec::new()).await {
                tracing::warn!(id, %error, "the answer to an order cannot be said again");
            }
        }
    }

    async fn ended(&self, turn: &mut Turn, ended: Result<(Id, (String, Done)), tokio::task::JoinError>) {
        let (id, done) = match ended {
            Ok((_, (id, done))) => (id, done),
            Err(error) => {
                let found = turn.busy.iter().find(|(_, (task, ..))| *task == error.id()).map(|(id, _)| id.clone());
                tracing::error!(%error, "an order ended in a defect of the agent");
                let Some(id) = found else { return };
                (id, Done::said(Outcome::Unknown, "a defect of the agent: it may have been done or not"))
            }
        };
        if let Some((_, target, kind)) = turn.busy.remove(&id) {
            tracing::info!(id, kind, %target, outcome = done.outcome.as_str_name(), detail = done.detail, "an order was carried out");
        }
        self.answer(&id, done).await;
    }

    /// Keeps the answer with the mark that there is one.
    async fn answer(&self, id: &str, done: Done) {
        let now = self.clock.now();
        let (media_type, content) = done.content.unwrap_or_default();
        let unread = done.unread.into_iter().map(|(section, why)| Unread { section: section.as_str().to_owned(), why });
        let answer = Answer {
            id: id.to_owned(),
            outcome: done.outcome.into(),
            detail: done.detail,
            at_ms: now.as_millis(),
            media_type: media_type.to_owned(),
            content,
            telemetry_through: self.spooler.held().borrow().lanes.telemetry.next - 1,
            unread: unread.collect(),
        };
        let body = AnswerBody {
            target: HOST_TARGET.to_owned(),
            section: Section::Host.number().into(),
            polled_at_ms: now.as_millis(),
            answer: Some(answer),
        };
        // Its file is not kept for a repetition: the entry of the event lane has it.
        let answer = body.answer.clone().map(|a| Answer { content: Vec::new(), media_type: String::new(), ..a });
        let said = AnswerBody { answer, ..body.clone() }.encode_to_vec();
        let body = Body { bytes: body.encode_to_vec(), at: now };
        let mut waits = SPOOL_WAITS.iter();
        loop {
            let mark = outband_spool::order_answered(id, said.clone());
            match (self.spooler.append(Lane::Event, vec![body.clone()], vec![mark]).await, waits.next()) {
                (Ok(()), _) => return,
                (Err(error), Some(wait)) if error.is_full() => {
                    tracing::warn!(id, %error, "the answer to an order waits for room");
                    sleep(Duration::from_secs(*wait)).await;
                }
                (Err(error), _) => {
                    return tracing::error!(id, %error, "the answer to an order is lost; it is answered as unknown at the next start");
                }
            }
        }
    }
}

/// The word of a kind in logs, whatever the collector calls it.
pub(crate) fn known(kind: &str) -> Option<OrderKind> {
    kind.parse().ok()
}
