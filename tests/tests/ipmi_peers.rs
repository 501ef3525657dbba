//! Our IPMI client against BMCs that others wrote, compared value by value with `ipmitool`.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_ipmi;

use outband_bmc::{CipherSuite, Rung};
use outband_schemas::{
    Cause, EventKind, LogEvent, Observation, Quality, Reading, Section, SensorKind, Thresholds, Value,
};
use std::collections::BTreeMap;
use support_ipmi::shown::{cells, is_rounded};
use support_ipmi::{IpmiSim, Login, Polling, PythonBmc, have};

fn readings(observations: &[Observation]) -> BTreeMap<u8, Reading> {
    observations
        .iter()
        .filter_map(|o| match o {
            Observation::Reading(r) => {
                // `ipmi:20.0.3b`; sensors of other owners may have the same number.
                let number = r.source.0.strip_prefix("ipmi:20.0.")?;
                Some((u8::from_str_radix(number, 16).unwrap(), r.clone()))
            }
            _ => None,
        })
        .collect()
}

fn events(observations: &[Observation]) -> Vec<LogEvent> {
    observations.iter().filter_map(|o| if let Observation::Event(e) = o { Some(e.clone()) } else { None }).collect()
}

fn unit(kind: SensorKind) -> &'static str {
    match kind {
        SensorKind::Temperature | SensorKind::ThermalMargin => "degrees C",
        SensorKind::FanSpeed => "RPM",
        SensorKind::FanDuty | SensorKind::Utilization => "percent",
        SensorKind::Voltage | SensorKind::InputVoltage => "Volts",
        SensorKind::Current => "Amps",
        SensorKind::Power | SensorKind::InputPower | SensorKind::OutputPower => "Watts",
        SensorKind::Airflow => "CFM",
        other => panic!("no unit of ipmitool's for {other}"),
    }
}

/// Every line of `sdr elist` must say what we say. Gives how many sensors were compared.
fn assert_same_sensors(login: &Login, ours: &BTreeMap<u8, Reading>, coded_names: &[u8]) -> usize {
    let mut compared = 0;
    for line in login.ipmitool(&["sdr", "elist"]).lines() {
        let [name, number, status, entity, text] = cells(line)[..] else { panic!("{line}") };
        let number = u8::from_str_radix(number.trim_end_matches('h'), 16).unwrap();
        if matches!(text, "Event-Only") || text.starts_with("Dynamic MC") || text.starts_with("Logical FRU") {
            continue;
        }
        if entity == "46.1" {
            // The sensor of another controller is not in `ours`; it has a test of its own.
            continue;
        }
        let reading = ours.get(&number).unwrap_or_else(|| panic!("we lack {line}"));
        // ipmitool knows no six-bit and BCD names, and gives a shared record one line without its number.
        if !coded_names.contains(&number) {
            assert!(reading.sensor.starts_with(name), "{line}: {}", reading.sensor);
        }
        match (&reading.value, &reading.quality) {
            (Some(Value::Number(value)), Quality::Good) => {
                let (shown, shown_unit) = text.split_once(' ').unwrap();
                assert!(is_rounded(shown, *value) && shown_unit == unit(reading.kind), "{line}: {reading:?}");
            }
            (Some(Value::State { text: ours, .. }), Quality::Good) => {
                let ours = if matches!(ours.as_str(), "absent" | "no state asserted") { "" } else { ours };
                assert_eq!(text, ours, "{line}");
            }
            (None, Quality::Unavailable(cause)) => {
                assert!(
                    status == "ns" && matches!((text, cause), ("Disabled", Cause::Disabled)),
                    "{line}: {reading:?}"
                );
            }
            odd => panic!("{line}: {odd:?}"),
        }
        compared += 1;
    }
    compared
}

