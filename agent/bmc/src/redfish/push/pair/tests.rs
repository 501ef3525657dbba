use super::*;
use outband_schemas::{ComponentClass, ComponentId, EventKind, Source};
use proptest::prelude::*;

const LOG: &str = "/redfish/v1/Systems/1/LogServices/SEL/Entries";

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000).plus(Duration::from_secs(secs))
}

fn event(log: &str, id: &str, message: &str, time: Option<u64>, uri: &str) -> LogEvent {
    LogEvent {
        component: ComponentId::lenient(ComponentClass::Server, "system"),
        log: log.to_owned(),
        id: id.to_owned(),
        kind: EventKind::Other,
        severity: Severity::Warning,
        deasserted: false,
        message: message.to_owned(),
        code: "Reg.1.0.Code".to_owned(),
        bmc_time: time.map(at),
        observed_at: at(0),
        source: Source(uri.to_owned()),
        raw: format!("{id}{message}"),
    }
}

fn entry(id: &str, message: &str, time: Option<u64>) -> LogEvent {
    event("SEL", id, message, time, &format!("{LOG}/{id}"))
}

/// A record without link and id, as the n-th delivery.
fn record(n: u32, message: &str, time: Option<u64>) -> Record {
    let event = event("EventService", "-", message, time, "/redfish/v1/EventService");
    Record { event, entry: None, event_id: None, delivery: Some(format!("{n}#0")) }
}

fn naming(n: u32, id: &str, message: &str, time: Option<u64>) -> Record {
    Record { entry: Some(format!("{LOG}/{id}")), ..record(n, message, time) }
}

fn read(pairing: &mut Pairing, began: u64, entries: &[LogEvent]) -> (Vec<String>, Vec<String>) {
    let mut events = entries.to_vec();
    let own = pairing.log_read(at(began), at(began + 1), true, &mut events);
    (events.into_iter().map(|e| e.id).collect(), own.into_iter().map(|e| e.message).collect())
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|i| (*i).to_owned()).collect()
}

#[test]
fn a_record_whose_entry_is_read_is_told_by_the_log_alone() {
    let mut pairing = Pairing::default();
    assert_eq!(pairing.heard(record(1, "fan 1 failed", Some(5)), 1, at(6)), Heard::New);
    assert_eq!(read(&mut pairing, 7, &[entry("1", "Fan 1  failed.", Some(5))]), (ids(&["1"]), ids(&[])));
    assert_eq!(pairing.due(), None);
    assert_eq!(read(&mut pairing, 900, &[]), (ids(&[]), ids(&[])));
}

#[test]
fn a_record_that_no_log_shows_is_told_after_a_second_look() {
    let mut pairing = Pairing::default();
    pairing.heard(record(1, "lan lost", Some(5)), 1, at(6));
    assert_eq!(read(&mut pairing, 7, &[entry("1", "other", Some(2))]).1, ids(&[]));
    assert_eq!(pairing.due(), Some(at(16)));
    assert_eq!(read(&mut pairing, 16, &[]).1, ids(&["lan lost"]));
    assert_eq!(read(&mut pairing, 30, &[]).1, ids(&[]), "once");
}

#[test]
fn an_entry_that_comes_too_late_is_not_told_again() {
    let mut pairing = Pairing::default();
    pairing.heard(record(1, "lan lost", Some(5)), 1, at(6));
    assert_eq!(read(&mut pairing, 20, &[]).1, ids(&["lan lost"]));
    assert_eq!(
        read(&mut pairing, 50, &[entry("1", "lan lost", Some(5)), entry("2", "lan lost", Some(5))]).0,
        ids(&["2"])
    );
}

#[test]
fn a_record_that_names_its_entry_waits_longer_for_it() {
    let mut pairing = Pairing::default();
    pairing.heard(naming(1, "7", "lan lost", Some(5)), 1, at(6));
    assert_eq!(read(&mut pairing, 20, &[]).1, ids(&[]));
    assert_eq!(pairing.due(), Some(at(126)));
    assert_eq!(read(&mut pairing, 60, &[entry("7", "worded otherwise", Some(5))]), (ids(&["7"]), ids(&[])));
    assert_eq!(read(&mut pairing, 200, &[]).1, ids(&[]));
}

