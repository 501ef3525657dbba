//! A batch body from an agent. Must hold: what was understood can be sent again and is understood the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::{seeds, survive_the_wire};
use outband_proto::{convert, view};
use outband_schemas::Quality;

fuzz_target!(init: seeds::plant(seeds::observation_set), |data: &[u8]| {
    // In place: a reading has a value, or a cause why not.
    if let Ok(set) = view::set(data) {
        let read = set.readings(|r| {
            assert_eq!(r.value.is_none(), matches!(r.quality, Quality::Unavailable(_)));
            Ok(())
        });
        std::hint::black_box(read.is_ok());
    }
    if let Ok(read) = convert::decode_set(data) {
        for error in &read.rejected {
            assert!(!error.to_string().is_empty());
        }
        survive_the_wire(read.set.section, read.set.observations);
    }
});
