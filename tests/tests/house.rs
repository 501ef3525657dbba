//! Who may import whom. If one of these fails, the import is wrong, or the house is to be changed on purpose: here and in the README.
#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// Crate → those of our crates that it may import.
const EDGES: &[(&str, &[&str])] = &[
    ("outband-schemas", &[]),
    ("outband-proto", &["outband-schemas"]),
    ("outband-bmc", &["outband-schemas"]),
    ("outband-spool", &[]),
    ("outband-agent", &["outband-bmc", "outband-spool", "outband-proto", "outband-schemas"]),
    ("outband-health", &["outband-schemas"]),
    ("outband-ticket", &["outband-schemas"]),
    ("outband-pages", &[]),
    ("outband-store", &["outband-health", "outband-pages", "outband-ticket", "outband-schemas"]),
    ("outband-collector", &["outband-health", "outband-ticket", "outband-store", "outband-proto", "outband-schemas"]),
    ("outband-cli", &["outband-proto", "outband-schemas"]),
];

/// A crate that reaches outside → those of ours that may import it. `outband-bmc` only behind its feature `io`.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("tokio", &["outband-agent", "outband-bmc", "outband-collector", "outband-cli"]),
    ("rusqlite", &["outband-pages", "outband-spool", "outband-store"]),
    ("reqwest", &["outband-bmc", "outband-collector"]),
    ("tonic", &["outband-proto", "outband-agent", "outband-collector", "outband-cli"]),
];

/// Crates without sockets, disks, clocks and dice.
const PURE: &[&str] = &["outband-schemas", "outband-health", "outband-ticket"];

/// What a pure crate may import. Everything here computes; nothing here reaches out.
const PURE_MAY_USE: &[&str] = &["jiff", "serde", "thiserror"];

/// The crate of whole-system tests may import everything.
const TESTS: &str = "outband-tests";

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata")
}

/// Crate → (what it imports outside of tests, whether only on demand).
fn imports() -> BTreeMap<String, BTreeMap<String, bool>> {
    metadata()
        .packages
        .into_iter()
        .map(|p| {
            let imports = p
                .dependencies
                .iter()
                .filter(|d| d.kind == DependencyKind::Normal)
                .map(|d| (d.name.clone(), d.optional))
                .collect();
            (p.name.to_string(), imports)
        })
        .collect()
}

#[test]
fn our_crates_import_each_other_only_along_the_known_edges() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(c, to)| (*c, to.iter().copied().collect())).collect();
    for (name, imports) in imports().iter().filter(|(name, _)| *name != TESTS) {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the list of rooms"));
        for import in imports.keys().filter(|i| i.starts_with("outband-")) {
            assert!(allowed.contains(import.as_str()), "{name} must not import {import}");
        }
    }
}

#[test]
fn sockets_databases_and_the_wire_are_imported_only_where_they_belong() {
    for (name, imports) in imports().iter().filter(|(name, _)| *name != TESTS) {
        for (outside, rooms) in OUTSIDE {
            assert!(
                !imports.contains_key(*outside) || rooms.contains(&name.as_str()),
                "{name} must not import {outside}"
            );
        }
    }
}

#[test]
fn the_bmc_crate_is_pure_unless_its_io_feature_is_on() {
    let imports = imports();
    for outside in ["tokio", "reqwest", "rustls"] {
        assert_eq!(
            imports["outband-bmc"].get(outside),
            Some(&true),
            "outband-bmc must import {outside} only with feature io"
        );
    }
}

#[test]
fn pure_crates_import_nothing_that_reaches_out() {
    let imports = imports();
    for name in PURE {
        for import in imports[*name].keys().filter(|i| !i.starts_with("outband-")) {
            assert!(PURE_MAY_USE.contains(&import.as_str()), "{name} must not import {import}");
        }
    }
}

#[test]
fn the_top_level_holds_only_the_known_rooms() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let rooms: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "agent",
        "collector",
        "proto",
        "schemas",
        "tests",
        "deploy",
        "README.md",
        "LICENSE",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "deny.toml",
        "clippy.toml",
        "target",
    ]
    .into();
    for entry in std::fs::read_dir(root).expect("the workspace root") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
        assert!(name.starts_with('.') || rooms.contains(name.as_str()), "{name} is not a room of the top level");
    }
}

#[test]
fn each_pure_crate_forbids_clocks_and_dice_by_lint() {
    for dir in ["collector/health", "collector/ticket", "agent/bmc", "schemas"] {
        let path = format!("{}/../{dir}/clippy.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        for banned in ["std::time::SystemTime::now", "std::time::Instant::now"] {
            assert!(text.contains(banned), "{path} does not forbid {banned}");
        }
        assert_eq!(
            text.matches("path =").count(),
            text.matches("reason =").count(),
            "{path}: each ban needs its reason"
        );
    }
}