#[test]
fn a_record_of_an_entry_that_was_polled_before_is_known() {
    let mut pairing = Pairing::default();
    read(&mut pairing, 1, &[entry("1", "fan", Some(0)), entry("2", "psu", Some(0))]);
    assert_eq!(pairing.heard(naming(1, "1", "fan", Some(0)), 1, at(3)), Heard::Known);
    assert_eq!(pairing.heard(record(2, "psu", Some(0)), 1, at(3)), Heard::Known);
    assert_eq!(pairing.heard(record(3, "psu", Some(30)), 1, at(33)), Heard::New, "it happened again");
}

#[test]
fn an_id_that_is_used_again_after_a_clear_is_another_entry() {
    let mut pairing = Pairing::default();
    read(&mut pairing, 1, &[entry("1", "fan", Some(0))]);
    assert_eq!(pairing.heard(naming(1, "1", "psu", Some(7200 + 77)), 1, at(7280)), Heard::New);
    assert_eq!(read(&mut pairing, 7281, &[entry("1", "psu", Some(7277))]), (ids(&["1"]), ids(&[])));
    assert_eq!(pairing.due(), None);
}

#[test]
fn two_equal_messages_of_one_second_stay_two() {
    let mut pairing = Pairing::default();
    assert_eq!(pairing.heard(record(1, "ecc", Some(5)), 1, at(6)), Heard::New);
    assert_eq!(pairing.heard(record(2, "ecc", Some(5)), 1, at(6)), Heard::New);
    // The log shows one of them at first.
    assert_eq!(read(&mut pairing, 7, &[entry("1", "ecc", Some(5))]), (ids(&["1"]), ids(&[])));
    assert_eq!(pairing.due(), Some(at(16)), "the other is still waited for");
    assert_eq!(read(&mut pairing, 9, &[entry("2", "ecc", Some(5))]), (ids(&["2"]), ids(&[])));
    assert_eq!(pairing.due(), None);
}

#[test]
fn what_comes_over_two_channels_is_one_and_equals_are_counted() {
    let mut pairing = Pairing::default();
    let mut hear = |n, channel| pairing.heard(record(n, "ecc", Some(5)), channel, at(6));
    assert_eq!([hear(1, 1), hear(2, 1)], [Heard::New, Heard::New]);
    assert_eq!([hear(1, 1), hear(2, 1)], [Heard::Repeat, Heard::Repeat], "delivered again by a BMC that saw no answer");
    assert_eq!(
        [hear(31, 2), hear(32, 2), hear(33, 2)],
        [Heard::Repeat, Heard::Repeat, Heard::New],
        "replayed by the next stream"
    );
}

#[test]
fn an_instance_is_known_by_its_id_however_often_it_is_sent() {
    let mut pairing = Pairing::default();
    let of = |n| Record { event_id: Some("77".to_owned()), ..record(n, "ecc", Some(5)) };
    assert_eq!(pairing.heard(of(1), 1, at(6)), Heard::New);
    assert_eq!(pairing.heard(of(2), 1, at(7)), Heard::Repeat);
}

#[test]
fn records_without_time_pair_with_what_is_shown_about_then() {
    let mut pairing = Pairing::default();
    read(&mut pairing, 1, &[entry("1", "fan", None)]);
    assert_eq!(pairing.heard(record(1, "fan", None), 1, at(7200)), Heard::New, "the entry of hours ago is another");
    assert_eq!(read(&mut pairing, 7201, &[entry("2", "fan", Some(999_999))]), (ids(&["2"]), ids(&[])));
    assert_eq!(pairing.due(), None);
    assert_eq!(
        pairing.heard(record(2, "fan", None), 1, at(7202)),
        Heard::New,
        "without time and id each delivery is news"
    );
}

#[test]
fn a_clock_that_is_wrong_or_tells_no_zone_does_not_double_an_event() {
    let mut pairing = Pairing::default();
    // The BMC is three years behind: both stamps are.
    let event = |id: &str| LogEvent { bmc_time: Some(Timestamp::from_secs(1_600_000_000)), ..entry(id, "fan", None) };
    let mut behind = record(1, "fan", None);
    behind.event.bmc_time = Some(Timestamp::from_secs(1_600_000_001));
    pairing.heard(behind, 1, at(6));
    assert_eq!(read(&mut pairing, 7, &[event("1")]), (ids(&["1"]), ids(&[])));
    // The stream tells local time, six hours off, and the log UTC.
    pairing.heard(record(2, "psu", Some(6 * 3600 + 100)), 1, at(101));
    assert_eq!(read(&mut pairing, 102, &[entry("2", "psu", Some(100))]), (ids(&["2"]), ids(&[])));
    assert_eq!(pairing.due(), None);
}

