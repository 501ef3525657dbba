//! Polling: [`schedule`] says what is due, [`run`] has it done, each poll in a task of its own that ends in the spool.

pub mod bmc;
pub(crate) mod door;
pub mod fresh;
pub mod guard;
pub mod hub;
pub(crate) mod one;
pub mod outcome;
pub mod pins;
pub mod run;
pub mod schedule;
pub mod shelf;
