//! Drives.

use super::*;

#[test]
fn counters_that_keep_growing_predict_a_failure() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 0.0, 8.0, 8.0, 24.0, 40.0]);
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.fault, found.predicted), ("disk.smart_growth", Fault::DiskFailure, true));
    assert!(found.reason.contains("reallocated_sectors 0 -> 40 in 3 increases"), "{}", found.reason);
    assert_eq!(found.evidence.len(), 3);
    assert_eq!(found.onset, server.now.minus(Duration::from_secs(180)));
}

#[test]
fn one_jump_however_great_predicts_nothing() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 900.0, 900.0, 900.0]);
    server.quiet();
}

#[test]
fn a_counter_that_was_high_when_first_seen_predicts_nothing() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::ReportedUncorrectable, &[5000.0; 9]);
    server.quiet();
}

#[test]
fn a_counter_reset_is_no_growth() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::MediaErrors, &[7.0, 8.0, 0.0, 0.0, 1.0, 1.0]);
    server.quiet();
}

#[test]
fn bad_single_reads_are_no_growth() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::MediaErrors, &[2.0, 65535.0, 2.0, 2.0, 65535.0, 2.0, 0.0, 2.0, 65535.0, 2.0]);
    server.quiet();
}

#[test]
fn two_counters_of_one_event_count_once() {
    let mut server = Server::new();
    for n in [0.0, 1.0, 2.0] {
        server.drives(vec![
            number("disk/1", SensorKind::ReallocatedSectors, n),
            number("disk/1", SensorKind::ReallocationEvents, n),
            number("disk/1", SensorKind::PendingSectors, n),
        ]);
    }
    server.quiet();
}

#[test]
fn cable_errors_predict_no_drive_failure() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::CrcErrors, &[0.0, 5.0, 9.0, 15.0, 40.0]);
    server.quiet();
}

#[test]
fn growth_is_of_the_part_and_ends_with_it() {
    let mut server = Server::new();
    server.poll(Section::Inventory, vec![part("disk/1", "OLD")]);
    counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 8.0, 16.0, 24.0]);
    assert_eq!(server.only().part_serial.as_deref(), Some("OLD"));
    server.poll(Section::Inventory, vec![part("disk/1", "NEW")]);
    counter(&mut server, SensorKind::ReallocatedSectors, &[30.0, 30.0]);
    server.quiet();
}

#[test]
fn a_bad_read_amid_true_growth_hides_nothing() {
    for values in [[0.0, 1.0, 500.0, 1.0, 2.0, 3.0], [5.0, 6.0, 0.0, 7.0, 8.0, 8.0]] {
        let mut server = Server::new();
        counter(&mut server, SensorKind::MediaErrors, &values);
        assert!(server.only().reason.contains("in 3 increases"), "{}", server.only().reason);
    }
}

#[test]
fn growth_long_ago_is_forgotten() {
    let mut server = Server::new();
    server.config.disk.memory_polls = 20;
    counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 8.0, 16.0, 24.0]);
    counter(&mut server, SensorKind::ReallocatedSectors, &[24.0; 30]);
    server.quiet();
}

#[test]
fn a_drive_that_predicts_its_own_failure_is_believed_at_the_second_poll() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::FailurePredicted, &[0.0, 1.0]);
    server.quiet();
    counter(&mut server, SensorKind::FailurePredicted, &[1.0]);
    assert!(server.only().predicted);
}

#[test]
fn an_nvme_that_is_merely_hot_is_not_failing_and_one_that_is_read_only_has() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::CriticalWarning, &[2.0, 2.0]);
    server.quiet();
    counter(&mut server, SensorKind::CriticalWarning, &[8.0, 8.0]);
    assert_eq!((server.only().predicted, server.only().level), (false, Level::Critical));
}

#[test]
fn life_left_is_advice_at_ten_percent_and_a_prediction_at_three() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::LifeLeft, &[11.0; 3]);
    server.quiet();
    counter(&mut server, SensorKind::LifeLeft, &[9.0; 3]);
    assert_eq!((server.only().fault, server.only().level), (Fault::DiskWear, Level::Advice));
    counter(&mut server, SensorKind::LifeLeft, &[3.0; 3]);
    assert!(server.only().predicted);
}

#[test]
fn a_failed_state_is_a_failure_and_an_empty_bay_is_none() {
    let mut server = Server::new();
    server.drives(vec![state("disk/1", State::Critical, "Drive Fault")]);
    assert_eq!((server.only().fault, server.only().confirm), (Fault::DiskFailure, 2));
    server.drives(vec![state("disk/1", State::Absent, "")]);
    server.quiet();
}

#[test]
fn a_log_entry_that_the_drive_will_fail_holds_until_it_is_taken_back() {
    let mut server = Server::new();
    server.log(vec![]);
    let said = || event("disk/1", EventKind::DrivePredictedFailure, Severity::Warning, 1);
    server.log(vec![said()]);
    assert!(server.only().predicted);
    server.log(vec![ended(said())]);
    server.quiet();
}