#[test]
fn the_likest_entry_is_taken_first() {
    let mut pairing = Pairing::default();
    pairing.heard(record(1, "worded so", Some(5)), 1, at(6));
    pairing.heard(record(2, "fan 2", Some(5)), 1, at(6));
    // Both records could be the entry by code and time; only one by its words.
    read(&mut pairing, 7, &[entry("1", "fan 2", Some(5))]);
    assert_eq!(read(&mut pairing, 20, &[]).1, ids(&["worded so"]));
}

#[test]
fn where_the_log_cannot_be_read_records_are_told_at_last() {
    let mut pairing = Pairing::default();
    pairing.heard(naming(1, "1", "fan", Some(5)), 1, at(6));
    assert!(pairing.overdue(at(600)).is_empty());
    assert_eq!(pairing.overdue(at(906)).len(), 1);
    assert!(pairing.overdue(at(907)).is_empty());
}

#[test]
fn a_flood_is_bounded_and_nothing_of_it_is_lost() {
    let mut pairing = Pairing::default();
    for n in 0..1000 {
        pairing.heard(record(n, &format!("event {n}"), Some(u64::from(n) * 10)), 1, at(6));
    }
    assert!(pairing.held.len() <= MAX_HELD);
    let told = read(&mut pairing, 100, &[]).1;
    assert_eq!(told.len(), 1000);
}

#[test]
fn a_log_that_shows_what_nobody_announced_is_read_as_often_as_before() {
    let mut pairing = Pairing::default();
    assert!(pairing.is_reliable());
    read(&mut pairing, 1, &[entry("1", "fan", Some(0))]);
    assert!(pairing.is_reliable(), "the announcement may still come");
    read(&mut pairing, 100, &[]);
    assert!(!pairing.is_reliable());
    for n in 2..5 {
        pairing.heard(naming(n, &n.to_string(), "fan", Some(100 * u64::from(n))), 1, at(100 * u64::from(n)));
        read(&mut pairing, 100 * u64::from(n) + 1, &[entry(&n.to_string(), "fan", Some(100 * u64::from(n)))]);
    }
    assert!(pairing.is_reliable());
}

#[test]
fn it_reads_back_as_it_was_stored() {
    let mut pairing = Pairing::default();
    read(&mut pairing, 1, &[entry("1", "fan", Some(0))]);
    pairing.heard(naming(1, "9", "psu", Some(5)), 1, at(6));
    let text = serde_json::to_string(&pairing).unwrap();
    assert_eq!(serde_json::from_str::<Pairing>(&text).unwrap(), pairing);
}

proptest! {
    /// Whatever comes in whatever order: nothing is lost, and nothing is told twice.
    #[test]
    fn each_event_is_told_exactly_once(
        // Each event: whether it is logged, pushed, how many seconds after the push it is in the log, and how often it is pushed.
        plan in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u64..40, 1usize..3), 1..30),
    ) {
        let mut pairing = Pairing::default();
        let (mut told, mut logged) = (Vec::new(), Vec::new());
        for (n, (in_log, pushed, late, times)) in plan.iter().enumerate() {
            let when = 50 * n as u64;
            let message = format!("event {n}");
            let shown = entry(&n.to_string(), &message, Some(when));
            if *pushed {
                for channel in 0..*times {
                    pairing.heard(record(u32::try_from(n).unwrap(), &message, Some(when)), channel as u64, at(when));
                }
            }
            let mut waiting = in_log.then_some(shown);
            for look in [0, 10, 20, 30, 45] {
                let ready = if look >= *late { waiting.take() } else { None };
                let mut events: Vec<LogEvent> = ready.into_iter().collect();
                let own = pairing.log_read(at(when + look), at(when + look), true, &mut events);
                told.extend(events.into_iter().chain(own).map(|e| e.message));
            }
            if *in_log || *pushed { logged.push(message); }
        }
        told.sort();
        logged.sort();
        prop_assert_eq!(told, logged);
    }
}
