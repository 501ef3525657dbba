//! The poll of the inventory: device id, system GUID, FRU data, the BMC's clock.

use super::fru::multirecord::{self, MAX_RECORDS, RECORD_HEADER_LEN, RecordHeader};
use super::fru::{self, Areas, Fru};
use super::message::{Request, Response};
use super::poll::{Ask, BMC, gap, require};
use super::repository::Repository;
use super::sdr::FruLocator;
use super::{place, sel};
use crate::{PollError, Polled};
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{
    Cause, Clock, ComponentClass, ComponentId, Identity, Inventory, Observation, Part, Quality, Reading, SensorKind,
    Source, Timestamp, Value,
};

/// What is asked for in one part of FRU data at first, in bytes. It shrinks at a BMC that cannot send so much.
const LONGEST_PART: u8 = 32;
const SHORTEST_PART: u8 = 8;

/// Makers by their number (IANA private enterprise numbers), for BMCs whose FRU does not name one.
const MAKERS: [(u32, &str); 12] = [
    (2, "IBM"),
    (11, "HPE"),
    (47196, "HPE"),
    (343, "Intel"),
    (674, "Dell"),
    (2011, "Huawei"),
    (4337, "Fujitsu"),
    (7154, "IPMI forum"),
    (10876, "Supermicro"),
    (19046, "Lenovo"),
    (20301, "IBM eServer X"),
    (37945, "Inspur"),
];

struct DeviceId {
    firmware: String,
    manufacturer: u32,
}

impl DeviceId {
    /// Answer to Get Device ID (§20.1).
    fn parse(data: &[u8]) -> Option<Self> {
        let &[_id, _revision, major, minor, _ipmi, _support, m0, m1, m2, ..] = data else { return None };
        Some(Self {
            firmware: format!("{}.{minor:02x}", major & 0x7F),
            // Only 20 bits count.
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0F, 0]),
        })
    }
}

/// Reads identity and parts. What a BMC does not have is left out; what it fails to give becomes a gap.
pub(super) async fn poll(
    ask: &mut (impl Ask + Send),
    repository: Option<&Repository>,
    clock: &(impl Clock + Sync),
) -> Result<Polled, PollError> {
    let data = require(ask, "Get Device ID", Request::new(NetFn::App, 0x01, [])).await?;
    let device = DeviceId::parse(&data).ok_or_else(|| PollError::malformed("Get Device ID"))?;
    let (mut gaps, mut ratings) = (Vec::new(), Vec::new());
    let mut parts = vec![Part {
        firmware: Some(device.firmware),
        ..part(ComponentId::lenient(ComponentClass::Firmware, "bmc"), "ipmi:device-id")
    }];
    let mut identity = Identity { uuid: uuid(ask).await, ..Identity::default() };
    match read_fru(ask, 0, 0).await {
        Ok(Some(found)) => {
            parts.extend(board_part(&found));
            identify(&mut identity, found);
        }
        Ok(None) => {}
        Err(failure) => gaps.push(gap("FRU 0", failure, "fru:0", clock.now())),
    }
    if identity.manufacturer.is_none() {
        identity.manufacturer =
            MAKERS.iter().find(|(n, _)| *n == device.manufacturer).map(|(_, name)| (*name).to_owned());
    }
    let associations = repository.map(|r| r.associations.as_slice()).unwrap_or_default();
    let locators = repository.map(|r| r.frus.as_slice()).unwrap_or_default();
    for locator in locators.iter().filter(|f| f.logical && f.controller == BMC && f.device != 0) {
        match read_fru(ask, locator.device, locator.lun).await {
            Ok(Some(found)) => {
                let place = place::of_fru(locator.entity, &locator.name);
                let place = place::within(place, locator.entity, locator.controller, associations);
                ratings.extend(rating(&place, locator.device, &found, clock.now()));
                parts.extend(located_part(place, locator, found));
            }
            Ok(None) => {}
            Err(failure) => {
                gaps.push(gap(
                    &format!("FRU {}", locator.device),
                    failure,
                    &format!("fru:{}", locator.device),
                    clock.now(),
                ));
            }
        }
    }
    let bmc_clock_offset_ms = clock_offset(ask, clock).await;
    let inventory = Inventory {
        identity,
        parts,
        bmc_clock_offset_ms,
        observed_at: clock.now(),
        source: Source("ipmi:fru".to_owned()),
    };
    let mut observations = vec![Observation::Inventory(inventory)];
    observations.extend(ratings.into_iter().map(Observation::Reading));
    observations.append(&mut gaps);
    Ok(Polled { observations, ..Polled::default() })
}

