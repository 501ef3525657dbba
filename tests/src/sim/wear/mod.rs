//! Racks of servers whose fans, power supplies, cooling and memory wear, hour by hour for months: the ground truth that detectors are
//! measured with. Simulated: what is measured here says how a detector works on this physics, not on a real fleet.
//!
//! What is modelled, and where the figures are from, stands with each part: [`climate`] (the air of a rack), [`server`] (load, power, fan
//! control), [`fan`], [`supply`], [`cooler`], [`memory`]; [`plan`] says what wears and what merely looks like it; [`judge`] holds tickets
//! against that. Everything follows from the seed.

mod climate;
mod cooler;
mod dice;
mod fan;
pub mod judge;
mod memory;
mod plan;
mod rack;
mod server;
mod supply;
pub mod write;

pub use plan::{Class, Happening, Plan, Truth};
pub use rack::{Rack, Row};
