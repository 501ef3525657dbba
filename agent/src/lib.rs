//! The agent's shell: config, polling, and what leads from a BMC to the collector.
//!
//! Read in this order: [`config`], [`poll`] (what is due, and how a poll becomes a spool entry), [`spooler`] and [`uplink`]
//! (from the spool to the collector), [`app`] (all of it, wired).

pub mod clock;
pub mod config;
pub mod poll;
pub mod spooler;
pub mod uplink;