fn part(component: ComponentId, source: &str) -> Part {
    Part {
        component,
        manufacturer: None,
        model: None,
        part_number: None,
        serial: None,
        firmware: None,
        capacity_bytes: None,
        source: Source(source.to_owned()),
    }
}

fn identify(identity: &mut Identity, fru: Fru) {
    // The product's serial number is the one on the tag and in Redfish; a chassis alone has one of its own.
    identity.serial = fru.product_serial.or(fru.chassis_serial);
    identity.manufacturer = fru.product_manufacturer.or(fru.board_manufacturer);
    identity.model = fru.product_name.or(fru.product_part_number);
    identity.asset_tag = fru.asset_tag;
    identity.hostname = fru.system_name;
}

fn board_part(fru: &Fru) -> Option<Part> {
    fru.board_name.as_ref().or(fru.board_serial.as_ref())?;
    Some(Part {
        manufacturer: fru.board_manufacturer.clone(),
        model: fru.board_name.clone(),
        part_number: fru.board_part_number.clone(),
        serial: fru.board_serial.clone(),
        ..part(ComponentId::lenient(ComponentClass::Board, "Mainboard"), "fru:0")
    })
}

/// A part with a FRU of its own: makers fill in its product area, its board area, or both.
fn located_part(place: ComponentId, locator: &FruLocator, fru: Fru) -> Option<Part> {
    let found = Part {
        manufacturer: fru.product_manufacturer.or(fru.board_manufacturer),
        model: fru.product_name.or(fru.board_name),
        part_number: fru.product_part_number.or(fru.board_part_number),
        serial: fru.product_serial.or(fru.board_serial),
        firmware: fru.product_version,
        ..part(place, &format!("fru:{}", locator.device))
    };
    (found.serial.is_some() || found.model.is_some() || found.part_number.is_some()).then_some(found)
}

/// What a power supply is built for.
fn rating(place: &ComponentId, device: u8, fru: &Fru, at: Timestamp) -> Option<Reading> {
    let watts = fru.supply.map(|supply| supply.capacity).filter(|watts| *watts > 0)?;
    Some(Reading {
        component: place.clone(),
        kind: SensorKind::PowerRating,
        sensor: "power_rating".to_owned(),
        value: Some(Value::Number(f64::from(watts))),
        quality: Quality::Good,
        observed_at: at,
        source: Source(format!("fru:{device}")),
        thresholds: None,
    })
}

async fn uuid(ask: &mut (impl Ask + Send)) -> Option<String> {
    match ask.ask(Request::new(NetFn::App, 0x37, [])).await {
        Ok(Response { completion: 0, data }) => fru::uuid(&data),
        Ok(_) | Err(_) => None,
    }
}

