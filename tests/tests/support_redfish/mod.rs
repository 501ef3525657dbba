//! Captured trees, unpacked once per test run, and what an independent count says of them.

use outband_bmc::Polled;
use outband_bmc::client::Bmc;
use outband_bmc::{Credentials, Secret, Target, Trust};
use outband_schemas::{Clock, ComponentClass, Observation, Section, SensorKind, Timestamp, Value};
use outband_tests::sim::redfish_bmc::{Login, Options, RedfishTree, Service};
use outband_tests::{shared_dir, skip};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

pub(crate) struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The folder with all captured trees, and the tool that counts them; `None`, said on stderr, where they are absent.
pub(crate) fn trees() -> Option<(&'static Path, PathBuf)> {
    static UNPACKED: OnceLock<Result<tempfile::TempDir, String>> = OnceLock::new();
    let Some(shared) = shared_dir() else {
        skip("no captured Redfish trees: set OUTBAND_SHARED, or put them in ../shared");
        return None;
    };
    let unpacked = UNPACKED.get_or_init(|| {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let archive = shared.join("data/redfish-trees.tar.zst");
        let output = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(dir.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(dir),
            Ok(output) => Err(format!("{}: {}", archive.display(), String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("tar: {error}")),
        }
    });
    match unpacked {
        Ok(dir) => Some((dir.path(), shared.join("tools/redfish_census.py"))),
        Err(reason) => {
            skip(reason);
            None
        }
    }
}

/// What there is in a tree, per kind, counted by a tool that shares nothing with the client.
pub(crate) fn census(tool: &Path, tree: &Path) -> Option<BTreeMap<String, usize>> {
    let output = match Command::new("python3").arg(tool).arg(tree).output() {
        Ok(output) => output,
        Err(error) => {
            skip(format!("python3: {error}"));
            return None;
        }
    };
    let counted: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = counted.as_object().unwrap().iter();
    Some(counts.filter_map(|(kind, n)| Some((kind.clone(), usize::try_from(n.as_u64()?).unwrap()))).collect())
}

pub(crate) const USER: &str = "monitor";
pub(crate) const PASSWORD: &str = "s3cret-of-the-bmc";

pub(crate) fn options() -> Options {
    Options { login: Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() }), ..Options::default() }
}

pub(crate) fn target(service: &Service, trust: Trust) -> Target {
    Target {
        address: service.url().parse().unwrap(),
        credentials: Credentials { user: USER.to_owned(), password: Secret::new(PASSWORD) },
        cipher: None,
        trust,
        request_deadline: Duration::from_secs(5),
    }
}

/// Everything a client says of a tree.
pub(crate) struct Told {
    pub(crate) polled: BTreeMap<Section, Polled>,
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    pub(crate) elapsed: Duration,
    pub(crate) sessions_left: usize,
}

pub(crate) async fn poll_all(tree: &Path) -> Result<Told, String> {
    let service = RedfishTree::serve(tree, options()).await.map_err(|e| e.to_string())?;
    let began = std::time::Instant::now();
    let mut bmc = Bmc::connect(&target(&service, Trust::FirstUse)).await.map_err(|e| e.to_string())?;
    let mut polled = BTreeMap::new();
    for section in Section::OF_BMC {
        polled.insert(section, bmc.poll(section, None, &Wall).await.map_err(|e| format!("{}: {e}", section.as_str()))?);
    }
    let stats = bmc.stats();
    let elapsed = began.elapsed();
    bmc.close().await.map_err(|e| e.to_string())?;
    Ok(Told {
        polled,
        requests: stats.requests,
        connections: stats.connections,
        elapsed,
        sessions_left: service.open_sessions(),
    })
}

impl Told {
    pub(crate) fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.polled.values().flat_map(|p| &p.observations)
    }

    fn components(&self, wanted: impl Fn(&outband_schemas::Reading) -> bool) -> usize {
        let readings = self.observations().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
        readings.filter(|r| r.value.is_some() && wanted(r)).map(|r| &r.component).collect::<BTreeSet<_>>().len()
    }

    /// Distinct components per kind, by the names of the census.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let analog = |kinds: &[SensorKind]| {
            self.components(|r| kinds.contains(&r.kind) && r.component.class() != ComponentClass::Disk)
        };
        let present = |class: ComponentClass| {
            self.components(|r| {
                r.component.class() == class
                    && !matches!(r.value, Some(Value::State { state: outband_schemas::State::Absent, .. }))
            })
        };
        let smart = [
            SensorKind::PowerOnHours,
            SensorKind::LifeLeft,
            SensorKind::MediaErrors,
            SensorKind::ReallocatedSectors,
            SensorKind::ReportedUncorrectable,
            SensorKind::SpareLeft,
        ];
        let firmware =
            self.observations().filter_map(|o| if let Observation::Inventory(i) = o { Some(i) } else { None });
        let firmware = firmware.flat_map(|i| &i.parts).filter(|p| p.component.class() == ComponentClass::Firmware);
        BTreeMap::from([
            ("temperature", analog(&[SensorKind::Temperature, SensorKind::ThermalMargin])),
            ("fan", analog(&[SensorKind::FanSpeed, SensorKind::FanDuty])),
            ("voltage", analog(&[SensorKind::Voltage])),
            ("power_supply", present(ComponentClass::PowerSupply)),
            ("drive", present(ComponentClass::Disk)),
            (
                "drive_life",
                self.components(|r| r.component.class() == ComponentClass::Disk && r.kind == SensorKind::LifeLeft),
            ),
            (
                "drive_smart",
                self.components(|r| r.component.class() == ComponentClass::Disk && smart.contains(&r.kind)),
            ),
            (
                "log_entry",
                self.observations()
                    .filter_map(|o| if let Observation::Event(e) = o { Some(e.natural_key()) } else { None })
                    .collect::<BTreeSet<_>>()
                    .len(),
            ),
            ("firmware", firmware.map(|p| &p.component).collect::<BTreeSet<_>>().len()),
        ])
    }

    /// Kinds of which fewer were told than counted: kind, told, counted.
    pub(crate) fn shortfalls(&self, census: &BTreeMap<String, usize>) -> Vec<(&'static str, usize, usize)> {
        let counts = self.counts();
        let short = counts.into_iter().filter_map(|(kind, told)| Some((kind, told, *census.get(kind)?)));
        short.filter(|(_, told, counted)| told < counted).collect()
    }
}
