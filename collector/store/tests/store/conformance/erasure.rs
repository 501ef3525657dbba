//! Erasures that are not over yet.

use super::Behaviour;
use super::audit::{actor, deed};
use super::make::{at, disk, part, server, server_id};
use outband_schemas::{Identity, Inventory, ServerId, Source};
use outband_store::drift::{Drifts, Wear};
use outband_store::drives::{DriveRecord, Drives};
use outband_store::erasure::{ErasedServer, Erasures};
use outband_store::keeping::{CustomerErasure, Keeping};
use outband_store::{Applied, ServerInventory, Store};
use std::collections::BTreeSet;

pub(super) fn all<S: Store + Drifts + Drives + Keeping + Erasures>() -> Vec<Behaviour<S>> {
    vec![
        ("what is written back of an erased server is erased again when it is forgotten", erases_again),
        ("an erasure that only counts, or takes names only, forgets nothing", forgets_on_order_only),
        ("a drive that had been taken out of an erased server goes with it", takes_drives_along),
    ]
}

fn erase<S: Keeping>(store: &S, records: bool, dry_run: bool) -> usize {
    let servers = BTreeSet::from([server_id("s1")]);
    let erasure = CustomerErasure { servers, people: BTreeSet::new(), records, keep_after: None, dry_run };
    store.erase_customer(&erasure, actor("zhao"), deed(at(60), "")).unwrap().rows
}

fn of(server: &str) -> DriveRecord {
    DriveRecord { place: Some((server_id(server), disk("Bay 1"))), ..DriveRecord::default() }
}

fn learns<S: Drifts + Drives>(store: &S) {
    let wear = Wear::default();
    store.keep_wear(&[(server_id("s1"), &wear), (server_id("s2"), &wear)]).unwrap();
    let left = DriveRecord { left: Some(server_id("s1")), ..DriveRecord::default() };
    let key = |serial: &str| format!("serial:{serial}");
    store.keep_drives(&[(key("A"), &of("s1")), (key("B"), &left), (key("C"), &of("s2"))], &[], None).unwrap();
}

fn kept<S: Drifts + Drives>(store: &S) -> (Vec<String>, [bool; 2]) {
    let keys = store.drives().unwrap().drives.into_iter().map(|(key, _)| key).collect();
    (keys, ["s1", "s2"].map(|name| store.wear(&server_id(name)).unwrap().is_some()))
}

fn forgotten<S: Erasures>(store: &S, server: ServerId) {
    let noted = store.erasures().unwrap();
    assert_eq!(noted.iter().map(|e| e.server.clone()).collect::<Vec<_>>(), [server]);
    store.forgotten(&noted).unwrap();
    assert_eq!(store.erasures().unwrap(), []);
}

fn erases_again<S: Store + Drifts + Drives + Keeping + Erasures>(store: &S) {
    learns(store);
    assert_eq!(erase(store, true, false), 3, "the drift, and two drives");
    assert_eq!(kept(store), (vec!["serial:C".to_owned()], [false, true]));
    // Somebody had it in memory.
    learns(store);
    forgotten(store, server_id("s1"));
    assert_eq!(kept(store), (vec!["serial:C".to_owned()], [false, true]));
}

fn forgets_on_order_only<S: Store + Drifts + Drives + Keeping + Erasures>(store: &S) {
    learns(store);
    assert_eq!((erase(store, true, true), erase(store, false, false)), (3, 0));
    assert_eq!(store.erasures().unwrap(), []);
    assert_eq!(kept(store).0.len(), 3);
}

fn takes_drives_along<S: Store + Drifts + Drives + Keeping + Erasures>(store: &S) {
    let inventory = |serial: &str, secs| ServerInventory {
        server: server_id("s1"),
        inventory: Inventory {
            identity: Identity::default(),
            parts: vec![part(disk("Bay 1"), serial)],
            bmc_clock_offset_ms: None,
            observed_at: at(secs),
            source: Source::default(),
        },
    };
    let inventories = vec![inventory("OLD", 1), inventory("A", 2)];
    store.apply(Applied { servers: vec![server("s1")], inventories, ..Applied::default() }, at(3)).unwrap();
    // An earlier version did not note where a drive had been.
    let nowhere = DriveRecord::default();
    store.keep_drives(&[("serial:OLD".to_owned(), &nowhere), ("serial:X".to_owned(), &nowhere)], &[], None).unwrap();
    assert_eq!(erase(store, true, false), 1);
    let noted = store.erasures().unwrap();
    assert_eq!(noted, [ErasedServer { server: server_id("s1"), drives: vec!["serial:OLD".to_owned()] }]);
    store.keep_drives(&[("serial:OLD".to_owned(), &nowhere)], &[], None).unwrap();
    store.forgotten(&noted).unwrap();
    assert_eq!(kept(store).0, ["serial:X"]);
}
