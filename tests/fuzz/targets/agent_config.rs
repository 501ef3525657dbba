//! The agent's config and its list of targets: the TOML, then the byte 0, then the CSV.
//!
//! Must hold: every refusal says why and where, and no message and no Debug text holds a password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_agent::config::{self, Surroundings};
use outband_bmc::Address;
use outband_fuzz::seeds;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use tempfile::TempDir;

const PASSWORD: &str = "kept-to-itself-and-never-shown";

/// A directory with the files that the seeds name.
fn dir() -> &'static PathBuf {
    static DIR: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = DIR.get_or_init(|| {
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().to_owned();
        for (name, text) in
            [("ca.pem", "-----BEGIN CERTIFICATE-----"), ("agent.token", PASSWORD), ("bmc.pass", PASSWORD)]
        {
            fs::write(path.join(name), text).expect("a file");
            fs::set_permissions(path.join(name), Permissions::from_mode(0o600)).expect("its mode");
        }
        (dir, path)
    });
    path
}

fuzz_target!(init: seeds::plant(seeds::agent_config), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files beyond the directory are the operator's business, and devices have no end.
    if text.contains("..") || ["/dev", "/proc", "/sys"].iter().any(|p| text.contains(p)) {
        return;
    }
    let (toml, csv) = text.split_once('\0').unwrap_or((text, ""));
    fs::write(dir().join("targets.csv"), csv).expect("the list of targets");
    let path = dir().join("agent.toml");
    match config::read(&path, toml, &Surroundings::default()) {
        Ok(config) => {
            assert!(!format!("{config:?}").contains(PASSWORD));
            for target in config.targets.values() {
                let address = &target.target.address;
                assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(address));
            }
        }
        Err(invalid) => {
            assert!(!invalid.problems.is_empty());
            assert!(!invalid.to_string().contains(PASSWORD));
            let longest = toml.lines().count().max(csv.lines().count()) + 1;
            for problem in &invalid.problems {
                assert!(!problem.message.is_empty());
                assert!(problem.line.is_none_or(|l| (1..=longest).contains(&l)), "{problem:?}");
            }
        }
    }
});