/// Every threshold of `sensor` must be ours, and ours must be there. Gives how many were compared.
fn assert_same_thresholds(login: &Login, ours: &BTreeMap<u8, Reading>) -> usize {
    let mut compared = 0;
    // Its lines have no number; they come in the order of the records, as ours do.
    let text = login.ipmitool(&["sensor"]);
    let analog: Vec<_> = text.lines().map(cells).filter(|c| c[2] != "discrete").collect();
    let numbers: Vec<_> = ours.values().filter(|r| r.kind != SensorKind::State).collect();
    let is_foreign = |cells: &[&str]| cells[0] == "ME Temp";
    let analog: Vec<_> = analog.into_iter().filter(|c| !is_foreign(c)).collect();
    assert_eq!(analog.len(), numbers.len());
    for (cells, reading) in analog.iter().zip(numbers) {
        let t = reading.thresholds.unwrap_or_default();
        let Thresholds {
            lower_non_recoverable,
            lower_critical,
            lower_non_critical,
            upper_non_critical,
            upper_critical,
            upper_non_recoverable,
        } = t;
        let in_order = [
            lower_non_recoverable,
            lower_critical,
            lower_non_critical,
            upper_non_critical,
            upper_critical,
            upper_non_recoverable,
        ];
        for (shown, ours) in cells[4..].iter().zip(in_order) {
            match ours {
                None => assert_eq!(*shown, "na", "{cells:?}"),
                Some(value) => {
                    assert!(is_rounded(shown, value), "{cells:?}: {value}");
                    compared += 1;
                }
            }
        }
    }
    compared
}

/// Every record must be the same to the byte, in the same order, and be described in the same words. Gives how many were compared.
fn assert_same_log(login: &Login, ours: &[LogEvent]) -> usize {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("sel.raw");
    login.ipmitool(&["sel", "writeraw", file.to_str().unwrap()]);
    let theirs: Vec<String> = std::fs::read(&file)
        .unwrap()
        .chunks_mut(16)
        .map(|record| {
            // In records of makers ipmitool turns the maker's three bytes round.
            if (0xC0..=0xDF).contains(&record[2]) {
                record[7..10].reverse();
            }
            record.iter().map(|b| format!("{b:02x}")).collect()
        })
        .collect();
    assert_eq!(theirs, ours.iter().map(|e| e.raw.clone()).collect::<Vec<_>>());
    let text = login.ipmitool(&["sel", "elist"]);
    assert_eq!(text.lines().count(), ours.len());
    for (line, event) in text.lines().zip(ours) {
        let cells = cells(line);
        assert_eq!(u16::from_str_radix(cells[0], 16).unwrap().to_string(), event.id, "{line}");
        if let Some(oem) = cells.iter().position(|c| c.starts_with("OEM record")) {
            assert!(event.message.starts_with(cells[oem]) && event.message.ends_with(cells[cells.len() - 1]), "{line}");
            continue;
        }
        // The clock that says "Pre-Init" gives no time.
        assert_eq!(line.contains("Pre-Init"), event.bmc_time.is_none(), "{line}: {event:?}");
        if let Some(time) = event.bmc_time.map(|t| t.to_string()) {
            let (year, month, day, clock) = (&time[..4], &time[5..7], &time[8..10], &time[11..19]);
            let dates = [format!("{month}/{day}/{year}"), format!("{month}/{day}/{}", &year[2..])];
            assert!(dates.iter().any(|d| d == cells[1]) && cells[2].starts_with(clock), "{line}: {time}");
        }
        let [.., description, direction] = cells[..cells.iter().position(|c| c.contains("sserted")).unwrap() + 1]
        else {
            panic!("{line}")
        };
        // For some makers it adds what it takes the event's data to mean, which may hold a bar.
        let description = if description.ends_with(')') { cells[4].split(" (").next().unwrap() } else { description };
        assert!(event.message.contains(description), "{line}: {}", event.message);
        assert_eq!(direction == "Deasserted", event.deasserted, "{line}");
        if let Some(reading) = cells.last().and_then(|c| c.strip_prefix("Reading ")) {
            let number = reading.split(' ').next().unwrap();
            assert!(event.message.contains(&format!("reading {number}")), "{line}: {}", event.message);
        }
    }
    ours.len()
}

fn poll_sensors(polling: &mut Polling) -> BTreeMap<u8, Reading> {
    readings(&polling.poll(Section::Sensors))
}

#[test]
fn every_sensor_of_our_ipmi_sim_reads_as_ipmitool_reads_it() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let ours = poll_sensors(&mut polling);
    assert_eq!(assert_same_sensors(&sim.login, &ours, &[5, 6]), 36);
    assert_eq!(assert_same_thresholds(&sim.login, &ours), 28);
    polling.close();
}

