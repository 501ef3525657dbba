//! Byte-exact fixtures of the wire, version 1. If one fails, the change is wrong, not the fixture: agents and stores out there hold these bytes.
#![allow(clippy::unwrap_used, reason = "helpers of a test may fail it")]

use outband_proto::convert::{ConvertError, decode_set, encode_set};
use outband_proto::ingest::{self, stream_request, stream_response};
use outband_schemas::*;
use prost::Message;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn set(observation: Observation) -> ObservationSet {
    ObservationSet {
        target: TargetId::new("t1").unwrap(),
        section: Section::Sensors,
        polled_at: at(0),
        observations: vec![observation],
    }
}

fn fan() -> ComponentId {
    ComponentId::new(ComponentClass::Fan, "Fan1A").unwrap()
}

fn reading(value: Option<Value>, quality: Quality) -> Reading {
    Reading {
        component: fan(),
        kind: SensorKind::FanSpeed,
        sensor: "Fan1A".into(),
        value,
        quality,
        observed_at: at(1),
        source: Source("ipmi:20.0.1e".into()),
        thresholds: None,
    }
}

fn check(set: &ObservationSet, expected: &str) {
    let bytes = encode_set(set);
    assert_eq!(hex(&bytes), expected);
    let decoded = decode_set(&bytes).unwrap();
    assert_eq!(decoded.set, *set);
    assert_eq!(decoded.rejected, []);
}

#[test]
fn a_good_reading_has_these_bytes() {
    check(
        &set(Observation::Reading(reading(Some(Value::Number(7200.0)), Quality::Good))),
        "0a02743110011880d095ffbc3122340a320a090808120546616e314110141a0546616e314121000000000020bc4048e8d795ffbc31520c69706d693a32302e302e3165",
    );
}

#[test]
fn a_missing_reading_has_a_cause_and_no_value() {
    check(
        &set(Observation::Reading(reading(None, Quality::Unavailable(Cause::NoReading)))),
        "0a02743110011880d095ffbc31222d0a2b0a090808120546616e314110141a0546616e3141400148e8d795ffbc31520c69706d693a32302e302e3165",
    );
}

#[test]
fn a_state_with_a_doubt_and_limits_has_these_bytes() {
    let state = Value::State { state: State::Warning, text: "Degraded".into() };
    let limits = Thresholds { upper_critical: Some(90.0), lower_critical: Some(0.0), ..Thresholds::default() };
    let reading = Reading {
        kind: SensorKind::State,
        thresholds: Some(limits),
        ..reading(Some(state), Quality::Suspect(Suspicion::ScanningDisabled))
    };
    check(
        &set(Observation::Reading(reading)),
        "0a02743110011880d095ffbc31224f0a4d0a090808120546616e314110011a0546616e31412a0c080412084465677261646564380248e8d795ffbc31520c69706d693a32302e302e31655a12110000000000000000290000000000805640",
    );
}

#[test]
fn a_log_event_has_these_bytes() {
    let event = LogEvent {
        component: fan(),
        log: "sel".into(),
        id: "17".into(),
        kind: EventKind::FanLimit,
        severity: Severity::Critical,
        deasserted: true,
        message: "Lower Critical going low".into(),
        code: "0152".into(),
        bmc_time: Some(at(-5)),
        observed_at: at(2),
        source: Source("sel:17".into()),
        raw: "1100".into(),
    };
    check(
        &set(Observation::Event(event)),
        "0a02743110011880d095ffbc31225812560a090808120546616e3141120373656c1a023137200c280430013a184c6f77657220437269746963616c20676f696e67206c6f7742043031353248f8a895ffbc3150d0df95ffbc315a0673656c3a3137620431313030",
    );
}

#[test]
fn an_inventory_has_these_bytes() {
    let part = Part {
        component: fan(),
        manufacturer: None,
        model: Some("F80".into()),
        part_number: None,
        serial: Some("S1".into()),
        firmware: None,
        capacity_bytes: Some(0),
        source: Source("fru:1".into()),
    };
    let identity =
        Identity { serial: Some("SN1".into()), uuid: None, manufacturer: Some("Sim".into()), ..Identity::default() };
    let inventory = Inventory {
        identity,
        parts: vec![part],
        bmc_clock_offset_ms: Some(-1),
        observed_at: at(3),
        source: Source("fru:0".into()),
    };
    check(
        &set(Observation::Inventory(inventory)),
        "0a02743110011880d095ffbc3122461a440a0a0a03534e311a0353696d121d0a090808120546616e31411a034638302a025331380042056672753a3118ffffffffffffffffff0120b8e795ffbc312a056672753a30",
    );
}

