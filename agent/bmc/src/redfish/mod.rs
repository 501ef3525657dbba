//! Redfish: JSON documents of a BMC become observations.
//!
//! A [`walk::Walk`] knows what to ask next ([`route`]) and collects what comes; when it is finished, the rooms `chassis`, `thermal`, `power`, `redundancy`,
//! `storage`, `log`, `inventory`, `module`, `network`, `metrics` and `equipment` turn the resources into observations. What adds little for a request each is
//! read in turn (`rotation`). Every field goes through [`lenient`], and `faults` tells of those that hold something else. [`transport`] is the
//! shell with the sockets.

#[cfg(feature = "io")]
mod action;
mod cache;
mod chassis;
mod equipment;
mod expand;
mod faults;
#[cfg(feature = "io")]
mod http;
pub(crate) mod inventory;
#[cfg(feature = "io")]
pub mod knowledge;
#[cfg(feature = "io")]
mod ladder;
pub mod lenient;
mod log;
mod meaning;
pub mod memory;
mod metrics;
mod module;
mod network;
mod oem;
#[cfg(test)]
mod polite_tests;
mod portions;
mod power;
pub mod push;
mod redundancy;
mod report;
#[cfg(feature = "io")]
mod rest;
mod rotation;
pub mod route;
mod slow;
mod steady;
mod storage;
#[cfg(feature = "io")]
pub(crate) mod stranger;
mod thermal;
#[cfg(feature = "io")]
mod tls;
#[cfg(feature = "io")]
pub mod transport;
pub mod walk;
#[cfg(test)]
mod walk_tests;
