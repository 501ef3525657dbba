use super::*;
use ComponentClass as C;
use SensorKind as K;

/// A server whose fans turn at 100 rpm per percent of duty, hour by hour.
struct Site {
    drift: Drift,
    hour: i64,
    fans: usize,
    tells_duty: bool,
    /// A reading of a fan that does not come.
    lost: Option<(usize, i64)>,
}

impl Site {
    fn new(fans: usize, tells_duty: bool) -> Self {
        Self { drift: Drift::default(), hour: 24 * 1000, fans, tells_duty, lost: None }
    }

    /// A day of hours: `speed` gives the share of what a fan should do, by fan and hour of the run; `duty` what they are driven with.
    fn days(&mut self, days: i64, speed: impl Fn(usize, i64) -> f64, duty: impl Fn(usize, i64) -> f64) -> &mut Self {
        for _ in 0..days * 24 {
            let at = Timestamp::from_secs(self.hour * 3600 + 60);
            for n in (0..self.fans).filter(|n| self.lost != Some((*n, self.hour))) {
                let duty = duty(n, self.hour).round();
                // A little noise that no chance is needed for.
                let noise = 1.0 + 0.003 * ((self.hour * 7 + n as i64 * 13) as f64).sin();
                let fan = fan(n);
                self.drift.take(&fan, K::FanSpeed, "", (100.0 * duty * speed(n, self.hour) * noise).round(), at);
                if self.tells_duty {
                    self.drift.take(&fan, K::FanDuty, "", duty, at);
                }
            }
            self.hour += 1;
        }
        self
    }

    fn signs(&self) -> Vec<Sign> {
        self.drift.signs(&RackMode::default())
    }
}

fn fan(n: usize) -> ComponentId {
    ComponentId::lenient(C::Fan, format!("fan{n}"))
}

fn well(_: usize, _: i64) -> f64 {
    1.0
}

fn daily(_: usize, hour: i64) -> f64 {
    40.0 + 15.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin()
}

/// From day 1020 on, fan 2 loses half a percent a day.
fn wears(n: usize, hour: i64) -> f64 {
    let days = (hour as f64 / 24.0 - 1020.0).max(0.0);
    if n == 2 { 1.0 - 0.005 * days } else { 1.0 }
}

#[test]
fn a_fan_that_slows_at_equal_duty_is_told_alone_and_by_how_much() {
    let mut site = Site::new(4, true);
    let signs = site.days(45, wears, daily).signs();
    assert_eq!(signs.iter().map(|s| s.component.slot()).collect::<Vec<_>>(), ["fan2"]);
    let fact = &signs[0].facts[0];
    assert!((fact.by - 0.885_f64.ln()).abs() < 0.01, "{fact:?}");
    assert!(signs[0].score > 1.0);
    assert!(fact.since >= Timestamp::from_secs(1018 * 86_400) && fact.since <= Timestamp::from_secs(1035 * 86_400));
}

#[test]
fn a_fan_that_slows_is_seen_against_the_others_where_no_duty_is_told() {
    let mut site = Site::new(6, false);
    let signs = site.days(45, wears, daily).signs();
    assert_eq!(signs.iter().map(|s| s.component.slot()).collect::<Vec<_>>(), ["fan2"]);
}

#[test]
fn a_healthy_server_shows_nothing() {
    for tells in [true, false] {
        assert_eq!(Site::new(6, tells).days(90, well, daily).signs(), []);
    }
}

#[test]
fn a_zone_that_is_driven_another_way_after_new_firmware_is_no_wear() {
    for tells in [true, false] {
        let mut site = Site::new(6, tells);
        site.days(30, well, daily);
        let slower = |n: usize, hour: i64| daily(n, hour) - if n < 3 { 12.0 } else { 0.0 };
        assert_eq!(site.days(30, well, slower).signs(), [], "duty told: {tells}");
    }
}

