//! What a poll costs a BMC: requests, connections and, at the latencies that were measured when the trees were captured, time.
//!
//! A full poll is login, every section once with a client that knows nothing, logout; a steady poll is one of the sensors by a client that knows the BMC. In every
//! figure an expanded request costs its own latency plus half of each member's.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_redfish;

use outband_tests::sim::redfish_bmc::{Options, Support};
use std::time::Duration;
use support_redfish::cost::{Cost, mean};
use support_redfish::tree::Tree;
use support_redfish::{options, poll_tree, runtime, trees};

/// No single request may take longer.
const LONGEST: Duration = Duration::from_secs(5);
/// A steady poll may take no longer.
const STEADY: Duration = Duration::from_secs(2);
const STEADY_REQUESTS: usize = 4;
/// So many steady polls in a row: whatever takes turns has its turn.
const POLLS: usize = 12;

fn requests(what: &str, cost: &Cost) -> String {
    let list = cost.requests.iter().map(|r| format!("\n    {r}")).collect::<String>();
    format!("{what}: {} requests, {:?}, the slowest {:?}{list}", cost.requests.len(), cost.total, cost.slowest)
}

/// Polls a tree with its own latencies and compares what it cost with what it may cost. Whether a BMC honours `$top` and `$skip` is not in its tree: service
/// roots before v1.17 have no field for it.
fn within(name: &str, full: usize, top_skip: Support) {
    let Some((dir, _)) = trees() else { return };
    let dir = dir.join(name);
    let tree = Tree::open(&dir);
    let latency = mean(&tree);
    let told =
        runtime().block_on(poll_tree(&dir, &tree, Options { latency, top_skip, ..options() }, POLLS, 1)).unwrap();
    let steady = told.steady_cost();
    let longest = told
        .steady_costs
        .iter()
        .chain([&told.full_cost])
        .filter_map(|c| c.slowest.clone())
        .max_by_key(|(cost, _)| *cost)
        .unwrap();
    eprintln!(
        "{name} at {latency:?}, $top and $skip {top_skip:?}: full {} requests {:.1} s, steady {} requests {:.1} s, slowest request {:.1} s, {} connections, {} in flight; \
         put off and read by {} further polls: {} requests {:.1} s",
        told.full_cost.requests.len(),
        told.full_cost.total.as_secs_f64(),
        steady.requests.len(),
        steady.total.as_secs_f64(),
        longest.0.as_secs_f64(),
        told.full_cost.connections,
        told.most_in_flight,
        told.portions,
        told.rest_cost.requests.len(),
        told.rest_cost.total.as_secs_f64()
    );
    let mut over = Vec::new();
    if told.full_cost.requests.len() > full {
        over.push(requests(&format!("a full poll may take {full} requests"), &told.full_cost));
    }
    if steady.requests.len() > STEADY_REQUESTS || steady.total > STEADY {
        over.push(requests(&format!("a steady poll may take {STEADY_REQUESTS} requests and {STEADY:?}"), &steady));
    }
    if longest.0 > LONGEST {
        over.push(format!("no request may take longer than {LONGEST:?}: {longest:?}"));
    }
    if told.full_cost.connections > 2 {
        over.push(format!("a full poll may take 2 connections, and not {}", told.full_cost.connections));
    }
    if told.most_in_flight > 2 {
        over.push(format!("{} requests in flight at once", told.most_in_flight));
    }
    assert!(over.is_empty(), "{name}: {}", over.join("\n"));
}

/// The trees, and with how many requests a full poll of each is half of what the best exporter takes.
const HALF: [(&str, usize); 4] =
    [("dell-libredfish-R750", 30), ("hpe-libredfish", 62), ("lenovo-libredfish", 34), ("supermicro-libredfish", 43)];

/// All of them at once: they wait for answers, and do not compute. The first that fails is named once all have ended.
fn all_within(top_skip: Support) {
    std::thread::scope(|scope| {
        for (name, full) in HALF {
            scope.spawn(move || within(name, full, top_skip));
        }
    });
}

#[test]
fn a_poll_of_an_r750_a_dl385_an_sr670_and_an_821ge_costs_no_more_than_half_of_what_the_best_exporter_takes() {
    all_within(Support::Yes);
}

/// The whole of such a BMC costs more than that: what is printed as put off comes on top, once.
#[test]
fn a_poll_of_a_bmc_without_pages_puts_long_lists_off_and_stays_within_half_too() {
    all_within(Support::No);
}
