//! A row of the journal, its checksum mended: what gets past that must be whole or be refused, and no larger than its bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::seeds;
use outband_store::journal;

fuzz_target!(init: seeds::plant(seeds::journal_row), |data: &[u8]| {
    // As it is, too: rows of the first version have no checksum of their own.
    drop(journal::decode(data));
    let row = [data, &crc32c::crc32c(data).to_le_bytes()].concat();
    if let (arrivals, Ok(())) = journal::decode(&row)
        && row.first() == Some(&0)
    {
        assert!(arrivals.len() <= row.len());
        let once = journal::encode(arrivals.iter());
        let (again, done) = journal::decode(&once);
        assert_eq!(done, Ok(()));
        // Compared as bytes, since a NaN is not equal to itself.
        assert_eq!(journal::encode(again.iter()), once);
    }
});
