//! Carrying out an order at a real BMC, in a session of its own.

use super::collect;
use super::judge::Given;
use super::{Done, Hand};
use crate::clock::SystemClock;
use crate::config::Limits;
use crate::poll::bmc::{Connect, Network as Real};
use crate::poll::door::Keys;
use crate::poll::fresh::{Whole, Wish};
use crate::poll::guard::Guard;
use crate::poll::one::close;
use crate::poll::pins::Pins;
use outband_bmc::action::ActionError;
use outband_bmc::client::Bmc;
use outband_proto::order::Outcome;
use outband_schemas::{OrderKind, TargetId};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Real BMCs, over the network, with the pins and the guard that polls have.
#[derive(Debug, Clone)]
pub struct Network {
    keys: Keys<Real>,
    deadline: Duration,
    poller: mpsc::UnboundedSender<Wish>,
}

impl Network {
    /// Within the limits of polling; logs may be long, so an order may take as long as the poll of a log. What is only to be read, `poller` reads.
    pub fn new(pins: Pins, guard: Guard, limits: Limits, poller: mpsc::UnboundedSender<Wish>) -> Self {
        let keys = Keys { connect: Real::default(), pins, guard, deadline: limits.poll_deadline };
        Self { keys, deadline: limits.poll_deadline.saturating_mul(10), poller }
    }
}

impl Hand for Network {
    async fn act(&self, order: Given) -> Done {
        let mut bmc: <Real as Connect>::Session = match self.keys.open(&order.target).await {
            Ok(bmc) => bmc,
            Err(refusal) => return Done::said(Outcome::Failed, format!("there is no session with the BMC: {refusal}")),
        };
        let result = timeout(self.deadline, carry_out(&mut bmc, &order)).await;
        let target = order.target.id.as_str();
        match order.kind {
            // The session went with the BMC's restart; to close it could only disturb.
            OrderKind::ResetBmc => drop(bmc),
            _ => close(bmc, target).await,
        }
        result.unwrap_or_else(|_| {
            let detail = format!("not done within {} s", self.deadline.as_secs());
            let outcome = if order.kind.changes() { Outcome::Unknown } else { Outcome::Failed };
            Done::said(outcome, detail)
        })
    }

    async fn read(&self, target: TargetId, within: Duration) -> Done {
        let (reply, answer) = oneshot::channel();
        let gone = || Done::said(Outcome::Failed, "the agent stops, and reads nothing more");
        if self.poller.send(Wish { target, until: Instant::now() + within, reply }).is_err() {
            return gone();
        }
        answer.await.map_or_else(|_| gone(), told)
    }
}

fn told(read: Whole) -> Done {
    let names: Vec<&str> = read.read.iter().map(|section| section.as_str()).collect();
    let (outcome, detail) = match (names.as_slice(), read.unread.first()) {
        ([], Some((_, why))) => (Outcome::Failed, why.clone()),
        ([], None) => (Outcome::Failed, "nothing was read".to_owned()),
        _ if read.secs_ago > 0 => {
            (Outcome::Done, format!("read {} s ago, which is lately enough: {}", read.secs_ago, names.join(", ")))
        }
        _ => (Outcome::Done, format!("read: {}", names.join(", "))),
    };
    Done { unread: read.unread, ..Done::said(outcome, detail) }
}

async fn carry_out(bmc: &mut Bmc, order: &Given) -> Done {
    let done = match order.kind {
        OrderKind::Identify => bmc.identify(true).await,
        OrderKind::IdentifyOff => bmc.identify(false).await,
        OrderKind::ResetBmc => bmc.reset().await,
        OrderKind::ClearSel => bmc.clear_sel(&order.archived, &SystemClock).await,
        OrderKind::Collect => return collect::collect(bmc, order).await,
    };
    match done {
        Ok(said) => Done::said(Outcome::Done, said),
        Err(error @ (ActionError::Failed(_) | ActionError::Denied(_))) => {
            Done::said(Outcome::Failed, error.to_string())
        }
        Err(error @ ActionError::Unknown(_)) => Done::said(Outcome::Unknown, error.to_string()),
    }
}
