//! The collector: takes in what agents saw, keeps it, judges it, and answers operators.
//!
//! The judging itself is pure and lives elsewhere (`outband-health`, `outband-ticket`); here are the shells around it: the
//! listeners, the loops, the clock, the disk.

pub mod app;
pub mod assess;
pub mod audit;
pub mod auth;
pub mod backtest;
pub mod backup;
pub mod calendars;
pub mod callpack;
pub mod check;
pub mod cli;
pub mod clock;
pub mod compat;
pub mod config;
pub mod datadir;
pub mod deadline;
pub mod discretion;
pub mod drill;
pub mod enrol;
pub mod fleet;
pub mod grant;
pub mod ingest;
pub mod judgement;
pub mod maintenance;
pub mod metrics;
pub mod notify;
pub mod orders;
pub mod outcome;
pub mod outfile;
pub mod putaway;
pub mod query;
pub mod react;
pub mod record;
pub mod report;
pub mod rights;
pub mod run;
pub mod serve;
pub mod service;
pub mod sight;
pub mod thresholds;
pub mod tls;
pub mod token;
pub mod topology;
pub mod train;
pub mod upkeep;
pub mod words;
