//! A body as it travels and as it is stored: a frame of anything, read in place and read whole.
//!
//! Must hold: no frame becomes more than a body may be; what is packed comes out as it was; and what is read in place is what reading the whole body tells.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::seeds;
use outband_proto::{convert, pack, view};
use outband_schemas::Observation;

fn read_both_ways(body: &[u8]) {
    let mut found = Vec::new();
    let in_place = view::set(body).and_then(|set| {
        set.readings(|r| {
            found.push((r.kind, r.value, r.quality, r.observed_at));
            Ok(())
        })?;
        Ok(set.target)
    });
    // What stands in place of names and limits is not looked into there, so a body may be refused here alone.
    let (Ok(target), Ok(read)) = (in_place, convert::decode_set(body)) else { return };
    assert_eq!(read.set.target.as_str(), target);
    if read.rejected.is_empty() {
        let whole = read.set.observations.into_iter().filter_map(|o| match o {
            Observation::Reading(r) => Some((u32::from(r.kind.number()), r.value, r.quality, r.observed_at)),
            _ => None,
        });
        assert_eq!(whole.collect::<Vec<_>>(), found);
    }
}

fuzz_target!(init: seeds::plant(seeds::packed_body), |data: &[u8]| {
    let mut room = Vec::new();
    if let Ok(body) = pack::unpack(data, &mut room) {
        assert!(!pack::is_packed(data) || body.len() <= pack::MAX_BODY);
        read_both_ways(body);
    }
    if !pack::is_packed(data) {
        let packed = pack::pack(data.to_vec());
        assert!(packed.len() <= data.len());
        let mut again = Vec::new();
        assert_eq!(pack::unpack(&packed, &mut again), Ok(data));
    }
});
