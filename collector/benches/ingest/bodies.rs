//! What is sent, made of the site that the load is measured with: bodies for the collector and remote-write requests for the peers hold the same readings.
//!
//! Names are laid out once; of each poll only the target, the times and the values are written over, so that making them costs little beside taking them in.

use crate::site::{SENSORS, Site, target};
use outband_proto::convert::encode_set;
use outband_schemas::{
    ComponentClass, ComponentId, EventKind, LogEvent, Observation, ObservationSet, Reading, Section, SensorKind,
    Severity, Source, TargetId, Timestamp, Value,
};
use prost::Message;
use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use zstd::dict::EncoderDictionary;

/// Servers with values of their own; the next so many have the same, read in the same second. More than an agent has, so that no agent sends a value twice for
/// that reason.
const DISTINCT: usize = 600;
/// The dictionary that agents pack with, and how hard.
const DICTIONARY: &[u8] = include_bytes!("../../../proto/src/pack_1.dict");
const LEVEL: i32 = 6;
/// Minutes that are kept: agents which send an hour as fast as each can are not all at the same minute.
const KEPT: usize = 64;
/// Stands for a time until one is written: six bytes on the wire, as every time between 2004 and 2039.
const TIME: i64 = 1 << 41;
/// Stands for a value: no sensor ever has it.
const VALUE: u64 = 0x7fe0_dead_0000_0000;

/// A sample of remote write.
#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

/// Bytes with places to be written over.
struct Template {
    bytes: Vec<u8>,
    targets: Vec<usize>,
    /// Where a time is, and how much later than the poll.
    times: Vec<(usize, i64)>,
    /// Where the value of a sensor is.
    values: Vec<(usize, usize)>,
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn only(bytes: &[u8], part: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut found = bytes.windows(part.len()).enumerate().filter(|(_, w)| *w == part).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        _ => Err("a place to be written over is not there once".into()),
    }
}

impl Template {
    fn of(bytes: Vec<u8>, times: &[(i64, i64)], values: &[usize]) -> Result<Self, Box<dyn Error>> {
        let name = target(0);
        let places = bytes.windows(name.len()).enumerate();
        let targets = places.filter(|(_, w)| *w == name.as_bytes()).map(|(at, _)| at).collect();
        let time = |(stands, late): &(i64, i64)| {
            let mut part = Vec::new();
            varint(stands.unsigned_abs(), &mut part);
            Ok::<_, Box<dyn Error>>((only(&bytes, &part)?, *late))
        };
        let times = times.iter().map(time).collect::<Result<_, _>>()?;
        let value = |n: &usize| Ok::<_, Box<dyn Error>>((only(&bytes, &(VALUE + *n as u64).to_le_bytes())?, *n));
        let values = values.iter().map(value).collect::<Result<_, _>>()?;
        Ok(Self { targets, times, values, bytes })
    }

    fn fill(&self, server: usize, at: i64, values: &[f64], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let bytes = &mut out[start..];
        let name = target(server);
        for at in &self.targets {
            bytes[*at..*at + name.len()].copy_from_slice(name.as_bytes());
        }
        for (place, late) in &self.times {
            let mut left = (at + late).unsigned_abs();
            for byte in &mut bytes[*place..*place + 6] {
                *byte = left as u8 | 0x80;
                left >>= 7;
            }
            bytes[place + 5] &= 0x7f;
        }
        for (place, n) in &self.values {
            bytes[*place..place + 8].copy_from_slice(&values[*n].to_le_bytes());
        }
    }
}

/// What tells a reading of a server from every other.
pub(crate) type Issued = (ComponentId, SensorKind, i64);

/// A minute of the servers that differ.
struct Minute {
    /// The values of one server after another.
    values: Vec<f64>,
    /// Of each a body as an agent packs it, and where in it the target is.
    packed: Vec<(Vec<u8>, usize)>,
}

/// The readings of a seed.
pub(crate) struct Bodies {
    site: Site,
    wire: Template,
    remote: Template,
    /// The minutes that were asked for last.
    minutes: Mutex<VecDeque<(i64, Arc<Minute>)>>,
    /// Whether bodies are sent as agents pack them.
    pack: Option<EncoderDictionary<'static>>,
}

/// States as the peers take them.
fn as_number(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Number(number)) => *number,
        Some(Value::State { state, .. }) => f64::from(state.number()),
        Some(Value::Text(_)) | None => 0.0,
    }
}

