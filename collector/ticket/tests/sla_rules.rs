//! Each rule of the calendars is broken once in a copy of the crate, and the tables of cases must notice.
//!
//! `cargo test -p outband-ticket --test sla_rules -- --ignored --nocapture` prints how many cases fail for each.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A rule, the file in which it stands, the text that keeps it, and the text that breaks it.
const RULES: [(&str, &str, &str, &str); 13] = [
    ("zone", "spec.rs", "TimeZone::get(&spec.tz)", "TimeZone::get(\"UTC\")"),
    (
        "daylight saving",
        "spec.rs",
        "        let dated = ",
        "        let zone = TimeZone::fixed(zone.to_offset(jiff::Timestamp::constant(1_577_836_800, 0)));\n        let dated = ",
    ),
    ("fold choice", "zone.rs", ".compatible()", ".later()"),
    ("gap shift", "zone.rs", ".compatible()", ".earlier()"),
    ("holidays", "periods.rs", "self.holidays.contains(&day)", "false"),
    ("yearly holidays", "periods.rs", "!self.yearly.is_empty()", "false"),
    ("overrides", "periods.rs", "self.overrides.get(&day) {", "self.overrides.get(&day).filter(|_| false) {"),
    ("make-up days", "periods.rs", "self.make_up.get(&day) {", "self.make_up.get(&day).filter(|_| false) {"),
    ("overnight", "spec.rs", "if end <= start { end + 86_400 }", "if end <= start { 86_400 }"),
    ("pauses", "periods.rs", "for pause in pauses.iter()", "for pause in pauses[..0].iter()"),
    (
        "breaks",
        "periods.rs",
        "self.breaks.get(&day).into_iter()",
        "self.breaks.get(&day).filter(|_| false).into_iter()",
    ),
    ("weekly breaks", "periods.rs", ".chain(weekly.into_iter()", ".chain(weekly.filter(|_| false).into_iter()"),
    ("exact fit", "../calendar.rs", "if left <= length {", "if left < length {"),
];

/// Breaks of these rules are only seen by the table of our own: public suites know no such rule.
const OURS: [&str; 2] = ["make-up days", "weekly breaks"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(&target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A workspace of this crate and the vocabulary alone.
fn scratch(root: &Path) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sla_rules");
    for dir in ["schemas", "collector/ticket"] {
        let copied = scratch.join(dir);
        if copied.exists() {
            fs::remove_dir_all(&copied).unwrap();
        }
        copy(&root.join(dir), &copied);
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (head, tail) = manifest.split_once("members = [").unwrap();
    let (_, tail) = tail.split_once(']').unwrap();
    let alone = format!("{head}members = [\"schemas\", \"collector/ticket\"]{tail}");
    fs::write(scratch.join("Cargo.toml"), alone).unwrap();
    fs::copy(root.join("Cargo.lock"), scratch.join("Cargo.lock")).unwrap();
    scratch
}

/// How many cases of a table fail; `None` where the crate does not build.
fn failing(scratch: &Path, table: &Path) -> Option<usize> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(scratch)
        .args(["test", "--offline", "-q", "-p", "outband-ticket", "--test", "sla_cases", "sla_cases_are_answered"])
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env("OUTBAND_SLA_CASES", table)
        .env_remove("OUTBAND_BLESS")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() {
        return Some(0);
    }
    let counts =
        text.lines().find_map(|line| line.split_once(" SLA cases failed:").map(|(counts, _)| counts.to_owned()));
    counts?.split(' ').next()?.parse().ok()
}

#[test]
#[ignore = "builds the crate once for each rule"]
fn each_broken_rule_makes_cases_fail() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = scratch(home.parent().unwrap().parent().unwrap());
    let tables = ["sla_cases.json", "zone_cases.json"].map(|name| home.join("data").join(name));
    let count =
        || tables.each_ref().map(|table| failing(&scratch, table).unwrap_or_else(|| panic!("it does not build")));
    assert_eq!(count(), [0, 0], "unbroken");
    println!("{:<18} {:>14} {:>15}", "broken rule", "sla_cases.json", "zone_cases.json");
    let mut unnoticed = Vec::new();
    for (rule, file, kept, broken) in RULES {
        let path = scratch.join("collector/ticket/src/calendar").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(kept).count(), 1, "{rule}: {kept:?} stands once in {file}");
        fs::write(&path, text.replace(kept, broken)).unwrap();
        let [public, own] = count();
        fs::write(&path, text).unwrap();
        println!("{rule:<18} {public:>14} {own:>15}");
        if own == 0 || (public == 0 && !OURS.contains(&rule)) {
            unnoticed.push(rule);
        }
    }
    assert!(unnoticed.is_empty(), "nothing notices that these are broken: {unnoticed:?}");
}
