//! IPMI 2.0 over LAN: an RMCP+ session, the sensor repository, readings, the event log, FRU data.
//!
//! Read in this order: [`message`] (the bytes), `crypto`, [`session`] (when to send what), [`poll`] (what a section's poll asks for), [`repository`] and [`sdr`],
//! [`sensor`] with [`convert`] and [`states`], `log` with [`sel`], `inventory` with [`fru`], [`place`] and `fan` (which component it all belongs to). Everything but
//! [`transport`] and `hub` is sans-IO.

#[cfg(feature = "io")]
pub(crate) mod action;
mod bridge;
mod chassis;
pub mod convert;
mod crypto;
mod fan;
pub mod fru;
mod handshake;
#[cfg(feature = "io")]
pub mod hub;
mod inventory;
mod keyed;
pub mod library;
mod log;
pub mod message;
pub mod place;
pub mod poll;
pub mod presence;
mod refusal;
pub mod repository;
pub mod sdr;
pub mod sel;
pub mod sensor;
pub mod session;
pub mod states;
mod timing;
#[cfg(feature = "io")]
pub mod transport;

pub use handshake::Privilege;
