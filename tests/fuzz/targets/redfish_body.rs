//! A body as a BMC serves it, and every tolerant access to what is in it.
//!
//! Must hold: what is good JSON already is read as any JSON reader reads it, and no number is infinite.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::redfish::lenient;
use outband_bmc::smart;
use outband_fuzz::seeds;
use serde_json::Value;

fn look(value: &Value, field: &str) {
    assert!(lenient::number(value, field).is_none_or(|n| n.value.is_finite()));
    lenient::text(value, field);
    lenient::truth(value, field);
    lenient::list(value, field);
    lenient::time(value, field);
    assert!(lenient::link(value, field).is_none_or(|uri| uri.starts_with('/')));
}

fn walk(value: &Value) {
    lenient::error_of(value);
    lenient::is_inline(value);
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                look(value, name);
                walk(inner);
            }
        }
        Value::Array(list) => list.iter().for_each(walk),
        _ => {}
    }
}

fuzz_target!(init: seeds::plant(seeds::redfish_body), |data: &[u8]| {
    let read = lenient::parse(data);
    if let Ok(strict) = serde_json::from_slice::<Value>(data) {
        assert_eq!(read.as_ref().ok(), Some(&strict).filter(|s| s.is_object()));
    }
    let Ok(value) = read else { return };
    assert!(value.is_object());
    walk(&value);
    for figure in smart::figures(&value).into_iter().chain(smart::from_metric_report(&value, "1")) {
        assert!(figure.number.value.is_finite());
    }
});
