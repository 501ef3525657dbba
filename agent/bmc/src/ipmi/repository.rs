//! The sensor repository of a BMC: read record by record, in parts that shrink until the BMC can send them.

use super::message::{Request, Response};
use super::poll::{Ask, BMC, require};
use super::sdr::{self, EventOnly, FruLocator, Record, Sensor};
use super::{fan, place, sel, sensor, states};
use crate::PollError;
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{ComponentId, SensorKind, Thresholds};
use std::collections::{HashMap, HashSet};

/// What is asked for first in one part. It shrinks at a BMC that cannot send so much.
const LONGEST_PART: u8 = 0x40;
const SHORTEST_PART: u8 = 2;
/// No BMC has so many records; a list that does not end has a loop.
const MAX_RECORDS: usize = 4096;
/// How many records in a row may be refused before the list is given up.
const LONGEST_HOLE: u16 = 4;
/// How often a reservation may be lost within one record.
const MAX_RESERVATIONS: u32 = 16;
/// How often the whole is read again since it changed meanwhile.
const MAX_READS: u32 = 2;

/// Where the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// The SDR repository (§33).
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

/// What changes when the repository does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    store: Store,
    /// Number of records that the BMC announces; some announce a wrong one.
    pub count: u16,
    added: u32,
    erased: u32,
}

impl Stamp {
    /// Get SDR Repository Info (§33.9), or Get Device SDR Info (§35.2) where there is no repository.
    pub async fn read(ask: &mut (impl Ask + Send)) -> Result<Self, PollError> {
        let what = "Get SDR Repository Info";
        match ask.ask(Request::new(NetFn::Storage, 0x20, [])).await {
            Ok(Response { completion: 0, data }) => {
                let data: &[u8; 13] = data.first_chunk().ok_or_else(|| PollError::malformed(what))?;
                let le32 = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
                let count = u16::from_le_bytes([data[1], data[2]]);
                Ok(Self { store: Store::Repository, count, added: le32(5), erased: le32(9) })
            }
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
    /// Unique within component and kind.
    pub name: String,
    /// Its limits.
    pub thresholds: Option<Thresholds>,
}

/// All that is known of a BMC's sensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Repository {
    /// What it was like when it was read.
    pub stamp: Stamp,
    /// The sensors that can be read.
    pub sensors: Vec<Named>,
    /// Sensors that only send events.
    pub event_only: Vec<EventOnly>,
    /// Where FRU data lies.
    pub frus: Vec<FruLocator>,
    /// What of it could not be read.
    pub unread: Vec<PollError>,
    /// Whether every record was read that the list holds.
    complete: bool,
}

impl Repository {
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

/// Reads the repository; once more if it changes meanwhile.
pub async fn read(ask: &mut (impl Ask + Send), mut stamp: Stamp) -> Result<Repository, PollError> {
    let mut reads = 0;
    loop {
        reads += 1;
        let mut reader = Reader { ask, store: stamp.store, reservation: None, part: LONGEST_PART };
        let (records, unread, complete) = reader.all(stamp.count).await?;
        let after = Stamp::read(ask).await?;
        if after == stamp || reads >= MAX_READS {
            return Ok(assemble(ask, stamp, records, unread, complete).await);
        }
        stamp = after;
    }
}

async fn assemble(
    ask: &mut (impl Ask + Send),
    stamp: Stamp,
    records: Vec<Record>,
    unread: Vec<PollError>,
    complete: bool,
) -> Repository {
    let mut repository =
        Repository { stamp, sensors: Vec::new(), event_only: Vec::new(), frus: Vec::new(), unread, complete };
    let mut seen = HashSet::new();
    let mut sensors = Vec::new();
    for record in records {
        match record {
            // The same sensor twice is one sensor; the first record counts.
            Record::Sensor(sensor) if seen.insert(sensor.key) => sensors.push(sensor),
            Record::EventOnly(sensor) => repository.event_only.push(sensor),
            Record::Fru(fru) => repository.frus.push(fru),
            Record::Sensor(_) | Record::Controller(_) | Record::Other(_) => {}
        }
    }
    let components = fan::components(&sensors);
    let names = unique_names(&sensors, &components);
    for ((sensor, name), component) in sensors.into_iter().zip(names).zip(components) {
        let raw = if sensor::thresholds_missing(&sensor) {
            let request =
                Request { lun: sensor.key.lun, ..Request::new(NetFn::SensorEvent, 0x27, [sensor.key.number]) };
            match ask.ask(request).await {
                Ok(Response { completion: 0, data }) => sensor::parse_thresholds(&data),
                Ok(_) | Err(_) => None,
            }
        } else {
            sensor.analog.map(|a| a.thresholds)
        };
        let thresholds = raw.and_then(|raw| sensor::thresholds(&sensor, raw));
        repository.sensors.push(Named { sensor, component, name, thresholds });
    }
    repository
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

struct Reader<'a, A> {
    ask: &'a mut A,
    store: Store,
    reservation: Option<u16>,
    part: u8,
}

/// Part of a record could not be read.
enum PartError {
    /// The BMC refuses it.
    Refused(u8),
    /// The whole section is lost.
    Fatal(PollError),
}

impl<A: Ask + Send> Reader<'_, A> {
    /// Follows the list of records. Also tells what was not read, and whether nothing is missing.
    async fn all(&mut self, announced: u16) -> Result<(Vec<Record>, Vec<PollError>, bool), PollError> {
        let (mut records, mut unread) = (Vec::new(), Vec::new());
        let (mut id, mut visited) = (0u16, HashSet::new());
        let mut complete = true;
        while visited.insert(id) && visited.len() <= MAX_RECORDS {
            let (next, bytes) = match self.record(id).await {
                Ok(found) => found,
                Err(PartError::Fatal(failure)) => return Err(failure),
                Err(PartError::Refused(code)) => {
                    // The record after the last one is refused where a BMC has no end mark (Inspur), and the last where it counts one too many (Dell).
                    if visited.len() >= usize::from(announced).max(1) {
                        break;
                    }
                    complete = false;
                    unread.push(PollError::refused(&format!("Get SDR, record {id:#06x}"), code));
                    match self.after(id).await? {
                        Some(next) => {
                            id = next;
                            continue;
                        }
                        None => break,
                    }
                }
            };
            match sdr::parse(&bytes) {
                Ok(found) => records.extend(found),
                Err(error) => unread.push(PollError {
                    cause: outband_schemas::Cause::Malformed,
                    detail: format!("record {id:#06x}: {error}"),
                }),
            }
            // 0 would begin anew; some BMCs end their list so.
            if next == 0xFFFF || next == 0 {
                break;
            }
            id = next;
        }
        Ok((records, unread, complete))
    }

