//! The Redfish client against captured trees of many makers, served over HTTPS, compared with an independent count.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_redfish;

use std::path::Path;
use support_redfish::{census, poll_all, runtime, trees};

/// Polls one tree; every kind must be told at least as often as it is counted.
fn complete(name: &str) {
    let Some((dir, tool)) = trees() else { return };
    let tree = dir.join(name);
    let Some(counted) = census(&tool, &tree) else { return };
    let told = runtime().block_on(poll_all(&tree)).unwrap();
    let short = told.shortfalls(&counted);
    assert!(short.is_empty(), "{name}: (kind, told, counted) {short:?}");
    assert_eq!(told.sessions_left, 0, "the session was not deleted");
}

#[test]
fn a_dell_r750_is_told_completely() {
    complete("dell-libredfish-R750");
}

#[test]
fn an_hpe_dl360_with_ilo_5_is_told_completely() {
    complete("hpe-emu-DL360");
}

#[test]
fn an_hpe_dl385_with_ilo_5_is_told_completely() {
    complete("hpe-libredfish");
}

#[test]
fn a_lenovo_sr670_is_told_completely() {
    complete("lenovo-libredfish");
}

#[test]
fn a_supermicro_821ge_is_told_completely() {
    complete("supermicro-libredfish");
}

#[test]
fn an_openbmc_is_told_completely() {
    complete("csm-OpenBMC-stock");
}

#[test]
fn every_captured_tree_is_walked_to_its_end() {
    let Some((dir, tool)) = trees() else { return };
    let runtime = runtime();
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let (mut polled, mut whole) = (0, 0);
    for name in &names {
        let tree = dir.join(name);
        if !tree.join("redfish/v1/index.json").exists() {
            eprintln!("{name:45} has no service root");
            continue;
        }
        let Some(counted) = census(&tool, &tree) else { return };
        match runtime.block_on(poll_all(Path::new(&tree))) {
            Ok(told) => {
                polled += 1;
                let short = told.shortfalls(&counted);
                whole += usize::from(short.is_empty());
                let gaps = told.observations().filter(|o| matches!(o, outband_schemas::Observation::Gap(_))).count();
                eprintln!(
                    "{name:45} {:5} requests {:2} connections {:6.2} s {gaps:4} gaps {}",
                    told.requests,
                    told.connections,
                    told.elapsed.as_secs_f64(),
                    short.iter().map(|(k, t, c)| format!("{k} {t}<{c}")).collect::<Vec<_>>().join(" ")
                );
                assert_eq!(told.sessions_left, 0, "{name}: the session was not deleted");
            }
            Err(error) => eprintln!("{name:45} FAILED {error}; counted {counted:?}"),
        }
    }
    eprintln!("{} trees, {polled} polled, {whole} without a shortfall", names.len());
    assert!(whole * 100 >= polled * 95, "{whole} of {polled} trees are told completely");
}
