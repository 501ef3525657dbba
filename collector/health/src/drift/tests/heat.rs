//! Heat that is no wear: repairs, firmware, fans that stand still.

use super::*;

/// A server with six fans, hour by hour for 60 days from day 1000: `heat` is how far the processor is above the inlet at full air, `turning` how many of the fans turn.
fn server(heat: impl Fn(i64) -> f64, turning: impl Fn(i64) -> usize, firmware: Option<i64>) -> Vec<Vec<Sign>> {
    let (mut drift, mut told) = (Drift::default(), Vec::new());
    for hour in 24_000..24_000 + 100 * 24_i64 {
        let at = Timestamp::from_secs(hour * 3600 + 60);
        if hour % 24 == 0 && firmware == Some(hour / 24) {
            drift.changed(at);
        }
        let load = 300.0 + 80.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        let turning = turning(hour);
        let noise = 0.2 * (hour as f64 * 1.7).sin();
        let mut closed = drift.take(&ComponentId::lenient(C::Server, "server"), K::Power, "", load, at);
        for n in 0..6 {
            let rpm = if n < turning { 6000.0 + 20.0 * noise } else { 0.0 };
            closed |= drift.take(&fan(n), K::FanSpeed, "", rpm, at);
        }
        drift.take(&ComponentId::lenient(C::Board, "inlet"), K::Temperature, "", 22.0, at);
        let air = (turning as f64 / 6.0).powf(0.55);
        let cpu = 22.0 + heat(hour / 24) * load / 300.0 / air + noise;
        drift.take(&ComponentId::lenient(C::Cpu, "cpu0"), K::Temperature, "", cpu, at);
        if closed {
            told.push(drift.signs(&RackMode::default()).into_iter().filter(|s| s.score >= 1.0).collect());
        }
    }
    told
}

/// Wears from day 1020 by 0.15 K a day, and is pasted anew on day 1060.
fn repaired(day: i64) -> f64 {
    30.0 + if day < 1060 { 0.15 * (day - 1020).max(0) as f64 } else { 0.0 }
}

#[test]
fn a_processor_that_is_repaired_while_its_server_gets_new_firmware_does_not_look_worn_ever_after() {
    let told = server(repaired, |_| 6, Some(1059));
    let on = |day: i64| told[usize::try_from(day - 1001).unwrap()].len();
    assert_eq!(on(1056), 1, "it wears");
    assert!((1066..1099).all(|day| on(day) == 0), "and is well again: {:?}", told.last());
}

#[test]
fn new_firmware_that_cools_a_little_does_not_hide_what_wears() {
    let cools = |day: i64| 30.0 + 0.15 * (day - 1020).max(0) as f64 - if day >= 1040 { 1.5 } else { 0.0 };
    let told = server(cools, |_| 6, Some(1040));
    assert!(told.last().is_some_and(|signs| signs.len() == 1), "{:?}", told.last());
}

#[test]
fn heat_while_fans_stand_still_for_days_is_no_wear_of_the_processor() {
    let told = server(|_| 30.0, |hour| if (1050..1058).contains(&(hour / 24)) { 4 } else { 6 }, None);
    assert!(told.iter().flatten().all(|s| s.class != SignClass::Thermal), "{told:?}");
}

#[test]
fn heat_that_comes_with_the_load_is_explained_by_the_draw_and_not_hidden_by_what_the_supplies_could_deliver() {
    let (mut drift, mut worst) = (Drift::default(), 0.0_f64);
    for hour in 24_000..24_000 + 80 * 24_i64 {
        let at = Timestamp::from_secs(hour * 3600 + 60);
        let days = hour as f64 / 24.0 - 1000.0;
        let load = 300.0 + 60.0 * (days * std::f64::consts::TAU).sin() + 3.0 * (days - 20.0).max(0.0);
        let chassis = ComponentId::lenient(C::Chassis, "1");
        drift.take(&chassis, K::Power, "Server PowerCapacityWatts", 1600.0, at);
        drift.take(&chassis, K::Power, "Server PowerConsumedWatts", load, at);
        drift.take(&ComponentId::lenient(C::Board, "inlet"), K::Temperature, "", 22.0, at);
        let noise = 0.2 * (hour as f64 * 1.7).sin();
        drift.take(&ComponentId::lenient(C::Cpu, "cpu0"), K::Temperature, "", 22.0 + load / 10.0 + noise, at);
        worst = drift.signs(&RackMode::default()).iter().map(|s| s.score).fold(worst, f64::max);
    }
    assert!(worst < 0.5, "{worst}");
}
