//! The vocabulary of Outband. Every crate speaks these types; none of them knows a socket, a disk or a clock.
//!
//! Read in this order: [`id`] (what things are called), [`time`], [`catalog`] (every kind of sensor), [`reading`],
//! [`event`], [`observation`] (what an agent sends), [`order`] (what it may be asked to do), [`enrol`] (how it joins),
//! [`triage`] (what kind of trouble something is).

pub mod catalog;
pub mod enrol;
pub mod event;
pub mod id;
pub mod observation;
pub mod order;
pub mod reading;
pub mod time;
pub mod triage;

pub use catalog::SensorKind;
pub use event::{EventKind, LogEvent, Severity};
pub use id::{AgentId, ComponentClass, ComponentId, IdError, ServerId, SiteId, Source, SpoolId, TargetId};
pub use observation::{Gap, Identity, Inventory, Lane, Observation, ObservationSet, Part, Section};
pub use order::OrderKind;
pub use reading::{Cause, Quality, Reading, State, Suspicion, Thresholds, Value};
pub use time::{Clock, Timestamp};
pub use triage::{Confidence, Triage, TriageClass};
