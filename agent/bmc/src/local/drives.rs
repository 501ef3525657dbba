//! The host's drives, by smartctl: one after the other, each with a deadline, none woken for it.

#[cfg(test)]
mod tests;

use crate::smart::smartctl::{self, Device, Drive, Trouble};
use outband_schemas::{
    Cause, Clock, ComponentClass, ComponentId, Gap, Observation, Part, Quality, Reading, SensorKind, Source, Suspicion,
    Thresholds, Timestamp, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// How long smartctl may take for one drive; a drive that spins up or retries takes several seconds.
const PER_DRIVE: Duration = Duration::from_secs(30);
/// How long one that was killed may take to end.
const END_WITHIN: Duration = Duration::from_secs(1);
/// No drive has more to say.
const LONGEST_OUTPUT: u64 = 4 << 20;
/// Where smartctl is looked for beside `$PATH`, which has no sbin for most users.
const SBIN: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Where things are on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// smartctl; `None`: looked for in `$PATH` and the usual directories.
    pub smartctl: Option<PathBuf>,
    /// Links to drives by the way that leads to them, as udev keeps them.
    pub by_path: PathBuf,
    /// How long smartctl may take for one drive.
    pub per_drive: Duration,
}

impl Default for Places {
    fn default() -> Self {
        Self { smartctl: None, by_path: PathBuf::from("/dev/disk/by-path"), per_drive: PER_DRIVE }
    }
}

/// Reads the drives and remembers what it has to of them.
#[derive(Debug, Default)]
pub struct Drives {
    places: Places,
    /// How a drive was spoken to: named the next time, smartctl need not find out, which could wake it.
    kinds: BTreeMap<Device, String>,
    /// What drives are in which place, from the last time that each told.
    parts: BTreeMap<Device, Part>,
    /// What was said once and is not worth saying again.
    said: BTreeSet<String>,
    /// Those that did not end although they were killed: a driver that hangs holds them.
    stuck: BTreeMap<Option<Device>, Child>,
    was_read: bool,
}

/// Why smartctl told nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{program} cannot be started: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("smartctl did not end within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("smartctl of an earlier poll still hangs in the kernel; it is not started again before that has ended")]
    Stuck,
    #[error("smartctl printed more than {LONGEST_OUTPUT} bytes")]
    TooLong,
    #[error("the output of smartctl cannot be read: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Unreadable(#[from] smartctl::Unreadable),
}

