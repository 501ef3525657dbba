use super::*;
use proptest::prelude::*;

/// The fixed part of a full record with the given M and units, then its name.
fn full_record(m: i16, units: u8, thresholds: u8, name: &[u8]) -> Vec<u8> {
    let mut record = vec![1, 0, 0x51, 1, 0, 0x20, 0, 7, 3, 0x81, 0x7F, 0x68, 1, 1, 0, 0, 0, 0, thresholds, thresholds];
    let m = m as u16 & 0x3FF;
    record.extend([units, 1, 0, 0, m as u8, (m >> 2) as u8 & 0xC0, 0, 0, 0, 0]);
    record.extend([0, 0, 0, 0, 0, 0, 106, 105, 104, 103, 102, 101, 2, 2, 0, 0, 0]);
    record.extend(name);
    record[4] = (record.len() - HEADER_LEN) as u8;
    record
}

fn sensor(record: &[u8]) -> Sensor {
    match parse(record).unwrap().as_slice() {
        [Record::Sensor(sensor)] => sensor.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_negative_multiplier_has_ten_bits() {
    let sensor = sensor(&full_record(-300, 0, 0, b"\xC1x"));
    assert_eq!(sensor.analog.unwrap().factors.m, -300);
}

#[test]
fn a_logical_entity_is_the_same_entity() {
    assert_eq!(sensor(&full_record(1, 0, 0, b"\xC1x")).entity, Entity { id: 3, instance: 1 });
}

#[test]
fn only_the_thresholds_of_the_mask_are_there_and_in_its_order() {
    let analog = sensor(&full_record(1, 0, 0b01_0010, b"\xC1x")).analog.unwrap();
    assert_eq!(analog.thresholds, [None, Some(102), None, None, Some(105), None]);
}

#[test]
fn a_sensor_without_an_analog_format_has_no_number() {
    assert_eq!(sensor(&full_record(1, 0xC0, 0, b"\xC1x")).analog, None);
}

#[test]
fn a_name_that_promises_more_than_there_is_is_cut() {
    assert_eq!(sensor(&full_record(1, 0, 0, b"\xDFshort")).name, "short");
}

#[test]
fn a_record_that_ends_before_its_name_has_an_empty_one() {
    assert_eq!(sensor(&full_record(1, 0, 0, b"")).name, "");
}

#[test]
fn exactness_is_spread_over_the_bytes_of_the_factors() {
    let mut record = full_record(-300, 0, 0, b"\xC1x");
    record[25] |= 5;
    record[27] = 0x21;
    record[28] = 0x9 << 4 | 2 << 2;
    let exactness = sensor(&record).analog.unwrap().exactness;
    assert_eq!((exactness.tolerance, exactness.accuracy, exactness.accuracy_exponent), (5, 9 << 6 | 0x21, 2));
    assert_eq!((exactness.positive_hysteresis, exactness.negative_hysteresis), (Some(2), Some(2)));
    // No hysteresis, whatever stands in its place.
    record[11] &= !0x30;
    assert_eq!(sensor(&record).analog.unwrap().exactness.positive_hysteresis, None);
}

/// A compact record of `count` drive slots.
fn shared(count: u8, how: u8, offset: u8, name: &[u8]) -> Vec<u8> {
    let mut record = vec![2, 0, 0x51, 2, 0, 0x20, 0, 0x70, 4, 0x60, 0x67, 0x40, 0x0D, 0x6F, 0xFF, 1, 0xFF, 1, 0xFF, 1];
    record.extend([0xC0, 0, 0, how << 4 | count, 0x80 | offset, 0, 0, 0, 0, 0, 0]);
    record.extend(name);
    record
}

fn names(record: &[u8]) -> Vec<(u8, u8, String)> {
    let records = parse(record).unwrap();
    records
        .iter()
        .map(|r| match r {
            Record::Sensor(s) => (s.key.number, s.entity.instance, s.name.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_shared_record_is_several_sensors_with_numbers_and_places_of_their_own() {
    assert_eq!(
        names(&shared(3, 0, 1, b"\xC6Drive ")),
        [(0x70, 0x60, "Drive 1".to_owned()), (0x71, 0x61, "Drive 2".to_owned()), (0x72, 0x62, "Drive 3".to_owned())]
    );
}

#[test]
fn a_shared_record_can_count_in_letters() {
    let names: Vec<_> = names(&shared(3, 1, 24, b"\xC4Bay ")).into_iter().map(|n| n.2).collect();
    assert_eq!(names, ["Bay Y", "Bay Z", "Bay AA"]);
}

#[test]
fn a_record_shorter_than_its_type_says_so() {
    assert_eq!(parse(&[1, 0, 0x51, 1, 2, 0x20, 0]), Err(RecordError::TooShort { kind: 1, len: 7 }));
    assert_eq!(parse(&[1, 0]), Err(RecordError::NoHeader(2)));
}

proptest! {
    #[test]
    fn random_records_never_panic(kind in prop_oneof![Just(1u8), Just(2), Just(3), Just(8), Just(9), Just(0x10), Just(0xC0), Just(0x11), Just(0x12), any::<u8>()],
                                  body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut record = vec![1, 0, 0x51, kind, body.len() as u8];
        record.extend(&body);
        if let Ok(records) = parse(&record) {
            prop_assert!(records.len() <= 15);
            for record in records {
                if let Record::Sensor(sensor) = record {
                    // What is made of it must not panic either.
                    let raw = Ok(super::super::sensor::Raw { value: body[0], states: 0x7FFF, scanning: true });
                    let at = outband_schemas::Timestamp::EPOCH;
                    prop_assert!(!super::super::sensor::readings(&sensor, "n", raw, None, None, at).is_empty());
                }
            }
        }
        parse(&body).ok();
    }
}
