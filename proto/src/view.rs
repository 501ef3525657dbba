//! A body read in place: its readings without a copy of their words, and nothing else of it.
//!
//! For whoever only stores readings, thousands of bodies a second. What is unusual (a field that stands twice, a value that is none, a number that this
//! version does not know) is not judged here: [`Unusual`] sends the reader to [`crate::convert::decode_set`], which does.

use crate::telemetry as wire;
use outband_schemas::{Cause, Quality, Section, State, Suspicion, Timestamp, Value};
use prost::Message;

/// The body is not of the plain kind that is read here; that says nothing of whether it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is to be read whole")]
pub struct Unusual;

/// What a body is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetView<'a> {
    /// The target polled.
    pub target: &'a str,
    observations: &'a [u8],
}

/// A reading, in place.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingView<'a> {
    /// What names the series within its server, as bytes of the wire: component, sensor, source. Equal bytes are equal names.
    pub name: [&'a [u8]; 3],
    /// The stable number of the sensor kind.
    pub kind: u32,
    /// The limits, as bytes of the wire; empty: none.
    pub thresholds: &'a [u8],
    /// The value.
    pub value: Option<Value>,
    /// How far it can be trusted.
    pub quality: Quality,
    /// When it was read (the agent's clock).
    pub observed_at: Timestamp,
}

/// One field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

fn varint(rest: &mut &[u8]) -> Result<u64, Unusual> {
    // Nearly all have one byte.
    if let [byte @ 0..0x80, behind @ ..] = *rest {
        *rest = behind;
        return Ok(u64::from(*byte));
    }
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, behind) = rest.split_first().ok_or(Unusual)?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    // Ten bytes: a negative number.
    let (byte, behind) = rest.split_first().ok_or(Unusual)?;
    *rest = behind;
    if *byte > 1 { Err(Unusual) } else { Ok(value | u64::from(*byte) << 63) }
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Field<'a>), Unusual> {
    let tag = varint(rest)?;
    let found = match tag & 7 {
        0 => Field::Varint(varint(rest)?),
        1 => {
            let (bytes, behind) = rest.split_first_chunk::<8>().ok_or(Unusual)?;
            *rest = behind;
            Field::Fixed64(u64::from_le_bytes(*bytes))
        }
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| Unusual)?;
            let (bytes, behind) = rest.split_at_checked(length).ok_or(Unusual)?;
            *rest = behind;
            Field::Bytes(bytes)
        }
        _ => return Err(Unusual),
    };
    Ok((tag >> 3, found))
}

fn text(bytes: &[u8]) -> Result<&str, Unusual> {
    std::str::from_utf8(bytes).map_err(|_| Unusual)
}

/// What stands before the readings of a body. Fails where a body has anything else than target, section, time and observations.
pub fn set(body: &[u8]) -> Result<SetView<'_>, Unusual> {
    let (mut rest, mut target, mut before) = (body, None, 0);
    loop {
        let here = rest;
        if rest.is_empty() {
            return Ok(SetView { target: text(target.ok_or(Unusual)?)?, observations: here });
        }
        let (number, found) = field(&mut rest)?;
        // In the order of their numbers, each once: what is written by this version.
        if number <= before && number != 4 {
            return Err(Unusual);
        }
        before = number;
        match (number, found) {
            (1, Field::Bytes(bytes)) => target = Some(bytes),
            (2, Field::Varint(n)) => {
                u8::try_from(n).ok().and_then(Section::from_number).ok_or(Unusual)?;
            }
            (3, Field::Varint(_)) => {}
            (4, Field::Bytes(_)) => {
                return Ok(SetView { target: text(target.ok_or(Unusual)?)?, observations: here });
            }
            _ => return Err(Unusual),
        }
    }
}

