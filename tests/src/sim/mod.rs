//! Simulated BMCs that speak the real protocols on loopback, and the servers that they watch.

pub mod fleet;
pub mod https;
pub mod ipmi_bmc;
pub mod machine;
pub mod redfish_bmc;
pub mod wear;
