use outband_schemas::{AgentId, OrderKind, ServerId, SiteId, TargetId, Timestamp};
use outband_store::order::{Order, OrderState};

/// Asked for by ann at 1000 s, for five minutes.
pub(super) fn order() -> Order {
    Order {
        id: 7,
        revision: 1,
        wire_id: "00ff".to_owned(),
        kind: OrderKind::Identify,
        server: ServerId::new("srv-1").unwrap(),
        site: SiteId::new("dc1").unwrap(),
        model: Some("X1".to_owned()),
        agent: AgentId::new("a1").unwrap(),
        target: TargetId::new("bmc1").unwrap(),
        ticket: None,
        reason: "which one is it".to_owned(),
        requester: "ann".to_owned(),
        requested_at: Timestamp::from_secs(1000),
        approver: None,
        approved_at: None,
        expires_at: Timestamp::from_secs(1300),
        state: OrderState::Requested,
        sent_at: None,
        sent_after: 0,
        spool_id: None,
        settled_at: None,
        detail: String::new(),
        content_bytes: 0,
        told: false,
    }
}
