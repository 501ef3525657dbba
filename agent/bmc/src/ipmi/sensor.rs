//! From a sensor's record and its answers to readings.

use super::convert::{self, Unit};
use super::message::{Request, Response};
use super::repository::Named;
use super::sdr::{Analog, Exactness, Factors, Sensor, SensorKey};
use super::session::RequestError;
use super::{place, states};
use ipmi_rs_core::connection::NetFn;
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

/// Get Sensor Reading (§35.14).
pub fn ask(key: SensorKey) -> Request {
    Request { lun: key.lun, ..Request::new(NetFn::SensorEvent, 0x2D, [key.number]) }
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

/// The readings of one sensor by its record alone. `factors` replaces those of the record, for a sensor whose factors depend on the reading.
pub fn readings(
    sensor: &Sensor,
    name: &str,
    raw: Result<Raw, Cause>,
    factors: Option<Factors>,
    thresholds: Option<Thresholds>,
    at: Timestamp,
) -> Vec<Reading> {
    let kind = sensor.analog.map(|analog| kind(sensor, &analog).0);
    let named = Named {
        component: component(sensor),
        kind,
        name: name.to_owned(),
        thresholds,
        source: Source(sensor.key.to_string()),
        sensor: sensor.clone(),
    };
    readings_of(&named, raw, factors, at).collect()
}

/// The readings of one sensor: one, or two where a number stands behind a discrete type.
pub fn readings_of(
    named: &Named,
    raw: Result<Raw, Cause>,
    factors: Option<Factors>,
    at: Timestamp,
) -> impl Iterator<Item = Reading> {
    let Named { sensor, component, kind: measured, name, thresholds, source } = named;
    let reading = |kind, value, quality, thresholds| Reading {
        component: component.clone(),
        kind,
        sensor: name.clone(),
        value,
        quality,
        observed_at: at,
        source: source.clone(),
        thresholds,
    };
    let mut number = None;
    if let (Some(analog), Some(kind)) = (&sensor.analog, *measured) {
        let (_, to_unit) = convert::unit(analog);
        let (value, quality) = match raw {
            Err(cause) => (None, Quality::Unavailable(cause)),
            // A sensor that is switched off shows zero, or what it saw last: a doubt worth keeping, as some vendors leave the bit clear on good ones.
            Ok(raw) if !raw.scanning && raw.value == 0 => (None, Quality::Unavailable(Cause::Disabled)),
            Ok(raw) => match convert::value(analog, factors.unwrap_or(analog.factors), raw.value).map(to_unit) {
                None => (None, Quality::Unavailable(Cause::Malformed)),
                Some(number) => (Some(Value::Number(number)), trust(kind, number, raw.scanning)),
            },
        };
        number = Some(reading(kind, value, quality, thresholds.filter(|t| !t.is_empty())));
    }
    let state = if sensor.event_type != states::THRESHOLD {
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
        Some(reading(SensorKind::State, value, quality, None))
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
        Some(reading(SensorKind::State, value, quality, None))
    } else {
        None
    };
    number.into_iter().chain(state)
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

/// How exact the numbers of a sensor are, in the unit of its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    /// The least step between two numbers.
    pub resolution: f64,
    /// How far a number may be off to either side, by rounding.
    pub tolerance: f64,
    /// How far it may be off by the sensor itself, in percent of full scale.
    pub accuracy_percent: f64,
    /// How far a number must fall below an upper threshold that it crossed; `None` where there is no such distance.
    pub positive_hysteresis: Option<f64>,
    /// How far a number must rise above a lower threshold that it crossed; `None` where there is no such distance.
    pub negative_hysteresis: Option<f64>,
}

/// How exact a sensor is. `None` where its steps are not all of one size, or it has no numbers.
pub fn precision(sensor: &Sensor) -> Option<Precision> {
    let analog = sensor.analog.as_ref().filter(|a| a.linearization == 0)?;
    let (_, to_unit) = kind(sensor, analog);
    // Between degrees there is a distance too, whatever zero is.
    let of = |counts: f64| (to_unit(convert::span(analog.factors, counts)) - to_unit(0.0)).abs();
    let exactness = analog.exactness;
    // FFh is how some say that there is none.
    let hysteresis = |raw: Option<u8>| raw.filter(|raw| *raw != 0xFF).map(|raw| of(f64::from(raw)));
    Some(Precision {
        resolution: of(1.0),
        tolerance: of(f64::from(exactness.tolerance) / 2.0),
        accuracy_percent: f64::from(exactness.accuracy) * 10f64.powi(i32::from(exactness.accuracy_exponent)) / 100.0,
        positive_hysteresis: hysteresis(exactness.positive_hysteresis),
        negative_hysteresis: hysteresis(exactness.negative_hysteresis),
    })
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

/// Whether the record says that hysteresis can be read but holds none (§43.1, byte 12: what it holds is but the value at the start). Both 0 and FFh are written by
/// those who mean "none given".
pub fn hysteresis_missing(sensor: &Sensor) -> bool {
    let given = |raw: u8| !matches!(raw, 0 | 0xFF);
    sensor.event_type == states::THRESHOLD
        && sensor.analog.is_some_and(|a| {
            let Exactness { positive_hysteresis, negative_hysteresis, .. } = a.exactness;
            positive_hysteresis.zip(negative_hysteresis).is_some_and(|(up, down)| !given(up) && !given(down))
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

#[cfg(test)]
mod tests {
    use super::super::sdr::{Entity, Format};
    use super::*;

    #[test]
    fn exactness_comes_in_the_unit_of_the_readings_and_knows_no_offset() {
        let exactness = Exactness {
            tolerance: 3,
            accuracy: 25,
            accuracy_exponent: 1,
            positive_hysteresis: Some(2),
            negative_hysteresis: None,
        };
        let analog = Analog {
            format: Format::Unsigned,
            percent: false,
            rate: 0,
            modifier_use: 0,
            // Degrees Fahrenheit.
            base_unit: 2,
            modifier_unit: 0,
            linearization: 0,
            factors: Factors { m: -18, b: 500, b_exponent: 2, result_exponent: -1 },
            thresholds: [None; 6],
            exactness,
        };
        let sensor = Sensor {
            key: SensorKey { owner: 0x20, channel: 0, lun: 0, number: 1 },
            entity: Entity { id: 7, instance: 1 },
            sensor_type: 1,
            event_type: 1,
            readable_states: 0,
            thresholds_readable: false,
            analog: Some(analog),
            name: "T".to_owned(),
        };
        let found = precision(&sensor).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(found.resolution, 1.0) && near(found.tolerance, 1.5) && near(found.accuracy_percent, 2.5));
        assert!(near(found.positive_hysteresis.unwrap(), 2.0) && found.negative_hysteresis.is_none());
        let curved = Sensor { analog: Some(Analog { linearization: 7, ..analog }), ..sensor };
        assert_eq!(precision(&curved), None);
    }
}
