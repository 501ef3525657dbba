//! Finding BMCs without logging in: who answers a presence ping, who serves a Redfish root, who answers SSDP; and what each says of itself to strangers.
//!
//! [`presence`], [`ssdp`] and [`product`] are pure; only with feature `io` are there [`sweep`] (UDP) and [`root`] (HTTPS), which own sockets. No credentials are
//! ever sent from here.

pub mod product;
#[cfg(feature = "io")]
pub mod root;
pub mod ssdp;
#[cfg(feature = "io")]
pub mod sweep;

pub use crate::ipmi::presence::{self, Presence};
pub use product::Product;