impl<'a> SetView<'a> {
    /// Gives each reading to `take`, in their order. Other observations are passed over. Names and limits are not looked into: of those that were read whole before, byte by byte
    /// the same, it is known that they can be understood.
    pub fn readings(&self, mut take: impl FnMut(ReadingView<'a>) -> Result<(), Unusual>) -> Result<(), Unusual> {
        let mut rest = self.observations;
        while !rest.is_empty() {
            let (4, Field::Bytes(mut observation)) = field(&mut rest)? else { return Err(Unusual) };
            match field(&mut observation)? {
                (1, Field::Bytes(bytes)) if observation.is_empty() => take(reading(bytes)?)?,
                // What breaks the body breaks it here, too.
                (2, Field::Bytes(bytes)) if observation.is_empty() => is_one::<wire::LogEvent>(bytes)?,
                (3, Field::Bytes(bytes)) if observation.is_empty() => is_one::<wire::Inventory>(bytes)?,
                (4, Field::Bytes(bytes)) if observation.is_empty() => is_one::<wire::Gap>(bytes)?,
                _ => return Err(Unusual),
            }
        }
        Ok(())
    }
}

fn is_one<M: Message + Default>(bytes: &[u8]) -> Result<(), Unusual> {
    M::decode(bytes).map_or(Err(Unusual), |_| Ok(()))
}

fn reading(mut rest: &[u8]) -> Result<ReadingView<'_>, Unusual> {
    let mut name: [&[u8]; 3] = [&[]; 3];
    let (mut kind, mut suspicion, mut unavailable, mut at) = (0, 0, 0, 0_i64);
    let (mut value, mut thresholds, mut before): (_, &[u8], _) = (None, &[], 0);
    while !rest.is_empty() {
        let (number, found) = field(&mut rest)?;
        if number <= before {
            return Err(Unusual);
        }
        before = number;
        match (number, found) {
            (1, Field::Bytes(bytes)) => name[0] = bytes,
            (2, Field::Varint(n)) => kind = u32::try_from(n).map_err(|_| Unusual)?,
            (3, Field::Bytes(bytes)) => name[1] = bytes,
            (4, Field::Fixed64(bits)) if value.is_none() => {
                value = Some(Value::Number(f64::from_bits(bits))).filter(|v| v.as_number().is_some_and(f64::is_finite));
                value.as_ref().ok_or(Unusual)?;
            }
            (5, Field::Bytes(bytes)) if value.is_none() => value = Some(state(bytes)?),
            (6, Field::Bytes(bytes)) if value.is_none() => value = Some(Value::Text(text(bytes)?.to_owned())),
            (7, Field::Varint(n)) => suspicion = u8::try_from(n).map_err(|_| Unusual)?,
            (8, Field::Varint(n)) => unavailable = u8::try_from(n).map_err(|_| Unusual)?,
            (9, Field::Varint(n)) => at = n.cast_signed(),
            (10, Field::Bytes(bytes)) => name[2] = bytes,
            (11, Field::Bytes(bytes)) => thresholds = bytes,
            _ => return Err(Unusual),
        }
    }
    let quality = match (unavailable, suspicion) {
        (0, 0) => Quality::Good,
        (0, s) => Quality::Suspect(Suspicion::from_number(s).ok_or(Unusual)?),
        (c, _) => Quality::Unavailable(Cause::from_number(c).ok_or(Unusual)?),
    };
    // A value that there must not be, or that is missing: whoever reads the whole body says what comes of it.
    if value.is_some() == (unavailable != 0) || name[0].is_empty() {
        return Err(Unusual);
    }
    Ok(ReadingView { name, kind, thresholds, value, quality, observed_at: Timestamp::from_millis(at) })
}

