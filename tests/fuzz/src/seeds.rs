//! The first inputs of each target, built here from our own encoders and from trees made up for it: nothing was captured anywhere.
//!
//! A target plants them into its corpus when that is empty, so no corpus has to be kept.

mod kept;
mod service;

use crate::AT;
use crate::script::put_slice;
use outband_proto::{convert, ingest as wire};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, EventKind, Gap, Identity, Inventory, LogEvent, Observation, ObservationSet,
    Part, Quality, Reading, Section, SensorKind, Severity, Source, State, Suspicion, TargetId, Thresholds, Value,
};
use outband_store::chunk::{self, Point};
use outband_store::rollup::{self, Resolution};
use prost::Message;
use std::path::Path;
use std::time::Duration;

pub use kept::{enrolment, invite, journal_row, packed_body, spool_rows, uplink_session};
pub use service::{redfish_body, redfish_sse, redfish_walk, root};

/// Writes a target's seeds into the corpus that the fuzzer was given, if that is empty.
///
/// # Panics
/// Where that cannot be written.
pub fn plant(seeds: fn() -> Vec<Vec<u8>>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a.starts_with("-merge") || a.starts_with("-minimize")) {
        return;
    }
    let Some(corpus) = arguments.iter().map(Path::new).find(|p| p.is_dir()) else { return };
    if corpus.read_dir().is_ok_and(|mut files| files.next().is_none()) {
        for (number, seed) in seeds().into_iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed).expect("the corpus can be written");
        }
    }
}

/// A full sensor record (IPMI 2.0 §43.1) with these units and this linearisation, without its id.
fn full(units: u8, base_unit: u8, linearization: u8, event_type: u8, name: &[u8]) -> Vec<u8> {
    let mut record = vec![0x51, 1, 0, 0x20, 0, 7, 3, 1, 0x7F, 0x68, 1, event_type, 0, 0, 0, 0, 0x3F, 0x3F];
    record.extend([units, base_unit, 0, linearization, 2, 0, 5, 0, 0, 0xF0]);
    record.extend([0, 0, 0, 0, 0, 0, 90, 85, 80, 10, 5, 2, 2, 2, 0, 0, 0]);
    record.push(0xC0 | name.len() as u8);
    record.extend(name);
    record[2] = (record.len() - 3) as u8;
    record
}

/// Records of every type that is read, without their ids.
fn records() -> Vec<Vec<u8>> {
    let mut compact = vec![0x51, 2, 0, 0x20, 0, 9, 10, 1, 0x7F, 0x68, 8, 0x6F, 0, 0, 0, 0, 3, 0];
    compact.extend([0, 0, 0, 0x12, 1, 0, 0, 0, 0, 0, 0xC3, b'P', b'S', b'U']);
    let event_only = vec![0x51, 3, 0, 0x20, 0, 30, 7, 1, 0x13, 0x6F, 1, 0, 0, 0, 0xC3, b'P', b'C', b'I'];
    let mut fru = vec![0x51, 0x11, 0, 0x20, 0, 0x80, 0, 0, 0, 7, 1, 0, 0];
    fru.extend(b"\xC5Board");
    let controller = vec![0x51, 0x12, 0, 0x20, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0xC3, b'B', b'M', b'C'];
    // A chassis with two power supplies, a range within a power supply, the same named by its owner; a device; a maker's own.
    let association = vec![0x51, 8, 0, 23, 1, 0, 10, 1, 10, 2, 0, 0, 0, 0];
    let range = vec![0x51, 8, 0, 10, 1, 0x80, 20, 1, 20, 4, 0, 0, 0, 0];
    let relative = vec![0x51, 9, 0, 10, 0x61, 0x20, 0, 0, 0x20, 0, 29, 0x60, 0x20, 0, 29, 0x61];
    let mut device = vec![0x51, 0x10, 0, 0x20, 0x90, 0, 0, 0, 8, 0, 20, 3, 0];
    device.extend(b"\xC4VRM3");
    let oem = vec![0x51, 0xC0, 0, 0xA2, 2, 0, 1, 2, 3];
    // A sensor of a controller behind the BMC.
    let mut foreign = full(0, 1, 0, 1, b"ME Temp");
    foreign[3] = 0x2C;
    let mut records = vec![
        association,
        range,
        relative,
        device,
        oem,
        foreign,
        full(0, 1, 0, 1, b"CPU1 Temp"),
        full(0x80, 4, 0, 1, b"P12V"),
        full(0, 18, 0, 1, b"FAN1"),
        full(0x01, 0, 0, 1, b"FAN1 duty"),
        full(0x40, 5, 7, 1, b"CUR"),
        full(0, 1, 0x70, 1, b"Odd"),
        full(0xC0, 0, 0, 0x6F, b"Drive 1"),
        compact,
        event_only,
        fru,
        controller,
    ];
    for record in &mut records {
        record[2] = (record.len() - 3) as u8;
    }
    records
}