#[test]
fn fans_that_all_turn_slower_at_the_same_duty_have_another_scale_and_not_all_worn() {
    let mut site = Site::new(6, true);
    site.days(30, well, daily);
    assert_eq!(site.days(30, |_, _| 0.85, daily).signs(), []);
}

#[test]
fn a_fan_that_was_out_and_comes_back_as_another_is_no_wear() {
    let mut site = Site::new(6, true);
    site.days(30, well, daily);
    let from = site.hour;
    let swapped = move |n: usize, hour: i64| match (n, hour - from) {
        (2, 0..4) => 0.0,
        (2, _) => 0.93,
        _ => 1.0,
    };
    assert_eq!(site.days(30, swapped, daily).signs(), []);
}

#[test]
fn single_wild_readings_are_no_wobble_while_many_more_than_ever_are() {
    let caught = |every: i64| move |n: usize, hour: i64| if n == 1 && hour % every == 0 { 0.4 } else { 1.0 };
    let mut site = Site::new(6, true);
    assert_eq!(site.days(60, caught(40), daily).signs(), []);
    let signs = site.days(8, caught(7), daily).signs();
    assert_eq!(signs.iter().map(|s| s.component.slot()).collect::<Vec<_>>(), ["fan1"]);
    assert_eq!(signs[0].facts[0].what, sign::What::Stalls);
}

#[test]
fn a_tachometer_that_begins_to_be_misread_too_high_as_often_as_too_low_is_no_fan_that_sticks() {
    let mut site = Site::new(6, true);
    site.days(30, well, daily);
    let misread = |n: usize, hour: i64| match (n, hour % 24) {
        (1, 5) => 0.4,
        (1, 17) => 2.3,
        _ => 1.0,
    };
    assert_eq!(site.days(12, misread, daily).signs(), []);
}

#[test]
fn tachometers_that_all_flip_between_two_steps_at_a_new_speed_are_not_erratic() {
    let mut site = Site::new(6, true);
    site.days(30, well, daily);
    let chance = |n: usize, hour: i64| (hour * 7919 + n as i64 * 104_729) * 2_654_435 / 1024 % 2;
    let flips = |n: usize, hour: i64| if chance(n, hour) == 0 { 0.97 } else { 1.0 };
    assert_eq!(site.days(8, flips, daily).signs(), []);
}

#[test]
fn a_fan_that_jumps_about_since_before_it_was_learnt_is_seen_against_its_siblings_once_it_jumps_more() {
    let mut site = Site::new(6, true);
    let jumps = |by: f64| move |n: usize, hour: i64| if n == 3 && hour % 2 == 0 { 1.0 - by } else { 1.0 };
    assert_eq!(site.days(30, jumps(0.03), daily).signs(), []);
    let signs = site.days(6, jumps(0.04), daily).signs();
    assert_eq!(
        signs.iter().map(|s| (s.component.slot(), s.facts[0].what)).collect::<Vec<_>>(),
        [("fan3", sign::What::Erratic)]
    );
}

#[test]
fn a_fan_that_comes_back_after_an_hour_as_another_is_no_wear_and_begins_anew() {
    for tells in [true, false] {
        let mut site = Site::new(6, tells);
        site.days(30, well, daily);
        let from = site.hour;
        let swapped = move |n: usize, hour: i64| match (n, hour - from) {
            (2, 0) => 0.0,
            (2, _) => 0.93,
            _ => 1.0,
        };
        assert_eq!(site.days(30, swapped, daily).signs(), [], "duty told: {tells}");
    }
}

#[test]
fn a_worn_fan_that_is_replaced_is_not_measured_by_what_the_worn_one_had_come_to() {
    let mut site = Site::new(6, true);
    site.days(26, wears, daily);
    let from = site.hour;
    let replaced = move |n: usize, hour: i64| match (n, hour - from) {
        (2, 0..20) => 0.0,
        (2, _) => 1.01,
        _ => 1.0,
    };
    site.days(30, replaced, daily);
    assert_eq!(site.signs(), []);
    let last = site.drift.course(&fan(2)).last().unwrap().3;
    assert!(last.abs() < 0.005, "{last}");
}