fn state(mut rest: &[u8]) -> Result<Value, Unusual> {
    let (mut number, mut words, mut before) = (0, "", 0);
    while !rest.is_empty() {
        let (field, found) = field(&mut rest)?;
        if field <= before {
            return Err(Unusual);
        }
        before = field;
        match (field, found) {
            (1, Field::Varint(n)) => number = u8::try_from(n).map_err(|_| Unusual)?,
            (2, Field::Bytes(bytes)) => words = text(bytes)?,
            _ => return Err(Unusual),
        }
    }
    Ok(Value::State { state: State::from_number(number).ok_or(Unusual)?, text: words.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{decode_set, encode_set};
    use outband_schemas::{
        ComponentClass, ComponentId, Gap, Observation, ObservationSet, Reading, SensorKind, Source, TargetId,
    };
    use proptest::prelude::*;

    fn any_observation() -> impl Strategy<Value = Observation> {
        let value = prop_oneof![
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Number),
            (0..State::ALL.len(), "[a-z]{0,3}").prop_map(|(s, text)| Value::State { state: State::ALL[s], text }),
            ".{0,5}".prop_map(Value::Text),
        ];
        let quality = prop_oneof![
            3 => Just(Quality::Good),
            1 => (0..Suspicion::ALL.len()).prop_map(|n| Quality::Suspect(Suspicion::ALL[n])),
            1 => (0..Cause::ALL.len()).prop_map(|n| Quality::Unavailable(Cause::ALL[n])),
        ];
        let limit = prop_oneof![Just(None), (0..100_i32).prop_map(|n| Some(f64::from(n)))];
        (value, quality, "[a-z]{1,9}", "[a-z]{0,9}", any::<i64>(), limit, 0..8_u8).prop_map(
            |(value, quality, slot, sensor, at, limit, gap)| {
                let component = ComponentId::new(ComponentClass::Fan, &slot).unwrap();
                let (observed_at, source) = (Timestamp::from_millis(at), Source(sensor.clone()));
                if gap == 0 {
                    let (component, cause) = (Some(component), Cause::Timeout);
                    return Observation::Gap(Gap { component, cause, detail: slot, observed_at, source, span: None });
                }
                let thresholds =
                    limit.map(|l| outband_schemas::Thresholds { upper_critical: Some(l), ..Default::default() });
                let value = (!matches!(quality, Quality::Unavailable(_))).then_some(value);
                let kind = SensorKind::FanSpeed;
                Observation::Reading(Reading {
                    component,
                    kind,
                    sensor,
                    value,
                    quality,
                    observed_at,
                    source,
                    thresholds,
                })
            },
        )
    }

    fn of(observations: Vec<Observation>) -> ObservationSet {
        let (target, polled_at) = (TargetId::new("bmc-1").unwrap(), Timestamp::from_secs(1_800_000_000));
        ObservationSet { target, section: Section::Sensors, polled_at, observations }
    }

    proptest! {
        #[test]
        fn readings_in_place_are_those_of_the_whole_body(observations in prop::collection::vec(any_observation(), 0..20)) {
            let body = encode_set(&of(observations));
            let whole = decode_set(&body).unwrap().set;
            let view = set(&body).unwrap();
            prop_assert_eq!(view.target, whole.target.as_str());
            let mut found = Vec::new();
            view.readings(|r| { found.push((r.kind, r.value, r.quality, r.observed_at)); Ok(()) }).unwrap();
            let of = |o: &Observation| match o {
                Observation::Reading(r) => {
                    Some((u32::from(r.kind.number()), r.value.clone(), r.quality.clone(), r.observed_at))
                }
                _ => None,
            };
            prop_assert_eq!(found, whole.observations.iter().filter_map(of).collect::<Vec<_>>());
        }

        #[test]
        fn spoilt_bodies_are_unusual_or_read_as_the_whole_is(
            observations in prop::collection::vec(any_observation(), 1..6),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
        ) {
            let body = encode_set(&of(observations));
            let mut spoilt = body.clone();
            spoilt[at.index(body.len())] = to;
            type Name = (Vec<Vec<u8>>, u32, Vec<u8>);
            type Read = (Name, Option<Value>, Quality, Timestamp);
            let read = |body: &[u8]| -> Result<Vec<Read>, Unusual> {
                let mut found = Vec::new();
                set(body)?.readings(|r| {
                    let name = (r.name.map(<[u8]>::to_vec).to_vec(), r.kind, r.thresholds.to_vec());
                    found.push((name, r.value, r.quality, r.observed_at));
                    Ok(())
                })?;
                Ok(found)
            };
            let known: Vec<Name> = read(&body).unwrap().into_iter().map(|r| r.0).collect();
            if let Ok(found) = read(&spoilt)
                && found.iter().all(|r| known.contains(&r.0))
                && set(&spoilt).unwrap().target == "bmc-1"
            {
                let whole = decode_set(&spoilt).unwrap();
                let readings: Vec<_> = whole.set.observations.into_iter().filter_map(|o| match o {
                    Observation::Reading(r) => Some((r.value, r.quality, r.observed_at)),
                    _ => None,
                }).collect();
                prop_assert_eq!(readings, found.into_iter().map(|r| (r.1, r.2, r.3)).collect::<Vec<_>>());
            }
        }
    }
}
