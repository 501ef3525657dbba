//! The store from outside: what every backend must do, what the SQLite file must survive, and what it costs.

mod conformance;
mod cost;
mod sequencing;
mod sqlite;