    /// The next record that can be read after one that cannot, which would have named it: most BMCs number theirs one after the other.
    async fn after(&mut self, id: u16) -> Result<Option<u16>, PollError> {
        for next in (1..=LONGEST_HOLE).map_while(|step| id.checked_add(step)) {
            match self.extend(next, &mut Vec::new(), sdr::HEADER_LEN).await {
                Ok(_) => return Ok(Some(next)),
                Err(PartError::Refused(_)) => {}
                Err(PartError::Fatal(failure)) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// One record, as far as the BMC gives it, and the id of the next.
    async fn record(&mut self, id: u16) -> Result<(u16, Vec<u8>), PartError> {
        let mut bytes = Vec::new();
        let next = self.extend(id, &mut bytes, sdr::HEADER_LEN).await?;
        let Some((kind, len)) = sdr::announced(&bytes) else { return Ok((next, bytes)) };
        if matches!(kind, 0x01 | 0x02 | 0x03 | 0x11 | 0x12) {
            match self.extend(id, &mut bytes, len).await {
                Ok(_) => {}
                Err(PartError::Fatal(failure)) => return Err(PartError::Fatal(failure)),
                // A header that promises too much: what is there is enough, or the parser will say so.
                Err(PartError::Refused(code)) => {
                    tracing::debug!(
                        id,
                        code,
                        have = bytes.len(),
                        promised = len,
                        "an SDR is shorter than its header says"
                    );
                }
            }
        }
        Ok((next, bytes))
    }

    /// Reads on until `bytes` has `len`, or the BMC has no more.
    async fn extend(&mut self, id: u16, bytes: &mut Vec<u8>, len: usize) -> Result<u16, PartError> {
        let mut next = 0xFFFF;
        let mut reservations = 0;
        while bytes.len() < len {
            let Ok(offset) = u8::try_from(bytes.len()) else { break };
            let count = self.part.min(u8::try_from(len - bytes.len()).unwrap_or(u8::MAX));
            let reservation = self.reserved().await?;
            let request = self.store.get(reservation, id, offset, count);
            match self.ask.ask(request).await {
                Ok(Response { completion: 0, data }) => {
                    let Some((id, part)) = data.split_first_chunk::<2>() else {
                        return Err(PartError::Fatal(PollError::malformed("Get SDR")));
                    };
                    next = u16::from_le_bytes(*id);
                    if part.is_empty() {
                        break;
                    }
                    // More than was asked for is not trusted to be this record.
                    bytes.extend(&part[..part.len().min(usize::from(count))]);
                }
                // Another reader took the reservation: that costs us a new one, nothing else.
                Ok(Response { completion: 0xC5, .. }) if reservations < MAX_RESERVATIONS => {
                    reservations += 1;
                    self.reservation = None;
                }
                // 0xCA by the book; 0xC7, 0xC8 and 0xFF from those who count differently.
                Ok(Response { completion: 0xCA | 0xC7 | 0xC8 | 0xFF, .. }) if count > SHORTEST_PART => {
                    self.part = (count - count.div_ceil(4)).max(SHORTEST_PART);
                }
                Ok(Response { completion, .. }) => return Err(PartError::Refused(completion)),
                Err(error) => return Err(PartError::Fatal(PollError::unanswered("Get SDR", &error))),
            }
        }
        Ok(next)
    }

    async fn reserved(&mut self) -> Result<u16, PartError> {
        if let Some(reservation) = self.reservation {
            return Ok(reservation);
        }
        let reservation = match self.ask.ask(self.store.reserve()).await {
            Ok(Response { completion: 0, data }) => data.first_chunk().map_or(0, |b| u16::from_le_bytes(*b)),
            // Without reservations, 0 is the one to give.
            Ok(_) => 0,
            Err(error) => return Err(PartError::Fatal(PollError::unanswered("Reserve SDR Repository", &error))),
        };
        self.reservation = Some(reservation);
        Ok(reservation)
    }
}
