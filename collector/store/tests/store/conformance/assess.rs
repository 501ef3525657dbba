use crate::behaviours;
use crate::conformance::make::*;
use outband_health::Stage;
use outband_schemas::{Cause, Inventory, Lane, Quality, SensorKind, Severity, SiteId, Source, TargetId, Value};
use outband_store::{
    AgentTarget, Applied, EventFilter, GapFilter, HealthRecord, HistoryFilter, Page, Poison, Scope, SeriesFilter,
    ServerEvents, ServerGaps, ServerInventory, Store, StoreError,
};

behaviours![
    the_cursor_moves_with_what_was_made_of_the_rows,
    rows_are_applied_once,
    a_failed_apply_leaves_nothing_of_itself,
    the_latest_value_is_the_one_observed_last,
    a_sensor_that_gives_no_value_says_why,
    latest_values_page_without_losing_or_doubling_one,
    a_log_entry_is_stored_once_however_often_it_is_read,
    log_entries_come_newest_first_and_as_grave_as_asked,
    a_gap_that_goes_on_is_one_row,
    a_new_serial_in_a_place_leaves_the_old_part_in_its_past,
    a_target_belongs_to_the_server_that_claimed_it_last,
    a_merged_server_is_no_longer_listed,
    servers_page_by_their_id,
    health_is_listed_under_its_parent,
    one_incident_of_a_fault_is_open_at_a_time,
    a_dropped_incident_is_forgotten,
    a_body_that_cannot_be_understood_is_kept_and_passed,
];

fn the_cursor_moves_with_what_was_made_of_the_rows<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Telemetry, 1, &["x", "y"]), at(1)).unwrap();
    assert_eq!(store.cursor().unwrap(), 0);
    let last = store.log_after(0, 9).unwrap()[1].id;
    store.apply(Applied { through: Some(last), ..applied(&["s1"]) }, at(2)).unwrap();
    assert_eq!(store.cursor().unwrap(), last);
    assert_eq!(store.log_after(last, 9).unwrap(), vec![]);
    assert_eq!(store.server(&server_id("s1")).unwrap().unwrap().targets.len(), 1);
    // A tick of the timer writes without moving it.
    store.apply(applied(&["s2"]), at(3)).unwrap();
    assert_eq!(store.cursor().unwrap(), last);
}

fn rows_are_applied_once<S: Store>(store: &S) {
    store.apply(Applied { through: Some(5), ..applied(&["s1"]) }, at(2)).unwrap();
    let again = store.apply(Applied { through: Some(5), ..applied(&["s2"]) }, at(3)).unwrap_err();
    assert!(matches!(again, StoreError::Conflict { .. }), "{again}");
    assert_eq!(store.server(&server_id("s2")).unwrap(), None);
}

fn a_failed_apply_leaves_nothing_of_itself<S: Store>(store: &S) {
    let mut ticket = new_ticket(store, "s1", "Bay 1");
    ticket.expected_revision = Some(7);
    let done = Applied {
        through: Some(5),
        readings: vec![readings("s1", vec![reading(fan("Fan 1"), 1, 100.0)])],
        tickets: vec![ticket],
        ..applied(&["s1"])
    };
    assert!(matches!(store.apply(done.clone(), at(2)), Err(StoreError::NotFound { .. })));
    assert_eq!(store.cursor().unwrap(), 0);
    assert!(store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows.is_empty());
    let ever = HistoryFilter { series: SeriesFilter::default(), from: at(-9), to: at(9) };
    assert!(store.history(&ever, &Page::first(9)).unwrap().rows.is_empty());
    // And it does not stand in the way of the next.
    let next = vec![readings("s1", vec![reading(fan("Fan 1"), 2, 200.0)])];
    store.apply(Applied { tickets: Vec::new(), readings: next, ..done }, at(2)).unwrap();
    let rows = store.history(&ever, &Page::first(9)).unwrap().rows;
    assert_eq!(rows.iter().map(|p| p.observed_at).collect::<Vec<_>>(), vec![at(2)]);
}

fn the_latest_value_is_the_one_observed_last<S: Store>(store: &S) {
    for (secs, value) in [(10, 1.0), (30, 3.0), (20, 2.0)] {
        let mut done = applied(&["s1"]);
        done.readings = vec![readings("s1", vec![reading(fan("Fan 1"), secs, value)])];
        store.apply(done, at(50)).unwrap();
    }
    let latest = store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[0].reading, reading(fan("Fan 1"), 30, 3.0));
}

