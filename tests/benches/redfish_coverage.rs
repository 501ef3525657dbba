//! For every captured tree: what an independent census counts against what the client tells, with a reason for each item that is missing; what was told
//! twice; and what a full poll and a steady poll of the sensors cost: with `$expand`, `$top` and `$skip`, without the latter two, and without any.
//!
//! ```sh
//! cargo bench -p outband-tests --bench redfish_coverage                       # the table
//! cargo bench -p outband-tests --bench redfish_coverage -- --tree NAME        # one tree, every item and request
//! cargo bench -p outband-tests --bench redfish_coverage -- -o json            # everything
//! cargo bench -p outband-tests --bench redfish_coverage -- --instant          # a BMC that answers at once
//! ```
//!
//! A BMC takes as long to answer as it did when its tree was captured, since the client fits its requests to that; it takes some minutes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program whose output is a table")]

#[path = "../tests/support_redfish/mod.rs"]
mod support_redfish;

use outband_tests::sim::redfish_bmc::{Expand, Options, Support};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use support_redfish::account::{Line, lines};
use support_redfish::cost::{self, Cost};
use support_redfish::coverage::duplicates::duplicates;
use support_redfish::coverage::{Said, fates};
use support_redfish::items::KINDS;
use support_redfish::tree::Tree;
use support_redfish::{census, options, poll_tree, runtime, servable, trees};

/// Requests of one full poll by the best of today's exporters, where that is known.
const PEER: [(&str, usize); 4] =
    [("dell-libredfish-R750", 61), ("hpe-libredfish", 125), ("lenovo-libredfish", 68), ("supermicro-libredfish", 86)];

/// Polls within which what was put off must be told.
const LATER: usize = 200;

struct Row {
    name: String,
    census: BTreeMap<String, usize>,
    lines: BTreeMap<&'static str, Line>,
    twice: Vec<String>,
    gaps: usize,
    full: Cost,
    steady: Cost,
    unpaged_full: Cost,
    /// What it puts off: the price of the whole comes with it.
    unpaged_rest: Cost,
    plain_full: Cost,
    plain_steady: Cost,
}

async fn row(name: String, dir: PathBuf, census: BTreeMap<String, usize>, instant: bool) -> Result<Row, String> {
    let tree = Tree::open(&dir);
    let latency = if instant { Duration::ZERO } else { cost::mean(&tree) };
    let expand = Options { latency, top_skip: Support::Yes, ..options() };
    let unpaged = Options { latency, top_skip: Support::No, ..options() };
    let plain =
        Options { expand: Expand::Ignored, features: Some(json!({})), latency, top_skip: Support::No, ..options() };
    let (told, unpaged, plain) = tokio::join!(
        poll_tree(&dir, &tree, expand, 1, LATER),
        poll_tree(&dir, &tree, unpaged, 1, 1),
        poll_tree(&dir, &tree, plain, 1, 0)
    );
    let (told, unpaged, plain) = (told?, unpaged?, plain?);
    let holdings = tree.holdings();
    let (said, later) = (Said::of(told.observations()), Said::of(told.later.iter()));
    Ok(Row {
        name,
        census,
        lines: lines(&holdings, &fates(&tree, &holdings, &said, &later)),
        twice: duplicates(&tree, &holdings, &said),
        gaps: said.gaps(),
        full: told.full_cost.clone(),
        steady: told.steady_cost(),
        unpaged_full: unpaged.full_cost.clone(),
        unpaged_rest: unpaged.rest_cost.clone(),
        plain_full: plain.full_cost.clone(),
        plain_steady: plain.steady_cost(),
    })
}

impl Row {
    fn count(&self, kind: &str) -> usize {
        self.census.get(kind).copied().unwrap_or_default()
    }

    /// What is told for a kind, by the census' way of counting: the counted, without what is missing.
    fn told(&self, kind: &str) -> usize {
        let missing = self.lines.get(kind).map_or(0, |l| l.unexplained.len());
        self.count(kind).saturating_sub(missing)
    }

    fn peer(&self) -> Option<usize> {
        PEER.into_iter().find(|(name, _)| *name == self.name).map(|(_, n)| n)
    }

    fn json(&self) -> Value {
        let cost = |c: &Cost| {
            json!({"requests": c.requests.len(), "bytes": c.bytes, "connections": c.connections, "modelled_seconds": c.total.as_secs_f64(),
                "slowest_seconds": c.worst().as_secs_f64(), "slowest": c.slowest.as_ref().map(|(_, r)| r), "each": c.requests})
        };
        let items = |list: &[(String, String, String)]| -> Vec<Value> {
            list.iter().map(|(uri, name, why)| json!({"uri": uri, "name": name, "reason": why})).collect()
        };
        let kinds: BTreeMap<&str, Value> = self
            .lines
            .iter()
            .map(|(kind, l)| {
                let line = json!({"census": self.count(kind), "items": l.items, "told": l.told, "told_from_another_resource": l.told_as,
                    "explained": items(&l.explained), "unexplained": items(&l.unexplained)});
                (*kind, line)
            })
            .collect();
        json!({"tree": self.name, "kinds": kinds, "twice": self.twice, "gaps": self.gaps, "peer_requests": self.peer(),
            "expand": {"full": cost(&self.full), "steady": cost(&self.steady)},
            "no_pages": {"full": cost(&self.unpaged_full), "put_off": cost(&self.unpaged_rest)}, "no_expand": {"full": cost(&self.plain_full), "steady": cost(&self.plain_steady)}})
    }