impl Failure {
    fn cause(&self) -> Cause {
        match self {
            Self::NotStarted { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Cause::Denied,
            Self::NotStarted { .. } => Cause::NotSupported,
            Self::TooSlow(_) | Self::Stuck => Cause::Timeout,
            Self::TooLong | Self::Unreadable(_) => Cause::Malformed,
            Self::Output(_) => Cause::BmcError,
        }
    }
}

impl Drives {
    /// Of a host where things are in these places.
    pub fn at(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    /// Every drive's figures, until `until` at most. What could not be read is a gap.
    pub async fn read(&mut self, until: Option<Instant>, clock: &(impl Clock + Sync)) -> Vec<Observation> {
        let Some(program) = self.program() else {
            let why = "smartctl is not installed, so drives are not read; apt install smartmontools";
            return self.once("smartctl", Cause::NotSupported, why.to_owned(), clock.now()).into_iter().collect();
        };
        let listed = self.run(&program, None, &["--scan", "-j"], until).await;
        let listed = listed.and_then(|(output, _)| Ok(smartctl::scan(&output)?));
        let devices = match listed {
            Ok(devices) => devices,
            Err(failure) => {
                let (cause, detail) = (failure.cause(), format!("the drives cannot be listed: {failure}"));
                return vec![gap(None, cause, detail, "smartctl", clock.now())];
            }
        };
        self.parts.retain(|device, _| devices.contains(device));
        let paths = by_path(&self.places.by_path);
        let mut seen = Vec::new();
        for device in devices {
            let source = source_of(&device);
            if until.is_some_and(|until| Instant::now() >= until) {
                let component = self.parts.get(&device).map(|part| part.component.clone());
                let why = "the poll's time was over before this drive was asked".to_owned();
                seen.push(gap(component, Cause::Cancelled, why, &source, clock.now()));
                continue;
            }
            let drive = self.ask(&program, &device, until).await;
            self.tell(&device, drive, &paths, clock.now(), &mut seen);
        }
        self.was_read = true;
        seen
    }

    /// The drives as parts; they are read first where that was not done yet.
    pub async fn parts(&mut self, until: Option<Instant>, clock: &(impl Clock + Sync)) -> Vec<Part> {
        if !self.was_read {
            // What goes wrong is told by the section that reads drives.
            let said = self.said.clone();
            self.read(until, clock).await;
            self.said = said;
        }
        self.parts.values().cloned().collect()
    }

    fn program(&self) -> Option<PathBuf> {
        if let Some(program) = &self.places.smartctl {
            return Some(program.clone());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
        dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join("smartctl")).find(|program| program.is_file())
    }

    async fn ask(&mut self, program: &Path, device: &Device, until: Option<Instant>) -> Result<Drive, Failure> {
        let kind = self.kinds.get(device).or(device.kind.as_ref()).cloned();
        let mut args = vec!["-j", "-a", "-n", "standby"];
        if let Some(kind) = &kind {
            args.extend(["-d", kind.as_str()]);
        }
        args.push(&device.name);
        let (output, status) = self.run(program, Some(device), &args, until).await?;
        // Ended by a signal, it has no status.
        let drive = smartctl::drive(&output, status.code().unwrap_or(-1))?;
        match &drive.kind {
            // Behind a controller, the kind that is printed may not be one that can be asked for.
            Some(kind) if device.behind().is_none() && drive.trouble.is_none() => {
                self.kinds.insert(device.clone(), kind.clone());
            }
            // What was remembered may be of a drive that is gone.
            _ if drive.trouble.as_ref().is_some_and(|t| t.cause != Cause::NoReading) => {
                self.kinds.remove(device);
            }
            _ => {}
        }
        Ok(drive)
    }

    /// Runs smartctl and returns what it printed and how it ended.
    async fn run(
        &mut self,
        program: &Path,
        device: Option<&Device>,
        args: &[&str],
        until: Option<Instant>,
    ) -> Result<(Vec<u8>, ExitStatus), Failure> {
        let key = device.cloned();
        if let Some(child) = self.stuck.get_mut(&key) {
            match child.try_wait() {
                Ok(None) => return Err(Failure::Stuck),
                Ok(Some(_)) | Err(_) => self.stuck.remove(&key),
            };
        }
        let left = until.map_or(self.places.per_drive, |until| until.saturating_duration_since(Instant::now()));
        let within = self.places.per_drive.min(left);
        let mut command = Command::new(program);
        command.args(args).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A poll that is given up takes it along.
        let started = command.kill_on_drop(true).spawn();
        let mut child =
            started.map_err(|source| Failure::NotStarted { program: program.display().to_string(), source })?;
        match timeout(within, finish(&mut child)).await {
            Ok(result) => result,
            Err(_) => {
                // It may be held by the kernel: then not even this ends it.
                if child.start_kill().is_err() || timeout(END_WITHIN, child.wait()).await.is_err() {
                    self.stuck.insert(key, child);
                }
                Err(Failure::TooSlow(within))
            }
        }
    }

    /// Something that is worth saying once.
    fn once(&mut self, source: &str, cause: Cause, detail: String, at: Timestamp) -> Option<Observation> {
        let is_new = self.said.insert(format!("{source} {detail}"));
        if is_new {
            tracing::info!(source, cause = cause.as_str(), detail, "not read");
        }
        is_new.then(|| gap(None, cause, detail, source, at))
    }

    fn tell(
        &mut self,
        device: &Device,
        drive: Result<Drive, Failure>,
        paths: &BTreeMap<String, String>,
        at: Timestamp,
        seen: &mut Vec<Observation>,
    ) {
        let source = source_of(device);
        let drive = match drive {
            Ok(drive) => drive,
            Err(failure) => {
                let component = self.parts.get(device).map(|part| part.component.clone());
                seen.push(gap(component, failure.cause(), failure.to_string(), &source, at));
                return;
            }
        };
        let place = place(device, &drive, paths);
        if let Some(place) = place.clone().filter(|_| drive.serial.is_some() || drive.model.is_some()) {
            self.parts.insert(device.clone(), part(place, &drive, &source));
        }
        let place = self.parts.get(device).map(|part| part.component.clone()).or(place);
        match &drive.trouble {
            // What can never be read is a property of the host, and no news with every poll.
            Some(Trouble { cause: Cause::NotSupported, detail }) => {
                seen.extend(self.once(&source, Cause::NotSupported, detail.clone(), at));
            }
            Some(Trouble { cause, detail }) => {
                seen.push(gap(place, *cause, detail.clone(), &source, at));
            }
            None => {
                let place = place.unwrap_or_else(|| ComponentId::lenient(ComponentClass::Disk, file_of(device)));
                seen.extend(readings(&place, drive, &source, at));
            }
        }
    }
}

/// Reads to the end of the output and waits for the program's.
async fn finish(child: &mut Child) -> Result<(Vec<u8>, ExitStatus), Failure> {
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST_OUTPUT + 1).read_to_end(&mut output).await.map_err(Failure::Output)?;
    }
    if output.len() as u64 > LONGEST_OUTPUT {
        return Err(Failure::TooLong);
    }
    let status = child.wait().await.map_err(Failure::Output)?;
    Ok((output, status))
}

