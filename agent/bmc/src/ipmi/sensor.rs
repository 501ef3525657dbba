//! From a sensor's record and its answers to readings.

use super::convert::{self, Unit};
use super::message::Response;
use super::sdr::{Analog, Factors, Sensor};
use super::session::RequestError;
use super::{place, states};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, Quality, Reading, SensorKind, Source, State, Suspicion, Thresholds, Timestamp,
    Value,
};

/// What a sensor answered to Get Sensor Reading (§35.14), taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// The analog byte.
    pub value: u8,
    /// Discrete: the asserted states.
    pub states: u16,
    /// Whether the sensor is scanned at all.
    pub scanning: bool,
}

/// Why a sensor gave nothing, from its answer.
pub fn raw(answer: &Result<Response, RequestError>) -> Result<Raw, Cause> {
    match answer {
        Ok(Response { completion: 0, data }) => match *data.as_slice() {
            // An empty answer is one way to say "no reading".
            [] | [_] => Err(Cause::NoReading),
            [_, flags, ..] if flags & 0x20 != 0 => Err(Cause::NoReading),
            [value, flags, ref more @ ..] => {
                let low = more.first().copied().unwrap_or(0);
                let high = more.get(1).copied().unwrap_or(0) & 0x7F;
                Ok(Raw { value, states: u16::from_le_bytes([low, high]), scanning: flags & 0x40 != 0 })
            }
        },
        Ok(Response { completion, .. }) => Err(refused(*completion)),
        Err(error) => Err(error.cause()),
    }
}

/// What a completion code says of a thing that cannot be read (§5.2).
pub fn refused(completion: u8) -> Cause {
    match completion {
        0xC0 => Cause::Busy,
        0xC1 | 0xC2 => Cause::NotSupported,
        0xC3 => Cause::Timeout,
        0xC9 | 0xCE | 0xD0..=0xD2 | 0xD5 => Cause::NoReading,
        0xCB => Cause::Absent,
        0xCD | 0xD3 => Cause::NotReadable,
        0xD4 => Cause::Denied,
        0xD6 => Cause::Disabled,
        _ => Cause::BmcError,
    }
}

/// The component of a sensor by its own record alone; a fan's duty belongs to another's.
pub fn component(sensor: &Sensor) -> ComponentId {
    place::of_sensor(sensor.entity, sensor.sensor_type, sensor.event_type, &sensor.name)
}

/// What a sensor's numbers measure, and the function that brings them to the kind's unit.
pub fn kind(sensor: &Sensor, analog: &Analog) -> (SensorKind, fn(f64) -> f64) {
    let name = sensor.name.to_ascii_lowercase();
    let named = |words: &[&str]| words.iter().any(|w| name.contains(w));
    let of_supply = component(sensor).class() == ComponentClass::PowerSupply;
    let (unit, to_unit) = convert::unit(analog);
    let kind = match unit {
        Unit::Celsius if named(&["margin", "dts"]) => SensorKind::ThermalMargin,
        Unit::Celsius => SensorKind::Temperature,
        Unit::Volt if of_supply && named(&["vin", "input", "ac "]) => SensorKind::InputVoltage,
        Unit::Volt => SensorKind::Voltage,
        Unit::Ampere => SensorKind::Current,
        Unit::Watt if of_supply && named(&["pin", "input", "in power"]) => SensorKind::InputPower,
        Unit::Watt if of_supply && named(&["pout", "output", "out power"]) => SensorKind::OutputPower,
        Unit::Watt => SensorKind::Power,
        Unit::Joule => SensorKind::Energy,
        Unit::CubicFeetPerMinute => SensorKind::Airflow,
        Unit::Rpm => SensorKind::FanSpeed,
        Unit::Hertz => SensorKind::Frequency,
        Unit::Percent if sensor.sensor_type == 0x04 || component(sensor).class() == ComponentClass::Fan => {
            SensorKind::FanDuty
        }
        Unit::Percent if named(&["humid"]) => SensorKind::Humidity,
        Unit::Percent => SensorKind::Utilization,
        Unit::CorrectedErrors => SensorKind::CorrectableErrors,
        Unit::UncorrectedErrors => SensorKind::UncorrectableErrors,
        Unit::Hour | Unit::Other => SensorKind::Quantity,
    };
    (kind, to_unit)
}

