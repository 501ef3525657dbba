//! What records say that a sensor has and do not hold: asked of the sensor itself while the repository is read, and written where the record has a place for it,
//! so that nobody else need know.

use super::super::message::{Request, Response};
use super::super::poll::Ask;
use super::super::sdr::{self, Record, Sensor};
use super::super::sensor;
use super::is_asked;
use ipmi_rs_core::connection::NetFn;
use std::ops::RangeInclusive;

/// Where a full record says which thresholds can be read, and where it holds them (§43.1).
const READABLE_AT: usize = 18;
const THRESHOLDS_AT: RangeInclusive<usize> = 36..=41;
/// Where it holds the distances that bring a crossed threshold back, that of upper ones first.
const HYSTERESIS_AT: RangeInclusive<usize> = 42..=43;

/// Asks for what these records lack.
pub(super) async fn fill(ask: &mut (impl Ask + Send), records: impl Iterator<Item = &mut Vec<u8>>) {
    for record in records {
        let Some(sensor) = sensor_of(record) else { continue };
        if sensor::thresholds_missing(&sensor) {
            fill_thresholds(ask, &sensor, record).await;
        }
        if sensor::hysteresis_missing(&sensor) {
            fill_hysteresis(ask, &sensor, record).await;
        }
    }
}

/// Get Sensor Thresholds (§35.9).
async fn fill_thresholds(ask: &mut (impl Ask + Send), sensor: &Sensor, record: &mut [u8]) {
    let request = Request { lun: sensor.key.lun, ..Request::new(NetFn::SensorEvent, 0x27, [sensor.key.number]) };
    let found = match ask.ask(request).await {
        Ok(Response { completion: 0, data }) => sensor::parse_thresholds(&data),
        Ok(_) | Err(_) => None,
    }
    .unwrap_or_default();
    let mut readable = 0;
    // The record keeps them the other way round than the answer.
    for (bit, (at, value)) in THRESHOLDS_AT.rev().zip(found).enumerate() {
        readable |= u8::from(value.is_some()) << bit;
        if let Some(byte) = record.get_mut(at) {
            *byte = value.unwrap_or(0);
        }
    }
    if let Some(byte) = record.get_mut(READABLE_AT) {
        *byte = *byte & 0xC0 | readable;
    }
}

/// Get Sensor Hysteresis (§35.7). A sensor that does not tell has none, as far as anybody knows.
async fn fill_hysteresis(ask: &mut (impl Ask + Send), sensor: &Sensor, record: &mut [u8]) {
    // The second byte is a mask for later versions of the specification, which wants all its bits set.
    let request = Request::new(NetFn::SensorEvent, 0x25, [sensor.key.number, 0xFF]);
    if let Ok(Response { completion: 0, data }) = ask.ask(Request { lun: sensor.key.lun, ..request }).await
        && let (Some(found), Some(place)) = (data.first_chunk::<2>(), record.get_mut(HYSTERESIS_AT))
    {
        place.copy_from_slice(found);
    }
}

/// Whether a record is the one that is kept, but for what it does not hold and that was asked for.
pub(super) fn same_record(found: &[u8], kept: &[u8]) -> bool {
    found.len() == kept.len()
        && (found == kept || {
            let lacking = sensor_of(found);
            let thresholds = lacking.as_ref().is_some_and(sensor::thresholds_missing);
            let hysteresis = lacking.as_ref().is_some_and(sensor::hysteresis_missing);
            let may_differ = |at: usize| {
                (thresholds && (at == READABLE_AT || THRESHOLDS_AT.contains(&at)))
                    || (hysteresis && HYSTERESIS_AT.contains(&at))
            };
            (0..found.len()).filter(|at| found.get(*at) != kept.get(*at)).all(may_differ)
        })
}

/// The sensor of a full record, if it can be asked directly.
fn sensor_of(record: &[u8]) -> Option<Sensor> {
    match sdr::parse(record).ok()?.pop()? {
        Record::Sensor(sensor) if is_asked(&sensor) && sensor.analog.is_some() => Some(sensor),
        _ => None,
    }
}
