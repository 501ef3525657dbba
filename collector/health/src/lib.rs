//! Health, pure: what readings and events of one server mean. No clock, no socket, no disk, no dice: everything is a
//! function of what went in and of the `now` that the caller passes.
//!
//! Read in this order: [`finding`] (what a rule says), [`window`] (what rules look at), [`rule`] (the rules, one file
//! each), [`drift`] (what wears over weeks), [`outlook`] (when something runs out), [`model`] (disks that
//! will fail), [`score`] (points and reasons), [`incident`] (findings that lasted), [`fleet`] (rates, ages, spares), [`triage`] (what kind of trouble it is).

pub mod config;
mod draw;
pub mod drift;
pub mod finding;
pub mod fleet;
pub mod incident;
pub mod model;
mod names;
pub mod outlook;
mod packed;
pub mod parameter;
pub mod rule;
pub mod score;
mod sorted;
mod stats;
pub mod triage;
pub mod window;

pub use config::{FoldingConfig, RuleConfig};
pub use finding::{Evidence, Fault, Finding, Level, RuleId};
pub use incident::{
    Evaluation, Hold, Incident, IncidentChange, IncidentKey, Past, Stage, Verdict, Watched, What, reconcile,
};
pub use names::Names;
pub use packed::Packed;
pub use score::{Health, Penalty, Status};
pub use sorted::SortedMap;
pub use window::Window;