fn a_sensor_that_gives_no_value_says_why<S: Store>(store: &S) {
    let mut silent = reading(fan("Fan 1"), 10, 0.0);
    silent.value = None;
    silent.quality = Quality::Unavailable(Cause::NoReading);
    let mut state = reading(disk("Bay 1"), 10, 0.0);
    state.kind = SensorKind::State;
    state.value =
        Some(Value::State { state: outband_schemas::State::Critical, text: "Drive fault, 故障".to_owned() });
    let mut done = applied(&["s1"]);
    done.readings = vec![readings("s1", vec![silent.clone(), state.clone()])];
    store.apply(done, at(50)).unwrap();
    let latest = store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(latest.iter().map(|l| l.reading.clone()).collect::<Vec<_>>(), vec![state, silent]);
}

fn latest_values_page_without_losing_or_doubling_one<S: Store>(store: &S) {
    let mut done = applied(&["s1", "s2"]);
    for server in ["s1", "s2"] {
        let all = (0..7).map(|n| reading(fan(&format!("Fan {n}")), 1, f64::from(n))).collect();
        done.readings.push(readings(server, all));
    }
    store.apply(done, at(2)).unwrap();
    let mut page = Page::first(3);
    let mut seen = Vec::new();
    loop {
        let listing = store.latest(&SeriesFilter::default(), &page).unwrap();
        assert!(listing.rows.len() <= 3);
        seen.extend(listing.rows.into_iter().map(|l| (l.server.to_string(), l.reading.component.to_string())));
        match listing.next {
            Some(token) => page = Page::after(token, 3),
            None => break,
        }
    }
    assert_eq!(seen.len(), 14);
    assert!(seen.is_sorted());
    let one = SeriesFilter { server: Some(server_id("s1")), component: Some(fan("Fan 3")), ..SeriesFilter::default() };
    assert_eq!(store.latest(&one, &Page::first(9)).unwrap().rows.len(), 1);
    let none = SeriesFilter { kind: Some(SensorKind::Temperature), ..SeriesFilter::default() };
    assert!(store.latest(&none, &Page::first(9)).unwrap().rows.is_empty());
    assert!(matches!(store.latest(&SeriesFilter::default(), &Page::after("nonsense", 3)), Err(StoreError::BadToken)));
}

fn events(events: Vec<outband_schemas::LogEvent>) -> Applied {
    let events = vec![ServerEvents { server: server_id("s1"), received_at: at(3), events }];
    Applied { events, ..applied(&["s1"]) }
}

