//! One look at all orders: answers are taken, what is over ends, what may go goes, tickets are told.
//!
//! An order is sent only after the store says that it was. One that was sent and is not answered goes out again whenever its agent connects anew: the
//! agent does nothing twice.

use super::limits::{self, LOOKS_BACK, Situation};
use super::machine::{self, Step};
use crate::config::orders::OrdersConfig;
use crate::ingest::Registry;
use crate::react::WHO;
use outband_proto::ingest as wire;
use outband_proto::order::{Answer, AnswerBody, Outcome};
use outband_schemas::{AgentId, Clock, OrderKind, Timestamp};
use outband_store::audit::{Actor, Audit, Deed, Noted, Outcome as DeedOutcome};
use outband_store::order::{Order, OrderChange, OrderFile, OrderState, Orders};
use outband_store::{Epoch, Store, StoreError, TicketWrite};
use outband_ticket::{Action, Command, Visibility};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use wire::stream_response::Message as Down;

/// So many rows of an event lane are read at once.
const ROWS: usize = 200;
/// More entries than a BMC's log has: a log that is longer is not cleared by an order.
const MOST_KEYS: usize = 20_000;
/// How often a ticket is read again where somebody else changed it at the same time.
const TRIES: usize = 5;

/// What a look came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Answers may come.
    pub(super) awaiting: bool,
    /// Tickets were changed.
    pub(super) told: bool,
}

/// What is remembered between two looks; nothing that could not be found out again.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// How far the event lane of each agent was read.
    read: BTreeMap<AgentId, i64>,
    /// On which connection each order was last sent, or revoked, by its wire id.
    sent: HashMap<String, (Epoch, bool)>,
}