#[test]
fn a_zone_is_driven_another_way_after_a_worn_fan_was_replaced_and_the_new_one_is_no_wear() {
    // Without a duty: the worn fan wore while the others learnt how they turn against it.
    let mut site = Site::new(6, false);
    let from = site.hour;
    let worn = move |n: usize, hour: i64| if n == 2 { 0.98 - (hour - from) as f64 * 2e-4 } else { 1.0 };
    site.days(20, worn, daily);
    let from = site.hour;
    let replaced = move |n: usize, hour: i64| match (n, hour - from) {
        (2, 0..20) => 0.0,
        (2, _) => 1.01,
        _ => 1.0,
    };
    site.days(25, replaced, daily);
    assert_eq!(site.signs(), []);
    for day in 0..25 {
        // Whichever zone is faster.
        let slower = |n: usize, hour: i64| daily(n, hour) * if n < 3 { 1.0 - 0.004 * day as f64 } else { 1.0 };
        assert_eq!(site.days(1, |n, _| if n == 2 { 1.01 } else { 1.0 }, slower).signs(), []);
    }
}

#[test]
fn a_level_that_goes_to_and_fro_does_not_add_up_to_wear() {
    let mut site = Site::new(4, true);
    site.days(25, well, daily);
    for turn in 0..12 {
        let low = turn % 2 == 0;
        site.days(6, move |n, _| if n == 2 && low { 0.975 } else { 1.0 }, daily);
        assert!(site.signs().iter().all(|s| s.score < 0.6), "turn {turn}: {:?}", site.signs());
    }
}

#[test]
fn what_new_firmware_does_to_heat_is_no_wear_however_often_it_does_a_little() {
    let mut drifts = vec![Drift::default(); 1];
    let steps = [1020, 1030, 1040, 1050];
    for hour in 24_000..24_000 + 60 * 24_i64 {
        let at = Timestamp::from_secs(hour * 3600 + 60);
        let (day, drift) = (hour / 24, &mut drifts[0]);
        if hour % 24 == 0 && steps.contains(&day) {
            drift.changed(at);
        }
        let warmer = 1.3 * steps.iter().filter(|s| **s <= day).count() as f64;
        let load = 300.0 + 80.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        drift.take(&ComponentId::lenient(C::Server, "server"), K::Power, "", load, at);
        drift.take(&ComponentId::lenient(C::Board, "inlet"), K::Temperature, "", 22.0, at);
        drift.take(&ComponentId::lenient(C::Cpu, "cpu0"), K::Temperature, "", 22.0 + load * 0.1 + warmer, at);
    }
    assert!(drifts[0].signs(&RackMode::default()).iter().all(|s| s.score < 0.5));
}

/// A fan of four that wears, read so many times an hour: on which day it is told first.
fn told_on(times: i64) -> Option<i64> {
    let mut drift = Drift::default();
    for minute in (24 * 1000 * times)..(24 * 1050 * times) {
        let hour = minute / times;
        let at = Timestamp::from_secs(minute * (3600 / times) + 5);
        for n in 0..4 {
            let noise = 1.0 + 0.003 * ((minute * 7 + n as i64 * 13) as f64).sin();
            let duty = daily(n, hour).round();
            drift.take(&fan(n), K::FanDuty, "", duty, at);
            drift.take(&fan(n), K::FanSpeed, "", (100.0 * duty * wears(n, hour) * noise).round(), at);
        }
        if minute % (24 * times) == 0 {
            let signs = drift.signs(&RackMode::default());
            let told: Vec<&Sign> = signs.iter().filter(|s| s.score >= 1.0).collect();
            assert!(told.iter().all(|s| s.component.slot() == "fan2"), "{told:?}");
            if !told.is_empty() {
                return Some(hour / 24);
            }
        }
    }
    None
}

