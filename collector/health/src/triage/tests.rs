use super::*;
use std::collections::BTreeMap;

const CASES: &str = include_str!("cases.txt");

/// A line of the table, read.
struct Row {
    found: String,
    fault: Fault,
    component: ComponentId,
    predicted: bool,
    say: Vec<String>,
    around: Surroundings,
    class: TriageClass,
}

fn fault(word: &str) -> Fault {
    Fault::ALL.into_iter().find(|f| f.as_str() == word).unwrap_or_else(|| panic!("{word:?} is no fault"))
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [found, what, component, known, class] = cells.as_slice() else { panic!("five cells: {line}") };
    let mut around = Surroundings::default();
    let (mut predicted, mut say) = (false, Vec::new());
    let (words, quoted) = known.split_once("say=").unwrap_or((known, ""));
    say.extend(Some(quoted.trim_matches('"').to_owned()).filter(|q| !q.is_empty()));
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let mates = || {
            let (same, of) = value.split_once('/').unwrap();
            Some(Mates { name: "x".to_owned(), of: of.parse().unwrap(), same: same.parse().unwrap() })
        };
        let change = |what: &str| {
            let before = Duration::from_secs(value.parse::<u64>().unwrap() * 3600);
            Some(Change { before, text: what.to_owned() })
        };
        match key {
            "rack" => around.rack = mates(),
            "zone" => around.zone = mates(),
            "feed" => around.feed = mates(),
            "agent" => around.agent = mates(),
            "site" => around.site = mates(),
            "firmware" => around.firmware = mates(),
            "dark" => around.dark = mates(),
            "beside" => around.beside = value.split(',').map(fault).collect(),
            "updated" => around.firmware_changed = change("firmware 1 → 2"),
            "part" => around.part_changed = change("part A replaced by B"),
            "cause" => around.cause = Some(fault(value)),
            "predicted" => predicted = true,
            "silent" => around.only_silence = true,
            "list" => {
                let why = "the list says so".to_owned();
                around.listed = Some(match value {
                    "unqualified" => Listed::Unqualified(why),
                    "missing" => Listed::Missing(why),
                    _ => Listed::Qualified,
                });
            }
            other => panic!("{other:?} is not known: {line}"),
        }
    }
    Row {
        found: (*found).to_owned(),
        fault: fault(what),
        component: component.parse().unwrap_or_else(|e| panic!("{component}: {e}")),
        predicted,
        say,
        around,
        class: TriageClass::from_word(class).unwrap_or_else(|| panic!("{class:?} is no class")),
    }
}

fn rows() -> Vec<Row> {
    CASES.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).map(row).collect()
}

fn judge(row: &Row) -> Triage {
    let facts = row.say.iter().map(String::as_str).collect();
    let case = Case { fault: row.fault, component: &row.component, predicted: row.predicted, facts };
    triage(&case, &row.around)
}

/// What each case turned out to be, against what is said of it.
#[test]
fn of_the_labelled_cases_nine_in_ten_are_told_right_and_no_strong_word_is_wrong() {
    let rows = rows();
    let mut confusion: BTreeMap<(TriageClass, TriageClass), usize> = BTreeMap::new();
    let (mut right, mut overconfident) = (0, Vec::new());
    for row in &rows {
        let told = judge(row);
        assert!(!told.because.is_empty(), "{}: no reason", row.found);
        *confusion.entry((row.class, told.class)).or_default() += 1;
        if told.class == row.class {
            right += 1;
        } else {
            eprintln!("{} was {}, told as {} ({})", row.found, row.class, told.class, told.confidence.as_str());
            if told.confidence == Confidence::Strong {
                overconfident.push(row.found.clone());
            }
        }
    }
    eprintln!("{:>24}  {}", "found \\ told", TriageClass::ALL.map(|c| format!("{:>12.12}", c.as_str())).join(""));
    for found in TriageClass::ALL {
        let cells = TriageClass::ALL.map(|told| confusion.get(&(found, told)).copied().unwrap_or(0));
        eprintln!("{:>24}  {}", found.as_str(), cells.map(|n| format!("{n:>12}")).join(""));
    }
    eprintln!("{right} of {} cases", rows.len());
    assert!(rows.len() >= 40);
    assert!(right * 10 >= rows.len() * 9, "{right} of {}", rows.len());
    // A supply of a bad batch looks like a rack's trouble nowhere; a strong word has to be right.
    assert_eq!(overconfident, [""; 0]);
    let classes: std::collections::BTreeSet<_> = rows.iter().map(|r| r.class).collect();
    assert_eq!(classes.len(), TriageClass::ALL.len(), "every class is among the cases");
}

#[test]
fn every_fault_is_told_with_a_reason_where_nothing_is_known_around_it() {
    let component = ComponentId::lenient(ComponentClass::Other, "x");
    for fault in Fault::ALL {
        for predicted in [false, true] {
            let told =
                triage(&Case { fault, component: &component, predicted, facts: Vec::new() }, &Surroundings::default());
            assert!(!told.because.is_empty(), "{fault}");
            assert!(
                told.confidence < Confidence::Strong
                    || !matches!(told.class, TriageClass::EnvironmentCooling | TriageClass::EnvironmentPower)
                    || matches!(fault, Fault::PowerFeedLost | Fault::CoolingLost),
                "{fault}: the room is not blamed for what nobody else shows"
            );
        }
    }
}

#[test]
fn one_more_hot_neighbour_never_makes_the_room_less_to_blame() {
    let component = ComponentId::lenient(ComponentClass::Cpu, "CPU1");
    for of in 2..20 {
        let mut blamed = false;
        for same in 0..=of {
            let rack = Some(Mates { name: "R1".to_owned(), of, same });
            let around = Surroundings { rack, ..Surroundings::default() };
            let case = Case { fault: Fault::Overheating, component: &component, predicted: false, facts: Vec::new() };
            let room = triage(&case, &around).class == TriageClass::EnvironmentCooling;
            assert!(room || !blamed, "{same} of {of}");
            blamed |= room;
        }
        assert!(blamed);
    }
}
