//! The simulated IPMI BMC against `ipmitool`, a client that others wrote.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options, Suite};
use outband_tests::sim::machine::{Fault, FaultKind, Machine, Shared, Spec};
use outband_tests::skip;
use std::process::{Command, Output};
use tokio::runtime::Runtime;

const USER: &str = "operator";
const PASSWORD: &str = "correct horse 20byte";

struct Bench {
    bmc: IpmiBmc,
    machine: Shared,
    _runtime: Runtime,
}

/// A BMC with its own runtime, so that a blocking `ipmitool` starves nobody; `None`, said on stderr, where there is no `ipmitool`.
fn bench(adjust: impl FnOnce(&mut Options), faults: Vec<Fault>) -> Option<Bench> {
    if Command::new("ipmitool").arg("-V").output().is_err() {
        skip("ipmitool is not installed");
        return None;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000017", 17), faults), 1.0);
    let mut options = Options::new(USER, PASSWORD);
    adjust(&mut options);
    let bmc = runtime.block_on(IpmiBmc::start(machine.clone(), options)).unwrap();
    Some(Bench { bmc, machine, _runtime: runtime })
}

impl Bench {
    fn run(&self, suite: &str, password: &str, command: &[&str]) -> Output {
        Command::new("ipmitool")
            .args(["-I", "lanplus", "-H", "127.0.0.1", "-p", &self.bmc.addr.port().to_string(), "-C", suite])
            .args(["-U", USER, "-P", password, "-R", "2", "-N", "2"])
            .args(command)
            .output()
            .unwrap()
    }

    /// What `ipmi-sensors` prints; `None`, said on stderr, where it is not installed.
    fn ipmi_sensors(&self, suite: &str) -> Option<String> {
        let cache = tempfile::tempdir().unwrap();
        let mut command = Command::new("ipmi-sensors");
        command.args(["-D", "LAN_2_0", "-h", &self.bmc.addr.to_string(), "-I", suite, "-u", USER, "-p", PASSWORD]);
        command.args(["-l", "USER", "--no-header-output", "--quiet-cache", "--sdr-cache-directory"]).arg(cache.path());
        let output = command.output().map_err(|e| skip(format!("ipmi-sensors: {e}"))).ok()?;
        assert!(output.status.success(), "suite {suite}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn text(&self, suite: &str, command: &[&str]) -> String {
        let output = self.run(suite, PASSWORD, command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} under suite {suite}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn ipmitool_reads_every_sensor_under_both_suites() {
    let Some(bench) = bench(|_| (), Vec::new()) else { return };
    for suite in ["3", "17"] {
        let text = bench.text(suite, &["sdr", "elist"]);
        let lines: Vec<_> = text.lines().collect();
        // 6 temperatures, 5 voltages, 6 fans twice, 2 supplies thrice, redundancy, power, 6 drives, 8 modules.
        assert_eq!(lines.len(), 6 + 5 + 12 + 6 + 2 + 6 + 8, "{text}");
        let inlet = lines.iter().find(|l| l.starts_with("Inlet Temp")).unwrap();
        assert!(inlet.contains("| ok  | 55.1 |") && inlet.contains("degrees C"), "{inlet}");
        assert!(lines.iter().any(|l| l.starts_with("FAN1 ") && l.contains("RPM")), "{text}");
        assert!(lines.iter().any(|l| l.starts_with("PSU1 Status") && l.contains("Presence detected")), "{text}");
        assert!(lines.iter().any(|l| l.starts_with("Drive 0") && l.contains("Drive Present")), "{text}");
    }
}

#[test]
fn ipmitool_and_ipmi_sensors_log_in_with_every_suite_and_with_no_wrong_password() {
    // A client that gives up may leave a session half open.
    let all = |options: &mut Options| (options.suites, options.max_sessions) = (Suite::ALL.to_vec(), 64);
    let Some(bench) = bench(all, Vec::new()) else { return };
    // Names, numbers and states: values go on.
    let shape = |text: &str| -> Vec<String> {
        text.lines().map(|l| l.split('|').take(3).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
    };
    let expected = shape(&bench.text("3", &["sdr", "elist"]));
    assert!(expected.len() > 40, "{expected:?}");
    for suite in Suite::ALL.map(|suite| suite.id().to_string()) {
        assert_eq!(shape(&bench.text(&suite, &["sdr", "elist"])), expected, "suite {suite}");
        assert!(!bench.run(&suite, "wrong", &["mc", "info"]).status.success(), "suite {suite}");
        if let Some(text) = bench.ipmi_sensors(&suite) {
            let sensors = text.lines().filter(|l| l.contains('|')).count();
            assert!(sensors > 40, "ipmi-sensors, suite {suite}: {text}");
        }
    }
    assert_eq!(bench.bmc.open_sessions(), 0);
}

#[test]
fn ipmitool_sees_the_values_and_limits_of_the_machine() {
    let Some(bench) = bench(|_| (), Vec::new()) else { return };
    let text = bench.text("17", &["sensor"]);
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.split('|').map(|c| c.trim().to_owned()).collect()
    };
    let inlet = row("Inlet Temp");
    let actual = bench.machine.now().thermal.inlet;
    assert!((inlet[1].parse::<f64>().unwrap() - actual).abs() < 2.0, "{inlet:?} for {actual}");
    assert_eq!(inlet[7..], ["35.000", "40.000", "45.000"]);
    let fan = row("FAN1 ");
    let actual = bench.machine.now().thermal.fans[0].rpm;
    assert!((fan[1].parse::<f64>().unwrap() - actual).abs() < 200.0, "{fan:?} for {actual}");
    assert_eq!(fan[4..7], ["900.000", "1500.000", "2400.000"]);
    let rail = row("12V");
    assert!((rail[1].parse::<f64>().unwrap() - 12.0).abs() < 0.3, "{rail:?}");
}

#[test]
fn ipmitool_reads_the_event_log_and_clears_it() {
    let lost = Fault { kind: FaultKind::PsuInputLost { psu: 1 }, onset: 0.01, over: 1.0 };
    let Some(bench) = bench(|_| (), vec![lost]) else { return };
    assert!(outband_tests::wait_until(std::time::Duration::from_secs(5), || bench.machine.now().log.len() == 3));
    let text = bench.text("3", &["sel", "elist"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    let line = text.lines().find(|l| l.contains("PSU2 Status")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("Power Supply AC lost") && line.contains("Asserted"), "{line}");
    assert!(text.contains("Redundancy Lost"), "{text}");
    bench.text("3", &["sel", "clear"]);
    let text = bench.text("3", &["sel", "elist"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("Log area reset/cleared"), "{text}");
}

#[test]
fn ipmitool_reads_the_fru_data() {
    let Some(bench) = bench(|options| options.max_read = 16, Vec::new()) else { return };
    let text = bench.text("17", &["fru"]);
    for part in [
        "Chassis Serial        : NG0000017",
        "Product Manufacturer  : Northgate",
        "Product Serial        : PSNG00000172",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(bench.text("17", &["mc", "info"]).contains("IPMI Version              : 2.0"));
    let guid = bench.text("17", &["mc", "guid"]);
    assert!(guid.contains(&bench.machine.now().spec.uuid_text()), "{guid}");
}

#[test]
fn a_wrong_password_fails_and_a_session_is_left_behind_by_nobody() {
    let Some(bench) = bench(|_| (), Vec::new()) else { return };
    for suite in ["3", "17"] {
        let output = bench.run(suite, "wrong", &["mc", "info"]);
        assert!(!output.status.success());
        bench.text(suite, &["mc", "info"]);
    }
    assert_eq!(bench.bmc.open_sessions(), 0);
}

#[test]
fn a_suite_that_is_not_offered_is_refused() {
    let Some(bench) = bench(|options| options.suites = vec![Suite::Seventeen], Vec::new()) else { return };
    assert!(!bench.run("3", PASSWORD, &["mc", "info"]).status.success());
    bench.text("17", &["chassis", "status"]);
}

#[test]
fn a_bmc_that_reads_in_small_parts_gives_the_same_records() {
    let Some(whole) = bench(|_| (), Vec::new()) else { return };
    let Some(parts) = bench(|options| options.max_read = 17, Vec::new()) else { return };
    let names = |text: String| text.lines().filter_map(|l| l.split('|').next().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(names(parts.text("3", &["sdr", "elist", "all"])), names(whole.text("3", &["sdr", "elist", "all"])));
}