#[test]
fn what_ipmitool_does_not_decode_is_decoded_by_us() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let ours = poll_sensors(&mut polling);
    assert_eq!(ours[&5].sensor, "TEMP 6BIT");
    assert_eq!(ours[&6].sensor, "12-34.5");
    // One shared record is four bays, of which the second failed, the third will, and the fourth is empty.
    let bays: Vec<_> = (0x2B..=0x2E)
        .map(|n| match &ours[&n].value {
            Some(Value::State { text, .. }) => format!("{} {}: {text}", ours[&n].component, ours[&n].sensor),
            odd => panic!("{odd:?}"),
        })
        .collect();
    assert_eq!(
        bays,
        [
            "disk/1 Bay A: Drive Present",
            "disk/2 Bay B: Drive Present, Drive Fault",
            "disk/3 Bay C: Drive Present, Predictive Failure",
            "disk/4 Bay D: absent"
        ]
    );
    // Two sensors of one CPU share a name: each has its number in it.
    assert_eq!((ours[&0x17].sensor.as_str(), ours[&0x18].sensor.as_str()), ("Temp#17", "Temp#18"));
    polling.close();
}

#[test]
fn a_sensor_that_changes_reads_changed_in_the_same_session() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    assert_eq!(poll_sensors(&mut polling)[&8].value, Some(Value::Number(8520.0)));
    sim.command("sensor_set_value 0x20 0 8 0x0a 1");
    let asked = polling.stats().requests;
    let ours = poll_sensors(&mut polling);
    assert_eq!(ours[&8].value, Some(Value::Number(600.0)));
    let asked = polling.stats().requests - asked;
    // The repository's state, the sensors, the chassis.
    assert!(asked <= ours.len() as u64 + 2, "the repository is not read again: {asked} requests");
    polling.close();
}

#[test]
fn the_log_of_our_ipmi_sim_is_ipmitools_to_the_byte() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let polled = polling.poll_log(None);
    assert_eq!(assert_same_log(&sim.login, &events(&polled.observations)), 7);
    polling.close();
}

#[test]
fn only_new_records_come_after_the_first_poll_and_a_clear_begins_anew() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let first = polling.poll_log(None);
    assert_eq!(events(&first.observations).len(), 7);
    let second = polling.poll_log(first.bookmark.as_ref());
    assert_eq!(events(&second.observations), []);
    // Bay A fails; a client that was away meanwhile still has its bookmark.
    sim.command("sel_add 0x20 0x02 0 0 0 0 0x20 0 4 0x0d 43 0x6f 0x01 0xff 0xff");
    polling.close();
    let mut polling = sim.login.connect().unwrap();
    let third = polling.poll_log(second.bookmark.as_ref());
    let [failed] = &events(&third.observations)[..] else { panic!("{third:?}") };
    assert_eq!((failed.kind, failed.component.to_string().as_str()), (EventKind::DriveFailed, "disk/1"));
    assert_eq!(failed.message, "Bay A: Drive Fault");
    sim.login.ipmitool(&["sel", "clear"]);
    sim.command("sel_add 0x20 0x02 0 0 0 0 0x20 0 4 0x08 41 0x6f 0x01 0xff 0xff");
    let cleared = polling.poll_log(third.bookmark.as_ref());
    let after = events(&cleared.observations);
    assert_eq!(after.last().unwrap().kind, EventKind::PowerSupplyFailed);
    assert_eq!(assert_same_log(&sim.login, &after), after.len());
    polling.close();
}

