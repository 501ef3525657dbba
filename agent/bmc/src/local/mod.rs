//! The agent's own server, read without the network: its BMC through the kernel's driver (`/dev/ipmi0`), its drives by `smartctl`, its load by sysinfo.
//!
//! The BMC is asked by the same polls as over LAN: only the way of a request differs, so that a sensor has the same name, value and reason whichever way it is
//! read, and FRU serial and GUID bind both ways to one server. There is no session, and nobody logs in: who may open the device may ask.
//!
//! - [`device`]: requests to the driver and back, in one thread that may hang without anybody hanging with it;
//! - [`wire`]: what the thread speaks through; `ipmi-rs` does the ioctls (OpenIPMI's `IPMICTL_SEND_COMMAND` and `IPMICTL_RECEIVE_MSG_TRUNC`), so that none of
//!   ours is unsafe. Its commands and parsers are not used;
//! - [`drives`]: `smartctl`, one drive after the other, each with a deadline; what it prints is read by [`crate::smart::smartctl`];
//! - [`load`]: processors and memory;
//! - [`client`]: all of it as sections of one target.
//!
//! `tests/local_vm/run` reads a kernel's driver for real, beside ipmitool.

pub mod client;
pub mod device;
pub mod drives;
pub mod load;
pub mod wire;

pub use client::{Client, Ways};
