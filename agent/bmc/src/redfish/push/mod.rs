//! Push: what a BMC tells by itself, over a stream of server-sent events or by posts to a listener.
//!
//! A pushed record is a doorbell. The log that it speaks of is read, and its entry is the event; [`pair`] holds the record against the entries, so that one event
//! is told once however often it was heard of, and tells a record that no log shows as an event of its own. [`sse`] reads streams, [`record`] bodies,
//! [`service`] what the EventService offers. [`watch`] is the shell: a handle on a client's session that opens streams and keeps subscriptions.

pub mod pair;
pub mod record;
pub mod service;
pub mod sse;
#[cfg(feature = "io")]
pub mod watch;
