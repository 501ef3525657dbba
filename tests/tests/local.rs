//! A server that is read by its own agent: the same sensors, events and parts as over LAN, value for value, and the drives beside them.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_bmc::client::Bmc;
use outband_bmc::ipmi::message::{Data, Request, Response};
use outband_bmc::ipmi::poll::Poller;
use outband_bmc::local::device::Device;
use outband_bmc::local::drives::Places;
use outband_bmc::local::wire::Wire;
use outband_bmc::local::{Client, Ways};
use outband_bmc::{Credentials, PollError, Secret, Target, Trust};
use outband_schemas::{Cause, Clock, Inventory, LogEvent, Observation, Reading, Section, Timestamp};
use outband_tests::sim::ipmi_bmc::{IpmiBmc, Options, SystemInterface};
use outband_tests::sim::machine::{Fault, FaultKind, Machine, Shared, Spec};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const USER: &str = "operator";
const PASSWORD: &str = "correct horse 20byte";

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }
}

/// The kernel's driver, with the simulated BMC behind it.
struct Driver {
    bmc: SystemInterface,
    /// So many requests are answered with "node busy" first.
    busy: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

impl Wire for Driver {
    fn put(&mut self, request: &Request, _: Duration) -> io::Result<Response> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the driver was unloaded"));
        }
        if self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Ok(Response { completion: 0xC0, data: Data::new() });
        }
        let answer = self.bmc.put(request.netfn.request_value(), request.command, &request.data);
        let answer = answer.ok_or(io::ErrorKind::TimedOut)?;
        let (completion, data) = answer.split_first().unwrap();
        Ok(Response { completion: *completion, data: data[..].into() })
    }
}

struct Rig {
    bmc: IpmiBmc,
    machine: Shared,
    busy: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
    dir: tempfile::TempDir,
}

impl Rig {
    /// Time stands still, so that two readings one after the other are of the same moment.
    async fn new() -> Self {
        let lost = Fault { kind: FaultKind::PsuInputLost { psu: 1 }, onset: 0.0, over: 1.0 };
        let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000017", 17), vec![lost]), 0.0);
        let options = Options { absent: vec!["FAN3".to_owned()], ..Options::new(USER, PASSWORD) };
        let bmc = IpmiBmc::start(machine.clone(), options).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { bmc, machine, busy: Arc::default(), broken: Arc::default(), dir }
    }

    /// A script in smartctl's place: one drive, which tells its hours.
    fn places(&self) -> Places {
        let path = self.dir.path().join("smartctl");
        let script = r#"#!/bin/sh
case "$1" in
--scan) echo '{"smartctl":{},"devices":[{"name":"/dev/nvme0","type":"nvme"}]}' ;;
*) echo '{"smartctl":{},"device":{"type":"nvme"},"model_name":"M","serial_number":"SN7","power_on_time":{"hours":5}}' ;;
esac
"#;
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Places { smartctl: Some(path), by_path: self.dir.path().to_owned(), ..Places::default() }
    }

    async fn local(&self) -> Client {
        let (busy, broken) = (self.busy.clone(), self.broken.clone());
        let wire = Driver { bmc: self.bmc.system_interface(), busy, broken };
        let device = Device::over(wire).unwrap();
        let ways = Ways { device, request_deadline: Duration::from_secs(5), places: self.places() };
        Client::over(ways, Poller::default(), "/dev/ipmi0").await.unwrap()
    }

    async fn lan(&self) -> Bmc {
        let target = Target {
            address: self.bmc.url().parse().unwrap(),
            credentials: Credentials::new(USER, Secret::new(PASSWORD)),
            cipher: None,
            trust: Trust::FirstUse,
            request_deadline: Duration::from_secs(5),
        };
        Bmc::connect(&target).await.unwrap()
    }
}

fn readings(seen: &[Observation]) -> Vec<&Reading> {
    seen.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None }).collect()
}

fn events(seen: &[Observation]) -> Vec<&LogEvent> {
    seen.iter().filter_map(|o| if let Observation::Event(e) = o { Some(e) } else { None }).collect()
}

fn inventory(seen: &[Observation]) -> Inventory {
    seen.iter().find_map(|o| if let Observation::Inventory(i) = o { Some(i.clone()) } else { None }).unwrap()
}