/// Event log records without their ids.
fn log() -> Vec<Vec<u8>> {
    let record = |kind: u8, sensor_type: u8, number: u8, event: [u8; 4]| {
        let mut out = vec![kind];
        out.extend(1_700_000_000u32.to_le_bytes());
        out.extend([0x20, 0, 4, sensor_type, number]);
        out.extend(event);
        out
    };
    vec![
        record(2, 1, 7, [0x01, 0x59, 92, 90]),
        record(2, 8, 9, [0x6F, 0xA3, 1, 2]),
        record(2, 0x0C, 0, [0x6F, 0x20, 0xFF, 3]),
        record(2, 0x0D, 1, [0xEF, 0x01, 0xFF, 0xFF]),
        record(0xC0, 1, 2, [3, 4, 5, 6]),
        record(0xE0, 1, 2, [3, 4, 5, 6]),
    ]
}

/// A record of the multirecord area.
fn record(kind: u8, last: bool, body: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
    let mut out = vec![kind, if last { 0x82 } else { 2 }, body.len() as u8, sum(body)];
    out.push(sum(&out));
    out.extend(body);
    out
}

fn fru_bytes() -> Vec<u8> {
    let area = |head: &[u8], texts: &[&str]| {
        let mut out = vec![1, 0];
        out.extend(head);
        for text in texts {
            out.push(0xC0 | text.len() as u8);
            out.extend(text.as_bytes());
        }
        out.push(0xC1);
        out.resize(out.len().div_ceil(8) * 8, 0);
        out[1] = (out.len() / 8) as u8;
        out
    };
    let chassis = area(&[0x17], &["CH-1", "SN0001"]);
    let board = area(&[0, 1, 2, 3], &["Maker", "Board", "SN0002", "PN2", ""]);
    let product = area(&[0], &["Maker", "Server 1", "PN3", "A0", "SN0003", "tag"]);
    let ends = [8, 8 + chassis.len(), 8 + chassis.len() + board.len()];
    let at = [ends[0], ends[1], ends[2], ends[2] + product.len()].map(|n| (n / 8) as u8);
    let mut out = vec![1, 0, at[0], at[1], at[2], at[3], 0, 0];
    out[7] = out.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
    out.extend([chassis, board, product].concat());
    let supply = [0x78, 5, 0xFF, 0xFF, 30, 5, 0x28, 0x23, 0xB0, 0x36, 0, 0, 0, 0, 47, 63, 12, 9, 0x40, 0x56, 0, 0, 0, 0];
    out.extend(record(0, false, &supply));
    out.extend(record(1, false, &[2, 0xB0, 4, 0xA8, 4, 0xB8, 4, 50, 0, 0, 0, 0xE8, 3]));
    out.extend(record(3, false, b"\x02node-17"));
    out.extend(record(0xC2, true, &[0xA2, 2, 0, 9, 8]));
    out
}

/// Seeds of `sdr_record`: a record, a completion code, an answer, factors and limits.
pub fn sdr_record() -> Vec<Vec<u8>> {
    let seed = |record: &Vec<u8>| {
        let mut out = Vec::new();
        put_slice(&mut out, &[&[1, 0], &record[..]].concat());
        out.push(0);
        put_slice(&mut out, &[0x40, 0x40, 1, 0]);
        out.extend([2, 0, 5, 0, 0, 0xF0, 0x3F, 1, 2, 3, 90, 95, 99]);
        out
    };
    records().iter().map(seed).collect()
}