fn a_log_entry_is_stored_once_however_often_it_is_read<S: Store>(store: &S) {
    let one = event("1", Severity::Critical);
    store.apply(events(vec![one.clone(), one.clone()]), at(3)).unwrap();
    let mut later = one.clone();
    later.observed_at = at(99);
    later.source = Source("elsewhere".to_owned());
    store.apply(events(vec![later.clone()]), at(100)).unwrap();
    let stored = store.events(&EventFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(stored.len(), 1);
    assert_eq!((&stored[0].event, stored[0].received_at), (&one, at(3)));
    let known = store.known_events(&server_id("s1"), &[later, event("2", Severity::Ok)]).unwrap();
    assert_eq!(known, vec![true, false]);
    // Another server may have the same entry.
    assert_eq!(store.known_events(&server_id("s2"), &[one]).unwrap(), vec![false]);
}

fn log_entries_come_newest_first_and_as_grave_as_asked<S: Store>(store: &S) {
    let grave = [Severity::Ok, Severity::Critical, Severity::Warning, Severity::Critical, Severity::Unknown];
    let all = grave.iter().enumerate().map(|(n, s)| event(&n.to_string(), *s)).collect();
    store.apply(events(all), at(3)).unwrap();
    let ids = |filter: &EventFilter, page: &Page| {
        let listing = store.events(filter, page).unwrap();
        (listing.rows.iter().map(|e| e.event.id.clone()).collect::<Vec<_>>(), listing.next)
    };
    let grave = EventFilter { server: Some(server_id("s1")), min_severity: Some(Severity::Warning) };
    let (first, next) = ids(&grave, &Page::first(2));
    assert_eq!(first, ["3", "2"]);
    let (second, end) = ids(&grave, &Page::after(next.unwrap(), 2));
    assert_eq!((second, end), (vec!["1".to_owned()], None));
    assert_eq!(ids(&EventFilter::default(), &Page::first(9)).0.len(), 5);
}

fn gaps(list: Vec<outband_schemas::Gap>) -> Applied {
    Applied { gaps: vec![ServerGaps { server: server_id("s1"), gaps: list }], ..applied(&["s1"]) }
}

fn a_gap_that_goes_on_is_one_row<S: Store>(store: &S) {
    for n in 0..5 {
        store.apply(gaps(vec![gap(60 * n, Cause::Timeout)]), at(0)).unwrap();
    }
    store.apply(gaps(vec![gap(100, Cause::Denied), gap(90_000, Cause::Timeout)]), at(0)).unwrap();
    let rows = store.gaps(&GapFilter { server: Some(server_id("s1")), agent: None }, &Page::first(9)).unwrap().rows;
    let seen: Vec<_> = rows.iter().map(|g| (g.gap.cause, g.gap.observed_at, g.last_observed, g.count)).collect();
    assert_eq!(
        seen,
        vec![
            (Cause::Timeout, at(90_000), at(90_000), 1),
            (Cause::Denied, at(100), at(100), 1),
            (Cause::Timeout, at(0), at(240), 5)
        ]
    );
}

fn a_new_serial_in_a_place_leaves_the_old_part_in_its_past<S: Store>(store: &S) {
    for (secs, serial) in [(10, "Z1"), (20, "Z1"), (30, "Z2")] {
        let inventory = Inventory {
            identity: outband_schemas::Identity::default(),
            parts: vec![part(disk("Bay 1"), serial), part(disk("Bay 2"), "Y1")],
            bmc_clock_offset_ms: None,
            observed_at: at(secs),
            source: Source::default(),
        };
        let mut done = applied(&["s1"]);
        done.inventories = vec![ServerInventory { server: server_id("s1"), inventory }];
        store.apply(done, at(secs)).unwrap();
    }
    let parts = store.parts(&server_id("s1")).unwrap();
    let seen: Vec<_> =
        parts.iter().map(|p| (p.part.serial.as_deref().unwrap(), p.first_seen, p.last_seen, p.current)).collect();
    assert_eq!(seen, vec![("Z1", at(10), at(20), false), ("Z2", at(30), at(30), true), ("Y1", at(10), at(30), true)]);
}

fn a_target_belongs_to_the_server_that_claimed_it_last<S: Store>(store: &S) {
    store.apply(applied(&["s1"]), at(0)).unwrap();
    let mut s2 = server("s2");
    s2.targets = vec![AgentTarget { agent: agent("a1"), target: TargetId::new("t-s1").unwrap() }];
    store.apply(Applied { servers: vec![s2], ..Applied::default() }, at(1)).unwrap();
    assert!(store.server(&server_id("s1")).unwrap().unwrap().targets.is_empty());
    assert_eq!(store.server(&server_id("s2")).unwrap().unwrap().targets.len(), 1);
}

fn a_merged_server_is_no_longer_listed<S: Store>(store: &S) {
    store.apply(applied(&["s1", "s2"]), at(0)).unwrap();
    let mut s2 = server("s2");
    s2.merged_into = Some(server_id("s1"));
    let healths = vec![HealthRecord { scope: Scope::Server(server_id("s2")), health: health(10) }];
    store.apply(Applied { servers: vec![s2], healths, ..Applied::default() }, at(1)).unwrap();
    let listed = store.servers(None, &Page::first(9)).unwrap().rows;
    assert_eq!(listed.iter().map(|s| s.id.to_string()).collect::<Vec<_>>(), ["s1"]);
    assert_eq!(store.server(&server_id("s2")).unwrap().unwrap().merged_into, Some(server_id("s1")));
    assert!(store.healths(None, &Page::first(9)).unwrap().rows.is_empty());
}

fn servers_page_by_their_id<S: Store>(store: &S) {
    store.apply(applied(&["s3", "s1", "s2"]), at(0)).unwrap();
    let first = store.servers(None, &Page::first(2)).unwrap();
    assert_eq!(first.rows.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s1", "s2"]);
    let second = store.servers(None, &Page::after(first.next.unwrap(), 2)).unwrap();
    assert_eq!(second.rows.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s3"]);
    assert_eq!(second.next, None);
    let elsewhere = SiteId::new("dc9").unwrap();
    assert!(store.servers(Some(&elsewhere), &Page::first(2)).unwrap().rows.is_empty());
    let rev = first.rows[0].rev;
    store.apply(applied(&["s1"]), at(5)).unwrap();
    assert!(store.server(&server_id("s1")).unwrap().unwrap().rev > rev);
}

fn health_is_listed_under_its_parent<S: Store>(store: &S) {
    let dc1 = Scope::Site(SiteId::new("dc1").unwrap());
    let s1 = Scope::Server(server_id("s1"));
    let fan1 = Scope::Component(server_id("s1"), fan("Fan 1/A"));
    let record = |scope: &Scope, score| HealthRecord { scope: scope.clone(), health: health(score) };
    let mut done = applied(&["s1"]);
    done.healths = vec![record(&dc1, 90), record(&s1, 80), record(&fan1, 70)];
    store.apply(done, at(1)).unwrap();
    store.apply(Applied { healths: vec![record(&s1, 60)], ..Applied::default() }, at(2)).unwrap();
    let scopes = |parent: Option<&Scope>| {
        let rows = store.healths(parent, &Page::first(9)).unwrap().rows;
        rows.into_iter().map(|h| (h.scope, h.health.score)).collect::<Vec<_>>()
    };
    assert_eq!(scopes(None), vec![(s1.clone(), Some(60)), (dc1.clone(), Some(90))]);
    assert_eq!(scopes(Some(&dc1)), vec![(s1.clone(), Some(60))]);
    assert_eq!(scopes(Some(&s1)), vec![(fan1.clone(), Some(70))]);
    assert_eq!(store.health(&fan1).unwrap().unwrap().health.score, Some(70));
    assert_eq!(store.health(&Scope::Server(server_id("s9"))).unwrap(), None);
}

fn incidents(list: Vec<outband_health::Incident>) -> Applied {
    Applied { incidents: list, ..applied(&["s1"]) }
}

fn one_incident_of_a_fault_is_open_at_a_time<S: Store>(store: &S) {
    store.apply(incidents(vec![incident("s1", 1, Stage::Pending)]), at(1)).unwrap();
    store.apply(incidents(vec![incident("s1", 1, Stage::Open)]), at(2)).unwrap();
    assert_eq!(store.open_incidents().unwrap(), vec![incident("s1", 1, Stage::Open)]);
    let second = store.apply(incidents(vec![incident("s1", 5, Stage::Pending)]), at(3));
    assert!(matches!(second, Err(StoreError::Conflict { .. })));
    // The first ends, the second begins.
    let both = vec![incident("s1", 1, Stage::Ended { at: at(4) }), incident("s1", 5, Stage::Pending)];
    store.apply(incidents(both), at(4)).unwrap();
    assert_eq!(store.open_incidents().unwrap(), vec![incident("s1", 5, Stage::Pending)]);
}

fn a_dropped_incident_is_forgotten<S: Store>(store: &S) {
    let pending = incident("s1", 1, Stage::Pending);
    store.apply(incidents(vec![pending.clone()]), at(1)).unwrap();
    store.apply(Applied { dropped: vec![pending.key.clone()], ..Applied::default() }, at(2)).unwrap();
    assert_eq!(store.open_incidents().unwrap(), vec![]);
    // Another of the same key may begin in the same write.
    let next = Applied { dropped: vec![pending.key.clone()], ..incidents(vec![pending.clone()]) };
    store.apply(next, at(3)).unwrap();
    assert_eq!(store.open_incidents().unwrap(), vec![pending]);
}

fn a_body_that_cannot_be_understood_is_kept_and_passed<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Telemetry, 1, &["garbage"]), at(1)).unwrap();
    let row = store.log_after(0, 9).unwrap()[0].id;
    let poison = vec![Poison { row, error: "no observation set".to_owned() }];
    store.apply(Applied { through: Some(row), poison, ..Applied::default() }, at(2)).unwrap();
    assert_eq!(store.cursor().unwrap(), row);
    store.expire(at(100_000), &outband_store::Retention::default()).unwrap();
    let kept = store.quarantined(&Page::first(9)).unwrap().rows;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].row.body.as_slice(), kept[0].error.as_str()), (&b"garbage"[..], "no observation set"));
}