#[tokio::test]
async fn every_sensor_says_the_same_by_the_driver_as_over_lan() {
    let rig = Rig::new().await;
    let (mut lan, mut local) = (rig.lan().await, rig.local().await);
    let over_lan = lan.poll(Section::Sensors, None, &Still).await.unwrap().observations;
    let by_driver = local.poll(Section::Sensors, None, None, &Still).await.unwrap().observations;
    let is_load = |o: &Observation| matches!(o, Observation::Reading(r) if r.source.0.starts_with("host:"));
    let (load, by_driver): (Vec<_>, Vec<_>) = by_driver.into_iter().partition(is_load);
    assert!(over_lan.len() > 30, "{}", over_lan.len());
    assert_eq!(by_driver, over_lan);
    assert!(readings(&by_driver).iter().any(|r| r.value.is_none()), "one fan is absent");
    assert!(readings(&load).iter().any(|r| r.sensor == "memory" && r.value.is_some()), "{load:?}");
}

#[tokio::test]
async fn the_log_is_the_same_and_goes_on_from_its_bookmark() {
    let rig = Rig::new().await;
    let (mut lan, mut local) = (rig.lan().await, rig.local().await);
    let over_lan = lan.poll(Section::Log, None, &Still).await.unwrap();
    let by_driver = local.poll(Section::Log, None, None, &Still).await.unwrap();
    assert!(!events(&over_lan.observations).is_empty());
    assert_eq!(by_driver, over_lan);
    let again = local.poll(Section::Log, by_driver.bookmark.as_ref(), None, &Still).await.unwrap();
    assert_eq!(events(&again.observations), [] as [&LogEvent; 0]);
}

#[tokio::test]
async fn the_server_is_the_same_one_and_its_drives_stand_beside_its_other_parts() {
    let rig = Rig::new().await;
    let (mut lan, mut local) = (rig.lan().await, rig.local().await);
    let over_lan = inventory(&lan.poll(Section::Inventory, None, &Still).await.unwrap().observations);
    let mut by_driver = inventory(&local.poll(Section::Inventory, None, None, &Still).await.unwrap().observations);
    assert!(over_lan.identity.serial.is_some() && over_lan.identity.uuid.is_some());
    let drive = by_driver.parts.pop().unwrap();
    assert_eq!((drive.component.to_string().as_str(), drive.serial.as_deref()), ("disk/SN7", Some("SN7")));
    // Whole seconds of the BMC's clock against one that stands still.
    by_driver.bmc_clock_offset_ms = over_lan.bmc_clock_offset_ms;
    assert_eq!(by_driver, over_lan);
}

#[tokio::test]
async fn a_busy_bmc_is_asked_again_and_a_silent_one_is_a_reason() {
    let rig = Rig::new().await;
    let mut local = rig.local().await;
    rig.busy.store(3, Ordering::SeqCst);
    assert!(local.poll(Section::Sensors, None, None, &Still).await.is_ok());
    rig.machine.now().silent = true;
    let silent = local.poll(Section::Sensors, None, None, &Still).await;
    assert!(matches!(silent, Err(PollError { cause: Cause::Timeout, .. })), "{silent:?}");
    // The drives are there all the same.
    let drives = local.poll(Section::Drives, None, None, &Still).await.unwrap().observations;
    assert_eq!(readings(&drives).len(), 1);
}

#[tokio::test]
async fn a_driver_that_breaks_ends_the_session_and_no_poll_hangs() {
    let rig = Rig::new().await;
    let mut local = rig.local().await;
    rig.broken.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let broken = local.poll(Section::Sensors, None, None, &Still).await;
        assert!(matches!(broken, Err(PollError { cause: Cause::Unreachable, .. })), "{broken:?}");
    }
}

#[tokio::test]
async fn a_host_without_the_device_is_told_what_to_do() {
    if Path::new("/dev/ipmi7").exists() {
        outband_tests::skip("this host has a device /dev/ipmi7");
        return;
    }
    let target = Target {
        address: "local:///dev/ipmi7".parse().unwrap(),
        credentials: Credentials::new("", Secret::new("")),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: Duration::from_secs(5),
    };
    let error = Bmc::connect(&target).await.err().unwrap();
    assert_eq!(error.cause, Cause::Unreachable);
    assert!(error.to_string().contains("/dev/ipmi7") && error.remedy.contains("modprobe"), "{error}");
}
