//! Redfish: JSON documents of a BMC become observations.

#[cfg(feature = "io")]
pub mod transport;
