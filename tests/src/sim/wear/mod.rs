//! Racks of servers whose fans, power supplies, cooling and memory wear, hour by hour for months: the ground truth that detectors are
//! measured with. Simulated: what is measured here says how a detector works on this physics, not on a real fleet.
//!
//! What is modelled, and where the figures are from, stands with each part: [`climate`] (the air of a rack), [`server`] (load, power, fan
//! control), [`fan`], [`supply`], [`cooler`], [`memory`]; [`plan`] says what wears and what merely looks like it. Everything follows
//! from the seed.

mod climate;
mod cooler;
mod dice;
mod fan;
mod memory;
mod plan;
mod rack;
mod server;
mod supply;
pub mod write;

pub use plan::{Class, Confounder, Happening, Plan, Truth};
pub use rack::{Rack, Row};

use outband_schemas::Timestamp;

/// The simulation begins at 2019-12-20T00:00:00Z.
const BEGIN: i64 = 24 * 365 * 50;

/// When an hour of the simulation is.
pub fn at(hour: i64) -> Timestamp {
    Timestamp::from_secs((hour + BEGIN) * 3600)
}

/// The hour of the simulation that a time is in.
pub fn hour(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(3600) - BEGIN
}

/// What a server is called.
pub fn server(rack: usize, number: usize) -> String {
    format!("r{rack}-s{number}")
}
