//! The only place where wire and vocabulary meet.
//!
//! To the wire nothing can fail. From the wire one bad observation loses that observation and nothing else:
//! [`decode_set`] returns what was understood and says what was not.

use crate::pack::{UnpackError, unpack};
use crate::{ingest, telemetry as wire};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, EventKind, Gap, IdError, Identity, Inventory, Lane, LogEvent, Observation,
    ObservationSet, Part, Quality, Reading, Section, SensorKind, Severity, Source, State, Suspicion, TargetId,
    Thresholds, Timestamp, Value,
};
use prost::Message;

/// Why a message from the wire is no observation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// The bytes are no protobuf message of this type.
    #[error("the body is no observation set: {0}")]
    Bytes(#[from] prost::DecodeError),
    /// The bytes are packed, and cannot be unpacked.
    #[error(transparent)]
    Packed(#[from] UnpackError),
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A number that this version does not know.
    #[error("{field} {number} is unknown to this version")]
    UnknownNumber {
        /// The field.
        field: &'static str,
        /// Its number.
        number: u32,
    },
    /// A number that is not finite.
    #[error("the value is not a finite number")]
    NotFinite,
    /// A name that is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// A decoded body: what was understood, and why the rest was not.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedSet {
    /// What was understood.
    pub set: ObservationSet,
    /// One error for each observation that was not.
    pub rejected: Vec<ConvertError>,
}

/// The bytes of a body, ready for the spool.
pub fn encode_set(set: &ObservationSet) -> Vec<u8> {
    wire::ObservationSet::from(set.clone()).encode_to_vec()
}

/// Reads a body, packed or not. Fails only where the frame itself is broken (poison); single observations that this version does not
/// understand are listed in `rejected`.
pub fn decode_set(bytes: &[u8]) -> Result<DecodedSet, ConvertError> {
    let mut room = Vec::new();
    let set = wire::ObservationSet::decode(unpack(bytes, &mut room)?)?;
    let mut observations = Vec::with_capacity(set.observations.len());
    let mut rejected = Vec::new();
    for observation in set.observations {
        match Observation::try_from(observation) {
            Ok(o) => observations.push(o),
            Err(e) => rejected.push(e),
        }
    }
    let section = number("section", set.section, |n| u8::try_from(n).ok().and_then(Section::from_number))?;
    let set = ObservationSet {
        target: TargetId::new(set.target)?,
        section,
        polled_at: Timestamp::from_millis(set.polled_at_ms),
        observations,
    };
    Ok(DecodedSet { set, rejected })
}

fn number<T>(field: &'static str, number: u32, find: impl Fn(u32) -> Option<T>) -> Result<T, ConvertError> {
    find(number).ok_or(ConvertError::UnknownNumber { field, number })
}

fn small<T>(field: &'static str, n: u32, find: fn(u8) -> Option<T>) -> Result<T, ConvertError> {
    number(field, n, |n| u8::try_from(n).ok().and_then(find))
}

fn wide<T>(field: &'static str, n: u32, find: fn(u16) -> Option<T>) -> Result<T, ConvertError> {
    number(field, n, |n| u16::try_from(n).ok().and_then(find))
}

impl From<Lane> for ingest::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Event => ingest::Lane::Event,
            Lane::Telemetry => ingest::Lane::Telemetry,
        }
    }
}

impl TryFrom<ingest::Lane> for Lane {
    type Error = ConvertError;
    fn try_from(lane: ingest::Lane) -> Result<Self, ConvertError> {
        match lane {
            ingest::Lane::Event => Ok(Lane::Event),
            ingest::Lane::Telemetry => Ok(Lane::Telemetry),
            ingest::Lane::Unspecified => Err(ConvertError::Missing("lane")),
        }
    }
}

