//! Takes in what agents saw: [`session`] holds the rules and touches nothing, [`service`] the stream and the store,
//! [`registry`] who is connected now.

pub mod registry;
pub mod service;
pub mod session;

pub use registry::Registry;
pub use service::Ingest;
