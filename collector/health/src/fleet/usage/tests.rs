use super::*;
use proptest::prelude::*;

const DATE: i32 = 20_000;

#[derive(Clone)]
struct Read(&'static str, K, &'static str, &'static str, f64, i64);

fn day(read: &[Read]) -> Day {
    let mut book = DayBook::of(DATE);
    for Read(component, kind, sensor, source, value, minute) in read {
        let component = component.parse().unwrap();
        let at = Timestamp::from_millis(day_start(DATE).as_millis() + minute * 60_000);
        book.take(Sensor { component: &component, kind: *kind, name: sensor, source }, [(at, *value)]);
    }
    book.close(|_, sensor| sensor.contains("Inlet").then_some(42.0))
}

/// The same value every ten minutes of these hours.
fn all(of: Read, hours: std::ops::Range<i64>) -> Vec<Read> {
    (hours.start * 6..hours.end * 6).map(|n| Read(of.0, of.1, of.2, of.3, of.4, n * 10)).collect()
}

fn mean_of(day: &Day) -> Option<f64> {
    day.power.as_ref().and_then(|p| p.mean.mean())
}

#[test]
fn a_servers_own_sensor_is_its_power_and_its_supplies_are_not_added() {
    let mut read = all(Read("chassis/System", K::Power, "System Power Control", "/redfish", 400.0, 0), 0..24);
    for psu in ["psu/1", "psu/2"] {
        read.extend(all(Read(psu, K::InputPower, "input_power", "/redfish", 210.0, 0), 0..24));
    }
    let day = day(&read);
    assert_eq!((mean_of(&day), day.seen, day.supplies), (Some(400.0), 24, 2));
    assert_eq!(day.power.unwrap().sensor, "System Power Control");
}

#[test]
fn capacities_limits_and_extremes_are_no_draw() {
    let told = |field: &'static str, watts| all(Read("chassis/System", K::Power, field, "/redfish", watts, 0), 0..24);
    let mut read = told("System Power Control", 300.0);
    read.extend(told("System Power Control PowerCapacityWatts", 1600.0));
    read.extend(told("System Power Control MaxConsumedWatts", 900.0));
    read.extend(told("System Power Control LimitInWatts", 700.0));
    let day = day(&read);
    assert_eq!((mean_of(&day), day.capacity, day.cap), (Some(300.0), Some(1600.0), Some(700.0)));
}

#[test]
fn without_a_sensor_of_its_own_the_supplies_are_summed_once_though_two_protocols_tell_them() {
    let mut read = Vec::new();
    for (psu, name) in [("psu/1", "psu/PS1"), ("psu/2", "psu/PS2")] {
        read.extend(all(Read(psu, K::InputPower, "input_power", "/redfish", 150.0, 0), 0..24));
        read.extend(all(Read(psu, K::Power, "rail_power 1", "/redfish", 140.0, 0), 0..24));
        read.extend(all(Read(name, K::Power, "PS Pwr", "ipmi:sdr", 151.0, 0), 0..20));
    }
    let day = day(&read);
    assert_eq!((mean_of(&day), day.supplies), (Some(300.0), 2));
    assert_eq!(day.power.unwrap().sensor, "");
}

#[test]
fn a_sensor_that_tells_less_than_supplies_take_is_only_of_a_part() {
    let mut read = all(Read("board/Fan Power", K::Power, "Fan Power", "ipmi:sdr", 30.0, 0), 0..24);
    read.extend(all(Read("psu/1", K::InputPower, "PS1 Input", "ipmi:sdr", 250.0, 0), 0..24));
    assert_eq!(mean_of(&day(&read)), Some(250.0));
}

#[test]
fn an_hour_in_which_one_of_two_supplies_was_not_read_has_no_sum() {
    let mut read = all(Read("psu/1", K::InputPower, "input_power", "/redfish", 150.0, 0), 0..24);
    read.extend(all(Read("psu/2", K::InputPower, "input_power", "/redfish", 150.0, 0), 0..12));
    let power = day(&read).power.unwrap();
    assert_eq!((power.mean.count(), power.mean.mean()), (12, Some(300.0)));
}

#[test]
fn single_wild_reads_and_zeros_move_nothing() {
    let mut read = all(Read("server/self", K::Power, "power", "ipmi:sdr", 300.0, 0), 0..23);
    read.push(Read("server/self", K::Power, "power", "ipmi:sdr", 65_535.0, 65));
    read.push(Read("server/self", K::Power, "power", "ipmi:sdr", 0.0, 125));
    read.extend(all(Read("server/self", K::Power, "power", "ipmi:sdr", 0.0, 0), 23..24));
    let power = day(&read).power.unwrap();
    assert_eq!(power.mean.count(), 23, "nothing at all is no measurement");
    assert!(power.mean.told().chain(power.peak.told()).all(|w| w == 300.0), "{power:?}");
}

#[test]
fn the_warmest_inlet_counts_with_its_own_threshold_and_the_exhaust_is_above_it() {
    let mut read = all(Read("chassis/Inlet Temp", K::Temperature, "Inlet Temp", "/redfish", 24.0, 0), 0..24);
    read.extend(all(Read("chassis/Ambient 2", K::Temperature, "Ambient 2", "/redfish", 21.0, 0), 0..24));
    read.extend(all(Read("chassis/Exhaust Temp", K::Temperature, "Exhaust Temp", "/redfish", 36.0, 0), 0..24));
    read.extend(all(Read("psu/1", K::Temperature, "PSU inlet", "/redfish", 50.0, 0), 0..24));
    let day = day(&read);
    let inlet = day.inlet.unwrap();
    assert_eq!((inlet.max, inlet.limit, day.exhaust.map(|l| l.mean)), (24.0, Some(42.0), Some(12.0)));
}

#[test]
fn utilisation_is_told_by_what_it_is_of() {
    let mut read = all(Read("cpu/1", K::Utilization, "CPU1 Usage", "ipmi:sdr", 20.0, 0), 0..24);
    read.extend(all(Read("cpu/2", K::Utilization, "CPU2 Usage", "ipmi:sdr", 40.0, 0), 0..24));
    read.extend(all(Read("board/System", K::Utilization, "MEM Usage", "ipmi:sdr", 7.0, 0), 0..24));
    read.extend(all(Read("fan/1", K::FanDuty, "Fan 1", "ipmi:sdr", 35.0, 0), 0..24));
    let day = day(&read);
    let mean = |level: Option<Level>| level.map(|l| l.mean);
    assert_eq!((mean(day.cpu), mean(day.memory), mean(day.io)), (Some(30.0), Some(7.0), None));
    assert_eq!((day.cpu.unwrap().max, mean(day.fan)), (40.0, Some(35.0)));
}

#[test]
fn a_day_is_read_as_it_was_written_and_an_older_one_without_its_newer_fields() {
    let mut read = all(Read("chassis/Inlet Temp", K::Temperature, "Inlet Temp", "/redfish", 24.3, 0), 0..7);
    read.extend(all(Read("server/self", K::Power, "power", "ipmi:sdr", 301.4, 0), 3..24));
    let day = day(&read);
    let text = serde_json::to_string(&day).unwrap();
    assert_eq!(serde_json::from_str::<Day>(&text).unwrap(), day);
    assert!(text.len() < 600, "{}: {text}", text.len());
    assert_eq!(serde_json::from_str::<Day>("{}").unwrap(), Day::default());
}

proptest! {
    #[test]
    fn the_middle_of_three_is_their_median(three in prop::array::uniform3(-1e9..1e9_f64)) {
        prop_assert_eq!(middle(&three), crate::stats::median(three));
    }

    #[test]
    fn the_order_of_readings_says_nothing(values in prop::collection::vec((0_i64..1440, 100.0..900.0_f64), 1..80), seed in any::<u64>()) {
        let read: Vec<Read> = values.iter().map(|(m, w)| Read("server/self", K::Power, "power", "ipmi:sdr", *w, *m)).collect();
        let mut other = read.clone();
        let turn = usize::try_from(seed % read.len() as u64).unwrap();
        other.rotate_left(turn);
        other.reverse();
        prop_assert_eq!(day(&read), day(&other));
    }

    #[test]
    fn what_is_drawn_lies_between_the_least_and_the_most_that_was_read(values in prop::collection::vec((0_i64..1440, 1.0..900.0_f64), 1..80)) {
        let read: Vec<Read> = values.iter().map(|(m, w)| Read("server/self", K::Power, "power", "ipmi:sdr", *w, *m)).collect();
        let (least, most) = values.iter().fold((f64::MAX, 0.0_f64), |(l, m), (_, w)| (l.min(*w), m.max(*w)));
        let power = day(&read).power.unwrap();
        for (mean, peak) in power.mean.0.iter().zip(power.peak.0) {
            prop_assert_eq!(mean.is_some(), peak.is_some());
            if let Some((mean, peak)) = mean.zip(peak) {
                prop_assert!(f64::from(mean) >= least - 0.06 && f64::from(peak) <= most + 0.06 && mean <= peak + 0.06);
            }
        }
    }
}