#[test]
fn the_inventory_is_what_ipmitool_shows() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let observations = polling.poll(Section::Inventory);
    let [Observation::Inventory(inventory)] = &observations[..] else { panic!("{observations:?}") };
    let identity = &inventory.identity;
    let fru = sim.login.ipmitool(&["fru"]);
    let shows = |label: &str, text: &Option<String>| {
        let line = format!("{label:23}: {}", text.as_deref().unwrap_or("-"));
        assert!(fru.contains(&line), "{line}\n{fru}");
    };
    shows(" Product Serial", &identity.serial);
    shows(" Product Manufacturer", &identity.manufacturer);
    shows(" Product Name", &identity.model);
    shows(" Product Asset Tag", &identity.asset_tag);
    let part = |component: &str| inventory.parts.iter().find(|p| p.component.to_string() == component).unwrap();
    shows(" Board Serial", &part("board/Mainboard").serial);
    shows(" Board Serial", &part("psu/1").serial);
    shows(" Board Product", &part("psu/1").model);
    let guid = sim.login.ipmitool(&["mc", "guid"]);
    assert!(guid.contains(identity.uuid.as_deref().unwrap()), "{guid} {identity:?}");
    let info = sim.login.ipmitool(&["mc", "info"]);
    let firmware = part("firmware/bmc").firmware.as_deref().unwrap();
    assert!(info.contains(&format!("Firmware Revision         : {firmware}")), "{info}");
    polling.close();
}

#[test]
fn a_server_of_102_sensors_and_100_records_agrees_with_ipmitool() {
    if !have(&["ipmi_sim", "ipmitool", "python3"]) {
        return;
    }
    let Some(sim) = IpmiSim::shared() else { return };
    let mut polling = sim.login.connect().unwrap();
    let observations = polling.poll(Section::Sensors);
    let ours = readings(&observations);
    assert_eq!(assert_same_sensors(&sim.login, &ours, &[]), 101, "and the one of another controller");
    assert!(assert_same_thresholds(&sim.login, &ours) > 200);
    // A shared record counts once for ipmitool and eight times for us.
    assert_eq!(ours.len(), 101 + 7);
    let foreign = observations
        .iter()
        .find_map(|o| match o {
            Observation::Reading(r) if r.source.0 == "ipmi:2c.0.07" => Some(r.quality.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!(foreign, Quality::Unavailable(Cause::NotReadable));
    let log = events(&polling.poll(Section::Log));
    assert_eq!(assert_same_log(&sim.login, &log), 100);
    polling.close();
}

#[test]
fn the_same_server_agrees_with_ipmitool_in_either_suite() {
    if !have(&["ipmitool"]) {
        return;
    }
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let Some(bmc) = PythonBmc::start(&[]) else { return };
        let login = Login { suite: Some(suite), ..bmc.login.clone() };
        let mut polling = login.connect().unwrap();
        let ours = readings(&polling.poll(Section::Sensors));
        assert_eq!(assert_same_sensors(&login, &ours, &[]), 101);
        assert!(assert_same_thresholds(&login, &ours) > 200);
        assert_eq!(assert_same_log(&login, &events(&polling.poll(Section::Log))), 100);
        polling.close();
    }
}

#[test]
fn a_user_who_may_only_read_can_poll_everything() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let reader = Login { user: "reader", password: "read-secret", ..sim.login.clone() };
    let mut polling = reader.connect().unwrap();
    // With the two of the chassis.
    let is_reading = |o: &&Observation| matches!(o, Observation::Reading(_));
    assert_eq!(polling.poll(Section::Sensors).iter().filter(is_reading).count(), 39 + 2);
    assert_eq!(events(&polling.poll(Section::Log)).len(), 7);
    assert!(matches!(&polling.poll(Section::Inventory)[..], [Observation::Inventory(_)]));
    polling.close();
}

#[test]
fn the_ladder_names_the_rung_that_broke_on_ipmi_sim() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let broken = |login: Login| login.connect().err().map(|e| (e.rung, e.detail)).unwrap();
    let (rung, detail) = broken(Login { password: "wrong", ..sim.login.clone() });
    assert!(rung == Rung::Login && detail.contains("password is wrong"), "{detail}");
    let (rung, detail) = broken(Login { user: "nobody", ..sim.login.clone() });
    assert!(rung == Rung::Login && detail.contains("does not know user"), "{detail}");
    let (rung, detail) = broken(Login { suite: Some(CipherSuite::Seventeen), ..sim.login.clone() });
    assert!(rung == Rung::Security && detail.contains("suite 17 refused"), "{detail}");
    let closed = outband_tests::free_port().unwrap();
    let (rung, detail) = broken(Login { port: closed, ..sim.login.clone() });
    assert!(rung == Rung::Reach && detail.contains("refused"), "{detail}");
}

