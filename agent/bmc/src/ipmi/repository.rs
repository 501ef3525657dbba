//! The sensor repository of a BMC: read record by record, in parts that shrink until the BMC can send them.

mod fill;
mod reader;

use super::message::{Request, Response};
use super::poll::{Ask, BMC, require};
use super::sdr::{self, Association, DeviceLocator, EventOnly, FruLocator, Record, Sensor};
use super::{chassis, fan, place, sel, sensor, states};
use crate::PollError;
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{ComponentId, SensorKind, Source, Thresholds};
use reader::Reader;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many records are compared with those that are kept before these are believed.
const SAMPLES: u64 = 4;
/// How often the whole is read again since it changed meanwhile.
const MAX_READS: u32 = 2;

/// Where the records are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Store {
    /// The SDR repository (§33).
    #[default]
    Repository,
    /// The device SDRs of a BMC without one (§35.2 to §35.4).
    Device,
}

impl Store {
    fn reserve(self) -> Request {
        match self {
            Self::Repository => Request::new(NetFn::Storage, 0x22, []),
            Self::Device => Request::new(NetFn::SensorEvent, 0x22, []),
        }
    }

    fn get(self, reservation: u16, id: u16, offset: u8, count: u8) -> Request {
        let mut data = reservation.to_le_bytes().to_vec();
        data.extend(id.to_le_bytes());
        data.extend([offset, count]);
        match self {
            Self::Repository => Request::new(NetFn::Storage, 0x23, data),
            Self::Device => Request::new(NetFn::SensorEvent, 0x21, data),
        }
    }
}

/// What [`ask_info`] is called in errors.
pub(super) const INFO: &str = "Get SDR Repository Info";

/// Get SDR Repository Info (§33.9).
fn ask_info() -> Request {
    Request::new(NetFn::Storage, 0x20, [])
}

/// What changes when the repository does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    store: Store,
    /// Number of records that the BMC announces; some announce a wrong one.
    pub count: u16,
    added: u32,
    erased: u32,
}

impl Stamp {
    /// Whether [`Repository::asks_of_all`] asks for it: not where the records are the device's.
    pub(super) fn is_of_repository(self) -> bool {
        self.store == Store::Repository
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = vec![u8::from(self.store == Store::Device)];
        out.extend(self.count.to_le_bytes());
        out.extend(self.added.to_le_bytes());
        out.extend(self.erased.to_le_bytes());
        out
    }

    /// Undoes [`Stamp::encode`], and gives what stands after it.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[store, c0, c1, ref times @ ..], rest) = bytes.split_first_chunk::<11>()?;
        let (added, erased) = times.split_first_chunk::<4>()?;
        let stamp = Self {
            store: if store == 0 { Store::Repository } else { Store::Device },
            count: u16::from_le_bytes([c0, c1]),
            added: u32::from_le_bytes(*added),
            erased: u32::from_le_bytes(*erased.first_chunk()?),
        };
        Some((stamp, rest))
    }

    /// What the answer to Get SDR Repository Info says.
    fn parse(data: &[u8]) -> Option<Self> {
        let data: &[u8; 13] = data.first_chunk()?;
        let le32 = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        let count = u16::from_le_bytes([data[1], data[2]]);
        Some(Self { store: Store::Repository, count, added: le32(5), erased: le32(9) })
    }

    /// Whether this answer to Get SDR Repository Info says that all is as it was. Any other answer than a plain yes is a no.
    pub(super) fn is_confirmed_by(self, answer: &Response) -> bool {
        answer.completion == 0 && Self::parse(&answer.data) == Some(self)
    }

    /// Get SDR Repository Info (§33.9), or Get Device SDR Info (§35.2) where there is no repository.
    pub async fn read(ask: &mut (impl Ask + Send)) -> Result<Self, PollError> {
        let what = INFO;
        match ask.ask(ask_info()).await {
            Ok(Response { completion: 0, data }) => Self::parse(&data).ok_or_else(|| PollError::malformed(what)),
            Ok(Response { completion, .. }) => {
                match require(ask, what, Request::new(NetFn::SensorEvent, 0x20, [])).await {
                    Ok(data) => {
                        let count =
                            u16::from(*data.first().ok_or_else(|| PollError::malformed("Get Device SDR Info"))?);
                        let added = data.get(2..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
                        Ok(Self { store: Store::Device, count, added, erased: 0 })
                    }
                    Err(_) => Err(PollError::refused(what, completion)),
                }
            }
            Err(error) => Err(PollError::unanswered(what, &error)),
        }
    }
}

/// A sensor, with the name by which its readings go and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its record.
    pub sensor: Sensor,
    /// The component that its readings and events are of.
    pub component: ComponentId,
    /// What its numbers measure, if it has any.
    pub kind: Option<SensorKind>,
    /// Unique within component and kind.
    pub name: String,
    /// Its limits.
    pub thresholds: Option<Thresholds>,
    /// What its readings name as their source: its key, spelt once and not with every poll.
    pub source: Source,
}