#[test]
fn a_fan_that_wears_is_told_within_a_day_whether_it_is_read_each_minute_or_each_hour() {
    let [hourly, often, always] = [1, 12, 60].map(|times| told_on(times).unwrap());
    assert!((hourly - often).abs() <= 1 && (hourly - always).abs() <= 1, "{hourly} {often} {always}");
}

#[test]
fn a_server_that_appears_late_is_learnt_from_then_on() {
    let mut site = Site::new(4, true);
    site.hour += 24 * 10;
    let from = site.hour;
    let late = move |n: usize, hour: i64| {
        if n == 2 { 1.0 - 0.005 * ((hour - from) as f64 / 24.0 - 15.0).max(0.0) } else { 1.0 }
    };
    assert!(site.days(14, late, daily).signs().is_empty());
    assert!(site.days(16, late, daily).signs().iter().any(|s| s.score >= 1.0));
}

#[test]
fn a_supply_that_tells_heat_but_no_power_hides_no_other() {
    let mut drift = Drift::default();
    let odd = ComponentId::lenient(C::PowerSupply, "psu0 fan board");
    let worn = |n: usize, hour: i64| if n == 1 { 0.94 - 0.001 * ((hour / 24 - 1020).max(0) as f64) } else { 0.94 };
    for day in 1000..1050 {
        drift.take(&odd, K::Temperature, "", 40.0, Timestamp::from_secs(day * 86_400 + 30));
        supplies(&mut drift, day * 24..(day + 1) * 24, worn, |_, _| true);
    }
    assert!(drift.signs(&RackMode::default()).iter().any(|s| s.component.slot() == "psu1" && s.score >= 1.0));
}

#[test]
fn readings_that_are_lost_now_and_then_do_not_hide_a_fan_that_wears_fast() {
    let mut site = Site::new(4, true);
    site.days(20, well, daily);
    let from = site.hour;
    for day in 0..16 {
        // Each day one reading of the worn fan does not come.
        let worn = move |n: usize, hour: i64| if n == 2 { 1.0 - 0.012 * (hour - from) as f64 / 24.0 } else { 1.0 };
        site.days(1, worn, daily);
        site.lost = Some((2, site.hour + 5 + day % 3));
    }
    let signs = site.signs();
    assert!(signs.iter().any(|s| s.component.slot() == "fan2" && s.score >= 2.0), "{signs:?}");
}

#[test]
fn days_that_a_clock_dated_wrong_are_dropped_when_it_is_right_again() {
    let mut site = Site::new(4, true);
    site.days(20, well, daily);
    site.hour += 24 * 300;
    site.days(1, well, daily);
    site.hour -= 24 * 301 - 1;
    site.days(3, well, daily);
    let dates: Vec<Timestamp> = site.drift.course(&fan(1)).map(|(_, _, at, _)| at).collect();
    assert!(dates.windows(2).all(|w| w[0] < w[1]), "{dates:?}");
    assert!(dates.last().unwrap().as_secs() <= site.hour * 3600);
}

#[test]
fn a_fan_whose_speed_jumps_about_for_days_is_erratic() {
    let mut site = Site::new(6, true);
    site.days(30, well, daily);
    let jumps = |n: usize, hour: i64| if n == 3 && hour % 2 == 0 { 0.97 } else { 1.0 };
    let signs = site.days(6, jumps, daily).signs();
    assert_eq!(signs.iter().map(|s| s.component.slot()).collect::<Vec<_>>(), ["fan3"]);
    assert_eq!(signs[0].facts[0].what, sign::What::Erratic);
}

