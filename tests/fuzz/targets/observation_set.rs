//! A batch body from an agent. Must hold: what was understood can be sent again and is understood the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::{seeds, survive_the_wire};
use outband_proto::convert;

fuzz_target!(init: seeds::plant(seeds::observation_set), |data: &[u8]| {
    if let Ok(read) = convert::decode_set(data) {
        for error in &read.rejected {
            assert!(!error.to_string().is_empty());
        }
        survive_the_wire(read.set.section, read.set.observations);
    }
});