/// The readings of one sensor: one, or two where a number stands behind a discrete type. `factors` replaces those of the record, for a sensor whose factors
/// depend on the reading.
pub fn readings(
    sensor: &Sensor,
    name: &str,
    raw: Result<Raw, Cause>,
    factors: Option<Factors>,
    thresholds: Option<Thresholds>,
    at: Timestamp,
) -> Vec<Reading> {
    let reading = |kind, value, quality, thresholds| Reading {
        component: component(sensor),
        kind,
        sensor: name.to_owned(),
        value,
        quality,
        observed_at: at,
        source: Source(sensor.key.to_string()),
        thresholds,
    };
    let mut out = Vec::new();
    if let Some(analog) = &sensor.analog {
        let (kind, to_unit) = kind(sensor, analog);
        let (value, quality) = match raw {
            Err(cause) => (None, Quality::Unavailable(cause)),
            // A sensor that is switched off shows zero, or what it saw last: a doubt worth keeping, as some vendors leave the bit clear on good ones.
            Ok(raw) if !raw.scanning && raw.value == 0 => (None, Quality::Unavailable(Cause::Disabled)),
            Ok(raw) => match convert::value(analog, factors.unwrap_or(analog.factors), raw.value).map(to_unit) {
                None => (None, Quality::Unavailable(Cause::Malformed)),
                Some(number) => (Some(Value::Number(number)), trust(kind, number, raw.scanning)),
            },
        };
        out.push(reading(kind, value, quality, thresholds.filter(|t| !t.is_empty())));
    }
    if sensor.event_type != states::THRESHOLD {
        let (value, quality) = match raw {
            Err(cause) => (None, Quality::Unavailable(cause)),
            Ok(raw) if !raw.scanning && raw.states == 0 => (None, Quality::Unavailable(Cause::Disabled)),
            Ok(raw) => {
                let (state, text) =
                    states::decode(sensor.event_type, sensor.sensor_type, raw.states, sensor.readable_states);
                let quality = if raw.scanning { Quality::Good } else { Quality::Suspect(Suspicion::ScanningDisabled) };
                (Some(Value::State { state, text }), quality)
            }
        };
        out.push(reading(SensorKind::State, value, quality, None));
    } else if sensor.analog.is_none() {
        // A threshold sensor without a number still says which thresholds are crossed (bits 0 to 5).
        let (value, quality) = match raw {
            Err(cause) => (None, Quality::Unavailable(cause)),
            Ok(raw) if !raw.scanning => (None, Quality::Unavailable(Cause::Disabled)),
            Ok(raw) => {
                let (state, text) = crossed(raw.states);
                (Some(Value::State { state, text }), Quality::Good)
            }
        };
        out.push(reading(SensorKind::State, value, quality, None));
    }
    out
}

fn trust(kind: SensorKind, number: f64, scanning: bool) -> Quality {
    let (low, high) = kind.row().range;
    if !scanning {
        Quality::Suspect(Suspicion::ScanningDisabled)
    } else if number < low || number > high {
        Quality::Suspect(Suspicion::OutOfRange)
    } else {
        Quality::Good
    }
}

fn crossed(bits: u16) -> (State, String) {
    const WORDS: [(&str, State); 6] = [
        ("below lower non-critical", State::Warning),
        ("below lower critical", State::Critical),
        ("below lower non-recoverable", State::Critical),
        ("above upper non-critical", State::Warning),
        ("above upper critical", State::Critical),
        ("above upper non-recoverable", State::Critical),
    ];
    let set: Vec<_> = WORDS.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, w)| w).collect();
    match set.iter().map(|(_, s)| *s).max() {
        None => (State::Ok, "within limits".to_owned()),
        Some(worst) => (worst, set.iter().map(|(w, _)| *w).collect::<Vec<_>>().join(", ")),
    }
}

/// The limits of a sensor, from its raw thresholds in the order of [`super::sdr::THRESHOLD_NAMES`].
pub fn thresholds(sensor: &Sensor, raw: [Option<u8>; 6]) -> Option<Thresholds> {
    let analog = sensor.analog.as_ref()?;
    let (_, to_unit) = kind(sensor, analog);
    let [lnc, lc, lnr, unc, uc, unr] =
        raw.map(|t| t.and_then(|raw| convert::value(analog, analog.factors, raw)).map(to_unit));
    let found = Thresholds {
        lower_non_recoverable: lnr,
        lower_critical: lc,
        lower_non_critical: lnc,
        upper_non_critical: unc,
        upper_critical: uc,
        upper_non_recoverable: unr,
    };
    Some(found).filter(|t| !t.is_empty())
}

/// Whether the record says which thresholds there are but holds none, so that they must be asked for.
pub fn thresholds_missing(sensor: &Sensor) -> bool {
    sensor.thresholds_readable
        && sensor.analog.is_some_and(|a| {
            let mut present = a.thresholds.iter().flatten();
            present.clone().count() > 1 && present.all(|t| *t == 0)
        })
}

/// Takes the answer to Get Sensor Thresholds (§35.9) apart.
pub fn parse_thresholds(data: &[u8]) -> Option<[Option<u8>; 6]> {
    let (mask, values) = data.split_first()?;
    let values: &[u8; 6] = values.first_chunk()?;
    let mut out = [None; 6];
    for (bit, value) in values.iter().enumerate() {
        if mask >> bit & 1 == 1 {
            out[bit] = Some(*value);
        }
    }
    Some(out)
}