#[test]
fn sessions_do_not_leak_however_a_client_ends() {
    let Some(bmc) = PythonBmc::start(&["--session-limit", "1"]) else { return };
    for round in 0..4 {
        let polling = bmc.login.connect().unwrap_or_else(|e| panic!("round {round}: {e}"));
        let second = bmc.login.connect().err().unwrap();
        assert_eq!((second.rung, second.cause), (Rung::Login, Cause::Busy));
        if round % 2 == 0 { polling.close() } else { drop(polling) }
    }
}

/// Polls all sections of a BMC that misbehaves as the knobs say; what comes must be what a good one gives.
fn assert_unimpaired(knobs: &[&str], suite: Option<CipherSuite>) {
    let (Some(good), Some(bad)) = (PythonBmc::start(&[]), PythonBmc::start(knobs)) else { return };
    let polled = |bmc: &PythonBmc| {
        let mut polling = Login { suite, ..bmc.login.clone() }.connect().unwrap();
        let sensors = polling.poll(Section::Sensors);
        let log = events(&polling.poll(Section::Log));
        let inventory = polling.poll(Section::Inventory);
        let stats = polling.stats();
        polling.close();
        eprintln!("{knobs:?}: {stats:?}");
        // Everything but the times, which are those of the poll and of the BMC's start.
        let sensors: Vec<_> =
            readings(&sensors).into_values().map(|r| (r.source, r.component, r.sensor, r.value, r.quality)).collect();
        let log: Vec<_> = log.into_iter().map(|e| (e.id, e.message, e.code)).collect();
        let [Observation::Inventory(inventory)] = &inventory[..] else { panic!("{inventory:?}") };
        (sensors, log, inventory.parts.clone())
    };
    let expected = polled(&good);
    assert_eq!((expected.0.len(), expected.1.len()), (108, 100));
    assert_eq!(polled(&bad), expected);
}

#[test]
fn suite_17_alone_is_enough() {
    assert_unimpaired(&["--suites", "17"], None);
}

#[test]
fn a_bmc_with_a_bmc_key_is_polled_by_whoever_has_it() {
    let Some(bmc) = PythonBmc::start(&["--kg", "00112233445566778899aabbccddeeff01020304"]) else { return };
    let without = bmc.login.connect().err().unwrap();
    assert!(without.rung == Rung::Login && without.remedy.contains("K_G"), "{without}");
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let key = Some("00112233445566778899aabbccddeeff01020304");
        let mut polling = Login { bmc_key: key, suite: Some(suite), ..bmc.login.clone() }.connect().unwrap();
        assert_eq!(readings(&polling.poll(Section::Sensors)).len(), 108);
        polling.close();
    }
}

#[test]
fn a_bmc_that_ignores_the_cipher_query_and_pings_is_polled() {
    assert_unimpaired(&["--no-cipher-query", "--no-pong"], None);
}

#[test]
fn loss_costs_time_and_nothing_else() {
    assert_unimpaired(&["--drop", "0.02"], Some(CipherSuite::Seventeen));
}

#[test]
fn late_answers_never_shift_readings() {
    assert_unimpaired(&["--late-every", "11", "0.6"], Some(CipherSuite::Seventeen));
}

#[test]
fn a_bmc_that_is_often_busy_is_polled() {
    assert_unimpaired(&["--busy-every", "6"], None);
}

#[test]
fn reservations_lost_to_others_are_taken_again() {
    assert_unimpaired(&["--cancel-resv-every", "3"], None);
}

#[test]
fn a_bmc_that_sends_records_in_small_parts_is_polled() {
    assert_unimpaired(&["--max-read", "7"], None);
}

#[test]
fn a_refused_suite_names_what_the_bmc_offers() {
    let Some(bmc) = PythonBmc::start(&["--suites", "17"]) else { return };
    let error = Login { suite: Some(CipherSuite::Three), ..bmc.login.clone() }.connect().err().unwrap();
    assert_eq!(error.rung, Rung::Security);
    assert!(error.detail.contains("the BMC offers 17"), "{error}");
}

#[test]
fn a_user_without_privilege_breaks_that_rung() {
    let Some(bmc) = PythonBmc::start(&["--priv", "1"]) else { return };
    let error = bmc.login.connect().err().unwrap();
    assert_eq!((error.rung, error.cause), (Rung::Privilege, Cause::Denied));
}
