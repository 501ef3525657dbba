//! The polls against a table that misbehaves as BMCs in the field do.

use super::fake::{Says, Table, events, full_record, gaps, readings};
use super::*;
use outband_schemas::{Quality, Reading, SensorKind, State, Suspicion, Value};

fn good(value: u8) -> Says {
    Says::Data(vec![value, 0xC0, 0, 0x80])
}

fn sensors(table: &mut Table) -> Polled {
    table.poll(&mut Poller::default(), Section::Sensors).unwrap()
}

fn values(outcome: &Polled) -> Vec<Option<Value>> {
    readings(outcome).into_iter().map(|r| r.value.clone()).collect()
}

fn three() -> Table {
    Table::new().temperature(1, good(21)).temperature(2, good(22)).temperature(3, good(23))
}

fn all_three() -> Vec<Option<Value>> {
    [21.0, 22.0, 23.0].map(|n| Some(Value::Number(n))).to_vec()
}

#[test]
fn records_are_read_in_parts_that_shrink_until_the_bmc_can_send_them() {
    for max_part in [2, 5, 16, 33] {
        let outcome = sensors(&mut Table { max_part, ..three() });
        assert_eq!((values(&outcome), gaps(&outcome)), (all_three(), 0), "{max_part}");
    }
}

#[test]
fn the_speed_and_the_duty_of_a_fan_are_read_as_of_one_place() {
    let mut table = Table::new().temperature(1, good(40)).temperature(2, good(60));
    for (record, unit_1, base_unit) in [(0, 0, 18), (1, 1, 0)] {
        // Entity 29.1, sensor type 4; y = x in RPM, or in percent.
        table.sdrs[record][8..10].copy_from_slice(&[29, 1]);
        table.sdrs[record][12] = 4;
        table.sdrs[record][20..22].copy_from_slice(&[unit_1, base_unit]);
    }
    let outcome = sensors(&mut table);
    let seen: Vec<_> = readings(&outcome).iter().map(|r| (r.component.to_string(), r.kind)).collect();
    assert_eq!(seen, [("fan/T1".to_owned(), SensorKind::FanSpeed), ("fan/T1".to_owned(), SensorKind::FanDuty)]);
}

#[test]
fn a_reservation_that_another_reader_takes_is_taken_again() {
    let outcome = sensors(&mut Table { lose_reservation_every: 2, max_part: 16, ..three() });
    assert_eq!((values(&outcome), gaps(&outcome)), (all_three(), 0));
}

#[test]
fn a_list_without_an_end_mark_ends_at_its_last_record() {
    let outcome = sensors(&mut Table { last_next: 4, ..three() });
    assert_eq!((values(&outcome), gaps(&outcome)), (all_three(), 0));
}

#[test]
fn a_list_that_turns_in_a_circle_ends() {
    for last_next in [0, 1, 2] {
        let outcome = sensors(&mut Table { last_next, ..three() });
        assert_eq!((values(&outcome), gaps(&outcome)), (all_three(), 0), "{last_next}");
    }
}

#[test]
fn a_record_that_can_never_be_read_is_told_and_costs_no_other() {
    let mut table = Table { refused_sdr: Some((3, 0xC3)), ..three().temperature(4, good(24)).temperature(5, good(25)) };
    let outcome = sensors(&mut table);
    assert_eq!((readings(&outcome).len(), gaps(&outcome)), (4, 1));
}

#[test]
fn an_incomplete_repository_is_read_again_ever_more_seldom_and_completes() {
    let mut table = Table { refused_sdr: Some((2, 0xD2)), ..three() };
    let mut poller = Poller::default();
    let mut reads = Vec::new();
    for poll in 0..12 {
        let before = table.count(0x0A, 0x23);
        table.poll(&mut poller, Section::Sensors).unwrap();
        if table.count(0x0A, 0x23) > before {
            reads.push(poll);
        }
    }
    assert_eq!(reads, [0, 2, 5, 10]);
    table.refused_sdr = None;
    let mut counts = (0..10).map(|_| readings(&table.poll(&mut poller, Section::Sensors).unwrap()).len());
    assert!(counts.any(|n| n == 3));
}

