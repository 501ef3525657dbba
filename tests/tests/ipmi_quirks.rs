//! What BMCs of the field do otherwise than the specification says: what our client makes of each peculiarity, and that the simulated BMCs which have them are
//! still BMCs to `ipmitool` and `ipmi-sensors`.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_bmc::client::Bmc;
use outband_bmc::redfish::knowledge::Knowledge;
use outband_bmc::{Credentials, Secret, Target, Trust};
use outband_schemas::{
    Cause, Clock, LogEvent, Observation, Quality, Reading, Section, SensorKind, Suspicion, Timestamp,
};
use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options, Quirk, Quirks, Suite};
use outband_tests::sim::machine::{Fault, FaultKind, Machine, Shared, Spec};
use outband_tests::skip;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Runtime;

const USER: &str = "operator";
const PASSWORD: &str = "correct horse 20byte";

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }
}

struct Rig {
    bmc: IpmiBmc,
    machine: Shared,
    runtime: Runtime,
}

impl Rig {
    fn new(quirks: Quirks, adjust: impl FnOnce(&mut Options)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let lost = Fault { kind: FaultKind::PsuInputLost { psu: 1 }, onset: 0.01, over: 1.0 };
        let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000017", 17), vec![lost]), 1.0);
        let mut options = Options { quirks, ..Options::new(USER, PASSWORD) };
        adjust(&mut options);
        let bmc = runtime.block_on(IpmiBmc::start(machine.clone(), options)).unwrap();
        Self { bmc, machine, runtime }
    }

    fn with(quirk: Quirk) -> Self {
        Self::new(Quirks::of([quirk]), |_| ())
    }

    fn target(&self) -> Target {
        Target {
            address: self.bmc.url().parse().unwrap(),
            credentials: Credentials::new(USER, Secret::new(PASSWORD)),
            cipher: None,
            trust: Trust::FirstUse,
            request_deadline: Duration::from_secs(5),
        }
    }

    /// What a poll tells, and how many sessions it took.
    fn poll(&self, section: Section) -> (Vec<Observation>, u64) {
        self.runtime.block_on(async {
            let target = self.target();
            let mut bmc = Bmc::connect_through(None, &target, &Knowledge::default()).await.unwrap();
            let polled = bmc.poll(section, None, &Wall).await.unwrap();
            let logins = bmc.stats().connections;
            bmc.close().await.unwrap();
            (polled.observations, logins)
        })
    }

    fn sensors(&self) -> Sensors {
        let (observations, logins) = self.poll(Section::Sensors);
        Sensors::of(observations, logins)
    }

    /// What `ipmitool` or `ipmi-sensors` prints; `None` where it is not installed.
    fn tool(&self, mut command: Command) -> Option<String> {
        match command.output() {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => {
                skip(format!("{}: {error}", command.get_program().display()));
                None
            }
        }
    }

    fn ipmitool(&self, suite: &str, what: &[&str]) -> Option<String> {
        let mut command = Command::new("ipmitool");
        command.args(["-I", "lanplus", "-H", "127.0.0.1", "-p", &self.bmc.addr.port().to_string(), "-C", suite]);
        command.args(["-U", USER, "-P", PASSWORD, "-R", "2", "-N", "2"]).args(what);
        self.tool(command)
    }

    fn ipmi_sensors(&self, suite: &str) -> Option<String> {
        let cache = tempfile::tempdir().unwrap();
        let mut command = Command::new("ipmi-sensors");
        command.args(["-D", "LAN_2_0", "-h", &self.bmc.addr.to_string(), "-I", suite, "-u", USER, "-p", PASSWORD]);
        command.args(["-l", "USER", "--no-header-output", "--quiet-cache", "--sdr-cache-directory"]).arg(cache.path());
        self.tool(command)
    }
}

#[derive(Debug)]
struct Sensors {
    readings: BTreeMap<String, Reading>,
    gaps: Vec<(Cause, String)>,
    logins: u64,
}

