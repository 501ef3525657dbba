//! The disk model against the histories of real drives: it comes out of them again, bit for bit, and its judge says what an independent
//! judge says.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_collector::train::backtest::{self, Ask};
use outband_collector::train::judge::Judge;
use outband_collector::train::source::{Histories, date, day};
use outband_collector::train::{fit, shipped};
use outband_health::model::SHIPPED;
use std::path::PathBuf;
use std::process::Command;

/// Material that stands beside the project, where it is there.
fn shared_dir() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let dir = std::env::var_os("OUTBAND_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    dir.is_dir().then_some(dir)
}

fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// The tables of the drives, where they are there.
fn tables() -> Option<(PathBuf, PathBuf)> {
    let dir = shared_dir()?.join("data/smart");
    let (drives, changes) = (dir.join("drives.csv.zst"), dir.join("smart_changes.csv.zst"));
    (drives.exists() && changes.exists()).then_some((drives, changes))
}

#[test]
fn the_shipped_model_comes_out_of_its_data_again_bit_for_bit() {
    let Some((drives, changes)) = tables() else { return skip("there are no histories of drives in ../shared") };
    let history = Histories::read(&drives, &changes, &mut |_| {}).unwrap();
    let ours = shipped().unwrap();
    let (model, _) = fit::fit(&history, day(&ours.trained_to).unwrap(), &ours.version, &mut |_| {}).unwrap();
    assert!(serde_json::to_string(&model).unwrap() == SHIPPED, "another model");
}

#[test]
fn our_judge_says_what_an_independent_judge_says() {
    let Some((drives, changes)) = tables() else { return skip("there are no histories of drives in ../shared") };
    let Some(script) = shared_dir().map(|d| d.join("tools/smart_eval.py")).filter(|s| s.exists()) else {
        return skip("there is no independent judge in ../shared");
    };
    let dir = tempfile::tempdir().unwrap();
    let history = Histories::read(&drives, &changes, &mut |_| {}).unwrap();
    let (from, to) = ("2015-03-01", "2015-08-31");
    let ask = Ask { from: day(from).unwrap(), to: day(to).unwrap(), budget: 0.1 };
    let report = backtest::run(&shipped().unwrap(), &history, ask, &mut |_| {});
    let lines: Vec<String> = std::iter::once("drive,day,score".to_owned())
        .chain(report.alarms.iter().map(|a| format!("{},{},{}", history.lives[a.drive].id, date(a.day), a.score)))
        .collect();
    let alarms = dir.path().join("alarms.csv");
    std::fs::write(&alarms, lines.join("\n")).unwrap();
    let period = ["--from", from, "--to", to, "--threshold", "0.5"];
    let told = Command::new("python3").arg(script).args([&drives, &alarms]).args(period).output();
    let Ok(told) = told.map(|t| String::from_utf8_lossy(&t.stdout).into_owned()) else { return skip("no python3") };
    let judge = Judge::new(&history, ask.from, ask.to);
    let ours = judge.at(&report.alarms, 0.5);
    let head = format!("failures in period {}  drive-months {:.0}", judge.failures, judge.months);
    assert!(told.contains(&head), "{head}\n{told}");
    let line = told.lines().find(|l| l.starts_with("threshold")).unwrap();
    let wanted = format!(
        "tickets {:5}  recall {:.3}  precision {:.3}  far {:.3}",
        ours.tickets,
        ours.recall,
        ours.precision(),
        ours.false_rate
    );
    assert!(line.contains(&wanted), "{wanted}\n{line}");
    assert!(line.contains(&format!("lead {}  recall7 {:.3}", ours.lead.unwrap(), ours.recall_week)), "{line}");
}
