//! A body as a BMC serves it, and every tolerant access to what is in it.
//!
//! Must hold: what is good JSON already is read as any JSON reader reads it; of what is cut off nothing is told that is not there; a field is absent, null, bad
//! or a value, whoever asks; no number is infinite.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::quirk::{Maker, Platform};
use outband_bmc::redfish::lenient;
use outband_bmc::smart;
use outband_fuzz::seeds;
use serde_json::Value;

fn look(value: &Value, field: &str) {
    assert!(lenient::number(value, field).is_none_or(|n| n.value.is_finite()));
    assert_eq!(lenient::number_field(value, field).ok(), lenient::number(value, field));
    assert_eq!(lenient::text_field(value, field).ok(), lenient::text(value, field));
    assert_eq!(lenient::truth_field(value, field).ok(), lenient::truth(value, field));
    assert_eq!(lenient::time_field(value, field).ok(), lenient::time(value, field));
    if value.get(field).is_some_and(Value::is_null) {
        assert!(lenient::number_field(value, field).bad().is_none());
    }
    lenient::excerpt_field(value, field);
    lenient::list(value, field);
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
    let body = lenient::read(data);
    if let Ok(whole) = &read {
        assert_eq!(body.as_ref().map(|b| (&b.value, b.cut.is_some())), Ok((whole, false)));
    }
    let Ok(body) = body else { return };
    let value = body.value;
    let platform = Platform::of(&value);
    assert!(platform.maker() == Maker::Other || platform.completed_by(&value).maker() == platform.maker());
    assert!(value.is_object());
    walk(&value);
    for figure in smart::figures(&value).into_iter().chain(smart::from_metric_report(&value, "1", "1")) {
        assert!(figure.number.ok().is_none_or(|n| n.value.is_finite()));
    }
});
