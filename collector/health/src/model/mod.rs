//! The disk model: how likely a rotating SATA disk is to fail within 30 days, from the raw SMART values that it has shown so far.
//!
//! One code for training, back-test and live use: [`History`] remembers, bounded, what a drive showed day by day; [`features::walk`]
//! says what there is to know of it on a day, from that day and before, and how rare that is among its [`Peers`]; [`Forest`] makes a score of it, [`Calibration`] a probability of
//! the score, [`Budget`] the score from which on a ticket is worth its money. [`Watch`] is the fleet on a day, with its threshold;
//! [`explain`] says why, [`Cohorts`] what became of drives that showed the same; [`Polled`] makes one reading a day of what agents poll.
//! How a forest is grown is not known here.
//!
//! Days are whole UTC days since 1970-01-01.

mod attribute;
mod budget;
mod calibration;
mod cohort;
mod disk;
mod explain;
pub mod features;
mod forest;
mod history;
mod maker;
mod peers;
mod polled;
mod watch;

pub use attribute::Attribute;
pub use budget::{Budget, Curve, Opened};
pub use calibration::Calibration;
pub use cohort::{Cohort, Cohorts, Count, ENOUGH, Pattern};
pub use disk::{Blind, DiskModel, Misfit, Score, Verdict};
pub use explain::{Change, Explanation, Reason, Shares, explain};
pub use features::{Drive, Feature, Vendor};
pub use forest::{Forest, Node, Tree};
pub use history::{History, Smart};
pub use maker::family;
pub use peers::{Among, Peers};
pub use polled::{Field, Polled, Taken};
pub use watch::{Foretold, Judged, Said, Watch};

/// Whole UTC days since 1970-01-01.
pub type Day = i32;

/// The model that is shipped (a [`DiskModel`] as JSON); `shipped/disk-2.md` tells what is to be known of it.
pub const SHIPPED: &str = include_str!("shipped/disk-2.json");

/// Days within which a foretold failure must come for the prediction to be right, and for which its ticket stays open.
pub const HORIZON: Day = 30;

#[cfg(test)]
mod tests;