impl Turn {
    pub(super) fn take<S: Store + Orders + Audit>(
        &mut self,
        store: &S,
        clock: &impl Clock,
        config: &OrdersConfig,
        registry: &Registry,
    ) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        if store.pending_orders()?.is_empty() {
            (self.read, self.sent) = Default::default();
            return Ok(looked);
        }
        self.take_answers(store, clock.now())?;
        let switch = store.order_switch()?;
        let stopped = switch.as_ref().is_some_and(|s| s.stopped);
        for order in store.pending_orders()? {
            let now = clock.now();
            match order.state {
                _ if machine::is_over(&order, now) => end(store, &order, now)?,
                OrderState::Approved => {
                    let since = Timestamp::from_millis(now.as_millis().saturating_sub(millis(LOOKS_BACK)));
                    let sent = store.orders_sent_since(since)?;
                    let connected = registry.epoch(&order.agent).is_some();
                    let situation = Situation { config, switch: switch.as_ref(), sent: &sent, connected, now };
                    if limits::in_the_way(&order, &situation).is_none()
                        && let Some(order) = first_send(store, &order, now)?
                    {
                        self.push(store, &order, config, registry, false)?;
                        looked.awaiting = true;
                    }
                }
                OrderState::Sent => {
                    self.push(store, &order, config, registry, stopped)?;
                    looked.awaiting = true;
                }
                state if state.is_settled() => looked.told |= tell(store, &order, now)?,
                _ => {}
            }
        }
        Ok(looked)
    }

    /// Settles the orders whose answers came.
    fn take_answers<S: Store + Orders + Audit>(&mut self, store: &S, now: Timestamp) -> Result<(), StoreError> {
        let sent = store.pending_orders()?.into_iter().filter(|o| o.state == OrderState::Sent);
        let mut by_agent: BTreeMap<AgentId, Vec<Order>> = BTreeMap::new();
        for order in sent {
            by_agent.entry(order.agent.clone()).or_default().push(order);
        }
        self.read.retain(|agent, _| by_agent.contains_key(agent));
        for (agent, mut orders) in by_agent {
            let begin = orders.iter().map(|o| o.sent_after).min().unwrap_or(0);
            // Whoever joins those that wait joins at the end of the lane, where it is read already.
            let mut after = self.read.get(&agent).copied().unwrap_or(begin);
            loop {
                let rows = store.event_rows_after(&agent, after, ROWS)?;
                let Some(last) = rows.last() else { break };
                after = last.id;
                for row in &rows {
                    let answer = AnswerBody::decode(row.body.as_slice()).ok().and_then(|b| b.answer);
                    let Some(answer) = answer else { continue };
                    let Some(at) = orders.iter().position(|o| o.wire_id == answer.id) else { continue };
                    settle(store, &orders.remove(at), answer, now)?;
                }
                self.read.insert(agent.clone(), after);
            }
        }
        Ok(())
    }

    /// Sends an order, or its revocation, where that was not done yet on the agent's connection.
    fn push<S: Store + Orders>(
        &mut self,
        store: &S,
        order: &Order,
        config: &OrdersConfig,
        registry: &Registry,
        revoke: bool,
    ) -> Result<(), StoreError> {
        let Some(epoch) = registry.epoch(&order.agent) else { return Ok(()) };
        if self.sent.get(&order.wire_id) == Some(&(epoch, revoke)) {
            return Ok(());
        }
        let message = if revoke {
            Down::Revoke(wire::Revoke { id: order.wire_id.clone() })
        } else {
            let archived = match order.kind {
                OrderKind::ClearSel => store.event_keys(&order.server, MOST_KEYS)?,
                _ => Vec::new(),
            };
            Down::Order(on_the_wire(order, archived, config))
        };
        if registry.push(&order.agent, epoch, wire::StreamResponse { message: Some(message) }) {
            self.sent.insert(order.wire_id.clone(), (epoch, revoke));
        }
        Ok(())
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn on_the_wire(order: &Order, archived: Vec<String>, config: &OrdersConfig) -> wire::Order {
    let approver = order.approver.as_deref().unwrap_or("nobody");
    wire::Order {
        id: order.wire_id.clone(),
        kind: order.kind.as_str().to_owned(),
        target: order.target.to_string(),
        expires_at_ms: order.expires_at.as_millis(),
        approval: format!("order {}: asked for by {}, approved by {approver}", order.id, order.requester),
        agent: order.agent.to_string(),
        spool_id: order.spool_id.map(|id| id.to_string()).unwrap_or_default(),
        archived,
        max_bytes: i64::from(config.file_kib) * 1024,
    }
}

/// What the collector does by itself.
fn deed(what: &str, detail: String, at: Timestamp) -> (Actor, Deed) {
    let deed = Deed {
        at,
        role: WHO.to_owned(),
        method: format!("collector/orders/{what}"),
        resource: String::new(),
        detail,
        outcome: DeedOutcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    (Actor { name: WHO.to_owned(), peer: None }, deed)
}

/// Takes a step of the collector's own. `None`: it is not possible, or somebody else was faster; the next look sees.
fn step<S: Orders>(
    store: &S,
    order: &Order,
    step: &Step,
    file: Option<OrderFile>,
    now: Timestamp,
) -> Result<Option<Order>, StoreError> {
    let Ok(next) = machine::apply(order, step, false, now) else { return Ok(None) };
    let what = step.what();
    let change = OrderChange { at: now, who: WHO.to_owned(), what: what.to_owned() };
    let (actor, deed) = deed(what, format!("{} at {}: {}", next.kind, next.server, next.state.as_str()), now);
    let note = Box::new(move |stored: &Order| {
        let deed = Deed { resource: format!("orders/{}", stored.id), ..deed };
        Noted { actor, deed, answer: None }
    });
    match store.put_order(next, change, file, Some(note)) {
        Err(StoreError::Conflict { .. }) => Ok(None),
        other => other.map(Some),
    }
}

fn end<S: Orders>(store: &S, order: &Order, now: Timestamp) -> Result<(), StoreError> {
    if step(store, order, &Step::Expire, None, now)?.is_some() {
        tracing::warn!(order = order.id, kind = %order.kind, "an order's time is over");
    }
    Ok(())
}

/// Notes that an order goes out; it may only then.
fn first_send<S: Store + Orders>(store: &S, order: &Order, now: Timestamp) -> Result<Option<Order>, StoreError> {
    let agent = store.agents()?.into_iter().find(|a| a.agent == order.agent);
    let Some(agent) = agent else { return Ok(None) };
    let sending = Step::Send { spool_id: agent.spool_id, after: store.last_log_row()? };
    let sent = step(store, order, &sending, None, now)?;
    if let Some(order) = &sent {
        tracing::info!(order = order.id, kind = %order.kind, agent = %order.agent, target = %order.target, "an order is sent");
    }
    Ok(sent)
}

fn settle<S: Orders>(store: &S, order: &Order, answer: Answer, now: Timestamp) -> Result<(), StoreError> {
    let state = match answer.outcome() {
        Outcome::Done => OrderState::Done,
        Outcome::Failed => OrderState::Failed,
        Outcome::Refused => OrderState::Refused,
        Outcome::Unknown | Outcome::Unspecified => OrderState::Unknown,
    };
    let file =
        (!answer.content.is_empty()).then_some(OrderFile { media_type: answer.media_type, content: answer.content });
    let told = Step::Answer { state, detail: answer.detail };
    if let Some(order) = step(store, order, &told, file, now)? {
        tracing::info!(order = order.id, kind = %order.kind, state = order.state.as_str(), detail = order.detail, "an order is settled");
    }
    Ok(())
}

/// Writes into the log of the order's ticket what became of it. The answer that is remembered with it keeps it from being written twice.
fn tell<S: Store + Orders + Audit>(store: &S, order: &Order, now: Timestamp) -> Result<bool, StoreError> {
    use outband_store::audit::{Answer as Remembered, Sha256Hash};
    let mut told = false;
    if let Some(number) = order.ticket {
        let request_id = format!("order/{}", order.wire_id);
        for _ in 0..TRIES {
            if store.answered(WHO, &request_id, now)?.is_some() {
                break;
            }
            let Some(record) = store.ticket(number)? else { break };
            let action = Action::Comment { text: words(order), visibility: Visibility::Internal };
            let command = Command { who: WHO.to_owned(), why: format!("order {}", order.id), action };
            let Ok(entry) = outband_ticket::apply(&record.ticket, command, now) else { break };
            let after = record.ticket.after(&entry);
            let expected_revision = Some(record.ticket.revision);
            let write = TicketWrite { ticket: after, expected_revision, transitions: vec![entry] };
            let (actor, mut deed) = deed("tell", format!("order {}", order.id), now);
            deed.resource = format!("tickets/{number}");
            let remembered =
                Remembered { request_id: request_id.clone(), digest: Sha256Hash::default(), body: Vec::new() };
            match store.change_ticket(write, actor, deed, Some(remembered)) {
                Err(StoreError::Conflict { .. }) => {}
                other => {
                    other?;
                    told = true;
                    break;
                }
            }
        }
    }
    let change = OrderChange { at: now, who: WHO.to_owned(), what: "tell".to_owned() };
    match store.put_order(Order { told: true, ..order.clone() }, change, None, None) {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(told),
        Err(error) => Err(error),
    }
}

fn words(order: &Order) -> String {
    let approver = order.approver.as_ref().map(|by| format!(", approved by {by}")).unwrap_or_default();
    let brought = match order.content_bytes {
        0 => String::new(),
        bytes => format!(" Its file ({bytes} bytes): outband orders file {}.", order.id),
    };
    format!(
        "Order {} ({} at {}, {}), asked for by {}{approver}: {}. {}.{brought}",
        order.id,
        order.kind,
        order.server,
        order.target,
        order.requester,
        order.state.as_str(),
        order.detail.trim_end_matches('.'),
    )
}
