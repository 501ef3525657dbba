//! What would come to nothing is told before any training.

use super::*;
use clap::Parser;
use std::fmt::Write as _;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    train: Train,
}

/// The tables of 300 drives over 200 days of 2015, of which those whose errors go on fail.
fn tables(dir: &Path) {
    let mut drives = "drive,model,vendor,tb,first_day,last_day,failed\n".to_owned();
    let mut changes = "drive,day,poh,smart_5,smart_197\n".to_owned();
    let begin = source::day("2015-01-01").unwrap();
    for n in 0..300 {
        let (ails, dies, onset) = (n % 3 == 0, n % 6 == 0, 20 + (n * 7) % 150);
        let last = if dies { onset + 12 } else { 199 };
        let (first_day, last_day, failed) = (date(begin), date(begin + last), u8::from(dies));
        writeln!(drives, "D{n:03},ST4000DM000,ST,4.0,{first_day},{last_day},{failed}").unwrap();
        writeln!(changes, "D{n:03},{first_day},1000,0,0").unwrap();
        let errors = (onset..last).step_by(2).take(if dies { 9 } else { 1 });
        for (step, at) in errors.enumerate().filter(|_| ails) {
            writeln!(changes, "D{n:03},{},{},{},0", date(begin + at), 1000 + 24 * at, 8 * (step + 1)).unwrap();
        }
    }
    std::fs::write(dir.join("drives.csv"), drives).unwrap();
    std::fs::write(dir.join("changes.csv"), changes).unwrap();
}

/// The result of a training into `out`, and what was said meanwhile.
fn train(dir: &Path, out: &Path, more: &[&str]) -> (Result<String, String>, String) {
    tables(dir);
    let of = |name: &str| dir.join(name).display().to_string();
    let (drives, changes, out) = (of("drives.csv"), of("changes.csv"), out.display().to_string());
    let known = ["train", "--drives", &drives, "--changes", &changes, "--out", &out];
    let mut said = String::new();
    let told = Command::try_parse_from(known.iter().chain(more)).map_err(|e| e.to_string()).and_then(|command| {
        let mut say = |line: &str| said += line;
        command.train.run(&mut say).map_err(|e| e.to_string())
    });
    (told, said)
}

#[test]
fn a_model_is_written_with_its_card_and_compared_with_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = train(dir.path(), dir.path(), &["--to", "2015-04-15", "--version", "own-1"]);
    let old = dir.path().join("own-1.json").display().to_string();
    assert!(first.is_ok_and(|t| t.contains("own-1.json")), "{old}");
    let asked = ["--validate-from", "2015-05-01", "--compare", &old, "--version", "own-2"];
    let (told, _) = train(dir.path(), dir.path(), &asked);
    let told = told.unwrap();
    assert!(told.contains("before: own-1 (trained to 2015-04-15); after: own-2 (trained to 2015-04-30)"), "{told}");
    let card = std::fs::read_to_string(dir.path().join("own-2.md")).unwrap();
    assert!(card.contains("recall at false <= 0.1"), "{card}");
    assert_eq!(super::super::load(&dir.path().join("own-2.json")).unwrap().version, "own-2");
}

#[test]
fn a_place_that_cannot_be_written_to_is_told_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let (told, said) = train(dir.path(), &dir.path().join("none"), &[]);
    assert!(told.unwrap_err().contains("cannot write"));
    assert!(!said.contains("cross-fitting"), "{said}");
}

#[test]
fn a_validation_too_short_to_be_judged_is_told_before_training() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [("2015-06-01", "2015-06-20"), ("2015-06-01", "2015-05-01"), ("2016-01-01", "2016-06-01")] {
        let (told, said) = train(dir.path(), dir.path(), &["--validate-from", from, "--validate-to", to]);
        assert!(told.unwrap_err().contains("longer than 30 days"));
        assert!(!said.contains("cross-fitting"), "{said}");
    }
    // Nothing of what was given up is left.
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_name_that_leads_elsewhere_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["../own", "", ".own", "a/b", "own 1"] {
        assert!(train(dir.path(), dir.path(), &["--version", name]).0.is_err(), "{name}");
    }
}
