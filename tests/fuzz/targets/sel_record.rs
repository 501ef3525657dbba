//! A record of the event log, with or without the sensor that it names, and bookmarks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::Bookmark;
use outband_bmc::ipmi::sdr::{self, Record};
use outband_bmc::ipmi::sel::{self, Cursor, Info, Known, RawRecord};
use outband_bmc::ipmi::sensor;
use outband_fuzz::{AT, seeds, survive_the_wire};
use outband_schemas::{Observation, Section};

fuzz_target!(init: seeds::plant(seeds::sel_record), |data: &[u8]| {
    let Some((record, rest)) = data.split_first_chunk::<{ sel::RECORD_LEN }>() else { return };
    let record = RawRecord(*record);
    let sensor = sdr::parse(rest).ok().and_then(|records| match records.into_iter().next() {
        Some(Record::Sensor(sensor)) => Some(sensor),
        _ => None,
    });
    let known = |_, _, _| {
        sensor.clone().map(|s| Known { name: s.name.clone(), component: sensor::component(&s), sensor: Some(s) })
    };
    let events = vec![Observation::Event(sel::event(record, known, AT)), Observation::Event(sel::event(record, |_, _, _| None, AT))];
    survive_the_wire(Section::Log, events);

    let info = Info::parse(rest);
    if let Some(cursor) = Cursor::read(&Bookmark(String::from_utf8_lossy(rest).into_owned())) {
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor.clone()), "a bookmark reads back");
        if let Some(info) = info {
            cursor.is_still(record, info);
        }
    }
});