#[test]
fn a_last_record_that_is_always_refused_is_no_gap() {
    let outcome = sensors(&mut Table { announced: Some(3), refused_sdr: Some((3, 0xC3)), ..three() });
    assert_eq!((readings(&outcome).len(), gaps(&outcome)), (2, 0));
}

#[test]
fn a_record_shorter_than_its_header_says_is_read_as_far_as_it_goes() {
    let mut table = three();
    table.sdrs[1][4] += 20;
    assert_eq!(values(&sensors(&mut table)), all_three());
}

#[test]
fn junk_among_the_records_is_told_and_costs_no_other() {
    let mut table = three();
    table.sdrs[1] = vec![0, 0, 0x51, 1, 3, 1, 2, 3];
    let outcome = sensors(&mut table);
    assert_eq!((readings(&outcome).len(), gaps(&outcome)), (2, 1));
}

#[test]
fn the_repository_is_read_again_only_when_it_changed() {
    let (mut table, mut poller) = (three(), Poller::default());
    table.poll(&mut poller, Section::Sensors).unwrap();
    let before = table.count(0x0A, 0x23);
    table.poll(&mut poller, Section::Sensors).unwrap();
    assert_eq!(table.count(0x0A, 0x23), before);
    table = Table { sdr_stamp: 2, ..table.temperature(4, good(24)) };
    let outcome = table.poll(&mut poller, Section::Sensors).unwrap();
    assert_eq!(readings(&outcome).len(), 4);
}

#[test]
fn no_reading_comes_in_many_ways_and_is_always_a_reading_without_a_value() {
    let ways = [
        (Says::Data(vec![9, 0xE0, 0, 0x80]), Cause::NoReading),
        (Says::Data(vec![]), Cause::NoReading),
        (Says::Data(vec![0, 0x80, 0, 0x80]), Cause::Disabled),
        (Says::Code(0xC9), Cause::NoReading),
        (Says::Code(0xCB), Cause::Absent),
        (Says::Code(0xCD), Cause::NotReadable),
        (Says::Code(0xCE), Cause::NoReading),
        (Says::Code(0xD3), Cause::NotReadable),
        (Says::Code(0xD5), Cause::NoReading),
        (Says::Code(0xFF), Cause::BmcError),
    ];
    for (says, cause) in ways {
        let outcome = sensors(&mut Table::new().temperature(1, says.clone()));
        let [Reading { value: None, quality, .. }] = readings(&outcome)[..] else { panic!("{says:?}: {outcome:?}") };
        assert_eq!(*quality, Quality::Unavailable(cause), "{says:?}");
    }
}

#[test]
fn a_value_with_scanning_off_is_kept_and_doubted() {
    let outcome = sensors(&mut Table::new().temperature(1, Says::Data(vec![33, 0x80, 0, 0x80])));
    let reading = readings(&outcome)[0];
    assert_eq!(reading.value, Some(Value::Number(33.0)));
    assert_eq!(reading.quality, Quality::Suspect(Suspicion::ScanningDisabled));
}

#[test]
fn a_value_that_cannot_be_is_kept_and_doubted() {
    let outcome = sensors(&mut Table::new().temperature(1, good(255)));
    assert_eq!(readings(&outcome)[0].quality, Quality::Suspect(Suspicion::OutOfRange));
}

#[test]
fn a_sensor_of_another_controller_is_there_and_not_asked() {
    let mut table = three();
    table.sdrs[2][5] = 0x2C;
    let outcome = sensors(&mut table);
    assert_eq!(readings(&outcome)[2].quality, Quality::Unavailable(Cause::NotReadable));
    assert_eq!(table.count(4, 0x2D), 2);
}

#[test]
fn a_sensor_whose_factors_depend_on_its_reading_is_asked_for_them() {
    let mut table = Table::new();
    table.sdrs.push(full_record(1, 0x70));
    table.sensors.push((1, good(10)));
    // Next reading 11, M = 3, B = 1.
    table.factors = Some([11, 3, 0, 1, 0, 0, 0]);
    assert_eq!(values(&sensors(&mut table)), [Some(Value::Number(31.0))]);
    table.factors = None;
    assert_eq!(values(&sensors(&mut table)), [None]);
}

