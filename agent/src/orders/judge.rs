//! Whether an order is carried out. Pure.

use super::{Done, Plan, known};
use crate::config::TargetConfig;
use outband_proto::ingest::Order;
use outband_proto::order::Outcome;
use outband_schemas::order::READ_NOW;
use outband_schemas::{OrderKind, SpoolId, TargetId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// The most that an order may bring, whatever the collector says, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// An order that is to be carried out.
#[derive(Debug, Clone)]
pub struct Given {
    /// What.
    pub kind: OrderKind,
    /// Where.
    pub target: TargetConfig,
    /// Who asked for it and who approved it, for the log.
    pub approval: String,
    /// Of [`OrderKind::ClearSel`]: the natural keys of what is stored at the collector.
    pub archived: BTreeSet<String>,
    /// At most so many bytes are brought.
    pub max_bytes: usize,
}

/// What is to be done about an order.
#[derive(Debug, Clone)]
pub enum Judged {
    /// Carry it out.
    Go(Box<Given>),
    /// Read this BMC, within this time: it is done anyway, only later.
    Read(TargetId, Duration),
    /// Answer this.
    No(Done),
}

/// Judges an order that came for the first time, at an agent whose spool is `spool`.
pub fn judge(order: Order, plan: &Plan, spool: SpoolId, now: Timestamp) -> Judged {
    let no = |outcome, detail: String| Judged::No(Done::said(outcome, detail));
    let refused = |detail: String| no(Outcome::Refused, detail);
    if order.agent != plan.agent.as_str() {
        return refused(format!("it is for the agent {:?}, and this is {}", order.agent, plan.agent));
    }
    if order.spool_id != spool.to_string() {
        let detail = "the agent's spool was replaced since it was sent, and with it went the memory of what was done: it may have been done or not; it is not repeated";
        return no(Outcome::Unknown, detail.to_owned());
    }
    let late = now.since(Timestamp::from_millis(order.expires_at_ms)).as_millis();
    if now.as_millis() >= order.expires_at_ms {
        return refused(format!("it expired {} s before it came, by this agent's clock", late / 1000));
    }
    let kind = known(&order.kind);
    if kind.is_none() && order.kind != READ_NOW {
        return refused(format!("this agent knows no order {:?}", order.kind));
    }
    let target = TargetId::new(&order.target).ok().and_then(|id| plan.targets.get(&id));
    let Some(target) = target else {
        return refused(format!("this agent has no target {:?}", order.target));
    };
    let Some(kind) = kind else {
        return Judged::Read(target.id.clone(), Timestamp::from_millis(order.expires_at_ms).since(now));
    };
    if !plan.orders.allow(kind, &target.id) {
        return refused(format!(
            "this agent's config does not allow {kind} at {}: see [orders] in agent.toml",
            target.id
        ));
    }
    Judged::Go(Box::new(Given {
        kind,
        target: target.clone(),
        approval: order.approval,
        archived: order.archived.into_iter().collect(),
        max_bytes: usize::try_from(order.max_bytes).unwrap_or(0).min(MOST_BYTES),
    }))
}
