//! The disk model: how likely a rotating SATA disk is to fail within 30 days, from the raw SMART values that it has shown so far.
//!
//! One code for training, back-test and live use: [`History`] remembers, bounded, what a drive showed day by day; [`features::walk`]
//! says what there is to know of it on a day, from that day and before; [`Forest`] makes a score of it, [`Calibration`] a probability of
//! the score, [`Budget`] the score from which on a ticket is worth its money. How a forest is grown is not known here.
//!
//! Days are whole UTC days since 1970-01-01.

mod attribute;
mod budget;
mod calibration;
mod disk;
pub mod features;
mod forest;
mod history;

pub use attribute::Attribute;
pub use budget::{Budget, Curve, Opened};
pub use calibration::Calibration;
pub use disk::{Blind, DiskModel, Misfit, Score, Verdict};
pub use features::{Drive, Feature, Vendor};
pub use forest::{Forest, Node, Tree};
pub use history::{History, Smart};

/// Whole UTC days since 1970-01-01.
pub type Day = i32;

/// The model that is shipped (a [`DiskModel`] as JSON); `shipped/disk-1.md` tells what is to be known of it.
pub const SHIPPED: &str = include_str!("shipped/disk-1.json");

/// Days within which a foretold failure must come for the prediction to be right, and for which its ticket stays open.
pub const HORIZON: Day = 30;

#[cfg(test)]
mod tests;