/// Seeds of `sel_record`: a record, then the record of the sensor, an answer or a bookmark.
pub fn sel_record() -> Vec<Vec<u8>> {
    let cursor = br#"{"last_id":3,"last_record":"0300","erased":0,"overflow":false}"#.to_vec();
    let sensors = records().into_iter().map(|r| [&[1, 0], &r[..]].concat()).chain([cursor]);
    log().iter().cycle().zip(sensors).map(|(event, sensor)| [&[3, 0], &event[..], &sensor].concat()).collect()
}

/// Seeds of `fru_data`.
pub fn fru_data() -> Vec<Vec<u8>> {
    let fru = fru_bytes();
    vec![fru[..8].to_vec(), fru]
}

/// Seeds of `smartctl_json`: the exit status, then what smartctl prints.
pub fn smartctl_json() -> Vec<Vec<u8>> {
    let documents = [
        r#"{"smartctl":{"exit_status":0},"devices":[{"name":"/dev/sda","type":"scsi"},{"name":"/dev/bus/0","type":"megaraid,8"}]}"#,
        r#"{"smartctl":{"messages":[{"string":"Device is in STANDBY mode, exit(2)"}]},"power_mode":{"name":"STANDBY"}}"#,
        r#"{"smartctl":{},"device":{"type":"sat"},"model_name":"M","serial_number":"S1","user_capacity":{"bytes":4000787030016},"smart_status":{"passed":true},
"ata_smart_attributes":{"table":[{"id":5,"name":"Reallocated_Sector_Ct","value":100,"raw":{"value":196616,"string":"8 (3 0)"}},
{"id":188,"raw":{"value":65540,"string":"0 1 4"}},{"id":231,"name":"SSD_Life_Left","value":88,"raw":{"value":5}},{"id":241,"name":"Total_LBAs_Written","raw":{"value":1000}}]},
"power_on_time":{"hours":44000},"power_cycle_count":60,"temperature":{"current":34}}"#,
        r#"{"smartctl":{},"nvme_total_capacity":960197124096,"nvme_smart_health_information_log":{"critical_warning":4,"temperature":41,"available_spare":97,
"available_spare_threshold":10,"percentage_used":3,"data_units_read":10,"power_on_hours":900,"media_errors":1,"warning_temp_time":3}}"#,
        r#"{"smartctl":{},"scsi_vendor":"V","scsi_product":"P","scsi_grown_defect_list":12,"scsi_error_counter_log":{"read":{"total_uncorrected_errors":3,
"gigabytes_processed":"2.500"}},"scsi_percentage_used_endurance_indicator":5}"#,
    ];
    documents.iter().zip([0, 2, 8, 4, 255]).map(|(text, exit)| [&[exit], text.as_bytes()].concat()).collect()
}

/// Seeds of `ipmi_poll`: records, log, FRU data, then what goes wrong.
pub fn ipmi_poll() -> Vec<Vec<u8>> {
    let mut table = vec![records().len() as u8];
    records().iter().for_each(|r| put_slice(&mut table, r));
    table.push(log().len() as u8);
    log().iter().for_each(|r| table.extend(r));
    let fru = fru_bytes();
    table.extend((fru.len() as u16).to_le_bytes());
    table.extend(&fru);
    let mischief: [&[u8]; 6] = [
        &[],
        &[0, 0, 0xCA, 0, 0xC5, 0, 0, 0xC5],
        &[0, 0, 0, 0xE2, 4, 0, 0, 0xE3, 3, 1, 2, 3],
        &[0xC1, 0, 0, 0xE1, 0xE1, 0xE5],
        &[0xE0, 14, 0x51, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0xE4, 4, 0xFF, 0xE6, 0xCB, 0xCD],
    ];
    mischief.iter().map(|m| [&table[..], m].concat()).collect()
}

