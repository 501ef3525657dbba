//! A chunk of history, its checksum mended: a bit that turned on the disk is caught by that, so what gets past it must be whole or be refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::seeds;
use outband_store::chunk;

fuzz_target!(init: seeds::plant(seeds::chunk), |data: &[u8]| {
    drop(chunk::decode(data));
    let bytes = [data, &crc32c::crc32c(data).to_le_bytes()].concat();
    if let Ok(points) = chunk::decode(&bytes) {
        let once = chunk::encode(points);
        let again = chunk::decode(&once).expect("what was encoded is a chunk");
        // Compared as bytes, since a NaN is not equal to itself.
        assert_eq!(chunk::encode(again), once);
    }
});
