//! The units in `deploy/` are what systemd understands, and hardened.
#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use std::path::{Path, PathBuf};
use std::process::Command;

const SERVICES: [&str; 2] = ["outband-agent", "outband-collector"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn have_systemd_analyze() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("SKIPPED: systemd-analyze is not installed (Debian package systemd)");
    }
    there
}

/// The unit with a program that exists here, since `verify` looks for the one that is installed.
fn unit(dir: &Path, service: &str) -> PathBuf {
    let text = std::fs::read_to_string(deploy().join(format!("{service}.service"))).expect("the unit");
    let text = text.replace(&format!("/usr/bin/{service}"), "/bin/true");
    let path = dir.join(format!("{service}.service"));
    std::fs::write(&path, text).expect("a unit in the temporary directory");
    path
}

#[test]
fn systemd_finds_nothing_to_complain_about_in_the_units() {
    if !have_systemd_analyze() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    for service in SERVICES {
        let out = Command::new("systemd-analyze")
            .arg("verify")
            .arg(unit(dir.path(), service))
            .output()
            .expect("systemd-analyze");
        let said = String::from_utf8_lossy(&out.stderr);
        // `verify` also reads the machine's other units: only what it says of ours counts.
        let ours: Vec<&str> = said.lines().filter(|l| l.contains(service)).collect();
        assert!(out.status.success() && ours.is_empty(), "{service}: {said}");
    }
}

#[test]
fn systemd_finds_nothing_to_complain_about_in_the_drop_in_of_an_agent_that_watches_its_own_server() {
    if !have_systemd_analyze() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unit = unit(dir.path(), "outband-agent");
    let drop_in = std::fs::read_to_string(deploy().join("outband-agent-local.conf")).expect("the drop-in");
    let whole = std::fs::read_to_string(&unit).expect("the unit") + "\n" + &drop_in;
    std::fs::write(&unit, whole).expect("a unit in the temporary directory");
    let out = Command::new("systemd-analyze").arg("verify").arg(&unit).output().expect("systemd-analyze");
    let said = String::from_utf8_lossy(&out.stderr);
    let ours: Vec<&str> = said.lines().filter(|l| l.contains("outband-agent")).collect();
    assert!(out.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_units_expose_no_more_than_they_must() {
    if !have_systemd_analyze() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    for service in SERVICES {
        let out = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20"])
            .arg(unit(dir.path(), service))
            .output()
            .expect("systemd-analyze");
        assert!(out.status.success(), "{service}: {}", String::from_utf8_lossy(&out.stdout));
    }
}

#[test]
fn no_unit_gives_a_secret_on_the_command_line_or_in_the_environment() {
    for service in SERVICES {
        let text = std::fs::read_to_string(deploy().join(format!("{service}.service"))).expect("the unit");
        for line in text.lines().filter(|l| l.starts_with("ExecStart=") || l.starts_with("Environment")) {
            let line = line.to_lowercase();
            assert!(!line.contains("password") && !line.contains("token"), "{line}");
        }
    }
}
