//! Temporary accesses, changes of firmware, clocks of BMCs.

use crate::conformance::Behaviour;
use crate::conformance::make;
use outband_schemas::{ComponentClass, ComponentId, Identity, Inventory, Part, ServerId, Source, Timestamp};
use outband_store::audit::{Actor, Audit, AuditFilter, Deed, Outcome, Sha256Hash};
use outband_store::change::Changes;
use outband_store::grant::{Grant, GrantEnd, GrantWrite, Grants};
use outband_store::{Applied, Page, ServerInventory, Store, StoreError, TicketWrite};
use outband_ticket::{AccessStep, Action, Command, TicketNumber, apply};

/// The behaviours of this file.
pub(crate) fn all<S: Store + Audit + Grants + Changes>() -> Vec<Behaviour<S>> {
    vec![
        ("grants", grants::<S> as fn(&S)),
        ("a_firmware_that_changes_is_remembered", firmware::<S>),
        ("a_clock_is_written_down_when_it_is_off_by_something_else", clocks::<S>),
    ]
}

fn change<S: Store>(store: &S, grant: &Grant, step: AccessStep, at: Timestamp) -> GrantWrite {
    let before = store.ticket(grant.ticket).unwrap().unwrap().ticket;
    let action = Action::Access { grant: grant.id, step };
    let entry = apply(&before, Command { who: "ann".to_owned(), why: String::new(), action }, at).unwrap();
    let ticket = TicketWrite {
        ticket: before.after(&entry),
        expected_revision: Some(before.revision),
        transitions: vec![entry],
    };
    let deed = Deed {
        at,
        role: "operator".to_owned(),
        method: "grant".to_owned(),
        resource: format!("grants/{}", grant.id),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    GrantWrite { grant: grant.clone(), ticket, actor: Actor { name: "ann".to_owned(), peer: None }, deed }
}

/// A grant is written with the entries of the ticket's log and of the audit log, or not at all; it ends once.
fn grants<S: Store + Audit + Grants>(store: &S) {
    let opened = Applied { tickets: vec![make::new_ticket(store, "srv-1", "Bay 1")], ..make::applied(&["srv-1"]) };
    store.apply(opened, make::at(3)).unwrap();
    let at = Timestamp::from_secs(100);
    let id = store.reserve_grant().unwrap();
    let grant = Grant {
        id,
        ticket: TicketNumber(1),
        holder: "zhao".to_owned(),
        role: "viewer".to_owned(),
        verified: "called back".to_owned(),
        reason: "log".to_owned(),
        granted_by: "ann".to_owned(),
        granted_at: at,
        until: Timestamp::from_secs(200),
        ended: None,
        reminded: false,
    };
    let granted = AccessStep::Granted { holder: grant.holder.clone(), role: grant.role.clone(), until: grant.until };
    let digest = Sha256Hash([7; 32]);
    let stale = change(store, &grant, granted.clone(), at);
    store.add_grant(change(store, &grant, granted, at), digest).unwrap();
    assert_eq!(store.grant(id).unwrap(), Some(grant.clone()));
    assert_eq!(store.open_grants().unwrap(), vec![(grant.clone(), digest)]);
    assert_eq!(store.ticket(TicketNumber(1)).unwrap().unwrap().ticket.access.len(), 1);

    // The ticket has moved on: nothing of it is written.
    let other = GrantWrite { grant: Grant { id: 99, ..grant.clone() }, ..stale };
    assert!(matches!(store.add_grant(other, Sha256Hash([8; 32])), Err(StoreError::Conflict { .. })));
    assert_eq!(store.grant(99).unwrap(), None);

    let ended = Grant { ended: Some((at, GrantEnd::Revoked)), ..grant };
    let end = change(store, &ended, AccessStep::Ended, at);
    store.change_grant(end.clone()).unwrap();
    assert!(matches!(store.change_grant(end), Err(StoreError::Conflict { .. })), "it ends once");
    assert_eq!(store.open_grants().unwrap(), vec![]);
    assert_eq!(store.grants(Some(TicketNumber(1)), false).unwrap(), vec![]);
    assert_eq!(store.grants(Some(TicketNumber(1)), true).unwrap(), vec![ended]);
    assert_eq!(store.grants(Some(TicketNumber(2)), true).unwrap(), vec![]);
    assert!(store.ticket(TicketNumber(1)).unwrap().unwrap().ticket.access.is_empty());
    let audited = store.audited(&AuditFilter::default(), &Page::first(10)).unwrap().rows;
    assert_eq!(audited.len(), 2, "one entry for each change that was made");
}

fn inventory(server: &ServerId, at: i64, firmware: &str, offset: Option<i64>) -> Applied {
    let part = Part {
        component: ComponentId::lenient(ComponentClass::Firmware, "BIOS"),
        manufacturer: None,
        model: None,
        part_number: None,
        serial: None,
        firmware: Some(firmware.to_owned()).filter(|f| !f.is_empty()),
        capacity_bytes: None,
        source: Source("/b".to_owned()),
    };
    let inventory = Inventory {
        identity: Identity::default(),
        parts: vec![part],
        bmc_clock_offset_ms: offset,
        observed_at: Timestamp::from_secs(at),
        source: Source("/m".to_owned()),
    };
    Applied {
        servers: vec![make::server(server.as_str())],
        inventories: vec![ServerInventory { server: server.clone(), inventory }],
        ..Applied::default()
    }
}

/// The version before and the one since, with the time at which it was first seen; older inventories that come late change nothing.
fn firmware<S: Store + Changes>(store: &S) {
    let server = ServerId::new("srv-1").unwrap();
    for (at, version) in [(10, "1.0"), (20, "1.0"), (30, "2.0"), (30, "2.0"), (25, "1.0"), (40, ""), (50, "3.0")] {
        store.apply(inventory(&server, at, version, None), Timestamp::from_secs(60)).unwrap();
    }
    let found = store.firmware_changes(&server).unwrap();
    let told: Vec<_> = found.iter().map(|c| (c.at.as_secs(), c.was.as_str(), c.now.as_str())).collect();
    assert_eq!(told, [(30, "1.0", "2.0")], "a version that the BMC kept to itself for a while is no change");
    assert_eq!(store.firmware_changes(&ServerId::new("srv-2").unwrap()).unwrap(), vec![]);
}

/// Jitter of less than a second is none.
fn clocks<S: Store + Changes>(store: &S) {
    let server = ServerId::new("srv-1").unwrap();
    for (at, offset) in [(10, Some(5000)), (20, Some(5900)), (30, None), (40, Some(-2000)), (50, Some(-2001))] {
        store.apply(inventory(&server, at, "1.0", offset), Timestamp::from_secs(60)).unwrap();
    }
    let told: Vec<_> = store.bmc_clocks(&server).unwrap().iter().map(|c| (c.at.as_secs(), c.offset_ms)).collect();
    assert_eq!(told, [(10, 5000), (40, -2000)]);
}
