//! A stream of server-sent events, cut anywhere: its events as event bodies, and what they make a BMC's desk tell.
//!
//! Must hold: where the bytes are cut does not matter; no event is larger than allowed; a record that is news is told exactly once where no log shows it, and
//! so that the collector can read it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::redfish::memory::Memory;
use outband_bmc::redfish::push::pair::{Heard, Pairing};
use outband_bmc::redfish::push::record;
use outband_bmc::redfish::push::service::{Service, Wanted, standing};
use outband_bmc::redfish::push::sse::{Event, Parser};
use outband_fuzz::{seeds, survive_the_wire};
use outband_schemas::{Observation, Section, Timestamp};
use std::time::Duration;

const MOST: usize = 4096;

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut parser = Parser::new(MOST);
    pieces.for_each(|piece| parser.push(piece));
    std::iter::from_fn(|| parser.next_event()).collect()
}

fuzz_target!(init: seeds::plant(seeds::redfish_sse), |data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let events = read(std::iter::once(stream));
    assert_eq!(read(stream.chunks(usize::from(*cut).max(1))), events);

    let began = Timestamp::from_secs(1_700_000_000);
    let memory = Memory::default();
    let mut pairing = Pairing::default();
    let mut news = 0;
    for event in events {
        assert!(!event.data.is_empty() && event.data.len() < MOST);
        if let Ok(body) = outband_bmc::redfish::lenient::parse(event.data.as_bytes()) {
            let wanted = Wanted { destination: "a".into(), own_prefix: "a".into(), context: "c".into() };
            standing(&body, &wanted);
            if let Ok(service) = Service::of(&body) {
                assert!(!service.requests(&wanted).is_empty());
                assert!(service.stream_uris().iter().all(|uri| uri.starts_with('/')));
            }
        }
        let Ok(delivery) = record::read(event.data.as_bytes(), Some(&event.id), &memory, began) else { continue };
        for record in delivery.records {
            news += usize::from(pairing.heard(record, 1, began) == Heard::New);
        }
    }
    let stored = serde_json::to_vec(&pairing).expect("a desk can be stored");
    let mut pairing: Pairing = serde_json::from_slice(&stored).expect("and read back");
    let later = began.plus(Duration::from_secs(200));
    let told = pairing.log_read(later, later, true, &mut Vec::new());
    assert_eq!(told.len(), news);
    assert!(pairing.due().is_none());
    survive_the_wire(Section::Log, told.into_iter().map(Observation::Event).collect());
});