fn source_of(device: &Device) -> String {
    match device.behind() {
        Some(kind) => format!("smartctl:{} {kind}", device.name),
        None => format!("smartctl:{}", device.name),
    }
}

fn gap(component: Option<ComponentId>, cause: Cause, detail: String, source: &str, at: Timestamp) -> Observation {
    Observation::Gap(Gap { component, cause, detail, observed_at: at, source: Source(source.to_owned()), span: None })
}

/// Where a drive is. `/dev/sda` is another drive after a restart, and a drive that seems to have changed places seems to have been replaced; so it is the way that
/// leads to it, else the drive's own serial number. `None` where neither is known, as of one that sleeps.
fn place(device: &Device, drive: &Drive, paths: &BTreeMap<String, String>) -> Option<ComponentId> {
    let file = file_of(device);
    let behind = device.behind().map(|kind| format!("{file} {kind}"));
    let place = behind.or_else(|| paths.get(file).cloned()).or_else(|| drive.serial.clone());
    Some(ComponentId::lenient(ComponentClass::Disk, place?))
}

fn file_of(device: &Device) -> &str {
    device.name.trim_start_matches("/dev/")
}

/// The ways that lead to drives, by the name of the drive's file. Of an NVMe drive the controller's file is asked, and the links lead to its first namespace.
fn by_path(dir: &Path) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    // Where there is no udev, drives go by their serial numbers.
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file =
            std::fs::read_link(entry.path()).ok().and_then(|to| Some(to.file_name()?.to_string_lossy().into_owned()));
        let Some(file) = file.filter(|_| !name.contains("-part")) else { continue };
        let controller = file.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
        for key in controller.map(|(number, _)| format!("nvme{number}")).into_iter().chain([file]) {
            // A port has several links (`ata-1`, `ata-1.0`): always the same one, whatever their order.
            let known = paths.entry(key).or_insert_with(|| name.clone());
            if name < *known {
                known.clone_from(&name);
            }
        }
    }
    paths
}

fn part(component: ComponentId, drive: &Drive, source: &str) -> Part {
    Part {
        component,
        manufacturer: drive.manufacturer.clone(),
        model: drive.model.clone(),
        part_number: None,
        serial: drive.serial.clone(),
        firmware: drive.firmware.clone(),
        capacity_bytes: drive.capacity_bytes,
        source: Source(source.to_owned()),
    }
}

fn readings(place: &ComponentId, drive: Drive, source: &str, at: Timestamp) -> impl Iterator<Item = Observation> {
    let limit = drive.spare_limit;
    drive.figures.into_iter().map(move |figure| {
        let (low, high) = figure.kind.row().range;
        let (value, quality) = match figure.number.ok() {
            None => (None, Quality::Unavailable(Cause::Malformed)),
            Some(n) if !(low..=high).contains(&n.value) => (Some(n.value), Quality::Suspect(Suspicion::OutOfRange)),
            Some(n) if n.coerced => (Some(n.value), Quality::Suspect(Suspicion::Coerced)),
            Some(n) => (Some(n.value), Quality::Good),
        };
        let lower_critical = limit.filter(|_| figure.kind == SensorKind::SpareLeft);
        Observation::Reading(Reading {
            component: place.clone(),
            kind: figure.kind,
            sensor: figure.sensor,
            value: value.map(Value::Number),
            quality,
            observed_at: at,
            source: Source(format!("{source}#{}", figure.pointer)),
            thresholds: lower_critical.map(|limit| Thresholds { lower_critical: Some(limit), ..Thresholds::default() }),
        })
    })
}
