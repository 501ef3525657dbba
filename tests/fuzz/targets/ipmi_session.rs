//! A session against a BMC, or somebody in its place, that says whatever it likes: before the handshake, within it, and inside the open session.
//!
//! Must hold: no request is answered twice; none is left without an answer; an answer is that of its own request; it all comes to an end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::{seeds, session};

fuzz_target!(init: seeds::plant(seeds::ipmi_session), |data: &[u8]| session::run(data, false));