impl From<ObservationSet> for wire::ObservationSet {
    fn from(set: ObservationSet) -> Self {
        Self {
            target: set.target.into(),
            section: u32::from(set.section.number()),
            polled_at_ms: set.polled_at.as_millis(),
            observations: set.observations.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Observation> for wire::Observation {
    fn from(observation: Observation) -> Self {
        use wire::observation::Kind;
        let kind = match observation {
            Observation::Reading(r) => Kind::Reading(r.into()),
            Observation::Event(e) => Kind::Event(e.into()),
            Observation::Inventory(i) => Kind::Inventory(i.into()),
            Observation::Gap(g) => Kind::Gap(g.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::Observation> for Observation {
    type Error = ConvertError;
    fn try_from(observation: wire::Observation) -> Result<Self, ConvertError> {
        use wire::observation::Kind;
        Ok(match observation.kind.ok_or(ConvertError::Missing("observation"))? {
            Kind::Reading(r) => Observation::Reading(r.try_into()?),
            Kind::Event(e) => Observation::Event(e.try_into()?),
            Kind::Inventory(i) => Observation::Inventory(i.try_into()?),
            Kind::Gap(g) => Observation::Gap(g.try_into()?),
        })
    }
}

impl From<ComponentId> for wire::Component {
    fn from(id: ComponentId) -> Self {
        Self { class: u32::from(id.class().number()), slot: id.into_slot() }
    }
}

impl TryFrom<wire::Component> for ComponentId {
    type Error = ConvertError;
    fn try_from(c: wire::Component) -> Result<Self, ConvertError> {
        Ok(ComponentId::of(wide("component class", c.class, ComponentClass::from_number)?, c.slot)?)
    }
}

fn component(c: Option<wire::Component>) -> Result<ComponentId, ConvertError> {
    c.ok_or(ConvertError::Missing("component"))?.try_into()
}

impl From<Reading> for wire::Reading {
    fn from(r: Reading) -> Self {
        use wire::reading::Value as W;
        let value = r.value.map(|v| match v {
            Value::Number(n) => W::Number(n),
            Value::State { state, text } => W::State(wire::StateValue { state: u32::from(state.number()), text }),
            Value::Text(t) => W::Text(t),
        });
        let (suspicion, unavailable) = match r.quality {
            Quality::Good => (0, 0),
            Quality::Suspect(s) => (u32::from(s.number()), 0),
            Quality::Unavailable(c) => (0, u32::from(c.number())),
        };
        Self {
            component: Some(r.component.into()),
            kind: u32::from(r.kind.number()),
            sensor: r.sensor,
            value,
            suspicion,
            unavailable,
            observed_at_ms: r.observed_at.as_millis(),
            source: r.source.0,
            thresholds: r.thresholds.map(Into::into),
        }
    }
}

impl TryFrom<wire::Reading> for Reading {
    type Error = ConvertError;
    fn try_from(r: wire::Reading) -> Result<Self, ConvertError> {
        use wire::reading::Value as W;
        let quality = match (r.unavailable, r.suspicion) {
            (0, 0) => Quality::Good,
            (0, s) => Quality::Suspect(small("suspicion", s, Suspicion::from_number)?),
            (c, _) => Quality::Unavailable(small("cause", c, Cause::from_number)?),
        };
        let value = match r.value {
            _ if matches!(quality, Quality::Unavailable(_)) => None,
            None => return Err(ConvertError::Missing("value")),
            Some(W::Number(n)) if !n.is_finite() => return Err(ConvertError::NotFinite),
            Some(W::Number(n)) => Some(Value::Number(n)),
            Some(W::State(s)) => {
                Some(Value::State { state: small("state", s.state, State::from_number)?, text: s.text })
            }
            Some(W::Text(t)) => Some(Value::Text(t)),
        };
        Ok(Self {
            component: component(r.component)?,
            kind: wide("sensor kind", r.kind, SensorKind::from_number)?,
            sensor: r.sensor,
            value,
            quality,
            observed_at: Timestamp::from_millis(r.observed_at_ms),
            source: Source(r.source),
            thresholds: r.thresholds.map(Into::into),
        })
    }
}

impl From<Thresholds> for wire::Thresholds {
    fn from(t: Thresholds) -> Self {
        Self {
            lower_non_recoverable: t.lower_non_recoverable,
            lower_critical: t.lower_critical,
            lower_non_critical: t.lower_non_critical,
            upper_non_critical: t.upper_non_critical,
            upper_critical: t.upper_critical,
            upper_non_recoverable: t.upper_non_recoverable,
        }
    }
}

impl From<wire::Thresholds> for Thresholds {
    fn from(t: wire::Thresholds) -> Self {
        Self {
            lower_non_recoverable: t.lower_non_recoverable,
            lower_critical: t.lower_critical,
            lower_non_critical: t.lower_non_critical,
            upper_non_critical: t.upper_non_critical,
            upper_critical: t.upper_critical,
            upper_non_recoverable: t.upper_non_recoverable,
        }
        .finite()
    }
}

impl From<LogEvent> for wire::LogEvent {
    fn from(e: LogEvent) -> Self {
        Self {
            component: Some(e.component.into()),
            log: e.log,
            id: e.id,
            kind: u32::from(e.kind.number()),
            severity: u32::from(e.severity.number()),
            deasserted: e.deasserted,
            message: e.message,
            code: e.code,
            bmc_time_ms: e.bmc_time.map(Timestamp::as_millis),
            observed_at_ms: e.observed_at.as_millis(),
            source: e.source.0,
            raw: e.raw,
        }
    }
}

impl TryFrom<wire::LogEvent> for LogEvent {
    type Error = ConvertError;
    fn try_from(e: wire::LogEvent) -> Result<Self, ConvertError> {
        Ok(Self {
            component: component(e.component)?,
            log: e.log,
            id: e.id,
            kind: wide("event kind", e.kind, EventKind::from_number)?,
            severity: small("severity", e.severity, Severity::from_number)?,
            deasserted: e.deasserted,
            message: e.message,
            code: e.code,
            bmc_time: e.bmc_time_ms.map(Timestamp::from_millis),
            observed_at: Timestamp::from_millis(e.observed_at_ms),
            source: Source(e.source),
            raw: e.raw,
        })
    }
}

impl From<Inventory> for wire::Inventory {
    fn from(i: Inventory) -> Self {
        let id = i.identity;
        Self {
            identity: Some(wire::Identity {
                serial: id.serial,
                uuid: id.uuid,
                manufacturer: id.manufacturer,
                model: id.model,
                hostname: id.hostname,
                asset_tag: id.asset_tag,
            }),
            parts: i.parts.into_iter().map(Into::into).collect(),
            bmc_clock_offset_ms: i.bmc_clock_offset_ms,
            observed_at_ms: i.observed_at.as_millis(),
            source: i.source.0,
        }
    }
}

impl TryFrom<wire::Inventory> for Inventory {
    type Error = ConvertError;
    fn try_from(i: wire::Inventory) -> Result<Self, ConvertError> {
        let id = i.identity.unwrap_or_default();
        Ok(Self {
            identity: Identity {
                serial: id.serial,
                uuid: id.uuid,
                manufacturer: id.manufacturer,
                model: id.model,
                hostname: id.hostname,
                asset_tag: id.asset_tag,
            },
            parts: i.parts.into_iter().map(Part::try_from).collect::<Result<_, _>>()?,
            bmc_clock_offset_ms: i.bmc_clock_offset_ms,
            observed_at: Timestamp::from_millis(i.observed_at_ms),
            source: Source(i.source),
        })
    }
}

impl From<Part> for wire::Part {
    fn from(p: Part) -> Self {
        Self {
            component: Some(p.component.into()),
            manufacturer: p.manufacturer,
            model: p.model,
            part_number: p.part_number,
            serial: p.serial,
            firmware: p.firmware,
            capacity_bytes: p.capacity_bytes,
            source: p.source.0,
        }
    }
}

impl TryFrom<wire::Part> for Part {
    type Error = ConvertError;
    fn try_from(p: wire::Part) -> Result<Self, ConvertError> {
        Ok(Self {
            component: component(p.component)?,
            manufacturer: p.manufacturer,
            model: p.model,
            part_number: p.part_number,
            serial: p.serial,
            firmware: p.firmware,
            capacity_bytes: p.capacity_bytes,
            source: Source(p.source),
        })
    }
}

impl From<Gap> for wire::Gap {
    fn from(g: Gap) -> Self {
        Self {
            component: g.component.map(Into::into),
            cause: u32::from(g.cause.number()),
            detail: g.detail,
            observed_at_ms: g.observed_at.as_millis(),
            source: g.source.0,
            from_ms: g.span.map(|s| s.0.as_millis()),
            to_ms: g.span.map(|s| s.1.as_millis()),
        }
    }
}

impl TryFrom<wire::Gap> for Gap {
    type Error = ConvertError;
    fn try_from(g: wire::Gap) -> Result<Self, ConvertError> {
        Ok(Self {
            component: g.component.map(ComponentId::try_from).transpose()?,
            cause: small("cause", g.cause, Cause::from_number)?,
            detail: g.detail,
            observed_at: Timestamp::from_millis(g.observed_at_ms),
            source: Source(g.source),
            span: g.from_ms.zip(g.to_ms).map(|(a, b)| (Timestamp::from_millis(a), Timestamp::from_millis(b))),
        })
    }
}