#[test]
fn one_sensor_that_never_answers_costs_no_other() {
    let mut table = Table::new().temperature(1, good(21)).temperature(2, Says::Nothing).temperature(3, good(23));
    let outcome = sensors(&mut table);
    assert_eq!(values(&outcome), [Some(Value::Number(21.0)), None, Some(Value::Number(23.0))]);
    assert_eq!(readings(&outcome)[1].quality, Quality::Unavailable(Cause::Timeout));
}

#[test]
fn a_bmc_that_falls_silent_ends_the_poll_early_and_no_sensor_is_left_out() {
    let mut table = Table::new().temperature(1, good(21));
    for number in 2..10 {
        table = table.temperature(number, Says::Nothing);
    }
    let outcome = sensors(&mut table);
    assert_eq!((readings(&outcome).len(), gaps(&outcome)), (9, 1));
    assert_eq!(table.count(4, 0x2D), 3);
}

#[test]
fn a_bmc_that_answers_no_sensor_fails_the_section() {
    let mut table = Table::new().temperature(1, Says::Nothing).temperature(2, Says::Nothing);
    let failure = table.poll(&mut Poller::default(), Section::Sensors).unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout);
}

#[test]
fn an_empty_repository_is_a_gap_and_not_a_healthy_server() {
    assert_eq!(gaps(&sensors(&mut Table::new())), 1);
}

#[test]
fn drives_are_among_the_sensors() {
    assert_eq!(three().poll(&mut Poller::default(), Section::Drives), Ok(Polled::default()));
}

fn record(id: u16, secs: u32, what: u8) -> [u8; 16] {
    let [i0, i1] = id.to_le_bytes();
    let [t0, t1, t2, t3] = secs.to_le_bytes();
    [i0, i1, 2, t0, t1, t2, t3, 0x20, 0, 4, 0x0D, what, 0x6F, 1, 0xFF, 0xFF]
}

const SECS: u32 = 1_700_000_000;

fn log_of(ids: std::ops::Range<u16>) -> Table {
    Table { sel: ids.map(|id| record(id, SECS + u32::from(id), 7)).collect(), ..Table::new() }
}

fn ids(outcome: &Polled) -> Vec<&str> {
    events(outcome).into_iter().map(|e| e.id.as_str()).collect()
}

#[test]
fn the_log_goes_on_after_its_bookmark() {
    let mut table = log_of(1..4);
    let first = table.log(None).unwrap();
    assert_eq!(ids(&first), ["1", "2", "3"]);
    let second = table.log(first.bookmark.as_ref()).unwrap();
    assert!(ids(&second).is_empty());
    table.sel.push(record(4, SECS + 9, 7));
    let third = table.log(second.bookmark.as_ref()).unwrap();
    assert_eq!(ids(&third), ["4"]);
}

#[test]
fn a_log_that_was_cleared_and_filled_to_the_same_id_is_read_from_its_start() {
    let before = log_of(1..4).log(None).unwrap();
    let mut table = Table { sel: (1..4).map(|id| record(id, SECS + 999, 8)).collect(), sel_erased: 5, ..Table::new() };
    assert_eq!(ids(&table.log(before.bookmark.as_ref()).unwrap()), ["1", "2", "3"]);
}

#[test]
fn a_log_that_was_cleared_and_is_empty_is_followed_again_later() {
    let before = log_of(1..4).log(None).unwrap();
    let mut table = Table { sel_erased: 5, ..Table::new() };
    let empty = table.log(before.bookmark.as_ref()).unwrap();
    assert!(ids(&empty).is_empty());
    table.sel.push(record(1, SECS + 999, 8));
    assert_eq!(ids(&table.log(empty.bookmark.as_ref()).unwrap()), ["1"]);
}

#[test]
fn a_log_that_wrapped_past_its_bookmark_is_read_from_its_start() {
    let before = log_of(1..4).log(None).unwrap();
    // The last record read is gone; ids went on.
    let mut table = log_of(5..8);
    assert_eq!(ids(&table.log(before.bookmark.as_ref()).unwrap()), ["5", "6", "7"]);
}

