//! The parts of the whole fleet, and how long they have run.

use super::Behaviour;
use super::make::{at, disk, fan, reading, readings, server, server_id};
use outband_schemas::{ComponentId, Identity, Inventory, Part, Reading, SensorKind, Source, Value};
use outband_store::parts::{Parts, Stay};
use outband_store::{Applied, ServerInventory, Store};

pub(super) fn all<S: Store + Parts>() -> Vec<Behaviour<S>> {
    vec![
        ("every part that ever sat somewhere is told, server by server, the newest of a place last", tells),
        ("the running time is that of the part that can have told it", hours),
        ("a place that only has a sensor is told apart", bare),
    ]
}

const DAY: i64 = 86_400;

fn part(component: ComponentId, serial: &str) -> Part {
    Part {
        component,
        manufacturer: Some("Seagate".to_owned()),
        model: Some("ST4000".to_owned()),
        part_number: None,
        serial: Some(serial.to_owned()).filter(|s| !s.is_empty()),
        firmware: None,
        capacity_bytes: None,
        source: Source("x".to_owned()),
    }
}

fn inventory(name: &str, secs: i64, parts: Vec<Part>) -> Applied {
    let inventory = Inventory {
        identity: Identity::default(),
        parts,
        bmc_clock_offset_ms: None,
        observed_at: at(secs),
        source: Source("x".to_owned()),
    };
    let of = ServerInventory { server: server_id(name), inventory };
    Applied { inventories: vec![of], ..Applied::default() }
}

fn ran(component: ComponentId, secs: i64, hours: f64) -> Reading {
    Reading { kind: SensorKind::PowerOnHours, value: Some(Value::Number(hours)), ..reading(component, secs, 0.0) }
}

fn told<S: Parts>(store: &S) -> Vec<(String, Vec<Stay>)> {
    let mut all = Vec::new();
    store.each_server(&mut |id, stays| all.push((id.to_string(), stays))).unwrap();
    all
}

fn two_servers<S: Store>(store: &S) {
    let servers = vec![server("srv-1"), server("srv-2")];
    store.apply(Applied { servers, ..Applied::default() }, at(0)).unwrap();
}

fn tells<S: Store + Parts>(store: &S) {
    assert!(told(store).is_empty());
    two_servers(store);
    store.apply(inventory("srv-2", 0, vec![part(fan("1"), "")]), at(0)).unwrap();
    store.apply(inventory("srv-1", 0, vec![part(disk("1"), "OLD"), part(disk("2"), "B")]), at(0)).unwrap();
    store.apply(inventory("srv-1", 5 * DAY, vec![part(disk("1"), "NEW"), part(disk("2"), "B")]), at(0)).unwrap();
    let all = told(store);
    let names: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(names, ["srv-1", "srv-2"]);
    let first: Vec<_> = all[0].1.iter().map(|s| (s.serial.as_str(), s.first_seen, s.last_seen, s.current)).collect();
    assert_eq!(
        first,
        [("OLD", at(0), at(0), false), ("NEW", at(5 * DAY), at(5 * DAY), true), ("B", at(0), at(5 * DAY), true)]
    );
    assert_eq!(all[1].1[0].serial, "");
    assert_eq!((all[0].1[0].model.as_deref(), all[0].1[0].manufacturer.as_deref()), (Some("ST4000"), Some("Seagate")));
}

fn hours<S: Store + Parts>(store: &S) {
    two_servers(store);
    let tell = |secs: i64, hours: f64| {
        let reading = ran(disk("1"), secs, hours);
        store.apply(Applied { readings: vec![readings("srv-1", vec![reading])], ..Applied::default() }, at(0)).unwrap();
    };
    let of = |serial: &str| {
        let all = told(store);
        let stay = all[0].1.iter().find(|s| s.serial == serial).unwrap();
        stay.hours.map(|h| (h.first_at, h.first, h.last_at, h.last))
    };
    // Before anybody knows what sits there.
    tell(0, 9000.0);
    store.apply(inventory("srv-1", 10, vec![part(disk("1"), "OLD")]), at(0)).unwrap();
    // Read before the part was seen there: perhaps another's.
    tell(5, 7.0);
    assert_eq!(of("OLD"), None);
    tell(60, 9000.0);
    tell(120, 9001.0);
    assert_eq!(of("OLD"), Some((at(60), 9000.0, at(60), 9000.0)));
    tell(30 * DAY, 9719.0);
    let old = Some((at(60), 9000.0, at(30 * DAY), 9719.0));
    assert_eq!(of("OLD"), old);
    // Another disk sits there already, and no inventory has told of it: its hours are not the old one's, whether fewer or too many.
    tell(32 * DAY, 12.0);
    tell(33 * DAY, 30_000.0);
    assert_eq!(of("OLD"), old);
    store.apply(inventory("srv-1", 34 * DAY, vec![part(disk("1"), "NEW")]), at(0)).unwrap();
    tell(35 * DAY, 84.0);
    assert_eq!((of("OLD"), of("NEW")), (old, Some((at(35 * DAY), 84.0, at(35 * DAY), 84.0))));
}

fn bare<S: Store + Parts>(store: &S) {
    two_servers(store);
    let spins = readings("srv-1", vec![reading(fan("1"), 0, 5000.0), reading(fan("2"), 0, 5000.0)]);
    store.apply(Applied { readings: vec![spins], ..Applied::default() }, at(0)).unwrap();
    store.apply(inventory("srv-1", 0, vec![part(fan("2"), "")]), at(0)).unwrap();
    let mut all = Vec::new();
    store.each_bare_place(&mut |id, place| all.push((id.to_string(), place.to_string()))).unwrap();
    assert_eq!(all, [("srv-1".to_owned(), "fan/1".to_owned())]);
}
