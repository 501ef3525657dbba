//! The small texts: addresses, fingerprints, ids, times, durations and sizes. Must hold: what was read and is written again reads back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_agent::config::units;
use outband_bmc::{Address, Fingerprint};
use outband_fuzz::seeds;
use outband_schemas::{ComponentClass, ComponentId, SpoolId, TargetId, Timestamp, time};
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn reads_back<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().as_ref().ok(), Some(&value), "{text:?}");
    }
}

fuzz_target!(init: seeds::plant(seeds::bmc_address), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    reads_back::<Address>(text);
    reads_back::<Fingerprint>(text);
    reads_back::<ComponentId>(text);
    reads_back::<SpoolId>(text);
    reads_back::<TargetId>(text);
    reads_back::<Timestamp>(text);
    if let Ok(duration) = time::duration(text) {
        assert_eq!(time::duration(&format!("{}ms", duration.as_millis())), Ok(duration));
    }
    if let Ok(bytes) = units::size(text) {
        assert_eq!(units::size(&format!("{bytes}B")), Ok(bytes));
    }
    let place = ComponentId::lenient(ComponentClass::Fan, text);
    assert_eq!(place.to_string().parse(), Ok(place));
});