#[test]
fn a_log_that_turns_in_a_circle_ends() {
    let mut table = log_of(1..4);
    // After 2 comes 2 again.
    table.sel[2] = table.sel[1];
    assert_eq!(ids(&table.log(None).unwrap()), ["1", "2"]);
}

#[test]
fn a_record_under_two_ids_is_one_record() {
    let mut table = Table { sel_by_place: true, ..log_of(1..5) };
    // Asked for 3 it gives 2 once more, and then goes on.
    table.sel[2] = table.sel[1];
    assert_eq!(ids(&table.log(None).unwrap()), ["1", "2", "4"]);
}

#[test]
fn a_bmc_that_cannot_send_a_whole_record_sends_it_in_parts() {
    let mut table = Table { sel_in_parts: true, ..log_of(1..4) };
    assert_eq!(ids(&table.log(None).unwrap()), ["1", "2", "3"]);
}

#[test]
fn what_was_read_before_the_bmc_fell_silent_is_kept_and_not_read_again() {
    let mut table = Table { sel_silent_after: Some(2), ..log_of(1..5) };
    let first = table.log(None).unwrap();
    assert_eq!((ids(&first), gaps(&first)), (vec!["1", "2"], 1));
    table.sel_silent_after = None;
    assert_eq!(ids(&table.log(first.bookmark.as_ref()).unwrap()), ["3", "4"]);
}

#[test]
fn a_full_log_that_drops_records_is_told_once() {
    let mut table = Table { sel_overflow: true, ..log_of(1..4) };
    let first = table.log(None).unwrap();
    assert_eq!(gaps(&first), 1);
    assert_eq!(gaps(&table.log(first.bookmark.as_ref()).unwrap()), 0);
}

#[test]
fn events_name_their_sensor_and_its_place() {
    let mut table = log_of(1..2);
    table.sdrs.push(full_record(7, 0));
    let outcome = table.log(None).unwrap();
    assert_eq!(events(&outcome)[0].component.to_string(), "board/T7");
    assert!(events(&outcome)[0].message.starts_with("T7: Drive Fault"));
}

/// A shelf in memory.
#[derive(Clone, Default)]
struct Board(Arc<std::sync::Mutex<std::collections::HashMap<String, Vec<u8>>>>);