#[test]
fn a_gap_over_a_span_has_these_bytes() {
    let gap = Gap {
        component: None,
        cause: Cause::Evicted,
        detail: "spool full".into(),
        observed_at: at(4),
        source: Source("spool".into()),
        span: Some((at(-60), at(-30))),
    };
    check(
        &set(Observation::Gap(gap)),
        "0a02743110011880d095ffbc31222c222a100c1a0a73706f6f6c2066756c6c20a0ef95ffbc312a0573706f6f6c30a0fb91ffbc3138d0e593ffbc31",
    );
}

#[test]
fn the_streams_messages_have_these_bytes() {
    let hello = ingest::StreamRequest {
        message: Some(stream_request::Message::Hello(ingest::Hello {
            agent: "a1".into(),
            spool_id: "000000000000000000000000deadbeef".into(),
            lanes: vec![ingest::LaneState { lane: ingest::Lane::Event.into(), oldest: 1, next: 5 }],
            site: "dc1".into(),
            version: "0.1.0".into(),
            targets: vec!["t1".into()],
            sensor_interval_ms: 60_000,
            ..ingest::Hello::default()
        })),
    };
    assert_eq!(
        hex(&hello.encode_to_vec()),
        "0a420a026131122030303030303030303030303030303030303030303030303064656164626565661a0608011001180522036463312a05302e312e303202743138e0d403"
    );
    let batch = ingest::StreamRequest {
        message: Some(stream_request::Message::Batch(ingest::Batch {
            lane: ingest::Lane::Telemetry.into(),
            first_seq: 300,
            bodies: vec![vec![1, 2], vec![]],
            skipped: Some(ingest::Skipped {
                first: 200,
                last: 299,
                reason: 12,
                detail: "quota".into(),
                from_ms: 1,
                to_ms: 2,
            }),
        })),
    };
    assert_eq!(hex(&batch.encode_to_vec()), "1220080210ac021a0201021a00221308c80110ab02180c220571756f746128013002");
    let welcome = ingest::StreamResponse {
        message: Some(stream_response::Message::Welcome(ingest::Welcome {
            lanes: vec![ingest::LaneMark {
                lane: ingest::Lane::Event.into(),
                committed: 4,
                ..ingest::LaneMark::default()
            }],
            window_bytes: 1 << 20,
            ..ingest::Welcome::default()
        })),
    };
    assert_eq!(hex(&welcome.encode_to_vec()), "0a0a0a040801100410808040");
    let ack = ingest::StreamResponse {
        message: Some(stream_response::Message::Ack(ingest::Ack {
            lane: ingest::Lane::Telemetry.into(),
            committed: 301,
        })),
    };
    assert_eq!(hex(&ack.encode_to_vec()), "1205080210ad02");
}

#[test]
fn one_observation_of_a_kind_unknown_here_loses_only_itself() {
    let good = set(Observation::Reading(reading(Some(Value::Number(1.0)), Quality::Good)));
    let mut wire = outband_proto::telemetry::ObservationSet::from(good.clone());
    let mut strange = wire.observations[0].clone();
    if let Some(outband_proto::telemetry::observation::Kind::Reading(r)) = &mut strange.kind {
        r.kind = 60_000;
    }
    wire.observations.insert(0, strange);
    let decoded = decode_set(&wire.encode_to_vec()).unwrap();
    assert_eq!(decoded.set, good);
    assert_eq!(decoded.rejected, [ConvertError::UnknownNumber { field: "sensor kind", number: 60_000 }]);
}

#[test]
fn a_number_that_is_not_finite_is_no_reading() {
    let set = set(Observation::Reading(reading(Some(Value::Number(f64::NAN)), Quality::Good)));
    assert_eq!(decode_set(&encode_set(&set)).unwrap().rejected, [ConvertError::NotFinite]);
}

#[test]
fn a_limit_that_is_not_finite_is_no_limit_and_costs_no_reading() {
    let limits = |upper_critical| Thresholds { lower_critical: Some(1.0), upper_critical, ..Thresholds::default() };
    for strange in [f64::NAN, f64::INFINITY] {
        let mut sent = reading(Some(Value::Number(1.0)), Quality::Good);
        sent.thresholds = Some(limits(Some(strange)));
        let decoded = decode_set(&encode_set(&set(Observation::Reading(sent.clone())))).unwrap();
        sent.thresholds = Some(limits(None));
        assert_eq!(decoded.set.observations, [Observation::Reading(sent)]);
    }
}

#[test]
fn broken_bytes_are_an_error_and_no_panic() {
    assert!(matches!(decode_set(&[0xff; 9]), Err(ConvertError::Bytes(_))));
}
