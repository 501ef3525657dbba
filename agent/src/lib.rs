//! The agent's shell: config, polling, and what leads from a BMC to the collector.
//!
//! Read in this order: [`config`], [`poll`] (what is due, and how a poll becomes a spool entry), [`spooler`] and [`uplink`]
//! (from the spool to the collector), [`app`] (all of it, wired). [`probe`] is the same poll for one BMC, printed; [`discover`]
//! finds BMCs that are not in the config yet.

pub mod app;
pub mod args;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod discover;
pub mod enrol;
pub mod host;
pub mod logging;
pub mod orders;
pub mod poll;
pub mod probe;
pub mod push;
pub mod service;
pub mod spooler;
pub mod uplink;