impl super::super::library::Shelf for Board {
    fn take_down(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn put_up(&self, name: &str, bytes: &[u8]) {
        self.0.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
    }
}

fn nine() -> Table {
    (1..=9).fold(Table::new(), |table, n| table.temperature(n, good(n)))
}

/// A poll in a new process, as it were; how many records were asked for.
fn polled_anew(board: &Board, table: &mut Table, name: &str) -> (Polled, u32) {
    let before = table.get_sdrs;
    let mut poller = Poller::knowing(&Library::on(Box::new(board.clone())), name.to_owned());
    let polled = table.poll(&mut poller, Section::Sensors).unwrap();
    (polled, table.get_sdrs - before)
}

#[test]
fn after_a_restart_a_few_records_are_compared_and_none_is_read_again() {
    let (board, mut table) = (Board::default(), nine());
    let (first, whole) = polled_anew(&board, &mut table, "a");
    let (second, samples) = polled_anew(&board, &mut table, "a");
    assert_eq!(values(&first), values(&second));
    assert!(whole >= 9 && samples < whole, "{whole} {samples}");
    let (_, of_another) = polled_anew(&board, &mut table, "b");
    assert_eq!(of_another, whole);
}

#[test]
fn what_was_asked_of_sensors_beyond_their_records_is_kept_with_them() {
    let (board, mut table) = (Board::default(), Table { hysteresis: Some([5, 3]), ..nine() });
    table.sdrs.iter_mut().for_each(|record| record[11] = 0x50);
    let (_, whole) = polled_anew(&board, &mut table, "a");
    let (_, samples) = polled_anew(&board, &mut table, "a");
    assert!(samples < whole, "the record of the BMC is still the one that is kept");
    assert_eq!(table.count(4, 0x25), 9);
}

#[test]
fn a_repository_that_changed_is_read_again_though_it_says_that_it_did_not() {
    let (board, mut table) = (Board::default(), nine());
    polled_anew(&board, &mut table, "a");
    // Another server behind the same address, with the same count and time stamp.
    table.sdrs.iter_mut().for_each(|record| record[24] = 2);
    let (polled, _) = polled_anew(&board, &mut table, "a");
    assert_eq!(values(&polled)[8], Some(Value::Number(18.0)));
}

#[test]
fn a_repository_whose_stamp_moved_is_read_again() {
    let (board, mut table) = (Board::default(), nine());
    let (_, whole) = polled_anew(&board, &mut table, "a");
    table.sdr_stamp += 1;
    assert_eq!(polled_anew(&board, &mut table, "a").1, whole);
}

#[test]
fn what_is_spoilt_on_the_shelf_is_read_again() {
    let (board, mut table) = (Board::default(), nine());
    let (first, whole) = polled_anew(&board, &mut table, "a");
    board.0.lock().unwrap().get_mut("a").unwrap()[40] ^= 1;
    let (second, again) = polled_anew(&board, &mut table, "a");
    assert_eq!((values(&second), again), (values(&first), whole));
}

/// A temperature sensor whose record gives these capabilities of its hysteresis, and these values.
fn with_hysteresis(capability: u8, values: [u8; 2]) -> Table {
    let mut table = Table::new().temperature(1, good(21));
    table.sdrs[0][11] = 0x40 | capability << 4;
    table.sdrs[0][42..44].copy_from_slice(&values);
    table
}

#[test]
fn hysteresis_that_a_record_calls_readable_and_does_not_hold_is_asked_of_the_sensor() {
    let told = |table: &mut Table| {
        let mut poller = Poller::default();
        (0..3).for_each(|_| drop(table.poll(&mut poller, Section::Sensors).unwrap()));
        let precision = poller.precisions().next().unwrap().1;
        (precision.positive_hysteresis, precision.negative_hysteresis, table.count(4, 0x25))
    };
    // Once, while the repository is read.
    for capability in [1, 2] {
        for none in [0, 0xFF] {
            let mut table = Table { hysteresis: Some([5, 3]), ..with_hysteresis(capability, [none; 2]) };
            assert_eq!(told(&mut table), (Some(5.0), Some(3.0), 1));
        }
    }
    // What the record holds, and what it says that there is none of, is not asked for.
    let mut table = Table { hysteresis: Some([5, 3]), ..with_hysteresis(2, [2, 0]) };
    assert_eq!(told(&mut table), (Some(2.0), Some(0.0), 0));
    let mut table = Table { hysteresis: Some([5, 3]), ..with_hysteresis(0, [0, 0]) };
    assert_eq!(told(&mut table), (None, None, 0));
    // A sensor that does not tell has none.
    assert_eq!(told(&mut with_hysteresis(1, [0xFF, 0xFF])), (None, None, 1));
}

#[test]
fn when_the_time_of_a_poll_is_over_what_was_read_is_told_and_the_rest_has_the_reason() {
    let mut table = (1..=9).fold(Table::new(), |table, n| table.temperature(n, Says::Data(vec![n, 0xC0])));
    let mut poller = Poller::default();
    table.poll(&mut poller, Section::Sensors).unwrap();
    let whole = table.asked.len();
    // Get SDR Repository Info, four sensors, and no more.
    (table.asked, table.time_for) = (Vec::new(), 5);
    let outcome = table.poll(&mut poller, Section::Sensors).unwrap();
    let read: Vec<_> = readings(&outcome).into_iter().map(|r| (r.value.clone(), r.quality.clone())).collect();
    let value = |n: i32| (Some(Value::Number(n.into())), Quality::Good);
    assert_eq!(read[..4], (1..=4).map(value).collect::<Vec<_>>()[..]);
    assert!(read[4..].iter().all(|r| *r == (None, Quality::Unavailable(Cause::Cancelled))) && read.len() == 9);
    assert_eq!((gaps(&outcome), table.asked.len()), (1, 6));
    // Whenever it is over: no panic, no value that is not there, and where nothing was read an error that says so.
    for time_for in 0..whole {
        (table.asked, table.time_for) = (Vec::new(), time_for);
        match table.poll(&mut Poller::default(), Section::Sensors) {
            Ok(polled) => assert!(readings(&polled).iter().all(|r| r.value.is_none() || r.quality == Quality::Good)),
            Err(error) => assert_eq!(error.cause, Cause::Cancelled, "{error}"),
        }
    }
}

/// A table with one sensor of the BMC and one of a controller behind it.
fn with_a_controller() -> Table {
    let mut table = Table::new().temperature(1, Says::Data(vec![40, 0xC0]));
    let mut record = full_record(7, 0);
    record[5] = 0x2C;
    table.sdrs.push(record);
    table
}

#[test]
fn a_sensor_of_a_controller_behind_the_bmc_is_read_through_it() {
    let mut table = Table { behind: Some((0x2C, vec![49, 0xC0])), ..with_a_controller() };
    let outcome = table.poll(&mut Poller::default(), Section::Sensors).unwrap();
    let foreign = readings(&outcome).into_iter().find(|r| r.source.0 == "ipmi:2c.0.07").unwrap();
    assert_eq!((&foreign.value, gaps(&outcome)), (&Some(Value::Number(49.0)), 0));
}

#[test]
fn a_controller_that_cannot_be_reached_is_told_once_and_tried_again_much_later() {
    let (mut table, mut poller) = (with_a_controller(), Poller::default());
    let mut told = Vec::new();
    for _ in 0..60 {
        let outcome = table.poll(&mut poller, Section::Sensors).unwrap();
        let foreign = readings(&outcome).into_iter().find(|r| r.source.0 == "ipmi:2c.0.07").unwrap();
        assert_eq!(foreign.quality, Quality::Unavailable(Cause::NotReadable));
        // It may be behind yet another one, for all that the records say.
        let says_why =
            |o: &Observation| matches!(o, Observation::Gap(g) if g.detail.contains("yet another controller"));
        assert_eq!(outcome.observations.iter().filter(|o| says_why(o)).count(), gaps(&outcome));
        told.push(gaps(&outcome));
    }
    // At first, and after 16 and 32 polls of rest.
    assert_eq!(told.iter().enumerate().filter(|(_, n)| **n == 1).map(|(at, _)| at).collect::<Vec<_>>(), [0, 17, 50]);
    assert_eq!(table.count(6, 0x34), 3);
    // Once it is there it is read with every poll.
    table.behind = Some((0x2C, vec![49, 0xC0]));
    for _ in 0..80 {
        table.poll(&mut poller, Section::Sensors).unwrap();
    }
    assert!(table.count(6, 0x34) > 10);
}

#[test]
fn a_chassis_tells_its_faults_and_one_that_cannot_is_asked_once() {
    let mut table = Table { chassis: Some(vec![1, 0, 4]), ..Table::new().temperature(1, Says::Data(vec![40, 0xC0])) };
    let outcome = table.poll(&mut Poller::default(), Section::Sensors).unwrap();
    let status = readings(&outcome).into_iter().find(|r| r.sensor == "chassis_status").unwrap();
    assert_eq!(status.value, Some(Value::State { state: State::Critical, text: "Drive fault".to_owned() }));
    let (mut table, mut poller) = (Table { chassis: None, ..table }, Poller::default());
    table.asked.clear();
    for _ in 0..3 {
        assert_eq!(readings(&table.poll(&mut poller, Section::Sensors).unwrap()).len(), 1);
    }
    assert_eq!((table.count(0, 0x01), table.count(0x2C, 0x02)), (1, 1));
}

#[test]
fn what_dcmi_measures_is_a_power_and_a_later_failure_is_told() {
    let mut data = vec![0xDC, 0xF4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40];
    let mut table = Table { dcmi: Some(data.clone()), ..Table::new().temperature(1, Says::Data(vec![40, 0xC0])) };
    let mut poller = Poller::default();
    let power = |outcome: &Polled| readings(outcome).into_iter().find(|r| r.sensor == "DCMI power").cloned();
    assert_eq!(power(&table.poll(&mut poller, Section::Sensors).unwrap()).unwrap().value, Some(Value::Number(500.0)));
    data[17] = 0;
    table.dcmi = Some(data);
    let later = power(&table.poll(&mut poller, Section::Sensors).unwrap()).unwrap();
    assert_eq!(later.quality, Quality::Unavailable(Cause::Disabled));
}
