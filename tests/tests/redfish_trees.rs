//! The Redfish client against captured trees of many makers, served over HTTPS, compared item by item with what they hold.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_redfish;

use outband_tests::sim::redfish_bmc::Options;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support_redfish::account::lines;
use support_redfish::coverage::duplicates::duplicates;
use support_redfish::coverage::{Said, fates};
use support_redfish::tree::Tree;
use support_redfish::{census, options, poll_tree, runtime, servable, trees};

/// Polls within which what was put off must be told.
const LATER: usize = 200;

/// What is wrong with what the client tells of a tree; nothing where all is well.
fn faults(name: &str, dir: &Path, options: Options) -> Vec<String> {
    let tree = Tree::open(dir);
    let told = match runtime().block_on(poll_tree(dir, &tree, options, 1, LATER)) {
        Ok(told) => told,
        Err(error) => return vec![format!("{name}: FAILED {error}")],
    };
    let holdings = tree.holdings();
    let (said, later) = (Said::of(told.observations()), Said::of(told.later.iter()));
    let mut out = Vec::new();
    let mut short = String::new();
    for (kind, line) in lines(&holdings, &fates(&tree, &holdings, &said, &later)) {
        for (uri, name, why) in &line.unexplained {
            out.push(format!("{kind} {name:?} at {uri}: {why}"));
        }
        if !line.explained.is_empty() {
            write!(short, " {kind} {} explained", line.explained.len()).unwrap();
        }
    }
    out.extend(duplicates(&tree, &holdings, &said).into_iter().map(|d| format!("twice: {d}")));
    if told.sessions_left > 0 {
        out.push(format!("{} sessions were not deleted", told.sessions_left));
    }
    eprintln!(
        "{name:40} full {:4} steady {:3} requests, {} connections, {:3} gaps, {:3} faults;{short}",
        told.full_cost.requests.len(),
        told.steady_cost().requests.len(),
        told.full_cost.connections,
        said.gaps(),
        out.len()
    );
    out.into_iter().map(|fault| format!("{name}: {fault}")).collect()
}

/// The same of many trees, two at a time.
fn all_faults(names: &[String], dir: &Path, options: impl Fn() -> Options + Sync) -> Vec<String> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let faults = faults(name, &dir.join(name), options());
                    found.lock().unwrap().extend(faults);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn report(faults: &[String]) {
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for fault in faults {
        *kinds.entry(fault.split(':').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    eprintln!("{kinds:#?}");
    assert!(
        faults.is_empty(),
        "{} faults, the first of them:\n{}",
        faults.len(),
        faults.iter().take(200).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn the_items_of_every_tree_add_up_to_what_the_independent_census_counts() {
    let Some((dir, tool)) = trees() else { return };
    let (names, _) = servable(dir);
    let paths: Vec<PathBuf> = names.iter().map(|n| dir.join(n)).collect();
    let Some(counts) = census(&tool, &paths) else { return };
    for ((name, path), counted) in names.iter().zip(&paths).zip(counts) {
        let tree = Tree::open(path);
        let own = tree.holdings().counted;
        for (kind, n) in counted {
            assert_eq!(own.get(kind.as_str()), Some(&n), "{name}: {kind}");
        }
    }
}

#[test]
fn every_item_of_every_tree_is_told_or_the_tree_itself_shows_why_not() {
    let Some((dir, _)) = trees() else { return };
    let (names, bare) = servable(dir);
    eprintln!("{} trees; without a service root: {}", names.len(), bare.join(", "));
    report(&all_faults(&names, dir, options));
}
