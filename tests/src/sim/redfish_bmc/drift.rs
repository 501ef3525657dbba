//! Readings that vary, as those of real sensors do: a function of seed and step, within the thresholds that stand beside them.

use serde_json::{Map, Value};
use std::time::Duration;

/// Readings vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// What they are made from.
    pub seed: u64,
    /// How long a value stays; `None`: until [`super::Service::tick`].
    pub every: Option<Duration>,
}

/// Properties that hold a measured value.
const READINGS: [&str; 12] = [
    "Reading",
    "ReadingCelsius",
    "ReadingVolts",
    "ReadingAmps",
    "CurrentReading",
    "SpeedRPM",
    "PowerConsumedWatts",
    "PowerInputWatts",
    "PowerOutputWatts",
    "LastPowerOutputWatts",
    "LineInputVoltage",
    "TemperatureCelsius",
];
/// Thresholds below and above a value: prefixes of their names, in the form of `Thermal` and in that of `Sensor`.
const BELOW: &str = "Lower";
const ABOVE: &str = "Upper";

/// Lets every reading in a resource vary. Integers stay integers; a value outside of its thresholds, 0, null and text stay what they are.
pub(super) fn drift(value: &mut Value, seed: u64, step: u64) {
    if step == 0 {
        return;
    }
    match value {
        Value::Object(object) => {
            let (low, high) = range(object);
            for (name, inner) in object.iter_mut() {
                match inner {
                    Value::Number(_) if READINGS.contains(&name.as_str()) => vary(inner, low, high, seed, step),
                    Value::Object(_) | Value::Array(_) if !name.contains("Threshold") => drift(inner, seed, step),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|i| drift(i, seed, step)),
        _ => {}
    }
}

/// Between which thresholds the readings of an object lie.
fn range(object: &Map<String, Value>) -> (f64, f64) {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    if object.get("ReadingUnits").and_then(Value::as_str).is_some_and(|u| u == "Percent" || u == "%") {
        (low, high) = (0.0, 100.0);
    }
    let nested = object.get("Thresholds").and_then(Value::as_object);
    let own = object.iter().filter(|(name, _)| name.contains("Threshold"));
    for (name, value) in own.chain(nested.into_iter().flatten()) {
        let Some(limit) = value.as_f64().or_else(|| value.get("Reading")?.as_f64()) else { continue };
        if name.starts_with(BELOW) {
            low = low.max(limit);
        } else if name.starts_with(ABOVE) {
            high = high.min(limit);
        }
    }
    for (name, bound, is_low) in [("ReadingRangeMin", &mut low, true), ("ReadingRangeMax", &mut high, false)] {
        if let Some(limit) = object.get(name).and_then(Value::as_f64) {
            *bound = if is_low { bound.max(limit) } else { bound.min(limit) };
        }
    }
    (low, high)
}

fn vary(value: &mut Value, low: f64, high: f64, seed: u64, step: u64) {
    let Some(was) = value.as_f64().filter(|v| *v > 0.0 && *v > low && *v < high) else { return };
    // The same value varies in the same way wherever it stands: both generations of a resource go on agreeing.
    let noise = noise(seed ^ was.to_bits(), step);
    let whole = value.is_i64() || value.is_u64();
    let width = if whole { (was * 0.02).max(1.0) } else { was * 0.02 };
    let now = was + noise * width;
    let now = if whole { now.round() } else { (now * 1000.0).round() / 1000.0 };
    if now > low && now < high && now > 0.0 {
        *value = if whole { Value::from(now as i64) } else { Value::from(now) };
    }
}

/// −1 to 1 (SplitMix64).
fn noise(seed: u64, step: u64) -> f64 {
    let mut z = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_readings_vary_and_the_same_reading_in_two_places_alike() {
        let before = json!({"Id": "7", "SensorNumber": 7, "Reading": null, "Temperatures": [
            {"ReadingCelsius": 34, "UpperThresholdCritical": 40}, {"ReadingCelsius": "34 degrees"}, {"ReadingCelsius": 0}],
            "Copy": {"Reading": 34.0}});
        let mut moved = false;
        for step in 1..20 {
            let mut after = before.clone();
            drift(&mut after, 5, step);
            moved |= after["Temperatures"][0] != before["Temperatures"][0];
            assert!(after["Temperatures"][0]["ReadingCelsius"].is_i64());
            for same in ["/Id", "/SensorNumber", "/Reading", "/Temperatures/1", "/Temperatures/2"] {
                assert_eq!(after.pointer(same), before.pointer(same));
            }
            let one = after["Temperatures"][0]["ReadingCelsius"].as_f64().unwrap();
            assert!((one - after["Copy"]["Reading"].as_f64().unwrap()).abs() <= 1.0);
        }
        assert!(moved);
    }

    proptest! {
        #[test]
        fn no_reading_crosses_a_threshold_by_drifting(seed: u64, step: u64, value in 1.0..100.0f64, above in 0.01..5.0f64, below in 0.01..5.0f64) {
            let mut sensor = json!({"Reading": value, "Thresholds": {"UpperCaution": {"Reading": value + above}, "LowerFatal": {"Reading": value - below}}});
            drift(&mut sensor, seed, step);
            let now = sensor["Reading"].as_f64().unwrap();
            prop_assert!(now < value + above && now > value - below, "{}", now);
        }
    }
}
