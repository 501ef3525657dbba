//! What is learnt from what became of tickets.
//!
//! `outband_ticket::outcome` says of each ticket whether it was right, `outband_store::outcome` keeps that. Here it is counted
//! ([`precision`]) and made into the tables that training reads ([`export`]). Nothing here changes a rule or a model: that a rule is
//! muted, and that a model is trained anew, is for a person to decide.

pub mod export;
pub mod precision;