/// The records of a repository as they were read, with the id under which each was.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    list: Vec<(u16, Vec<u8>)>,
    unread: Vec<PollError>,
    complete: bool,
}

impl Records {
    /// Records of which none is missing.
    pub(super) fn complete(list: Vec<(u16, Vec<u8>)>) -> Self {
        Self { list, unread: Vec::new(), complete: true }
    }

    /// Whether every record was read that the list holds; if not, it is worth another try.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.list.iter().map(|(_, bytes)| bytes.len() + 4).sum());
        for (id, bytes) in &self.list {
            out.extend(id.to_le_bytes());
            out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend(bytes);
        }
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut list = Vec::new();
        while let Some((&[i0, i1, l0, l1], rest)) = bytes.split_first_chunk() {
            let (record, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([l0, l1])))?;
            list.push((u16::from_le_bytes([i0, i1]), record.to_vec()));
            bytes = rest;
        }
        bytes.is_empty().then(|| Self::complete(list))
    }

    /// Whether some of the records, which ones depends on `turn`, are still the BMC's. Any doubt is a no.
    pub(super) async fn still_hold(&self, ask: &mut (impl Ask + Send), stamp: Stamp, turn: u64) -> bool {
        let len = u64::try_from(self.list.len()).unwrap_or(u64::MAX).max(1);
        let mut reader = Reader::new(ask, stamp.store);
        for sample in 0..SAMPLES {
            let at = usize::try_from((turn + sample * len / SAMPLES) % len).unwrap_or(0);
            let Some((id, kept)) = self.list.get(at) else { return false };
            match reader.record(*id).await {
                Ok((_, found)) if fill::same_record(&found, kept) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }
}

/// All that is known of a BMC's sensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Repository {
    /// The sensors that can be read.
    pub sensors: Vec<Named>,
    /// Sensors that only send events.
    pub event_only: Vec<EventOnly>,
    /// Where FRU data lies.
    pub frus: Vec<FruLocator>,
    /// What holds what.
    pub associations: Vec<Association>,
    /// Get Sensor Reading (§35.14) of each sensor that [`is_asked`], in order.
    pub asks: Arc<[Request]>,
    /// The same between Get SDR Repository Info (§33.9), whose answer tells whether they are still the BMC's sensors, and Get Chassis Status (§28.2).
    pub asks_of_all: Arc<[Request]>,
    /// What of it could not be read.
    pub unread: Vec<PollError>,
    /// Whether every record was read that the list holds.
    complete: bool,
}

impl Repository {
    /// What the records say.
    pub fn of(records: &Records) -> Self {
        let mut repository = Self {
            sensors: Vec::new(),
            event_only: Vec::new(),
            frus: Vec::new(),
            associations: Vec::new(),
            asks: Arc::from([]),
            asks_of_all: Arc::from([]),
            unread: records.unread.clone(),
            complete: records.complete,
        };
        let mut seen = HashSet::new();
        let (mut sensors, mut associations, mut devices) =
            (Vec::<Sensor>::new(), Vec::new(), Vec::<DeviceLocator>::new());
        for (id, bytes) in &records.list {
            let found = sdr::parse(bytes).unwrap_or_else(|error| {
                let cause = outband_schemas::Cause::Malformed;
                repository.unread.push(PollError { cause, detail: format!("record {id:#06x}: {error}") });
                Vec::new()
            });
            for record in found {
                match record {
                    // The same sensor twice is one sensor; the first record counts.
                    Record::Sensor(sensor) if seen.insert(sensor.key) => sensors.push(sensor),
                    Record::EventOnly(sensor) => repository.event_only.push(sensor),
                    Record::Fru(fru) => repository.frus.push(fru),
                    Record::Association(association) => associations.push(association),
                    Record::Device(device) => devices.push(device),
                    Record::Sensor(_) | Record::Controller(_) | Record::Oem(_) | Record::Other(_) => {}
                }
            }
        }
        // A sensor without a name of its own goes by that of the device it belongs to.
        for sensor in sensors.iter_mut().filter(|s| s.name.is_empty()) {
            if let Some(device) = devices.iter().find(|d| d.entity == sensor.entity) {
                sensor.name.clone_from(&device.name);
            }
        }
        let components: Vec<_> = fan::components(&sensors)
            .into_iter()
            .zip(&sensors)
            .map(|(own, sensor)| place::within(own, sensor.entity, sensor.key.owner, &associations))
            .collect();
        let names = unique_names(&sensors, &components);
        repository.sensors = sensors
            .into_iter()
            .zip(names)
            .zip(components)
            .map(|((sensor, name), component)| Named {
                thresholds: sensor.analog.and_then(|analog| sensor::thresholds(&sensor, analog.thresholds)),
                kind: sensor.analog.map(|analog| sensor::kind(&sensor, &analog).0),
                source: Source(sensor.key.to_string()),
                sensor,
                component,
                name,
            })
            .collect();
        repository.associations = associations;
        let asked = repository.sensors.iter().map(|named| &named.sensor).filter(|sensor| is_asked(sensor));
        repository.asks = asked.map(|sensor| sensor::ask(sensor.key)).collect();
        let (first, last) = ([ask_info()], [chassis::ask_status()]);
        repository.asks_of_all = first.iter().chain(&*repository.asks).chain(&last).cloned().collect();
        repository
    }

