//! What requests cost a BMC, by the latencies that were measured when the trees were captured.

use super::coverage::count;
use super::tree::Tree;
use serde_json::Value;
use std::time::Duration;

/// Mean time of a GET, by maker: measured on an iDRAC9 (0.19 s), an iLO 5 (0.31), an XCC (0.38), a Supermicro (0.25) and a BlueField (0.09); 0.25 elsewhere.
pub(crate) fn mean(tree: &Tree) -> Duration {
    let root = tree.get("/redfish/v1").unwrap_or(&Value::Null);
    let mut words: Vec<String> = ["Vendor", "Product", "Name"]
        .iter()
        .filter_map(|f| root.get(*f).and_then(Value::as_str))
        .map(str::to_ascii_lowercase)
        .collect();
    words.extend(
        root.get("Oem").and_then(Value::as_object).into_iter().flat_map(|o| o.keys()).map(|k| k.to_ascii_lowercase()),
    );
    let has = |all: &[&str]| words.iter().any(|w| all.iter().any(|a| w.contains(a)));
    Duration::from_millis(match () {
        () if has(&["dell"]) => 190,
        () if has(&["hpe", "hp"]) => 310,
        () if has(&["lenovo"]) => 380,
        () if has(&["bluefield"]) => 90,
        () => 250,
    })
}

/// What one request costs: an expanded one its own latency plus half of each member's that comes with it.
pub(crate) fn of(tree: &Tree, mean: Duration, request: &str) -> Duration {
    let uri = request.split_once(' ').map_or(request, |(_, uri)| uri);
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let query = query.replace("%24", "$");
    if !query.contains("$expand") {
        return mean;
    }
    let number = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.parse::<usize>().ok());
    let body = tree.body(uri).and_then(|_| tree.find(uri)).or_else(|| tree.find(path)).unwrap_or(&Value::Null);
    let members = count(body, "Members");
    let came = members.saturating_sub(number("$skip=").unwrap_or(0)).min(number("$top=").unwrap_or(usize::MAX));
    // A single resource comes with what its own links lead to.
    let links =
        body.as_object().into_iter().flatten().filter(|(name, value)| *name != "Links" && is_link(value)).count();
    let came = if members > 0 || body.get("Members").is_some() { came } else { links };
    mean + mean * u32::try_from(came).unwrap_or(u32::MAX) / 2
}

fn is_link(value: &Value) -> bool {
    value.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("@odata.id"))
}

/// Requests of one poll, and what they cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    /// `GET /redfish/v1/…`, in order.
    pub(crate) requests: Vec<String>,
    pub(crate) bytes: u64,
    pub(crate) connections: u64,
    /// All requests one after another.
    pub(crate) total: Duration,
    /// The one that costs most.
    pub(crate) slowest: Option<(Duration, String)>,
}

impl Cost {
    pub(crate) fn new(tree: &Tree, requests: Vec<String>, bytes: u64, connections: u64) -> Self {
        let mean = mean(tree);
        let each: Vec<Duration> = requests.iter().map(|r| of(tree, mean, r)).collect();
        let slowest = each.iter().copied().zip(requests.iter().cloned()).max_by_key(|(cost, _)| *cost);
        Self { bytes, connections, total: each.iter().sum(), slowest, requests }
    }

    pub(crate) fn worst(&self) -> Duration {
        self.slowest.as_ref().map_or(Duration::ZERO, |(cost, _)| *cost)
    }
}