#[test]
fn gaps_and_a_clock_that_jumps_a_year_and_back_neither_make_nor_hide_wear() {
    let mut site = Site::new(4, true);
    site.days(25, wears, daily);
    site.hour += 24 * 365;
    site.days(1, |n, _| if n == 2 { 0.97 } else { 1.0 }, daily);
    site.hour -= 24 * 366 - 50;
    let signs = site.days(20, wears, daily).signs();
    assert_eq!(signs.iter().map(|s| s.component.slot()).collect::<Vec<_>>(), ["fan2"]);
    let mut site = Site::new(4, true);
    site.days(25, well, daily);
    site.hour += 24 * 365;
    site.days(1, well, daily);
    site.hour -= 24 * 366 - 50;
    assert_eq!(site.days(30, well, daily).signs(), []);
}

#[test]
fn another_part_in_the_place_begins_anew() {
    let mut site = Site::new(4, true);
    site.days(45, wears, daily);
    assert!(!site.signs().is_empty());
    let at = Timestamp::from_secs(site.hour * 3600);
    site.drift.renew(&fan(2), at);
    assert_eq!(site.days(20, |n, _| if n == 2 { 0.96 } else { 1.0 }, daily).signs(), []);
}

#[test]
fn what_was_stored_and_read_back_goes_on_as_if_nothing_had_been() {
    let mut site = Site::new(4, true);
    site.days(28, wears, daily);
    let stored = serde_json::to_string(&site.drift).unwrap();
    let mut other = Site { drift: serde_json::from_str(&stored).unwrap(), ..site };
    assert_eq!(serde_json::to_string(&other.drift).unwrap(), stored);
    assert!(!other.days(17, wears, daily).signs().is_empty());
}

/// A pair of supplies at a load that swings by the day.
fn supplies(
    drift: &mut Drift,
    hours: std::ops::Range<i64>,
    efficiency: impl Fn(usize, i64) -> f64,
    alive: impl Fn(usize, i64) -> bool,
) {
    for hour in hours {
        let at = Timestamp::from_secs(hour * 3600 + 60);
        let output = 400.0 + 120.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        let living = (0..2).filter(|n| alive(*n, hour)).count().max(1) as f64;
        for n in 0..2 {
            let psu = ComponentId::lenient(C::PowerSupply, format!("psu{n}"));
            let given = if alive(n, hour) { output / living } else { 0.0 };
            let noise = 1.0 + 0.002 * ((hour * 5 + n as i64 * 11) as f64).sin();
            drift.take(&psu, K::InputPower, "", given / efficiency(n, hour) * noise, at);
            drift.take(&psu, K::OutputPower, "", given, at);
            drift.take(&psu, K::Temperature, "", 40.0 + given * (1.0 - efficiency(n, hour)), at);
        }
    }
}

#[test]
fn a_supply_that_loses_efficiency_is_told_and_its_partner_is_not() {
    let mut drift = Drift::default();
    let worn = |n: usize, hour: i64| if n == 1 { 0.94 - 0.001 * ((hour / 24 - 1020).max(0) as f64) } else { 0.94 };
    supplies(&mut drift, 24_000..24_000 + 50 * 24, worn, |_, _| true);
    let signs = drift.signs(&RackMode::default());
    assert_eq!(signs.iter().map(|s| (s.component.slot(), s.class)).collect::<Vec<_>>(), [("psu1", SignClass::Psu)]);
    assert!(signs[0].facts.iter().any(|f| f.measure == Measure::Efficiency && f.by < -0.02));
}

#[test]
fn a_feed_that_is_lost_for_a_day_wears_no_supply() {
    let mut drift = Drift::default();
    let lost = |n: usize, hour: i64| !(n == 0 && (24_700..24_730).contains(&hour));
    supplies(&mut drift, 24_000..24_000 + 60 * 24, |_, _| 0.94, lost);
    assert_eq!(drift.signs(&RackMode::default()), []);
}