/// Seeds of `ipmi_session`: how to begin, then steps.
pub fn ipmi_session() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for how in [0u8, 2, 3, 4, 6, 7, 12, 20, 36, 68, 100, 132, 164] {
        // Deliver what is under way, ask, sleep.
        seeds.push(vec![how, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0x2D, 1, 7, 0, 2, 0, 0]);
        // A replay; a bent copy; a cut one; a forgotten session.
        seeds.push(vec![how, 0, 8, 0, 11, 20, 1, 12, 30, 14, 2, 2, 2, 0, 0, 0, 0, 0, 0]);
        // Lies inside the session: any message, an answer with any code, no ciphertext.
        seeds.push(vec![
            how, 5, 9, 0x81, 0x14, 0x6B, 0x20, 4, 0x2D, 0, 1, 2, 6, 0xD4, 0, 0, 0, 0, 0, 7, 3, 1, 2, 3, 6, 0xC0, 0,
        ]);
        // A handshake that is refused, and one with another body.
        seeds.push(vec![how, 0, 0, 0, 10, 0, 0x0D, 0, 10, 0, 0, 4, 1, 2, 3, 4, 10, 1, 2, 0, 10, 2, 0x0F, 0]);
        // Outside of any session; a pong; a refusal by the network.
        seeds.push(vec![how, 17, 0, 0, 0, 4, 1, 0x80, 4, 3, 4, 8, 6, 1, 2, 3, 4, 5, 6, 7, 16, 15, 0xFF, 0x0F, 1]);
    }
    seeds
}

fn observations() -> Vec<Observation> {
    let component = ComponentId::lenient(ComponentClass::Fan, "1");
    let source = Source("seed".to_owned());
    let reading = |value, quality| {
        Observation::Reading(Reading {
            component: component.clone(),
            kind: SensorKind::FanSpeed,
            sensor: "FAN1".to_owned(),
            value,
            quality,
            observed_at: AT,
            source: source.clone(),
            thresholds: Some(Thresholds { lower_critical: Some(500.0), ..Thresholds::default() }),
        })
    };
    vec![
        reading(Some(Value::Number(4200.0)), Quality::Good),
        reading(
            Some(Value::State { state: State::Warning, text: "slow".to_owned() }),
            Quality::Suspect(Suspicion::Coerced),
        ),
        reading(Some(Value::Text("word".to_owned())), Quality::Good),
        reading(None, Quality::Unavailable(Cause::NoReading)),
        Observation::Event(LogEvent {
            component: component.clone(),
            log: "sel".to_owned(),
            id: "3".to_owned(),
            kind: EventKind::FanLimit,
            severity: Severity::Critical,
            deasserted: true,
            message: "too slow".to_owned(),
            code: "0101".to_owned(),
            bmc_time: Some(AT),
            observed_at: AT,
            source: source.clone(),
            raw: "00".to_owned(),
        }),
        Observation::Inventory(Inventory {
            identity: Identity { serial: Some("SN".to_owned()), ..Identity::default() },
            parts: vec![Part {
                component: component.clone(),
                manufacturer: Some("Maker".to_owned()),
                model: None,
                part_number: None,
                serial: Some("S1".to_owned()),
                firmware: None,
                capacity_bytes: Some(1 << 40),
                source: source.clone(),
            }],
            bmc_clock_offset_ms: Some(-5),
            observed_at: AT,
            source: source.clone(),
        }),
        Observation::Gap(Gap {
            component: Some(component),
            cause: Cause::Timeout,
            detail: "no answer".to_owned(),
            observed_at: AT,
            source,
            span: Some((AT, AT.plus(Duration::from_secs(60)))),
        }),
    ]
}

fn encoded(observations: Vec<Observation>) -> Vec<u8> {
    let target = TargetId::new("bmc-1").expect("a word is a target's id");
    convert::encode_set(&ObservationSet { target, section: Section::Sensors, polled_at: AT, observations })
}

/// Seeds of `observation_set`: one of each kind, and all together.
pub fn observation_set() -> Vec<Vec<u8>> {
    let single = observations().into_iter().map(|o| encoded(vec![o]));
    single.chain([encoded(observations()), encoded(Vec::new())]).collect()
}

/// Seeds of `chunk`, without the checksum.
pub fn chunk() -> Vec<Vec<u8>> {
    runs().into_iter().map(|points| unsealed(chunk::encode(points))).collect()
}

/// Seeds of `rollup`, without the checksum.
pub fn rollup() -> Vec<Vec<u8>> {
    let rows = |points: Vec<Point>| {
        Resolution::ALL.map(|resolution| unsealed(rollup::encode(&rollup::reduce(&points, resolution), resolution)))
    };
    runs().into_iter().flat_map(rows).collect()
}

