//! Drives.

use super::*;
use crate::outlook::Endurance;

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

/// A window that foresees of disk/1 what it told over so many days: a percent every `every` days, from `life` on.
fn foreseen(server: &mut Server, life: f64, every: i32, days: i32) {
    let mut drive = Endurance::default();
    for day in 0..days {
        for hour in [1_u64, 9, 17] {
            let at = server
                .now
                .minus(Duration::from_secs(u64::try_from(days - day).unwrap() * 86_400))
                .plus(Duration::from_secs(hour * 3600));
            drive.take(SensorKind::LifeLeft, "disk/1", life - f64::from(day / every), at);
        }
    }
    server.window.foresees(drive.outlook(&component("disk/1"), None).into_iter().collect());
}

#[test]
fn a_drive_that_is_used_up_within_two_months_is_told_with_the_date_and_its_interval() {
    let mut server = Server::new();
    foreseen(&mut server, 45.0, 3, 100);
    counter(&mut server, SensorKind::LifeLeft, &[12.0, 12.0]);
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.fault, found.predicted), ("disk.wearout", Fault::DiskWear, true));
    // 12 % at a percent every three days: five weeks.
    assert_eq!(found.level, Level::Advice);
    assert!(found.reason.contains("12 % of the drive's life is left, 44 % on"), "{}", found.reason);
    assert!(found.reason.contains("10 % a month") && found.reason.contains("80 of 100"), "{}", found.reason);
    assert_eq!(found.evidence.len(), 2);
}

#[test]
fn the_nearer_the_date_the_graver_it_is() {
    for (every, days, left, level) in [(3, 120, 6.0, Level::Warning), (1, 42, 4.0, Level::Critical)] {
        let mut server = Server::new();
        foreseen(&mut server, 45.0, every, days);
        server.config.disk.life_warning = 0.0;
        server.config.disk.life_critical = 0.0;
        counter(&mut server, SensorKind::LifeLeft, &[left, left]);
        assert_eq!((server.only().rule.as_str(), server.only().level), ("disk.wearout", level), "{every}");
    }
}

#[test]
fn a_date_far_off_is_not_told_unless_the_horizon_is_as_far() {
    let mut server = Server::new();
    foreseen(&mut server, 90.0, 5, 100);
    counter(&mut server, SensorKind::LifeLeft, &[71.0, 71.0]);
    server.quiet();
    server.config.disk.wearout_days = 400;
    assert_eq!(server.rules(), ["disk.wearout"]);
}

#[test]
fn a_drive_with_more_life_than_was_foretold_of_is_another_one() {
    let mut server = Server::new();
    foreseen(&mut server, 45.0, 3, 100);
    counter(&mut server, SensorKind::LifeLeft, &[99.0, 99.0]);
    server.quiet();
}

#[test]
fn a_worn_drive_says_why_no_date_is_foretold() {
    let mut server = Server::new();
    foreseen(&mut server, 9.0, 1000, 100);
    counter(&mut server, SensorKind::LifeLeft, &[9.0, 9.0]);
    assert!(server.only().reason.contains("not enough change was seen to foretell a date"), "{}", server.only().reason);
}

#[test]
fn a_date_and_a_level_of_one_drive_are_one_prediction() {
    let mut server = Server::new();
    foreseen(&mut server, 40.0, 3, 100);
    counter(&mut server, SensorKind::LifeLeft, &[7.0, 7.0]);
    let found = server.found();
    assert_eq!(server.rules(), ["disk.life_left", "disk.wearout"]);
    assert!(found.iter().all(|f| f.predicted && f.fault == Fault::DiskWear));
    assert!(found[0].reason.contains("used up about"), "{}", found[0].reason);
}

#[test]
fn each_bit_of_a_critical_warning_says_what_it_means() {
    for (bits, said) in [
        (1.0, "spare blocks are below their limit (bit 0)"),
        (4.0, "reliability is degraded (bit 2)"),
        (16.0, "the volatile memory's backup has failed (bit 4)"),
        (32.0, "the persistent memory region is read-only or unreliable (bit 5)"),
    ] {
        let mut server = Server::new();
        counter(&mut server, SensorKind::CriticalWarning, &[bits, bits]);
        assert!(server.only().predicted && server.only().reason.contains(said), "{}", server.only().reason);
    }
    let mut server = Server::new();
    counter(&mut server, SensorKind::CriticalWarning, &[13.0, 13.0]);
    assert_eq!(server.only().evidence.len(), 3);
}

#[test]
fn spare_blocks_at_the_drives_own_limit_predict_and_one_low_read_does_not() {
    let mut server = Server::new();
    counter(&mut server, SensorKind::SpareLeft, &[100.0, 0.0, 100.0]);
    server.quiet();
    counter(&mut server, SensorKind::SpareLeft, &[30.0, 30.0]);
    server.quiet();
    let limits = Thresholds { lower_critical: Some(30.0), ..Thresholds::default() };
    server.drives(vec![limited("disk/1", SensorKind::SpareLeft, 30.0, limits)]);
    assert!(server.only().predicted && server.only().reason.contains("own limit"), "{}", server.only().reason);
}

#[test]
fn a_drive_that_failed_its_own_test_is_predicted_to_fail_and_has_not() {
    let mut server = Server::new();
    server.log(vec![]);
    let Observation::Event(failed) = event("disk/1", EventKind::DriveFailed, Severity::Critical, 1) else { panic!() };
    let message = "Drive 1 short self-test failed".to_owned();
    server.log(vec![Observation::Event(LogEvent { message, ..failed })]);
    assert!(server.only().predicted);
}
