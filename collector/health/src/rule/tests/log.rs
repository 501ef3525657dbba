//! What the log says.

use super::*;

#[test]
fn a_burst_of_corrected_errors_predicts_and_an_uncorrected_one_has_happened() {
    let mut server = Server::new();
    server.log(vec![]);
    for n in 0..9 {
        server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, n)]);
    }
    server.quiet();
    server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, 9)]);
    assert!(server.only().predicted);
    server.log(vec![event("memory/A2", EventKind::MemoryUncorrectable, Severity::Critical, 10)]);
    assert!(server.found().iter().any(|f| !f.predicted && f.component.slot() == "A2"));
}

#[test]
fn corrected_errors_spread_over_weeks_are_no_burst() {
    let mut server = Server::new();
    server.log(vec![]);
    for n in 0..30 {
        server.now = server.now.plus(Duration::from_secs(86_400 / 2));
        server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, n)]);
    }
    server.quiet();
}

#[test]
fn the_same_entry_again_and_again_is_advice_and_reboots_are_not() {
    let mut server = Server::new();
    server.log(vec![]);
    for n in 0..30 {
        server.log(vec![
            event("board/main", EventKind::Other, Severity::Warning, n),
            event("server/main", EventKind::PowerChange, Severity::Ok, 1000 + n),
        ]);
    }
    assert_eq!((server.only().rule.as_str(), server.only().level), ("log.burst", Level::Advice));
}

#[test]
fn lost_redundancy_that_a_part_explains_is_that_parts_ticket() {
    let mut server = Server::new();
    server.log(vec![]);
    server.log(vec![
        event("server/PS Redundancy", EventKind::RedundancyLost, Severity::Critical, 1),
        event("psu/2", EventKind::PowerSupplyInputLost, Severity::Critical, 2),
    ]);
    assert_eq!(server.only().fault, Fault::PowerInputLost);
    server.drives(vec![state("volume/1", State::Warning, "Degraded"), state("disk/4", State::Critical, "Failed")]);
    assert_eq!(server.found().iter().filter(|f| f.fault == Fault::RedundancyLost).count(), 0);
}

#[test]
fn a_degraded_volume_without_a_failed_drive_has_lost_its_redundancy() {
    let mut server = Server::new();
    server.drives(vec![state("volume/1", State::Warning, "Degraded")]);
    assert_eq!((server.only().fault, server.only().confirm), (Fault::RedundancyLost, 3));
}

#[test]
fn lost_redundancy_is_found_and_its_return_ends_it() {
    let mut server = Server::new();
    server.log(vec![]);
    let lost = || event("server/power", EventKind::RedundancyLost, Severity::Critical, 1);
    server.log(vec![lost()]);
    assert_eq!(server.only().fault, Fault::RedundancyLost);
    server.log(vec![ended(lost())]);
    server.quiet();
}

fn entry(place: &str, kind: EventKind, severity: Severity, n: usize, message: &str) -> Observation {
    match event(place, kind, severity, n) {
        Observation::Event(e) => Observation::Event(LogEvent { message: message.to_owned(), ..e }),
        other => other,
    }
}

#[test]
fn one_entry_in_which_the_bmc_itself_calls_corrected_errors_too_many_predicts() {
    for message in [
        "Correctable memory error rate exceeded for DIMM_A1.",
        "Corrected Memory Error threshold exceeded (Processor 1, Memory Module 4)",
        "A Predictive Failure Analysis (PFA) threshold limit was reached on DIMM 3, correctable errors",
    ] {
        let mut server = Server::new();
        server.log(vec![]);
        server.log(vec![entry("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, 1, message)]);
        assert_eq!((server.only().predicted, server.only().level), (true, Level::Warning), "{message}");
        server.log(vec![entry("memory/A1", EventKind::MemoryCorrectable, Severity::Critical, 2, message)]);
        assert_eq!((server.only().predicted, server.only().level), (true, Level::Critical), "{message}");
    }
}

#[test]
fn errors_in_one_row_again_and_again_are_told_apart_from_errors_all_over() {
    let told = |row: &dyn Fn(usize) -> usize| {
        let mut server = Server::new();
        server.log(vec![]);
        for n in 0..12 {
            let message = format!("Corrected ECC error, rank 0 bank 3 row {}", row(n));
            server.log(vec![entry("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, n, &message)]);
        }
        server.only().evidence.last().unwrap().text.clone()
    };
    assert_eq!(told(&|n| if n == 4 { 17 } else { 4711 }), "the errors are in one row, again and again");
    assert_eq!(told(&|n| n * 31), "the errors are spread over several rows");
}

#[test]
fn corrected_errors_a_day_are_counted_through_a_counter_that_begins_anew() {
    let mut server = Server::new();
    for count in [3.0, 9.0, 2.0, 2.0, 6.0, 21.0] {
        server.sensors(vec![number("memory/A1", SensorKind::CorrectableErrors, count)]);
    }
    // Six before the reset; 21 after it, two of them before it was read again.
    assert!(server.only().reason.contains("27 a day over 1 days"), "{}", server.only().reason);
}
