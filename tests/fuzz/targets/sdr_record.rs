//! A sensor data record, and the readings and limits of the sensors in it for any answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::ipmi::message::Response;
use outband_bmc::ipmi::sdr::{self, Record};
use outband_bmc::ipmi::sensor;
use outband_fuzz::script::Script;
use outband_fuzz::{AT, seeds, survive_the_wire};
use outband_schemas::{Observation, Section};

fuzz_target!(init: seeds::plant(seeds::sdr_record), |data: &[u8]| {
    let mut script = Script(data);
    let record = script.slice();
    let Ok(records) = sdr::parse(record) else { return };
    let answer = Ok(Response { completion: script.byte(), data: script.slice().into() });
    let raw = sensor::raw(&answer);
    let factors = script.take(6).first_chunk().map(sdr::Factors::parse);
    let asked = sensor::parse_thresholds(script.0);
    for record in records {
        if let Record::Sensor(found) = record {
            let limits = asked.or(found.analog.map(|a| a.thresholds)).and_then(|t| sensor::thresholds(&found, t));
            assert!(!sensor::thresholds_missing(&found) || found.analog.is_some());
            for factors in [None, factors] {
                let readings = sensor::readings(&found, &found.name, raw, factors, limits, AT);
                survive_the_wire(Section::Sensors, readings.into_iter().map(Observation::Reading).collect());
            }
        }
    }
});
