//! A session of IPMI 1.5 against a BMC, or somebody in its place, that says whatever it likes: for the challenge, the activation, and inside the session.
//!
//! Must hold: what holds for `ipmi_session`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::{seeds, session};

fuzz_target!(init: seeds::plant(seeds::ipmi_session), |data: &[u8]| session::run(data, true));
