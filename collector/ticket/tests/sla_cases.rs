//! Tables of business-time calculations, answered as they stand.
//!
//! `cargo test -p outband-ticket sla_cases` runs the tables in `data/`, or the one whose path is in `OUTBAND_SLA_CASES`.
//! `data/sla_cases.json` holds facts from public test suites, each with its source; it was made from a table of the same form by
//! `OUTBAND_SLA_CASES=TABLE OUTBAND_BLESS=1 cargo test -p outband-ticket sla_cases`. `data/zone_cases.json` holds answers of a second
//! implementation, `data/zone_cases.py`, where clocks change.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::Timestamp;
use outband_ticket::{Calendar, CalendarSpec, Span};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX);

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// The tables to run: that of the environment, else our own.
fn tables() -> Vec<PathBuf> {
    match std::env::var_os("OUTBAND_SLA_CASES") {
        Some(path) => vec![PathBuf::from(path)],
        None => vec![data("sla_cases.json"), data("zone_cases.json")],
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Says it whether or not output is captured: the number of cases run is the point.
#[allow(clippy::explicit_write, reason = "what eprintln prints is captured")]
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// What a calendar of a table may say; where it is from stands beside it.
const RULES: [&str; 8] =
    ["tz", "week", "holidays", "holidays_yearly", "overrides", "breaks", "make_up", "weekly_breaks"];

/// Seconds as tables have them, whole or not, and whether they are less than none.
fn seconds(value: &Value) -> Option<(Duration, bool)> {
    let number = value.as_f64()?;
    let time = value.as_i64().map(|s| Ok(Duration::from_secs(s.unsigned_abs())));
    Some((time.unwrap_or_else(|| Duration::try_from_secs_f64(number.abs())).ok()?, number < 0.0))
}

struct Case<'a> {
    calendars: &'a BTreeMap<String, Calendar>,
    case: &'a Value,
}

fn at(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn calendars(table: &Value) -> BTreeMap<String, Calendar> {
    let mut out = BTreeMap::new();
    for (name, spec) in table["calendars"].as_object().unwrap() {
        let mut spec = spec.clone();
        spec.as_object_mut().unwrap().retain(|key, value| RULES.contains(&key.as_str()) && !value.is_null());
        let spec: CalendarSpec = serde_json::from_value(spec).unwrap_or_else(|e| panic!("calendar {name}: {e}"));
        out.insert(name.clone(), Calendar::try_from(&spec).unwrap_or_else(|e| panic!("calendar {name}: {e}")));
    }
    out
}

impl Case<'_> {
    fn time(&self, key: &str) -> Option<Timestamp> {
        at(&self.case[key])
    }

    fn pauses(&self) -> Vec<Span> {
        let all = self.case["pauses"].as_array();
        all.into_iter()
            .flatten()
            .map(|p| {
                let edge = |i: usize, key: &str| p.get(i).or_else(|| p.get(key)).and_then(at);
                (edge(0, "from").unwrap(), edge(1, "to").unwrap_or(FOREVER))
            })
            .collect()
    }

    /// What we answer; `None` where nothing is, or the question is not understood.
    fn answer(&self) -> Option<Value> {
        let show = |t: Option<Timestamp>| Some(json!(t?.to_string()));
        let pauses = self.pauses();
        if self.case["kind"] == "replay" {
            return self.replay();
        }
        let calendar = self.calendars.get(self.case["calendar"].as_str()?)?;
        match self.case["kind"].as_str()? {
            // Less than nothing lies on the other side.
            "due" => match seconds(&self.case["target_s"])? {
                (target, false) => show(calendar.due(self.time("start")?, target, &pauses)),
                (target, true) => show(calendar.before(self.time("start")?, target, &pauses)),
            },
            "before" => match seconds(&self.case["offset_s"])? {
                (offset, false) => show(calendar.before(self.time("anchor")?, offset, &pauses)),
                (offset, true) => show(calendar.due(self.time("anchor")?, offset, &pauses)),
            },
            "elapsed" => {
                let time = calendar.elapsed(self.time("from")?, self.time("to")?, &pauses);
                Some(if time.subsec_millis() == 0 { json!(time.as_secs()) } else { json!(time.as_secs_f64()) })
            }
            "is_open" => Some(json!(calendar.is_open(self.time("at")?))),
            "opens_at" => show(calendar.opens_at(self.time("at")?)),
            "closes_at" => show(calendar.closes_at(self.time("at")?)),
            "due_days" => {
                let days = i32::try_from(self.case["days"].as_i64()?).ok()?;
                show(calendar.due_days(self.time("start")?, days, self.case["end_of_day"].as_bool().unwrap_or(false)))
            }
            _ => None,
        }
    }

    /// Replays the events and answers `due` after each check's event.
    fn replay(&self) -> Option<Value> {
        let (mut calendar, mut target) = (None, None);
        let (mut created, mut start, mut pauses) = (Timestamp::EPOCH, Timestamp::EPOCH, Vec::<Span>::new());
        let mut dues = Vec::new();
        for event in self.case["events"].as_array()? {
            let now = at(&event["at"])?;
            match event["ev"].as_str()? {
                "pause" => pauses.push((now, FOREVER)),
                // One that nothing precedes resumes nothing.
                "resume" => pauses.iter_mut().filter(|pause| pause.1 == FOREVER).for_each(|pause| pause.1 = now),
                _ => {
                    start = match (event["ev"].as_str()?, event["rebase"].as_str()) {
                        ("create", _) => {
                            created = now;
                            now
                        }
                        (_, Some("change")) => now,
                        _ => created,
                    };
                    // What a change does not name stays; what it names as nothing is gone.
                    if let Some(named) = event.get("calendar") {
                        calendar = named.as_str().and_then(|name| self.calendars.get(name));
                    }
                    if let Some(given) = event.get("target_s") {
                        target = seconds(given).map(|(time, _)| time);
                    }
                }
            }
            let due = calendar.zip(target).and_then(|(calendar, target)| calendar.due(start, target, &pauses));
            dues.push(due.map_or(Value::Null, |t| json!(t.to_string())));
        }
        let checks = self.case["checks"].as_array()?.iter();
        checks.map(|check| dues.get(usize::try_from(check["after"].as_u64()?).ok()?).cloned()).collect()
    }
}

/// The same value, with times in one way of writing.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(_) => at(value).map_or_else(|| value.clone(), |t| json!(t.to_string())),
        Value::Array(all) => all.iter().map(plain).collect(),
        Value::Number(number) if number.as_i64().is_none() => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole")]
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => json!(whole as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

#[test]
fn sla_cases_are_answered_as_they_stand() {
    let mut failed = Vec::new();
    let mut total = 0;
    for path in tables() {
        let table = read(&path);
        let calendars = calendars(&table);
        let cases = table["cases"].as_array().unwrap();
        for case in cases {
            let got = Case { calendars: &calendars, case }.answer().unwrap_or(Value::Null);
            let want = plain(&case["expect"]);
            if got != want {
                failed.push(format!("{} {}: want {want}, got {got}", case["id"], case["kind"]));
            }
        }
        say(&format!("{} SLA cases run, from {}", cases.len(), path.display()));
        assert!(!cases.is_empty(), "{} has no cases", path.display());
        total += cases.len();
    }
    assert!(failed.is_empty(), "{} of {total} SLA cases failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn sla_cases_are_kept_with_their_conventions_and_sources() {
    let kept = data("sla_cases.json");
    if let (Some(from), Some(_)) = (std::env::var_os("OUTBAND_SLA_CASES"), std::env::var_os("OUTBAND_BLESS")) {
        std::fs::write(&kept, compact(&read(Path::new(&from)))).unwrap();
    }
    let table = read(&kept);
    assert!(table["conventions"]["local_to_instant"].is_string());
    assert!(table["cases"].as_array().unwrap().iter().all(|case| case["source"].is_string()));
}

/// The facts alone, a calendar or a case on each line.
fn compact(table: &Value) -> String {
    let mut out = String::from("{\n");
    for key in ["schema", "about", "conventions"] {
        writeln!(out, "\"{key}\": {},", table[key]).unwrap();
    }
    let lines: Vec<String> =
        table["calendars"].as_object().unwrap().iter().map(|(name, spec)| format!("{}: {spec}", json!(name))).collect();
    writeln!(out, "\"calendars\": {{\n{}\n}},", lines.join(",\n")).unwrap();
    let mut lines = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let mut kept = Map::new();
        for (key, value) in case.as_object().unwrap() {
            match key.as_str() {
                "tags" | "source_rounds" | "divergent" | "also_reported" => {}
                "pauses" if value.as_array().is_some_and(Vec::is_empty) => {}
                "source" if value.is_object() => {
                    let part = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                    kept.insert(key.clone(), json!(format!("{} {} {}", part("repo"), part("file"), part("commit"))));
                }
                _ => {
                    kept.insert(key.clone(), value.clone());
                }
            }
        }
        lines.push(Value::Object(kept).to_string());
    }
    writeln!(out, "\"cases\": [\n{}\n]\n}}", lines.join(",\n")).unwrap();
    out
}