fn readings(set: &ObservationSet) -> impl Iterator<Item = &Reading> {
    set.observations.iter().filter_map(|o| match o {
        Observation::Reading(reading) => Some(reading),
        Observation::Event(_) | Observation::Gap(_) | Observation::Inventory(_) => None,
    })
}

impl Bodies {
    pub(crate) fn new(seed: u64, pack: bool) -> Result<Self, Box<dyn Error>> {
        let site = Site::new(seed)?;
        let set = site.sensors(0, Timestamp::from_millis(0))?;
        let (wire, remote) = (Self::wire(set.clone())?, Self::remote(&set)?);
        Ok(Self {
            site,
            wire,
            remote,
            minutes: Mutex::default(),
            pack: pack.then(|| EncoderDictionary::copy(DICTIONARY, LEVEL)),
        })
    }

    fn wire(mut set: ObservationSet) -> Result<Template, Box<dyn Error>> {
        set.polled_at = Timestamp::from_millis(TIME);
        let (mut times, mut values) = (vec![(TIME, 0)], Vec::new());
        for (n, observation) in set.observations.iter_mut().enumerate() {
            let Observation::Reading(reading) = observation else { return Err("only readings".into()) };
            times.push((TIME + 1 + n as i64, reading.observed_at.as_millis()));
            reading.observed_at = Timestamp::from_millis(TIME + 1 + n as i64);
            if let Some(Value::Number(number)) = &mut reading.value {
                *number = f64::from_bits(VALUE + n as u64);
                values.push(n);
            }
        }
        Template::of(encode_set(&set), &times, &values)
    }

    fn remote(set: &ObservationSet) -> Result<Template, Box<dyn Error>> {
        let label = |name: &str, value: String| Label { name: name.to_owned(), value };
        let series = readings(set).enumerate().map(|(n, reading)| TimeSeries {
            labels: vec![
                label("__name__", format!("hw_{}", reading.kind)),
                label("component", reading.component.to_string()),
                label("sensor", reading.sensor.clone()),
                label("server", target(0)),
            ],
            samples: vec![Sample { value: f64::from_bits(VALUE + n as u64), timestamp: TIME + 1 + n as i64 }],
        });
        let bytes = WriteRequest { series: series.collect() }.encode_to_vec();
        let times: Vec<_> =
            readings(set).enumerate().map(|(n, r)| (TIME + 1 + n as i64, r.observed_at.as_millis())).collect();
        Template::of(bytes, &times, &(0..SENSORS).collect::<Vec<_>>())
    }

