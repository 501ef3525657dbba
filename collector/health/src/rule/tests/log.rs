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