/// How far the BMC's clock (that of its log, §31.10) is ahead of ours, to within a second.
async fn clock_offset(ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Option<i64> {
    match ask.ask(Request::new(NetFn::Storage, 0x48, [])).await {
        Ok(Response { completion: 0, data }) => {
            let secs = data.first_chunk().map(|b| u32::from_le_bytes(*b)).filter(|s| sel::is_real_time(*s))?;
            let theirs = Timestamp::from_secs(i64::from(secs));
            Some(theirs.as_millis() - Timestamp::from_secs(clock.now().as_secs()).as_millis())
        }
        Ok(_) | Err(_) => None,
    }
}

/// Reads the areas of one FRU. `None` where the device is not there or was never written.
async fn read_fru(ask: &mut (impl Ask + Send), device: u8, lun: u8) -> Result<Option<Fru>, PollError> {
    let info = Request { lun, ..Request::new(NetFn::Storage, 0x10, [device]) };
    let (size, by_words) = match ask.ask(info).await {
        Ok(Response { completion: 0, data }) => match *data.as_slice() {
            [low, high, access, ..] => (usize::from(u16::from_le_bytes([low, high])), access & 1 == 1),
            _ => return Err(PollError::malformed("Get FRU Inventory Area Info")),
        },
        // No such device, or an empty place.
        Ok(Response { completion: 0xC1 | 0xC9 | 0xCB | 0xCD | 0xD3 | 0xD5, .. }) => return Ok(None),
        Ok(Response { completion, .. }) => return Err(PollError::refused("Get FRU Inventory Area Info", completion)),
        Err(error) => return Err(PollError::unanswered("Get FRU Inventory Area Info", &error)),
    };
    let mut reader = Reader { ask, device, lun, by_words, size, part: LONGEST_PART };
    let Some(areas) = Areas::parse(&reader.bytes(0, fru::HEADER_LEN).await?) else { return Ok(None) };
    let mut found = Fru::default();
    found.read_chassis(&reader.area(areas.chassis).await?);
    found.read_board(&reader.area(areas.board).await?);
    found.read_product(&reader.area(areas.product).await?);
    reader.records(areas.records, &mut found).await?;
    Ok(Some(found))
}

struct Reader<'a, A> {
    ask: &'a mut A,
    device: u8,
    lun: u8,
    by_words: bool,
    size: usize,
    part: u8,
}

impl<A: Ask + Send> Reader<'_, A> {
    /// The area that lies there; empty where there is none.
    async fn area(&mut self, at: usize) -> Result<Vec<u8>, PollError> {
        if at == 0 {
            return Ok(Vec::new());
        }
        match fru::area_len(&self.bytes(at, 2).await?) {
            Some(len) => self.bytes(at, len).await,
            None => Ok(Vec::new()),
        }
    }

    /// Follows the records of the multirecord area, as far as they can be trusted.
    async fn records(&mut self, mut at: usize, found: &mut Fru) -> Result<(), PollError> {
        for _ in 0..MAX_RECORDS {
            if at == 0 || at >= self.size {
                break;
            }
            let Some(header) = RecordHeader::parse(&self.bytes(at, RECORD_HEADER_LEN).await?) else { break };
            let body = self.bytes(at + RECORD_HEADER_LEN, header.len).await?;
            if let Some(record) = multirecord::parse(header, &body) {
                found.take(record);
            }
            if header.last {
                break;
            }
            at += RECORD_HEADER_LEN + header.len;
        }
        Ok(())
    }

    /// `len` bytes from `at`, or fewer where the data ends.
    async fn bytes(&mut self, at: usize, len: usize) -> Result<Vec<u8>, PollError> {
        let end = (at + len).min(self.size);
        let mut out = Vec::new();
        while at + out.len() < end {
            let from = at + out.len();
            let unit = if self.by_words { 2 } else { 1 };
            let Ok(offset) = u16::try_from(from / unit) else { break };
            let wanted = (end - from).min(usize::from(self.part));
            let count = u8::try_from(wanted.div_ceil(unit)).unwrap_or(u8::MAX);
            let [low, high] = offset.to_le_bytes();
            let request =
                Request { lun: self.lun, ..Request::new(NetFn::Storage, 0x11, [self.device, low, high, count]) };
            match self.ask.ask(request).await {
                Ok(Response { completion: 0, data }) => {
                    let bytes = data.get(1..).unwrap_or_default();
                    // An odd start cannot be asked for in words.
                    let bytes = bytes.get(from % unit..).unwrap_or_default();
                    if bytes.is_empty() {
                        break;
                    }
                    out.extend(&bytes[..bytes.len().min(end - from)]);
                }
                Ok(Response { completion: 0xC7 | 0xC8 | 0xCA | 0xFF, .. }) if self.part > SHORTEST_PART => {
                    self.part /= 2;
                }
                Ok(Response { completion, .. }) => {
                    let cause = Cause::BmcError;
                    let detail = format!("Read FRU Data of device {}: completion code {completion:#04x}", self.device);
                    return Err(PollError { cause, detail });
                }
                Err(error) => return Err(PollError::unanswered("Read FRU Data", &error)),
            }
        }
        Ok(out)
    }
}
