//! IPMI 2.0 over LAN: an RMCP+ session, the sensor repository, readings, the event log, FRU data.
//!
//! Everything but [`transport`] is sans-IO.

#[cfg(feature = "io")]
pub mod transport;