    /// What is in a server, as a body.
    pub(crate) fn inventory(&self, server: usize, at: i64) -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(encode_set(&self.site.inventory(server, Timestamp::from_millis(at))?))
    }

    /// A drive that fails, as a body: nothing else can be behind it, so that its ticket waits for nothing.
    pub(crate) fn failure(&self, server: usize, at: i64) -> Result<Vec<u8>, Box<dyn Error>> {
        let at = Timestamp::from_millis(at);
        let event = LogEvent {
            component: ComponentId::new(ComponentClass::Disk, "Bay 0")?,
            log: "Systems/1/Sel".to_owned(),
            id: "1".to_owned(),
            kind: EventKind::DriveFailed,
            severity: Severity::Critical,
            deasserted: false,
            message: "Drive 0 failed.".to_owned(),
            code: "PDR3".to_owned(),
            bmc_time: Some(at),
            observed_at: at,
            source: Source("/redfish/v1/Systems/1/LogServices/Sel/Entries/1".to_owned()),
            raw: "{}".to_owned(),
        };
        Ok(encode_set(&ObservationSet {
            target: TargetId::new(target(server))?,
            section: Section::Log,
            polled_at: at,
            observations: vec![Observation::Event(event)],
        }))
    }

    fn minute(&self, at: i64) -> Result<Arc<Minute>, Box<dyn Error>> {
        let mut known = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, minute)) = known.iter().find(|(minute, _)| *minute == at) {
            return Ok(minute.clone());
        }
        let (mut values, mut packed) = (Vec::with_capacity(DISTINCT * SENSORS), Vec::new());
        for server in 0..DISTINCT {
            let set = self.site.sensors(server, Timestamp::from_millis(at))?;
            let own = values.len();
            values.extend(readings(&set).map(|r| as_number(r.value.as_ref())));
            if let Some(dictionary) = &self.pack {
                let mut plain = Vec::with_capacity(self.wire.bytes.len());
                self.wire.fill(server, at + offset(server), &values[own..], &mut plain);
                packed.push(pack(&plain, server, dictionary)?);
            }
        }
        let minute = Arc::new(Minute { values, packed });
        known.push_front((at, minute.clone()));
        known.truncate(KEPT);
        Ok(minute)
    }

    /// One poll of so many servers in the minute that begins at `at`: a body each.
    pub(crate) fn polls(&self, servers: &[usize], at: i64) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let minute = self.minute(at)?;
        let body = |server: &usize| {
            if let Some((packed, place)) = minute.packed.get(server % DISTINCT) {
                let (mut body, name) = (packed.clone(), target(*server));
                body[*place..*place + name.len()].copy_from_slice(name.as_bytes());
                return body;
            }
            let mut body = Vec::with_capacity(self.wire.bytes.len());
            let own = server % DISTINCT * SENSORS;
            self.wire.fill(*server, at + offset(*server), &minute.values[own..own + SENSORS], &mut body);
            body
        };
        Ok(servers.iter().map(body).collect())
    }

    /// The same as one request of remote write: protobuf in a snappy block of literals only, which is what it costs least to unpack.
    pub(crate) fn request(&self, servers: &[usize], at: i64) -> Result<Vec<u8>, Box<dyn Error>> {
        let minute = self.minute(at)?;
        let mut plain = Vec::with_capacity(servers.len() * self.remote.bytes.len());
        for server in servers {
            let own = server % DISTINCT * SENSORS;
            self.remote.fill(*server, at + offset(*server), &minute.values[own..own + SENSORS], &mut plain);
        }
        Ok(literals(&plain))
    }

    /// What a body says: of each place and kind the time and the value.
    pub(crate) fn issued(&self, server: usize, at: i64) -> Result<Vec<(Issued, Value)>, Box<dyn Error>> {
        let set = self.site.sensors(server % DISTINCT, Timestamp::from_millis(at))?;
        // Of the template only numbers are written over: every state is that of the first server.
        let first = self.site.sensors(0, Timestamp::from_millis(at))?;
        let of = |(r, first): (&Reading, &Reading)| {
            let value = if matches!(r.value, Some(Value::Number(_))) { r.value.clone() } else { first.value.clone() };
            Some(((r.component.clone(), r.kind, r.observed_at.as_millis() + offset(server)), value?))
        };
        Ok(readings(&set).zip(readings(&first)).filter_map(of).collect())
    }

    /// Makes the bodies of so many minutes, which are then at hand.
    pub(crate) fn prepare(&self, from: i64, minutes: i64) -> Result<(), Box<dyn Error>> {
        (0..minutes).try_for_each(|minute| self.minute(from + minute * 60_000).map(drop))
    }

    /// The kinds of sensors, as the peers name them.
    pub(crate) fn kinds(&self) -> Result<BTreeSet<String>, Box<dyn Error>> {
        let set = self.site.sensors(0, Timestamp::from_millis(0))?;
        Ok(readings(&set).map(|r| format!("hw_{}", r.kind)).collect())
    }
}

/// The body as an agent packs it, but for one thing: the target lies in a block of its own, unpacked, so that bodies which differ in nothing else need not be
/// packed one by one. It costs three bytes. Returns where the target is, too.
fn pack(plain: &[u8], server: usize, dictionary: &EncoderDictionary<'_>) -> Result<(Vec<u8>, usize), Box<dyn Error>> {
    let name = target(server);
    let head = only(plain, name.as_bytes())? + name.len();
    let mut encoder = zstd::stream::Encoder::with_prepared_dictionary(Vec::new(), dictionary)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(plain.len() as u64))?;
    encoder.write_all(&plain[..head])?;
    encoder.flush()?;
    encoder.write_all(&plain[head..])?;
    let packed = encoder.finish()?;
    if outband_proto::pack::unpack(&packed, &mut Vec::new())? != plain {
        return Err("the collector would not read the body as it was".into());
    }
    let place = only(&packed, name.as_bytes())?;
    Ok((packed, place))
}

/// The snappy block format, literals only.
fn literals(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + plain.len() / 1000 + 16);
    varint(plain.len() as u64, &mut out);
    for part in plain.chunks(1 << 16) {
        // Tag 61: two bytes of length, less one.
        out.push(61 << 2);
        out.extend_from_slice(&((part.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// When in its minute a server is read, in milliseconds.
fn offset(server: usize) -> i64 {
    (server as i64 * 7919).rem_euclid(60) * 1000
}