/// Servers of one rack: processors above an inlet.
fn rack(worn: Option<usize>, common: impl Fn(i64) -> f64) -> Vec<Drift> {
    let mut drifts = vec![Drift::default(); 5];
    for hour in 24_000..24_000 + 60 * 24_i64 {
        let at = Timestamp::from_secs(hour * 3600 + 60);
        for (n, drift) in drifts.iter_mut().enumerate() {
            let load = 300.0 + 80.0 * ((hour + n as i64 * 3) as f64 / 24.0 * std::f64::consts::TAU).sin();
            let resistance = if worn == Some(n) { 0.1 + 0.0012 * ((hour / 24 - 1020).max(0) as f64) } else { 0.1 };
            let inlet = 22.0 + (hour as f64 / 300.0).sin();
            drift.take(&ComponentId::lenient(C::Server, "server"), K::Power, "", load, at);
            drift.take(&ComponentId::lenient(C::Board, "inlet"), K::Temperature, "", inlet, at);
            let cpu = inlet + load * resistance + common(hour);
            drift.take(&ComponentId::lenient(C::Cpu, "cpu0"), K::Temperature, "", cpu, at);
        }
    }
    drifts
}

#[test]
fn a_processor_that_sheds_its_heat_worse_is_told() {
    let drifts = rack(Some(3), |_| 0.0);
    let mode = RackMode::of(drifts.iter());
    let told: Vec<usize> = (0..5).filter(|n| !drifts[*n].signs(&mode).is_empty()).collect();
    assert_eq!(told, [3]);
}

#[test]
fn what_warms_a_whole_rack_slowly_is_no_servers_fault() {
    let drifts = rack(None, |hour| ((hour / 24 - 1015).max(0) as f64) * 0.3);
    let mode = RackMode::of(drifts.iter());
    assert!(drifts.iter().all(|d| d.signs(&mode).is_empty()));
    assert!(drifts.iter().any(|d| !d.signs(&RackMode::default()).is_empty()), "the rack's mode has to matter");
}

fn errors(counts: &[(i64, f64)]) -> Vec<Sign> {
    let mut drift = Drift::default();
    let dimm = |n: usize| ComponentId::lenient(C::Memory, format!("dimm{n}"));
    for (day, count) in counts {
        for n in 0..4 {
            let at = Timestamp::from_secs((1000 + day) * 86_400 + 60);
            drift.take(&dimm(n), K::CorrectableErrors, "", if n == 1 { *count } else { 0.0 }, at);
        }
    }
    drift.take(
        &dimm(0),
        K::CorrectableErrors,
        "",
        0.0,
        Timestamp::from_secs((1000 + counts.len() as i64) * 86_400 + 60),
    );
    drift.signs(&RackMode::default())
}

#[test]
fn corrected_errors_on_several_days_are_a_sign_and_one_burst_is_none() {
    let growing: Vec<(i64, f64)> = (0..10).map(|d| (d, (d * d) as f64)).collect();
    assert_eq!(errors(&growing).iter().map(|s| s.component.slot().to_owned()).collect::<Vec<_>>(), ["dimm1"]);
    let burst: Vec<(i64, f64)> = (0..10).map(|d| (d, if d < 4 { 0.0 } else { 900.0 })).collect();
    assert_eq!(errors(&burst), []);
}

#[test]
fn a_counter_that_a_reboot_empties_counts_on_and_a_bad_read_counts_nothing() {
    let mut errors = memory::Errors::default();
    for count in [100.0, 103.0, 2.0, 3.0, 5.0] {
        errors.count(count, 1);
    }
    errors.close(1);
    let mut bad = memory::Errors::default();
    for count in [100.0, 103.0, 0.0, 103.0, 104.0] {
        bad.count(count, 1);
    }
    bad.close(1);
    assert_eq!((errors.of_day(1), bad.of_day(1)), (3.0 + 5.0, 4.0));
}

mod cadence;
mod heat;
