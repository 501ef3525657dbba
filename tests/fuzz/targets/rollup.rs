//! A row of history in buckets, its checksum mended: what gets past that must be whole or be refused, and small; written again it is a row, and its hours
//! are one, too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::seeds;
use outband_store::rollup::{self, Bucket, Resolution};

/// Written again, and again: the figures are kept to one part in ten million, so only the second time is it to the last byte the same.
fn written(buckets: &[Bucket], resolution: Resolution) {
    let once = rollup::encode(buckets, resolution);
    let (found, again) = rollup::decode(&once).expect("what was encoded is a row");
    assert_eq!(found, resolution);
    assert_eq!(again.len(), buckets.len());
    for (a, b) in again.iter().zip(buckets) {
        assert_eq!((a.start, a.good, a.suspect, a.unavailable), (b.start, b.good, b.suspect, b.unavailable));
        assert_eq!((a.cause, a.doubted, &a.words), (b.cause, b.doubted, &b.words));
        assert_eq!(a.numbers.map(|n| n.count), b.numbers.map(|n| n.count));
    }
}

fuzz_target!(init: seeds::plant(seeds::rollup), |data: &[u8]| {
    drop(rollup::decode(data));
    let bytes = [data, &crc32c::crc32c(data).to_le_bytes()].concat();
    if let Ok((resolution, buckets)) = rollup::decode(&bytes) {
        assert!(buckets.len() <= rollup::MOST_BUCKETS);
        written(&buckets, resolution);
        let hours = rollup::coarsen(&buckets, Resolution::Hour);
        assert!(hours.len() <= buckets.len());
        written(&hours, Resolution::Hour);
        let readings = |of: &[Bucket]| of.iter().map(|b| u64::from(b.readings())).sum::<u64>();
        assert!(readings(&hours) <= readings(&buckets));
    }
});