    fn print(&self, whole: bool) {
        let counts: Vec<String> =
            KINDS.iter().map(|k| format!("{:>9}", format!("{}/{}", self.told(k), self.count(k)))).collect();
        let cost = |c: &Cost| format!("{:4} {:6.1}s", c.requests.len(), c.total.as_secs_f64());
        let unpaged = format!("{} +{:<3}", cost(&self.unpaged_full), self.unpaged_rest.requests.len());
        println!(
            "{:32}{} {:4} {:5} {} {:5.1}s {:7} {:2} {} {} {} {:5.1}s {}",
            self.name.chars().take(32).collect::<String>(),
            counts.join(""),
            self.twice.len(),
            self.gaps,
            cost(&self.full),
            self.full.worst().as_secs_f64(),
            self.full.bytes / 1024,
            self.full.connections,
            unpaged,
            cost(&self.plain_full),
            cost(&self.steady),
            self.steady.worst().as_secs_f64(),
            self.peer().map_or(String::new(), |n| n.to_string()),
        );
        if whole {
            for (what, cost) in [
                ("full", &self.full),
                ("steady", &self.steady),
                ("full, no $top/$skip", &self.unpaged_full),
                ("full, no $expand", &self.plain_full),
                ("steady, no $expand", &self.plain_steady),
            ] {
                println!("  {what}: {} requests", cost.requests.len());
                cost.requests.iter().for_each(|r| println!("    {r}"));
            }
        }
    }

    fn reasons(&self, whole: bool) {
        for twice in &self.twice {
            println!("  TWICE {}: {twice}", self.name);
        }
        for (kind, line) in &self.lines {
            for (what, list) in [("UNEXPLAINED", &line.unexplained), ("explained", &line.explained)] {
                let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
                for (uri, name, why) in list {
                    groups.entry(why).or_default().push(format!("{name:?} {uri}"));
                }
                for (why, items) in groups {
                    let shown = if whole || what == "UNEXPLAINED" { items.len() } else { 3 };
                    println!("  {what} {} {kind} × {}: {why}", self.name, items.len());
                    items.iter().take(shown).for_each(|i| println!("      {i}"));
                    if items.len() > shown {
                        println!("      … {} more (--tree {})", items.len() - shown, self.name);
                    }
                }
            }
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|at| args.get(at + 1));
    let (wanted, as_json) = (after("--tree"), after("-o").is_some_and(|o| o == "json"));
    let Some((dir, tool)) = trees() else { return };
    let (mut names, bare) = servable(dir);
    names.retain(|n| wanted.is_none_or(|w| w == n));
    let paths: Vec<_> = names.iter().map(|n| dir.join(n)).collect();
    let Some(counts) = census(&tool, &paths) else { return };
    // Waiting costs nothing, so that all trees are polled at once.
    let instant = args.iter().any(|a| a == "--instant");
    let runtime = runtime();
    let polls: Vec<_> = names
        .iter()
        .zip(&paths)
        .zip(counts)
        .map(|((name, path), counted)| runtime.spawn(row(name.clone(), path.clone(), counted, instant)))
        .collect();
    let rows: Vec<Result<Row, String>> = names
        .iter()
        .zip(polls)
        .map(|(name, poll)| runtime.block_on(poll).unwrap().map_err(|e| format!("{name}: {e}")))
        .collect();
    if as_json {
        let rows: Vec<Value> =
            rows.iter().map(|r| r.as_ref().map_or_else(|e| json!({"failed": e}), Row::json)).collect();
        return println!("{}", serde_json::to_string_pretty(&rows).unwrap());
    }
    let heads: Vec<String> = KINDS.iter().map(|k| format!("{:>9}", k.chars().take(8).collect::<String>())).collect();
    println!(
        "{:32}{} twice gaps | full poll: requests, modelled, slowest, KiB, connections | without $top/$skip, + put off | without $expand either | steady poll, slowest | best exporter",
        "tree: told/census",
        heads.join("")
    );
    for row in rows.iter() {
        match row {
            Ok(row) => row.print(wanted.is_some()),
            Err(error) => println!("{error}"),
        }
    }
    println!("\nWhat is missing, and why");
    for row in rows.iter().flatten() {
        row.reasons(wanted.is_some());
    }
    let sum = |of: fn(&Line) -> usize| rows.iter().flatten().flat_map(|r| r.lines.values()).map(of).sum::<usize>();
    println!(
        "\n{} trees; {} items: {} told, {} told from another resource of the same thing, {} explained, {} unexplained; {} told twice",
        rows.len(),
        sum(|l| l.items),
        sum(|l| l.told),
        sum(|l| l.told_as),
        sum(|l| l.explained.len()),
        sum(|l| l.unexplained.len()),
        rows.iter().flatten().map(|r| r.twice.len()).sum::<usize>()
    );
    println!("Not served, as they have no service root: {}", bare.join(", "));
}