    /// Whether every record was read that the list holds; if not, it is worth another try.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The sensor that an event names, by its generator's address, logical unit and number.
    pub fn known(&self, owner: u8, lun: u8, number: u8) -> Option<sel::Known> {
        let fits = |key: sdr::SensorKey| key.owner == owner && key.lun == lun && key.number == number;
        // The BIOS (a software id, so an odd address) logs events of sensors whose records name the BMC as owner.
        let fits_loosely = |key: sdr::SensorKey| owner & 1 == 1 && key.owner == BMC && key.number == number;
        let by = |fits: &dyn Fn(sdr::SensorKey) -> bool| {
            let readable = self.sensors.iter().find(|s| fits(s.sensor.key)).map(|s| sel::Known {
                name: s.sensor.name.clone(),
                component: s.component.clone(),
                sensor: Some(s.sensor.clone()),
            });
            readable.or_else(|| {
                self.event_only.iter().find(|s| fits(s.key)).map(|s| sel::Known {
                    name: s.name.clone(),
                    component: place::of_sensor(s.entity, s.sensor_type, states::SENSOR_SPECIFIC, &s.name),
                    sensor: None,
                })
            })
        };
        by(&fits).or_else(|| by(&fits_loosely))
    }
}

/// Whether a sensor is asked directly: those of other controllers are behind a bridge.
pub fn is_asked(sensor: &Sensor) -> bool {
    is_own(sensor.key)
}

/// Whether a sensor is the BMC's own.
pub(super) fn is_own(key: sdr::SensorKey) -> bool {
    key.owner == BMC && key.channel == 0
}

/// Reads the records; once more if they change meanwhile. Also tells the stamp that they go with.
pub async fn read(ask: &mut (impl Ask + Send), mut stamp: Stamp) -> Result<(Stamp, Records), PollError> {
    let mut reads = 0;
    loop {
        reads += 1;
        let mut reader = Reader::new(ask, stamp.store);
        let mut records = reader.all(stamp.count).await?;
        let after = Stamp::read(ask).await?;
        if after == stamp || reads >= MAX_READS {
            fill::fill(ask, records.list.iter_mut().map(|(_, bytes)| bytes)).await;
            return Ok((stamp, records));
        }
        stamp = after;
    }
}

/// Names that are unique within component and kind: where several sensors share one, each gets its number, so that no name depends on which others are there
/// to be read first.
fn unique_names(sensors: &[Sensor], components: &[ComponentId]) -> Vec<String> {
    let name = |s: &Sensor| {
        if s.name.is_empty() { format!("sensor {:#04x}", s.key.number) } else { s.name.clone() }
    };
    let series = |(s, component): (&Sensor, &ComponentId), name: &str| -> Vec<(ComponentId, SensorKind, String)> {
        let analog = s.analog.map(|a| sensor::kind(s, &a).0);
        let state = (s.event_type != states::THRESHOLD || s.analog.is_none()).then_some(SensorKind::State);
        analog.into_iter().chain(state).map(|kind| (component.clone(), kind, name.to_owned())).collect()
    };
    let repeated = |names: &[String]| {
        let mut counts: HashMap<_, u32> = HashMap::new();
        for (s, name) in sensors.iter().zip(components).zip(names) {
            series(s, name).into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        }
        sensors
            .iter()
            .zip(components)
            .zip(names)
            .map(|(s, name)| series(s, name).iter().any(|key| counts.get(key).is_some_and(|n| *n > 1)))
            .collect::<Vec<_>>()
    };
    let mut names: Vec<String> = sensors.iter().map(name).collect();
    // The number first; where owners share numbers too, owner and logical unit.
    let suffixes: [fn(&Sensor) -> String; 2] = [
        |s| format!("#{:02x}", s.key.number),
        |s| format!("#{:02x}.{:x}.{:x}.{:02x}", s.key.owner, s.key.channel, s.key.lun, s.key.number),
    ];
    for suffix in suffixes {
        let repeated = repeated(&names);
        for ((s, unique), is_repeated) in sensors.iter().zip(&mut names).zip(repeated) {
            if is_repeated {
                *unique = format!("{}{}", name(s), suffix(s));
            }
        }
    }
    names
}
