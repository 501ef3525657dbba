//! Kinds of IPMI session that are used only where they are named, with BMCs and clients that others wrote.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_ipmi;

use outband_bmc::{AuthType, CipherSuite, Rung};
use outband_schemas::{Observation, Section};
use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options, Suite};
use outband_tests::sim::machine::{Machine, Shared, Spec};
use std::time::Duration;
use support_ipmi::{IpmiSim, Login, have};
use tokio::runtime::Runtime;

const V15: [CipherSuite; 3] =
    [CipherSuite::V15(AuthType::Md5), CipherSuite::V15(AuthType::Md2), CipherSuite::V15(AuthType::Password)];

/// Source, value and quality of every reading.
fn sensors(login: &Login) -> Vec<String> {
    let mut polling = login.connect().unwrap_or_else(|e| panic!("{:?}: {e}", login.suite));
    let observations = polling.poll(Section::Sensors);
    polling.close();
    let lines = observations.iter().filter_map(|o| match o {
        Observation::Reading(r) => Some(format!("{} {:?} {:?}", r.source.0, r.value, r.quality)),
        _ => None,
    });
    lines.collect()
}

#[test]
fn every_kind_of_session_reads_the_same_from_ipmi_sim() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    let expected = sensors(&Login { suite: Some(CipherSuite::Three), ..sim.login.clone() });
    assert!(expected.len() > 30, "{expected:?}");
    for suite in [CipherSuite::Zero, CipherSuite::One, CipherSuite::Two].into_iter().chain(V15) {
        assert_eq!(sensors(&Login { suite: Some(suite), ..sim.login.clone() }), expected, "{suite}");
    }
}

/// A BMC of our own with these suites, and who logs in to it. It lives as long as its runtime.
fn simulated(suites: &[Suite]) -> (Login, IpmiBmc, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000017", 17), Vec::new()), 1.0);
    let options = Options { suites: suites.to_vec(), ..Options::new("poller", "correct horse 20byte") };
    let bmc = runtime.block_on(IpmiBmc::start(machine, options)).unwrap();
    let login = Login {
        host: "127.0.0.1",
        port: bmc.addr.port(),
        user: "poller",
        password: "correct horse 20byte",
        suite: None,
        bmc_key: None,
        deadline: Duration::from_secs(5),
    };
    (login, bmc, runtime)
}

#[test]
fn every_suite_that_is_named_is_spoken_with_a_bmc_that_has_them_all() {
    let (login, bmc, _runtime) = simulated(&Suite::ALL);
    let sources = |login: &Login| -> Vec<String> {
        sensors(login).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let expected = sources(&login);
    assert!(expected.len() > 40, "{expected:?}");
    for id in Suite::ALL.map(Suite::id) {
        let named = Login { suite: CipherSuite::from_id(id), ..login.clone() };
        assert_eq!(sources(&named), expected, "suite {id}");
        let wrong = Login { password: "not-it", ..named };
        let error = wrong.connect().err().unwrap();
        assert!(error.is_login_refusal() && error.detail.contains("password is wrong"), "suite {id}: {error}");
    }
    assert_eq!(bmc.open_sessions(), 0);
}

#[test]
fn a_weak_suite_is_not_taken_unless_it_is_named() {
    let (login, _bmc, _runtime) = simulated(&[Suite::One, Suite::Two, Suite::Fifteen, Suite::Sixteen]);
    let error = login.connect().err().unwrap();
    assert!(error.rung == Rung::Security && error.remedy.contains("cipher = 16"), "{error}");
    assert!(sensors(&Login { suite: Some(CipherSuite::Sixteen), ..login.clone() }).len() > 40);
}

#[test]
fn a_wrong_password_is_told_in_ipmi_1_5_as_well() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    for suite in V15 {
        let login = Login { suite: Some(suite), password: "not-it", ..sim.login.clone() };
        let error = login.connect().err().unwrap();
        assert!(error.is_login_refusal() && error.rung == Rung::Login, "{suite}: {error}");
    }
    let nobody = Login { suite: Some(V15[0]), user: "nobody", ..sim.login.clone() };
    assert!(nobody.connect().err().unwrap().detail.contains("does not know user"));
}

#[test]
fn ipmi_sims_sessions_do_not_leak_in_ipmi_1_5() {
    if !have(&["ipmi_sim"]) {
        return;
    }
    let sim = IpmiSim::ours();
    // It holds some tens of sessions at most, and expires none within this time.
    for round in 0..80 {
        let login = Login { suite: Some(V15[0]), ..sim.login.clone() };
        login.connect_alone().unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
}
