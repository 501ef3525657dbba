//! A script in smartctl's place.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

struct At;

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(7)
    }
}

/// A directory with a script `smartctl`, links by path, and what the script was asked.
struct Host {
    dir: tempfile::TempDir,
}

const SCAN: &str = r#"{"smartctl":{"exit_status":0},"devices":[{"name":"/dev/sda","type":"scsi"},{"name":"/dev/nvme0","type":"nvme"}]}"#;

fn document(serial: &str, hours: u32) -> String {
    format!(
        r#"{{"smartctl":{{"exit_status":0}},"device":{{"type":"sat"}},"model_name":"M","serial_number":"{serial}","power_on_time":{{"hours":{hours}}}}}"#
    )
}

impl Host {
    /// `script` is run for what is no scan; `$device` is the drive that is asked for.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Self { dir };
        host.install(SCAN, script);
        host
    }

    fn install(&self, scan: &str, script: &str) {
        let path = self.dir.path().join("smartctl");
        let log = self.dir.path().join("asked");
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> {}\nif [ \"$1\" = --scan ]; then cat <<'END'\n{scan}\nEND\nexit 0; fi\nfor device; do :; done\n{script}\n",
            log.display()
        );
        // A script that is being written cannot be started: it comes in one piece.
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    fn drives(&self) -> Drives {
        let by_path = self.dir.path().join("by-path");
        std::fs::create_dir_all(&by_path).unwrap();
        Drives::at(Places {
            smartctl: Some(self.dir.path().join("smartctl")),
            by_path,
            per_drive: Duration::from_secs(20),
        })
    }

    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("asked")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn readings(seen: &[Observation]) -> Vec<(String, f64)> {
    let of = |o: &Observation| match o {
        Observation::Reading(r) => Some((r.component.to_string(), r.value.as_ref()?.as_number()?)),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}

fn gaps(seen: &[Observation]) -> Vec<(Option<String>, Cause)> {
    let of = |o: &Observation| match o {
        Observation::Gap(g) => Some((g.component.as_ref().map(ToString::to_string), g.cause)),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}

#[tokio::test]
async fn each_drive_is_asked_without_being_woken_and_is_where_its_path_says_or_goes_by_its_serial() {
    let host = Host::new(&format!(
        "case $device in /dev/sda) cat <<'END'\n{}\nEND\n;; *) cat <<'END'\n{}\nEND\n;; esac",
        document("A1", 10),
        document("B2", 20)
    ));
    let mut drives = host.drives();
    for (link, to) in [
        ("pci-0000:00:17.0-ata-2", "../../sda"),
        ("pci-0000:00:17.0-ata-2.0", "../../sda"),
        ("pci-0000:00:17.0-ata-2-part1", "../../sda1"),
    ] {
        symlink(to, host.dir.path().join("by-path").join(link)).unwrap();
    }
    let seen = drives.read(None, &At).await;
    let expected = [("disk/pci-0000:00:17.0-ata-2".to_owned(), 10.0), ("disk/B2".to_owned(), 20.0)];
    assert_eq!(readings(&seen), expected);
    assert_eq!(host.asked(), ["--scan -j", "-j -a -n standby /dev/sda", "-j -a -n standby -d nvme /dev/nvme0"]);
    let parts = drives.parts(None, &At).await;
    let serials: Vec<_> = parts.iter().map(|part| part.serial.as_deref()).collect();
    assert_eq!(serials, [Some("B2"), Some("A1")]);
    // What it is is known now: smartctl need not find out, which could wake it.
    drives.read(None, &At).await;
    assert_eq!(host.asked()[4], "-j -a -n standby -d sat /dev/sda");
}

#[tokio::test]
async fn a_drive_that_sleeps_is_a_reason_in_its_own_place_and_no_value() {
    let host = Host::new(&format!("cat <<'END'\n{}\nEND", document("A1", 10)));
    let mut drives = host.drives();
    drives.read(None, &At).await;
    let asleep = r#"{"smartctl":{"exit_status":2,"messages":[{"string":"Device is in STANDBY mode, exit(2)"}]}}"#;
    host.install(SCAN, &format!("cat <<'END'\n{asleep}\nEND\nexit 2"));
    let seen = drives.read(None, &At).await;
    assert_eq!(readings(&seen), []);
    assert!(gaps(&seen).contains(&(Some("disk/A1".to_owned()), Cause::NoReading)), "{seen:?}");
    assert_eq!(drives.parts(None, &At).await.len(), 2, "it is still there");
}

#[tokio::test]
async fn a_smartctl_that_hangs_costs_its_deadline_and_the_other_drives_nothing() {
    let host = Host::new(&format!(
        "case $device in /dev/sda) exec sleep 600;; esac\ncat <<'END'\n{}\nEND",
        document("B2", 20)
    ));
    let mut drives = host.drives();
    drives.places.per_drive = Duration::from_secs(2);
    let seen = timeout(Duration::from_secs(20), drives.read(None, &At)).await.unwrap();
    assert_eq!(gaps(&seen), [(None, Cause::Timeout)]);
    assert_eq!(readings(&seen), [("disk/B2".to_owned(), 20.0)]);
    assert!(drives.stuck.is_empty(), "it was ended");
}

#[tokio::test]
async fn one_that_not_even_a_kill_ends_is_not_started_a_second_time() {
    let host = Host::new(&format!("cat <<'END'\n{}\nEND", document("B2", 20)));
    let mut drives = host.drives();
    let sda = Device { name: "/dev/sda".to_owned(), kind: None };
    let held = Command::new("sleep").arg("600").kill_on_drop(true).spawn().unwrap();
    drives.stuck.insert(Some(sda), held);
    let seen = drives.read(None, &At).await;
    assert_eq!(gaps(&seen), [(None, Cause::Timeout)]);
    assert!(host.asked().iter().all(|asked| !asked.ends_with("/dev/sda")), "{:?}", host.asked());
}

#[tokio::test]
async fn garbage_and_floods_are_told_and_nothing_is_made_of_them() {
    for (script, cause) in [
        ("echo '<html>'", Cause::Malformed),
        ("echo '{\"smartctl\": {'", Cause::Malformed),
        ("exec head -c 9000000 /dev/zero", Cause::Malformed),
        ("kill -9 $$", Cause::Malformed),
    ] {
        let host = Host::new(script);
        let seen = host.drives().read(None, &At).await;
        assert_eq!(gaps(&seen), [(None, cause), (None, cause)], "{script}");
        assert_eq!(seen.len(), 2, "{script}");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_one_gap() {
    let host = Host::new("exit 0");
    host.install("nonsense", "exit 0");
    assert_eq!(gaps(&host.drives().read(None, &At).await), [(None, Cause::Malformed)]);
    let mut missing = Drives::at(Places { smartctl: Some("/nowhere/smartctl".into()), ..Places::default() });
    assert_eq!(gaps(&missing.read(None, &At).await), [(None, Cause::NotSupported)]);
}

#[tokio::test]
async fn what_no_drive_of_the_host_can_tell_is_said_once() {
    let bridge = r#"{"smartctl":{"exit_status":1,"messages":[{"string":"/dev/sda: Unknown USB bridge"}]}}"#;
    let host = Host::new(&format!("cat <<'END'\n{bridge}\nEND\nexit 1"));
    let mut drives = host.drives();
    assert_eq!(gaps(&drives.read(None, &At).await).len(), 2);
    assert_eq!(drives.read(None, &At).await, []);
}

#[tokio::test]
async fn when_the_polls_time_is_over_the_drives_that_were_not_asked_are_gaps() {
    let host = Host::new("exit 0");
    let mut drives = host.drives();
    let seen = drives.read(Some(Instant::now() + Duration::from_secs(20)), &At).await;
    assert_eq!(seen.len(), 2);
    let asked = host.asked().len();
    drives.read(Some(Instant::now()), &At).await;
    assert!(host.asked().len() <= asked + 1, "at most the list");
}

#[test]
fn the_first_of_a_ports_links_names_it_and_an_nvme_controller_goes_by_its_namespace() {
    let dir = tempfile::tempdir().unwrap();
    for (link, to) in [
        ("b-ata-1.0", "../../sda"),
        ("a-ata-1", "../../sda"),
        ("pci-1-nvme-1", "../../nvme0n1"),
        ("pci-1-nvme-1-part1", "../../nvme0n1p1"),
    ] {
        symlink(to, dir.path().join(link)).unwrap();
    }
    let paths = by_path(dir.path());
    assert_eq!(paths["sda"], "a-ata-1");
    assert_eq!((paths["nvme0"].as_str(), paths["nvme0n1"].as_str()), ("pci-1-nvme-1", "pci-1-nvme-1"));
    assert!(!paths.contains_key("sda1"));
    assert!(by_path(Path::new("/nowhere")).is_empty());
}
