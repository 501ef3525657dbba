//! Invites, certificates, revocations.

use crate::conformance::Behaviour;
use outband_schemas::{AgentId, SiteId, Timestamp};
use outband_store::audit::{Actor, Audit, AuditFilter, Deed, Noted, Outcome, Sha256Hash};
use outband_store::enrol::{AgentCertificate, Enrolments, Invite};
use outband_store::{Page, Store, StoreError};

/// The behaviours of this file.
pub(crate) fn all<S: Store + Audit + Enrolments>() -> Vec<Behaviour<S>> {
    vec![
        ("an_invite_lets_one_in_and_leaves_an_entry", invites::<S> as fn(&S)),
        ("the_newest_certificate_of_an_agent_is_its", certificates::<S>),
        ("a_revocation_is_never_taken_back", revocations::<S>),
    ]
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn noted(method: &str) -> Noted {
    let deed = Deed {
        at: at(1),
        role: "admin".to_owned(),
        method: method.to_owned(),
        resource: "invites/1".to_owned(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    Noted { actor: Actor { name: "zhao".to_owned(), peer: None }, deed, answer: None }
}

fn agent(name: &str) -> AgentId {
    AgentId::new(name).unwrap()
}

fn certificate(serial: &str, of: &str, issued: i64) -> AgentCertificate {
    AgentCertificate {
        serial: serial.to_owned(),
        agent: agent(of),
        site: SiteId::new("dc1").unwrap(),
        issued_at: at(issued),
        not_after: at(issued + 100),
    }
}

fn invites<S: Store + Audit + Enrolments>(store: &S) {
    let id = store.reserve_invite().unwrap();
    let invite = Invite {
        id,
        site: SiteId::new("dc1").unwrap(),
        agent: None,
        who: "zhao".to_owned(),
        created_at: at(10),
        expires_at: at(20),
        ended_at: None,
        used_by: None,
    };
    let digest = Sha256Hash([7; 32]);
    store.add_invite(invite.clone(), digest, noted("create")).unwrap();
    assert_eq!(store.invite_of(digest).unwrap(), Some(invite.clone()));
    assert_eq!(store.invite_of(Sha256Hash([8; 32])).unwrap(), None);
    assert!(invite.is_open(at(19)) && !invite.is_open(at(20)));

    store.redeem(id, certificate("1", "a1", 12), noted("join")).unwrap();
    let again = store.redeem(id, certificate("2", "a2", 12), noted("join"));
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "it lets one in");
    assert!(matches!(store.revoke_invite(id, at(13), noted("revoke")), Err(StoreError::Conflict { .. })));
    assert!(matches!(store.revoke_invite(99, at(13), noted("revoke")), Err(StoreError::Conflict { .. })));
    let used = Invite { ended_at: Some(at(12)), used_by: Some(agent("a1")), ..invite };
    assert!(!used.is_open(at(13)));
    assert_eq!(store.invites().unwrap(), vec![used]);
    let serials: Vec<String> = store.certificates().unwrap().into_iter().map(|c| c.serial).collect();
    assert_eq!(serials, ["1"], "nothing is written of what is refused");

    let other = store.reserve_invite().unwrap();
    assert_ne!(other, id);
    let invite = Invite { id: other, ended_at: None, used_by: None, ..store.invites().unwrap().remove(0) };
    store.add_invite(invite, Sha256Hash([9; 32]), noted("create")).unwrap();
    store.revoke_invite(other, at(13), noted("revoke")).unwrap();
    assert!(matches!(store.redeem(other, certificate("3", "a3", 14), noted("join")), Err(StoreError::Conflict { .. })));
    let audited = store.audited(&AuditFilter::default(), &Page::first(10)).unwrap().rows;
    assert_eq!(audited.len(), 4, "one entry for each change that was made");
}

fn certificates<S: Enrolments>(store: &S) {
    for (serial, of, issued) in [("1", "a1", 10), ("2", "a1", 60), ("3", "a2", 5), ("4", "a1", 30)] {
        store.certify(certificate(serial, of, issued), noted("renew")).unwrap();
    }
    let newest = store.certificates().unwrap();
    assert_eq!(newest, [certificate("2", "a1", 60), certificate("3", "a2", 5)]);
}

fn revocations<S: Enrolments>(store: &S) {
    assert_eq!(store.revocations().unwrap(), []);
    for secs in [20, 10] {
        store.revoke_agent(&agent("a1"), at(secs), noted("revoke")).unwrap();
    }
    assert_eq!(store.revocations().unwrap(), [(agent("a1"), at(20))]);
}
