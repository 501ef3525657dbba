//! Simulated BMCs that speak the real protocols on loopback.

pub mod https;
pub mod redfish_bmc;
