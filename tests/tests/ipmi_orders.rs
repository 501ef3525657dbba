//! What the agent does at BMCs on order, at OpenIPMI's `ipmi_sim` and seen by `ipmitool`; and our simulated BMC, done to by `ipmitool`.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_ipmi;

use outband_bmc::action::ActionError;
use outband_schemas::{LogEvent, Observation};
use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options};
use outband_tests::sim::machine::{Happening, Machine, Shared, Spec};
use outband_tests::wait_until;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use support_ipmi::{IpmiSim, Login, Polling, have};

/// What `sel info` says.
fn entries(login: &Login) -> u32 {
    let info = login.ipmitool(&["sel", "info"]);
    let line = info.lines().find(|line| line.starts_with("Entries")).unwrap_or_else(|| panic!("{info}"));
    line.split(':').nth(1).unwrap().trim().parse().unwrap()
}

/// Says what the peer has not, so that nobody takes it for tried.
fn unsupported(what: &str, answer: &str) {
    eprintln!("NOT SUPPORTED by ipmi_sim: {what}: {answer}");
}

/// The whole log as we read it.
fn events(polling: &mut Polling) -> Vec<LogEvent> {
    let observations = polling.poll_log(None).observations.into_iter();
    observations.filter_map(|o| if let Observation::Event(event) = o { Some(event) } else { None }).collect()
}

fn keys(events: &[LogEvent]) -> BTreeSet<String> {
    events.iter().map(LogEvent::natural_key).collect()
}

#[test]
fn a_log_of_ipmi_sim_is_collected_to_the_byte_and_cleared_only_when_all_of_it_is_stored() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    assert_eq!(entries(&sim.login), 7);
    let file = tempfile::NamedTempFile::new().unwrap();
    sim.login.ipmitool(&["sel", "writeraw", file.path().to_str().unwrap()]);
    let mut theirs = std::fs::read(file.path()).unwrap();
    for record in theirs.chunks_mut(16) {
        // ipmitool turns round the manufacturer of an OEM record with a time.
        if (0xC0..0xE0).contains(&record[2]) {
            record[7..10].reverse();
        }
    }
    let mut polling = sim.login.connect().unwrap();
    let collected = events(&mut polling);
    let ours: String = collected.iter().map(|event| event.raw.as_str()).collect();
    let theirs: String = theirs.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((collected.len(), ours), (7, theirs));

    let mut archive = keys(&collected);
    let last = archive.pop_last().unwrap();
    let refused = polling.clear_sel(&archive).unwrap_err();
    assert!(refused.to_string().contains("1 of 7 entries are not stored"), "{refused}");
    assert_eq!(entries(&sim.login), 7, "nothing was cleared");
    archive.insert(last);
    // An entry that came after the last look is not in the archive, either.
    sim.command("sel_add 0x20 0x02 0 0 0 0 0x20 0 4 0x0d 43 0x6f 0x01 0xff 0xff");
    let refused = polling.clear_sel(&archive).unwrap_err();
    assert!(refused.to_string().contains("1 of 8 entries are not stored"), "{refused}");
    archive.extend(keys(&events(&mut polling)));
    let done = polling.clear_sel(&archive).unwrap();
    assert!(done.contains("8 entries are archived"), "{done}");
    assert_eq!(entries(&sim.login), 0, "{done}");
    polling.close();
}

#[test]
fn the_light_of_ipmi_sim_gets_from_us_what_it_gets_from_ipmitool() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::with_chassis();
    let lines = || sim.told().lines().filter(|line| line.contains("identify")).map(str::to_owned).collect::<Vec<_>>();
    sim.login.ipmitool(&["chassis", "identify", "force"]);
    sim.login.ipmitool(&["chassis", "identify", "0"]);
    let theirs = lines();
    let [forced, off] = &theirs[..] else { panic!("{theirs:?}") };
    let mut polling = sim.login.connect().unwrap();
    polling.identify(true).unwrap();
    polling.identify(false).unwrap();
    let ours = &lines()[2..];
    // Of ours the time is the longest there is, for BMCs that take no "until told otherwise".
    assert_eq!(ours[1], *off);
    assert_eq!(ours[0].replace("255", "N"), forced.replacen(" identify 0", " identify N", 1), "{forced}");
    polling.close();
}

#[test]
fn without_a_chassis_ipmi_sim_says_that_it_has_no_light_and_so_do_we() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    let refused = polling.identify(true).unwrap_err();
    assert!(matches!(&refused, ActionError::Failed(why) if why.contains("completion code")), "{refused:?}");
    polling.close();
}

#[test]
fn a_cold_reset_of_ipmi_sim_is_taken_or_said_not_to_be_there_and_touches_no_log() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let mut polling = sim.login.connect().unwrap();
    match polling.reset() {
        // It has to be there afterwards, for us and for others.
        Ok(said) => {
            drop(polling);
            assert!(said.contains("cold reset"), "{said}");
            assert!(wait_until(Duration::from_secs(20), || sim.login.connect().map(|p| p.close()).is_ok()));
        }
        // 0xC1: it has no such command.
        Err(ActionError::Failed(why)) if why.contains("0xc1") => unsupported("Cold Reset", &why),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(entries(&sim.login), 7);
}

#[test]
fn who_may_only_read_clears_nothing_unless_the_peer_lets_everybody() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let reader = Login { user: "reader", password: "read-secret", ..sim.login.clone() };
    let mut polling = reader.connect().unwrap();
    let archive = keys(&events(&mut polling));
    match polling.clear_sel(&archive) {
        Err(ActionError::Denied(_)) => assert_eq!(entries(&sim.login), 7),
        Ok(said) => {
            unsupported("refusing Clear SEL to a login of privilege User", &said);
            assert_eq!(entries(&sim.login), 0);
        }
        Err(error) => panic!("{error}"),
    }
    polling.close();
}

#[test]
fn ipmitool_lights_clears_and_resets_our_simulated_bmc() {
    if !have(&["ipmitool"]) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000017", 17), Vec::new()), 1.0);
    let bmc = runtime.block_on(IpmiBmc::start(machine.clone(), Options::new("operator", "secret-1"))).unwrap();
    let tool = |command: &[&str]| {
        let output = Command::new("ipmitool")
            .args(["-I", "lanplus", "-C", "17", "-H", "127.0.0.1", "-p", &bmc.addr.port().to_string()])
            .args(["-U", "operator", "-P", "secret-1", "-R", "2", "-N", "2"])
            .args(command)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(tool(&["chassis", "identify", "force"]).contains("indefinite"));
    assert!(machine.now().identify);
    assert!(tool(&["chassis", "identify", "0"]).contains("off"));
    assert!(!machine.now().identify);

    machine.now().log(Happening::SystemBoot, true);
    assert!(!tool(&["sel", "list"]).is_empty());
    tool(&["sel", "clear"]);
    // That it was cleared is its first entry.
    let cleared = || machine.now().log.entries().all(|entry| entry.happening == Happening::LogCleared);
    assert!(wait_until(Duration::from_secs(5), cleared), "{}", tool(&["sel", "list"]));
    assert!(tool(&["sel", "elist"]).lines().count() <= 1);

    tool(&["mc", "reset", "cold"]);
    // It is there again, for a new session.
    tool(&["mc", "info"]);
    assert_eq!(machine.now().bmc_resets, 1);
}
