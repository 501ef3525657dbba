//! The store from outside: what every backend must do, what the SQLite file must survive, and what it costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests say at once what went wrong")]

mod checksum;
mod conformance;
mod cost;
mod late;
mod longterm;
mod month;
mod pages;
mod record;
mod sequencing;
mod sqlite;
mod still;
mod thin;
mod versions;
mod volumes;
