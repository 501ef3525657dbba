//! How an order goes from one state to the next. Pure.

use outband_schemas::{SpoolId, Timestamp};
use outband_store::order::{Order, OrderState};

/// What happens to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Somebody lets it be sent.
    Approve {
        /// Who.
        by: String,
    },
    /// Somebody says no, or takes it back.
    Reject {
        /// Why.
        why: String,
    },
    /// It goes out, for the first time.
    Send {
        /// The agent's spool.
        spool_id: SpoolId,
        /// The last row of the ingest log.
        after: i64,
    },
    /// The agent says what became of it.
    Answer {
        /// [`OrderState::Done`], [`OrderState::Failed`], [`OrderState::Refused`] or [`OrderState::Unknown`].
        state: OrderState,
        /// In words.
        detail: String,
    },
    /// Its time is over.
    Expire,
}

impl Step {
    /// In a few words, without names, for the log of changes.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Send { .. } => "send",
            Self::Answer { state, .. } => state.as_str(),
            Self::Expire => "expire",
        }
    }
}

/// Why something cannot happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its state does not allow that.
    #[error("it is {} already", .0.as_str())]
    State(OrderState),
    /// Whoever asked for it may not approve it.
    #[error("who asked for an order may not approve it: somebody else has to ([orders] two_person)")]
    SamePerson,
    /// Its time is over.
    #[error("its time is over; ask for it anew")]
    Expired,
}

/// How long after its time an order that was sent may still be answered: the agent may be cut off from the collector.
const ANSWERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Whether time alone ends an order now.
pub fn is_over(order: &Order, now: Timestamp) -> bool {
    match order.state {
        OrderState::Requested | OrderState::Approved => now.as_millis() >= order.expires_at.as_millis(),
        OrderState::Sent => now.as_millis() >= order.expires_at.plus(ANSWERED_WITHIN).as_millis(),
        _ => false,
    }
}

/// The order after a step. Whatever is settled stays as it is.
pub fn apply(order: &Order, step: &Step, two_person: bool, now: Timestamp) -> Result<Order, Refused> {
    use OrderState as S;
    let mut next = order.clone();
    let settle = |mut order: Order, state, detail: String| {
        (order.state, order.detail, order.settled_at) = (state, detail, Some(now));
        // What no ticket waits for is told.
        order.told = order.ticket.is_none();
        order
    };
    match (order.state, step) {
        (S::Requested | S::Approved, Step::Approve { .. } | Step::Send { .. }) if is_over(order, now) => {
            Err(Refused::Expired)
        }
        (S::Requested, Step::Approve { by }) if two_person && *by == order.requester => Err(Refused::SamePerson),
        (S::Requested, Step::Approve { by }) => {
            (next.state, next.approver, next.approved_at) = (S::Approved, Some(by.clone()), Some(now));
            Ok(next)
        }
        (S::Requested | S::Approved, Step::Reject { why }) => Ok(settle(next, S::Rejected, why.clone())),
        (S::Approved, Step::Send { spool_id, after }) => {
            (next.state, next.sent_at, next.sent_after) = (S::Sent, Some(now), *after);
            next.spool_id = Some(*spool_id);
            Ok(next)
        }
        (S::Sent, Step::Answer { state, detail }) if state.is_settled() => Ok(settle(next, *state, detail.clone())),
        (S::Requested | S::Approved, Step::Expire) => {
            let why =
                if order.state == S::Requested { "nobody approved it in time" } else { "it could not be sent in time" };
            Ok(settle(next, S::Expired, why.to_owned()))
        }
        (S::Sent, Step::Expire) => {
            let why = "the agent gave no answer within a day: it may have been done or not; it is not repeated";
            Ok(settle(next, S::Unknown, why.to_owned()))
        }
        (state, _) => Err(Refused::State(state)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::order;
    use super::*;
    use proptest::prelude::*;

    fn steps() -> impl Strategy<Value = Step> {
        let who = prop_oneof![Just("ann".to_owned()), Just("bob".to_owned())];
        let state = prop_oneof![
            Just(OrderState::Done),
            Just(OrderState::Failed),
            Just(OrderState::Refused),
            Just(OrderState::Unknown)
        ];
        prop_oneof![
            who.prop_map(|by| Step::Approve { by }),
            Just(Step::Reject { why: "no".to_owned() }),
            Just(Step::Send { spool_id: SpoolId::from_bits(7), after: 3 }),
            state.prop_map(|state| Step::Answer { state, detail: "so".to_owned() }),
            Just(Step::Expire),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_is_sent_without_another_persons_approval_nor_twice_nor_late(
            steps in proptest::collection::vec((steps(), 0i64..600), 0..12),
        ) {
            // Asked for by ann at 1000 s, for five minutes.
            let mut order = order();
            let (mut now, mut sends, mut settled) = (order.requested_at, 0, None);
            for (step, pause) in steps {
                now = now.plus(std::time::Duration::from_secs(pause.unsigned_abs()));
                let Ok(next) = apply(&order, &step, true, now) else { continue };
                prop_assert_eq!(settled, None, "what is settled stays as it is");
                if let Step::Send { .. } = step {
                    sends += 1;
                    prop_assert!(next.approver.as_deref().is_some_and(|by| by != next.requester));
                    prop_assert!(now.as_millis() < next.expires_at.as_millis());
                }
                if let Step::Answer { .. } = step {
                    prop_assert_eq!(sends, 1, "no answer to what was not sent");
                }
                if next.state.is_settled() {
                    settled = Some(next.state);
                    prop_assert!(next.settled_at == Some(now) && !next.detail.is_empty());
                }
                order = next;
            }
            prop_assert!(sends <= 1);
        }
    }

    #[test]
    fn one_person_is_enough_only_where_the_config_says_so() {
        let approve = Step::Approve { by: "ann".to_owned() };
        let now = order().requested_at;
        assert_eq!(apply(&order(), &approve, true, now), Err(Refused::SamePerson));
        assert_eq!(apply(&order(), &approve, false, now).unwrap().state, OrderState::Approved);
    }

    #[test]
    fn what_was_sent_waits_a_day_longer_for_its_answer() {
        let sent = Order { state: OrderState::Sent, ..order() };
        let late = sent.expires_at.plus(std::time::Duration::from_secs(3600));
        assert!(!is_over(&sent, late) && is_over(&Order { state: OrderState::Approved, ..order() }, late));
        let later = sent.expires_at.plus(ANSWERED_WITHIN);
        assert!(is_over(&sent, later));
        assert_eq!(apply(&sent, &Step::Expire, true, later).unwrap().state, OrderState::Unknown);
    }
}
