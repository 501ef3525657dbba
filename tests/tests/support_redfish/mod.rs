//! Captured trees, unpacked once per test run; what an independent count says of them; and what the client tells of them over real sockets.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

pub(crate) mod account;
pub(crate) mod cost;
pub(crate) mod coverage;
pub(crate) mod items;
pub(crate) mod mutant;
pub(crate) mod offline;
pub(crate) mod oracle;
pub(crate) mod times;
pub(crate) mod tree;

use cost::Cost;
use outband_bmc::client::Bmc;
use outband_bmc::{Bookmark, Credentials, Secret, Target, Trust};
use outband_schemas::{Cause, Clock, Observation, Section, Timestamp};
use outband_tests::sim::redfish_bmc::{Login, Options, RedfishTree, Service};
use outband_tests::{shared_dir, skip};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tree::Tree;

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

/// The names of the trees that have a service root, and of those that have none.
pub(crate) fn servable(dir: &Path) -> (Vec<String>, Vec<String>) {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().partition(|name| dir.join(name).join("redfish/v1/index.json").exists())
}

/// What there is in each tree, per kind, counted by a tool that shares nothing with the client.
pub(crate) fn census(tool: &Path, trees: &[PathBuf]) -> Option<Vec<BTreeMap<String, usize>>> {
    let output = match Command::new("python3").arg(tool).args(trees).output() {
        Ok(output) => output,
        Err(error) => {
            skip(format!("python3: {error}"));
            return None;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let counts = text.lines().map(|line| {
        let counted: serde_json::Value = serde_json::from_str(line).unwrap();
        let kinds = counted.as_object().unwrap().iter();
        kinds.filter_map(|(kind, n)| Some((kind.clone(), usize::try_from(n.as_u64()?).unwrap()))).collect()
    });
    Some(counts.collect())
}

pub(crate) const USER: &str = "monitor";
pub(crate) const PASSWORD: &str = "s3cret-of-the-bmc";

pub(crate) fn options() -> Options {
    Options { login: Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() }), ..Options::default() }
}

pub(crate) fn target(service: &Service, deadline: Duration) -> Target {
    Target {
        address: service.url().parse().unwrap(),
        credentials: Credentials::new(USER, Secret::new(PASSWORD)),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: deadline,
    }
}

/// Everything that a client says of a tree: one full poll (every section once), and polls of the sensors alone.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) full: Vec<(Section, Vec<Observation>)>,
    pub(crate) bookmark: Option<Bookmark>,
    pub(crate) full_cost: Cost,
    /// What the polls that went on with the inventory cost together: no part of a full poll, and yet the price of the whole.
    pub(crate) rest_cost: Cost,
    /// What the last poll of the sensors told.
    pub(crate) steady: Vec<Observation>,
    /// What the third poll of the sensors and those after it cost, each.
    pub(crate) steady_costs: Vec<Cost>,
    /// What more polls of the sensors told, where the client said that it left something for later.
    pub(crate) later: Vec<Observation>,
    /// How many polls of the inventory it took another client to tell all of it.
    pub(crate) portions: usize,
    pub(crate) sessions_left: usize,
    /// Requests that the BMC had to answer at once.
    pub(crate) most_in_flight: u64,
}

impl Told {
    pub(crate) fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.full.iter().flat_map(|(_, o)| o)
    }

    /// The steady poll that cost the most.
    pub(crate) fn steady_cost(&self) -> Cost {
        self.steady_costs.iter().max_by_key(|c| (c.requests.len(), c.total)).cloned().unwrap_or_default()
    }
}

/// The order in which an agent polls a BMC that it does not know.
const ORDER: [Section; 4] = [Section::Inventory, Section::Sensors, Section::Drives, Section::Log];

/// The third poll of the sensors is steady: the first sees everything, the second what it was worth.
const SETTLED: usize = 2;

/// Polls what a service serves. A full poll is what a client does that knows nothing: login, each section once, logout. After it another client polls the
/// sensors until `steady` polls were steady, and then at most `later` times more while it says that something is left for later.
pub(crate) async fn poll(tree: &Tree, service: &Service, steady: usize, later: usize) -> Result<Told, String> {
    let mut told = Told::default();
    let target = target(service, Duration::from_secs(10));
    let connect = async || Bmc::connect(&target).await.map_err(|e| format!("connect: {e}"));
    let mut bmc = connect().await?;
    let mut more = false;
    for section in ORDER {
        let polled = bmc.poll(section, None, &Wall).await.map_err(|e| format!("{}: {e}", section.as_str()))?;
        told.full.push((section, polled.observations));
        told.bookmark = polled.bookmark.or(told.bookmark);
        more |= polled.more.is_some();
    }
    let stats = bmc.stats();
    bmc.close().await.map_err(|e| format!("close: {e}"))?;
    told.full_cost = Cost::new(tree, service.requests(), stats.bytes_received, service.connections());
    let mut bmc = connect().await?;
    // What the inventory put off is told by the polls that go on with it; another client comes to the same place.
    if more && later > 0 {
        let mut going_on = false;
        let mut requests = Vec::new();
        while more {
            let before = service.requests().len();
            let polled = bmc.poll(Section::Inventory, None, &Wall).await.map_err(|e| format!("inventory: {e}"))?;
            more = polled.more.is_some();
            if std::mem::replace(&mut going_on, true) {
                told.portions += 1;
                told.full.push((Section::Inventory, polled.observations));
                requests.extend(service.requests().split_off(before));
            }
        }
        told.rest_cost = Cost::new(tree, requests, 0, service.connections());
    }
    for number in 0..SETTLED + steady {
        let (before, bytes) = (service.requests().len(), bmc.stats().bytes_received);
        let polled = bmc.poll(Section::Sensors, None, &Wall).await.map_err(|e| format!("sensors again: {e}"))?;
        told.later.extend(polled.observations.iter().cloned());
        told.steady = polled.observations;
        let requests = service.requests().split_off(before);
        if number >= SETTLED {
            let bytes = bmc.stats().bytes_received - bytes;
            told.steady_costs.push(Cost::new(tree, requests, bytes, service.connections()));
        }
    }
    for _ in 0..later {
        let postponed = |o: &Observation| matches!(o, Observation::Gap(g) if g.cause == Cause::Cancelled);
        let polled = bmc.poll(Section::Sensors, None, &Wall).await.map_err(|e| format!("sensors later: {e}"))?;
        let done = !polled.observations.iter().any(postponed);
        told.later.extend(polled.observations);
        if done {
            break;
        }
    }
    bmc.close().await.map_err(|e| format!("close: {e}"))?;
    told.sessions_left = service.open_sessions();
    told.most_in_flight = service.stats().max_in_flight;
    Ok(told)
}

/// Serves a tree from its folder and polls it.
pub(crate) async fn poll_tree(
    dir: &Path,
    tree: &Tree,
    options: Options,
    steady: usize,
    later: usize,
) -> Result<Told, String> {
    let service = RedfishTree::serve(dir, options).await.map_err(|e| format!("serve: {e}"))?;
    poll(tree, &service, steady, later).await
}