impl Sensors {
    fn of(observations: Vec<Observation>, logins: u64) -> Self {
        let mut sensors = Sensors { readings: BTreeMap::new(), gaps: Vec::new(), logins };
        for observation in observations {
            match observation {
                Observation::Reading(reading) if reading.source.0.starts_with("ipmi:") => {
                    sensors.readings.insert(reading.source.0.clone(), reading);
                }
                Observation::Gap(gap) => sensors.gaps.push((gap.cause, gap.detail)),
                _ => {}
            }
        }
        sensors
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Reading> {
        self.readings.values().filter(move |r| r.sensor.starts_with(name))
    }

    /// Names and values, without what varies from one poll to the next.
    fn names(&self) -> BTreeSet<(String, String)> {
        self.readings.iter().map(|(source, r)| (source.clone(), r.sensor.clone())).collect()
    }

    fn whole(&self) -> bool {
        self.gaps.is_empty() && self.readings.values().all(|r| r.value.is_some() && r.quality == Quality::Good)
    }
}

/// What a BMC tells that does as the specification says.
fn plain() -> Sensors {
    let sensors = Rig::new(Quirks::default(), |_| ()).sensors();
    assert!(sensors.whole(), "{sensors:?}");
    sensors
}

fn events(observations: &[Observation]) -> Vec<&LogEvent> {
    observations.iter().filter_map(|o| if let Observation::Event(e) = o { Some(e) } else { None }).collect()
}

#[test]
fn the_tools_read_as_many_sensors_of_a_plain_bmc_as_we_do() {
    let rig = Rig::new(Quirks::default(), |_| ());
    let ours = rig.sensors().readings.len();
    for suite in ["3", "17"] {
        if let Some(text) = rig.ipmitool(suite, &["sdr", "elist"]) {
            assert_eq!(text.lines().count(), ours, "suite {suite}: {text}");
        }
        if let Some(text) = rig.ipmi_sensors(suite) {
            assert_eq!(text.lines().count(), ours, "suite {suite}: {text}");
        }
    }
}

#[test]
fn the_tools_still_read_sensors_of_every_makers_bmc() {
    for (maker, quirks) in Quirks::all() {
        let rig = Rig::new(quirks.clone(), |_| ());
        if let Some(text) = rig.ipmitool("3", &["sdr", "elist"]) {
            // A bit that says "scanning disabled" is taken at its word there.
            let shown = if quirks == Quirks::dell() { "Disabled" } else { "degrees C" };
            let inlet = text.lines().find(|line| line.starts_with("Inlet Temp"));
            assert!(inlet.is_some_and(|line| line.contains(shown)), "{maker}: {text}");
        }
    }
}

#[test]
fn every_makers_bmc_is_read_in_one_session_and_its_inlet_has_its_temperature() {
    let inlet = |sensors: &Sensors| sensors.named("Inlet Temp").next().map(|r| r.value.is_some());
    for (maker, quirks) in Quirks::all() {
        let sensors = Rig::new(quirks, |_| ()).sensors();
        assert_eq!(inlet(&sensors), Some(true), "{maker}: {sensors:?}");
        assert_eq!(sensors.logins, 1, "{maker}");
    }
}

#[test]
fn a_last_record_that_is_always_refused_costs_nothing() {
    // It is that of a supply's FRU data.
    let sensors = Rig::with(Quirk::LastRecordTimesOut).sensors();
    assert!(sensors.names() == plain().names() && sensors.whole(), "{:?}", sensors.gaps);
}

#[test]
fn a_list_without_an_end_is_read_to_its_last_record() {
    assert_eq!(Rig::with(Quirk::NoEndOfList).sensors().names(), plain().names());
}

#[test]
fn a_wrong_number_of_records_changes_nothing() {
    let sensors = Rig::with(Quirk::WrongRecordCount).sensors();
    assert!(sensors.names() == plain().names() && sensors.whole(), "{:?}", sensors.gaps);
}

#[test]
fn records_that_are_shorter_than_they_say_are_read_all_the_same() {
    let sensors = Rig::with(Quirk::WrongRecordLength).sensors();
    assert_eq!(sensors.names(), plain().names(), "{:?}", sensors.gaps);
}

#[test]
fn junk_records_bring_no_sensor_and_cost_none() {
    assert_eq!(Rig::with(Quirk::JunkRecords).sensors().names(), plain().names());
}

#[test]
fn reservations_that_others_take_away_are_made_again() {
    let rig = Rig::new(Quirks::of([Quirk::ReservationsLost]), |options| options.max_read = 20);
    let sensors = rig.sensors();
    assert!(sensors.names() == plain().names() && sensors.whole(), "{:?}", sensors.gaps);
}

#[test]
fn wrong_checksums_of_authentic_messages_and_skipped_numbers_change_nothing() {
    for quirk in [Quirk::WrongChecksums, Quirk::SequenceSkips] {
        let sensors = Rig::with(quirk).sensors();
        assert!(sensors.names() == plain().names() && sensors.whole() && sensors.logins == 1, "{quirk:?}: {sensors:?}");
    }
}

#[test]
fn a_suite_that_is_on_paper_only_is_followed_by_the_next() {
    // The better one is refused, the other taken.
    let rig = Rig::with(Quirk::SuiteOnPaper);
    assert!(rig.sensors().whole());
    let other = |options: &mut Options| options.suites = vec![Suite::Seventeen, Suite::Three];
    assert!(Rig::new(Quirks::of([Quirk::SuiteOnPaper]), other).sensors().whole());
}

#[test]
fn a_bmc_that_does_not_tell_its_suites_is_logged_in_to_all_the_same() {
    assert!(Rig::with(Quirk::SilentAboutSuites).sensors().whole());
}

#[test]
fn a_reading_that_is_not_there_has_a_cause_and_never_a_value_however_that_is_said() {
    let absent = ["FAN1", "FAN2", "FAN3", "FAN4", "PSU1 Vin", "PSU1 Pin", "CPU1 Temp", "CPU2 Temp", "PCH Temp"];
    for quirks in
        [Quirks::default(), Quirks::of([Quirk::RefusesAbsentReadings]), Quirks::of([Quirk::EmptyAbsentReadings])]
    {
        let rig = Rig::new(quirks.clone(), |options| options.absent = absent.map(str::to_owned).to_vec());
        let sensors = rig.sensors();
        let without: Vec<_> = sensors.readings.values().filter(|r| r.value.is_none()).collect();
        assert_eq!(without.len(), absent.len(), "{quirks:?}: {without:?}");
        for reading in without {
            assert!(absent.contains(&reading.sensor.as_str()), "{quirks:?}: {reading:?}");
            assert!(matches!(reading.quality, Quality::Unavailable(_)), "{quirks:?}: {reading:?}");
        }
        assert_eq!(sensors.names(), plain().names());
    }
}

#[test]
fn a_good_reading_that_is_said_to_be_switched_off_is_told_with_that_doubt() {
    let sensors = Rig::with(Quirk::ScanningBitWrong).sensors();
    let numbers: Vec<_> = sensors.readings.values().filter(|r| r.kind != SensorKind::State).collect();
    assert!(numbers.len() > 20);
    for reading in numbers {
        let doubted = reading.value.is_some() && reading.quality == Quality::Suspect(Suspicion::ScanningDisabled);
        let zero = reading.value.is_none() && reading.quality == Quality::Unavailable(Cause::Disabled);
        assert!(doubted || zero, "{reading:?}");
    }
}

#[test]
fn sensors_of_one_name_stay_apart() {
    let sensors = Rig::with(Quirk::SameNames).sensors();
    assert_eq!(sensors.readings.len(), plain().readings.len());
    let apart: BTreeSet<_> =
        sensors.readings.values().map(|r| (r.component.clone(), r.kind, r.sensor.clone())).collect();
    assert_eq!(apart.len(), sensors.readings.len());
}

#[test]
fn a_log_entry_under_two_ids_is_told_once() {
    let log = |quirks| {
        let rig = Rig::new(quirks, |_| ());
        assert!(outband_tests::wait_until(Duration::from_secs(5), || rig.machine.now().log.len() == 3));
        let told = rig.poll(Section::Log).0;
        let mut records: Vec<_> = events(&told).iter().map(|e| (e.message.clone(), e.deasserted)).collect();
        records.sort();
        records
    };
    let twice = log(Quirks::of([Quirk::EntryUnderTwoIds]));
    assert_eq!((twice.len(), twice), (3, log(Quirks::default())));
}

#[test]
fn a_bmc_that_answers_slowly_holds_a_poll_no_longer_than_its_time_and_what_it_said_is_told() {
    let rig = Rig::new(Quirks::default(), |options| options.latency = Duration::from_millis(20));
    let (whole, cut, after) = rig.runtime.block_on(async {
        let target = rig.target();
        let mut bmc = Bmc::connect_through(None, &target, &Knowledge::default()).await.unwrap();
        let whole = bmc.poll(Section::Sensors, None, &Wall).await.unwrap();
        let until = tokio::time::Instant::now() + Duration::from_millis(500);
        let cut = bmc.poll_until(Section::Sensors, None, until, &Wall).await.unwrap();
        assert!(until.elapsed() < Duration::from_secs(2), "{:?}", until.elapsed());
        let after = bmc.poll(Section::Sensors, None, &Wall).await.unwrap();
        assert_eq!(bmc.stats().connections, 1, "the session is as good as before");
        bmc.close().await.unwrap();
        (whole, cut, after)
    });
    let [whole, cut, after] = [whole, cut, after].map(|polled| Sensors::of(polled.observations, 1));
    let is_there = |reading: &&Reading| reading.value.is_some();
    assert!(whole.readings.values().filter(is_there).count() > 40 && whole.gaps.is_empty(), "{:?}", whole.gaps);
    // In half a second it says some two dozen of them.
    let read = cut.readings.values().filter(is_there).count();
    assert!((1..40).contains(&read), "{read}");
    assert_eq!(cut.readings.len(), whole.readings.len());
    let rest: Vec<_> = cut.readings.values().filter(|r| r.value.is_none()).collect();
    assert!(rest.iter().all(|r| r.quality == Quality::Unavailable(Cause::Cancelled)), "{rest:?}");
    assert!(
        matches!(&cut.gaps[..], [(Cause::Cancelled, why)] if why.contains("time for it was over")),
        "{:?}",
        cut.gaps
    );
    assert!(after.readings.values().filter(is_there).count() > 40 && after.gaps.is_empty());
}