fn unsealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn runs() -> [Vec<Point>; 5] {
    let point = |n: u64, value| Point { at: AT.plus(Duration::from_millis(n)), value, quality: Quality::Good };
    [
        Vec::new(),
        (0..20).map(|n| point(60_000 * n, Some(Value::Number(20.0 + n as f64 / 2.0)))).collect(),
        (0..9).map(|n| point(n * n, Some(Value::Number((n as f64).exp())))).collect(),
        (0..6).map(|n| point(1000 * n, Some(Value::Text(format!("word {}", n % 2))))).collect(),
        (0..6)
            .map(|n| Point { quality: Quality::Unavailable(Cause::ALL[n as usize]), ..point(1000 * n, None) })
            .chain([point(9000, Some(Value::State { state: State::Ok, text: "ok".to_owned() }))])
            .collect(),
    ]
}

/// Seeds of `ingest_stream`.
pub fn ingest_stream() -> Vec<Vec<u8>> {
    let hello = [0, 2, 1, 1, 5, 2, 1, 9, 60];
    let admitted = [5, 0, 0];
    let batch = [1, 1, 0x40, 2, 9, 9];
    let skip = [1, 2, 0x43, 5, 12, 0, 0, 1, 7];
    let mut framed = vec![4];
    put_slice(&mut framed, &wire::StreamRequest { message: None }.encode_to_vec());
    vec![
        [&hello[..], &admitted, &batch, &batch, &[6, 1, 6, 2]].concat(),
        [&hello[..], &admitted, &skip, &[6, 3, 3], &batch].concat(),
        [&hello[..], &batch].concat(),
        [&hello[..], &[5, 0xF0, 0xF1], &batch].concat(),
        [&framed[..], &[7, 2]].concat(),
        batch.to_vec(),
    ]
}

/// Seeds of `agent_config`.
pub fn agent_config() -> Vec<Vec<u8>> {
    let good = r#"targets_csv = "targets.csv"
[agent]
id = "dc1-agent-1"
site = "dc1"
data_dir = "data"
[collector]
endpoints = ["https://collector.example:7442"]
ca_file = "ca.pem"
token_file = "agent.token"
domain = "collector"
[cadence]
sensors = "30s"
drives = "10m"
log = "1h30m"
inventory = "6h"
[poll]
at_once = 8
request_deadline = "5s"
poll_deadline = "60s"
host = "60s"
[spool]
quota = "2GiB"
[credentials.default]
user = "monitor"
password_file = "bmc.pass"
[[targets]]
id = "a1"
url = "https://10.0.0.12"
credentials = "default"
fingerprint = "FINGERPRINT"
[[targets]]
id = "a2"
url = "ipmi://[fd00::1]:6230"
credentials = "default"
cipher = 17
cadence = { sensors = "10s" }
"#
    .replace("FINGERPRINT", &"ab".repeat(32));
    let csv = "id,url,credentials,fingerprint,ca_file,cipher\nb1,ipmi://10.0.0.1,default,,,3\n\"b2\",https://bmc2:8443,default,,ca.pem,\n# none\n";
    vec![
        format!("{good}\0{csv}").into_bytes(),
        good.replace("30s", "30").replace("8\n", "\"8\"\n").into_bytes(),
        b"[agent]\nid = \n[[targets]]\nid = 1\n[credentials]\nx = []".to_vec(),
        b"targets = [1, \"a\", {}, []]\ncollector.endpoints = [1, 2]\n".to_vec(),
        format!("targets_csv = \"targets.csv\"\0\u{feff}{csv}b3\nb4,\"\n").into_bytes(),
    ]
}

/// Seeds of `bmc_address`.
pub fn bmc_address() -> Vec<Vec<u8>> {
    let texts = [
        "ipmi://10.0.0.1",
        "https://bmc1:8443/",
        "https://[fd00::1]",
        "ipmi://[fe80::1]:623",
        "https://user:secret@bmc",
        "fan/1",
        "disk/Bay 3",
        "0123456789abcdef0123456789abcdef",
        "2024-08-08T18:48:07.250-05:00",
        "1h30m",
        "2GiB",
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).chain([["AB"; 32].join(":").into_bytes()]).collect()
}
