use super::*;
use outband_schemas::{Part, Source};

fn event(bmc: Option<i64>, observed: i64) -> EventRecord {
    let event = LogEvent {
        component: ComponentId::lenient(ComponentClass::Fan, "1"),
        log: "sel".to_owned(),
        id: format!("{bmc:?}"),
        kind: EventKind::FanLimit,
        severity: Severity::Critical,
        deasserted: false,
        message: "low".to_owned(),
        code: String::new(),
        bmc_time: bmc.map(Timestamp::from_secs),
        observed_at: Timestamp::from_secs(observed),
        source: Source::default(),
        raw: String::new(),
    };
    EventRecord { id: 1, server: ServerId::new("s").unwrap(), event, received_at: Timestamp::from_secs(observed) }
}

fn clock(at: i64, offset_ms: i64) -> BmcClock {
    BmcClock { source: "m".to_owned(), at: Timestamp::from_secs(at), offset_ms }
}

const NOW: i64 = 1_800_000_000;

fn when(clocks: &[BmcClock], bmc: Option<i64>, observed: i64) -> (i64, ByClock) {
    let sources = Sources { clocks: clocks.to_vec(), ..Sources::default() };
    let (at, by) = sources.when(&event(bmc, observed).event);
    (at.as_secs(), by)
}

#[test]
fn a_bmcs_time_is_corrected_by_what_its_clock_was_off_when_the_entry_was_read() {
    let clocks = [clock(NOW - 1000, 60_000), clock(NOW - 100, -30_000)];
    assert_eq!(when(&clocks, Some(NOW - 440), NOW - 500), (NOW - 500, ByClock::BmcCorrected));
    assert_eq!(when(&clocks, Some(NOW - 60), NOW), (NOW - 30, ByClock::BmcCorrected));
    assert_eq!(
        when(&clocks, Some(NOW - 1940), NOW - 1990),
        (NOW - 2000, ByClock::BmcCorrected),
        "the first that is known"
    );
    assert_eq!(when(&[], Some(NOW - 60), NOW), (NOW - 60, ByClock::Bmc));
}

#[test]
fn a_time_that_cannot_be_true_is_not_used() {
    assert_eq!(when(&[], None, NOW), (NOW, ByClock::Read));
    assert_eq!(when(&[], Some(100), NOW), (NOW, ByClock::Read), "before its clock was set");
    assert_eq!(when(&[], Some(NOW + 3600), NOW), (NOW, ByClock::Read), "after it was read");
    assert_eq!(when(&[clock(NOW, 3_600_000)], Some(NOW + 3590), NOW), (NOW - 10, ByClock::BmcCorrected));
    assert_eq!(
        when(&[], Some(NOW + 60), NOW),
        (NOW, ByClock::Bmc),
        "within the slack it is not later than it was read"
    );
}

fn part(serial: &str, first: i64, last: i64) -> PartRecord {
    let part = Part {
        component: ComponentId::lenient(ComponentClass::Disk, "Bay 1"),
        manufacturer: None,
        model: None,
        part_number: None,
        serial: Some(serial.to_owned()),
        firmware: None,
        capacity_bytes: None,
        source: Source::default(),
    };
    PartRecord { part, first_seen: Timestamp::from_secs(first), last_seen: Timestamp::from_secs(last), current: true }
}

fn told(sources: &Sources) -> Vec<String> {
    let timeline = sources.timeline(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    timeline.entries.iter().map(|e| format!("{} {}", e.at.as_secs(), e.line(crate::words::Lang::En))).collect()
}

#[test]
fn another_serial_in_a_place_is_a_swap_and_the_first_ones_are_none() {
    let first_seen = Some(Timestamp::from_secs(1000));
    let sources =
        Sources { parts: vec![part("B", 5000, 9000), part("A", 1000, 4000)], first_seen, ..Sources::default() };
    assert_eq!(told(&sources), ["5000 disk/Bay 1 · part A replaced by B"]);
    let settled = 1000 + i64::try_from(SETTLED.as_secs()).unwrap() + 1;
    let sources = Sources { parts: vec![part("C", settled, settled)], first_seen, ..Sources::default() };
    assert_eq!(told(&sources), [format!("{settled} disk/Bay 1 · part C put in")]);
}

#[test]
fn a_power_state_is_told_where_it_changes() {
    let point = |at, text: &str| HistoryPoint {
        server: ServerId::new("s").unwrap(),
        component: ComponentId::lenient(ComponentClass::Server, "1"),
        kind: SensorKind::State,
        sensor: "power_state".to_owned(),
        source: Source::default(),
        observed_at: Timestamp::from_secs(at),
        value: Some(Value::State { state: outband_schemas::State::Ok, text: text.to_owned() }),
        quality: outband_schemas::Quality::Good,
    };
    let sources =
        Sources { power: vec![point(3, "Off"), point(1, "On"), point(2, "On"), point(4, "On")], ..Sources::default() };
    assert_eq!(told(&sources), ["3 server/1 · power: On → Off", "4 server/1 · power: Off → On"]);
}

#[test]
fn a_span_is_half_open() {
    let sources =
        Sources { events: vec![event(Some(NOW), NOW), event(Some(NOW + 10), NOW + 10)], ..Sources::default() };
    let of = |from, to| sources.timeline(Timestamp::from_secs(from), Timestamp::from_secs(to)).entries.len();
    assert_eq!((of(NOW, NOW + 10), of(NOW, NOW + 11), of(NOW + 1, NOW + 10)), (1, 2, 0));
}
