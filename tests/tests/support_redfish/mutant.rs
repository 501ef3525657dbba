//! Trees with one resource changed for the worse, walked in memory: no panic, no hang, no invented value.

use super::items::num;
use super::offline::{self, Walked, pruned};
use super::oracle::{Inline, Oracle};
use super::tree::Tree;
use outband_bmc::Bookmark;
use outband_bmc::redfish::memory::Memory;
use outband_schemas::{Observation, Quality, Reading, Section, SensorKind, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

const FIRST: Timestamp = Timestamp::from_secs(1_800_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_800_000_061);
/// Members that a collection keeps, so that a walk is short.
const MEMBERS: usize = 6;
/// Longer than this for one walk in memory is as good as never.
const FOREVER: Duration = Duration::from_secs(20);

/// SplitMix64: the same numbers from one seed in every version.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `n` exclusively; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        list.get(self.below(list.len())).cloned()
    }
}

/// A tree made ready for mutants of it.
pub(crate) struct Stand {
    pub(crate) name: String,
    tree: Tree,
    inline: Inline,
    /// Per section: what a walk asks for, and what a client knows after it.
    sections: Vec<(Section, Vec<String>, Memory, Option<Bookmark>)>,
}

impl Stand {
    pub(crate) fn new(name: &str, dir: &Path, dice: &mut Dice) -> Self {
        let tree = pruned(&Tree::open(dir), MEMBERS, |n| dice.below(n));
        let inline = Inline::of(&tree);
        let mut sections = Vec::new();
        for section in Section::OF_BMC {
            let mut memory = Memory::default();
            let walked = offline::walk(&tree, section, &mut memory, None, usize::MAX, FIRST);
            let paths = walked.requests.iter().map(|r| r.split('?').next().unwrap_or(r).to_owned());
            let mut asked: Vec<String> = paths.filter(|p| tree.body(p).is_some()).collect();
            asked.push("/redfish/v1".to_owned());
            // What came with an expanded collection can be changed too.
            let members: Vec<String> = asked.iter().flat_map(|uri| links_in(&tree, uri)).collect();
            asked.extend(members);
            asked.sort();
            asked.dedup();
            sections.push((section, asked, memory, None));
        }
        Self { name: name.to_owned(), tree, inline, sections }
    }
}

fn links_in(tree: &Tree, uri: &str) -> Vec<String> {
    let members = tree.find(uri).and_then(|v| v.get("Members")).and_then(Value::as_array).cloned().unwrap_or_default();
    let links =
        members.iter().filter_map(|m| m.get("@odata.id").and_then(Value::as_str)).filter_map(|l| tree.spelled(l));
    links.map(str::to_owned).collect()
}

/// A change: what was done, and the resource as bytes.
struct Change {
    what: String,
    bytes: Vec<u8>,
    /// The fields that held a number and hold none now, with their last names.
    no_number: Vec<String>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) mutants: usize,
    pub(crate) panics: Vec<String>,
    pub(crate) hangs: Vec<String>,
    pub(crate) lies: Vec<String>,
    pub(crate) readings: usize,
    pub(crate) by_kind: BTreeMap<&'static str, usize>,
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.mutants += other.mutants;
        self.readings += other.readings;
        self.panics.extend(other.panics);
        self.hangs.extend(other.hangs);
        self.lies.extend(other.lies);
        self.slowest = self.slowest.max(other.slowest);
        other.by_kind.into_iter().for_each(|(kind, n)| *self.by_kind.entry(kind).or_default() += n);
    }
}

/// Mutants number `from` to `to` of a seed. Each depends on its seed and number only.
pub(crate) fn run(stands: &[Stand], seed: u64, from: usize, to: usize) -> Tally {
    let mut tally = Tally::default();
    for number in from..to {
        let mut dice = Dice(seed ^ (u64::try_from(number).unwrap()).wrapping_mul(0xD134_2543_DE82_EF95));
        let Some(stand) = stands.get(dice.below(stands.len())) else { return tally };
        one(stand, number, &mut dice, &mut tally);
    }
    tally
}

fn one(stand: &Stand, number: usize, dice: &mut Dice, tally: &mut Tally) {
    let Some((section, asked, known, bookmark)) = stand.sections.get(dice.below(stand.sections.len())) else { return };
    let Some(uri) = dice.one_of(asked) else { return };
    let Some(body) = stand.tree.body(&uri) else { return };
    let mut change = Change { what: String::new(), bytes: body.to_vec(), no_number: Vec::new() };
    for _ in 0..=dice.below(3) {
        let kind = change.mutate(&uri, &stand.tree, dice);
        *tally.by_kind.entry(kind).or_default() += 1;
    }
    let mut tree = stand.tree.clone();
    tree.put(&uri, change.bytes.clone());
    let mut inline = stand.inline.clone();
    inline.add(&tree, &uri);
    // A client that knows the BMC from before, or one that does not.
    let warm = dice.below(5) < 2;
    let mut memory = if warm { known.clone() } else { Memory::default() };
    let most = stand.tree.len() * 2 + 300;
    let label = format!(
        "#{number} {} {} {uri}{}: {}",
        stand.name,
        section.as_str(),
        if warm { " (again)" } else { "" },
        change.what
    );
    let began = Instant::now();
    let walked = catch_unwind(AssertUnwindSafe(|| {
        offline::walk(&tree, *section, &mut memory, bookmark.as_ref().filter(|_| warm), most, LATER)
    }));
    let took = began.elapsed();
    tally.mutants += 1;
    tally.slowest = tally.slowest.max(took);
    let walked = match walked {
        Ok(walked) => walked,
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            return tally.panics.push(format!("{label}: {}", said.unwrap_or_default()));
        }
    };
    if walked.endless || took > FOREVER {
        tally.hangs.push(format!("{label}: {} requests in {took:?}", walked.requests.len()));
    }
    tally.readings += walked.observations.len();
    let (now, before): (Vec<&Observation>, Vec<&Observation>) =
        walked.observations.iter().partition(|o| at(o) >= LATER);
    let lies = Oracle { tree: &tree, inline: &inline, spoilt: Some(&uri) }.lies(now.into_iter());
    // What a client still knows from before is told with its old time, and must have been true then.
    let old = Oracle { tree: &stand.tree, inline: &stand.inline, spoilt: None }.lies(before.into_iter());
    let swapped = told_of_no_number(&walked, &uri, &change.no_number, &tree);
    tally.lies.extend(lies.into_iter().chain(old).chain(swapped).map(|lie| format!("{label}: {lie}")));
}

fn at(observation: &Observation) -> Timestamp {
    match observation {
        Observation::Reading(r) => r.observed_at,
        Observation::Event(e) => e.observed_at,
        Observation::Inventory(i) => i.observed_at,
        Observation::Gap(g) => g.observed_at,
    }
}

/// Good numbers whose source is a field that holds no number any more.
fn told_of_no_number(walked: &Walked, uri: &str, fields: &[String], tree: &Tree) -> Vec<String> {
    let Some(body) = tree.find(uri) else { return Vec::new() };
    let is_it = |r: &&Reading| {
        let (base, pointer) = r.source.0.split_once('#').unwrap_or((&r.source.0, ""));
        super::tree::loosely(base) == super::tree::loosely(uri)
            && r.quality == Quality::Good
            && r.value.as_ref().is_some_and(|v| v.as_number().is_some())
            && r.kind != SensorKind::FailurePredicted
            && fields.iter().any(|f| f == pointer)
            && body.pointer(pointer).is_none_or(|v| num(v).is_none() && v.get("Reading").and_then(num).is_none())
    };
    let readings =
        walked.observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
    readings.filter(is_it).map(|r| format!("good, of a field that holds no number: {r:?}")).collect()
}

/// Every pointer in a value.
fn pointers(value: &Value, at: &mut String, out: &mut Vec<String>) {
    let length = at.len();
    let mut each = |step: &str, inner: &Value, at: &mut String| {
        at.push('/');
        at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        out.push(at.clone());
        pointers(inner, at, out);
        at.truncate(length);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| each(name, inner, at)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, inner)| each(&index.to_string(), inner, at)),
        _ => {}
    }
}

impl Change {
    fn mutate(&mut self, uri: &str, tree: &Tree, dice: &mut Dice) -> &'static str {
        let parsed = serde_json::from_slice::<Value>(&self.bytes).ok();
        let kind = dice.below(20);
        match (kind, parsed) {
            (0..=4, _) | (_, None) => self.flip(dice),
            (5, _) => self.cut(dice),
            (6, _) => self.junk(dice),
            (7, Some(value)) => self.twice(&value, dice),
            (8..=12, Some(value)) => self.swap(value, dice),
            (13, Some(value)) => self.delete(value, dice),
            (14, Some(value)) => self.repeat(value, dice),
            (15, Some(value)) => self.rename(value, dice),
            (16 | 17, Some(value)) => self.relink(value, uri, tree, dice),
            (18, Some(value)) => self.huge(value, dice),
            (_, Some(value)) => self.deep(value, dice),
        }
    }

    fn note(&mut self, what: &str) {
        if !self.what.is_empty() {
            self.what.push_str("; ");
        }
        self.what.push_str(what);
    }

    fn flip(&mut self, dice: &mut Dice) -> &'static str {
        for _ in 0..=dice.below(4) {
            let at = dice.below(self.bytes.len());
            let bit = dice.below(8);
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte ^= 1 << bit;
                let near = String::from_utf8_lossy(&self.bytes[at.saturating_sub(12)..(at + 12).min(self.bytes.len())])
                    .into_owned();
                self.note(&format!("bit {bit} of byte {at} ({near:?})"));
            }
        }
        "bit flip"
    }

    fn cut(&mut self, dice: &mut Dice) -> &'static str {
        let at = dice.below(self.bytes.len());
        self.bytes.truncate(at);
        self.note(&format!("cut at byte {at}"));
        "cut off"
    }

    fn junk(&mut self, dice: &mut Dice) -> &'static str {
        let before: [&[u8]; 5] =
            [b"\xEF\xBB\xBF", b"{\"error\":{\"code\":\"x\"}}", b"HTTP/1.1 200 OK\r\n\r\n", b"\0\0\x01", b"[]"];
        let after: [&[u8]; 4] = [b"}", b"\0", b"{\"@odata.id\":\"/redfish/v1/x\",\"ReadingCelsius\":7.5}", b"<html>"];
        let (head, tail) = (dice.one_of(&before).unwrap_or_default(), dice.one_of(&after).unwrap_or_default());
        match dice.below(3) {
            0 => self.bytes = [head, &self.bytes].concat(),
            1 => self.bytes = [&self.bytes, tail].concat(),
            _ => self.bytes = [head, &self.bytes, tail].concat(),
        }
        self.note("junk around it");
        "junk"
    }

    /// One field twice in one object, with another value.
    fn twice(&mut self, value: &Value, dice: &mut Dice) -> &'static str {
        let Some(name) = value.as_object().and_then(|o| dice.one_of(&o.keys().cloned().collect::<Vec<_>>())) else {
            return "nothing";
        };
        let other = odd(dice);
        let text = value.to_string();
        self.bytes = format!("{{{}:{other},{}", json!(name), text.strip_prefix('{').unwrap_or_default()).into_bytes();
        self.note(&format!("{name} twice"));
        "field twice"
    }

    fn choose(value: &Value, dice: &mut Dice, wanted: impl Fn(&Value, &str) -> bool) -> Option<String> {
        let mut all = Vec::new();
        pointers(value, &mut String::new(), &mut all);
        all.retain(|p| value.pointer(p).is_some_and(|v| wanted(v, p)));
        dice.one_of(&all)
    }

    fn swap(&mut self, mut value: Value, dice: &mut Dice) -> &'static str {
        // Numbers are what readings are made of: take them more often than their share.
        let numbers = dice.below(2) == 0;
        let at = Self::choose(&value, dice, |v, _| numbers && num(v).is_some())
            .or_else(|| Self::choose(&value, dice, |_, _| true));
        let Some(at) = at else { return "nothing" };
        let Some(place) = value.pointer_mut(&at) else { return "nothing" };
        let was_number = num(place).is_some();
        let new = loop {
            let new = odd(dice);
            if std::mem::discriminant(&new) != std::mem::discriminant(place) {
                break new;
            }
        };
        self.note(&format!("{at}: {} became {}", short(place), short(&new)));
        let is_number = num(&new).is_some();
        *place = new;
        self.bytes = value.to_string().into_bytes();
        if was_number && !is_number {
            self.no_number.push(at);
        }
        "type swap"
    }

    fn delete(&mut self, mut value: Value, dice: &mut Dice) -> &'static str {
        let Some(at) = Self::choose(&value, dice, |_, _| true) else { return "nothing" };
        let (parent, name) = at.rsplit_once('/').unwrap_or(("", &at));
        match value.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(list)) => {
                drop(name.parse().ok().filter(|n| *n < list.len()).map(|n: usize| list.remove(n)))
            }
            _ => {}
        }
        self.note(&format!("{at} deleted"));
        self.bytes = value.to_string().into_bytes();
        "deleted"
    }

    fn repeat(&mut self, mut value: Value, dice: &mut Dice) -> &'static str {
        let Some(at) = Self::choose(&value, dice, |v, _| v.as_array().is_some_and(|a| !a.is_empty())) else {
            return "nothing";
        };
        let Some(list) = value.pointer_mut(&at).and_then(Value::as_array_mut) else { return "nothing" };
        let times = if dice.below(10) == 0 { 2000 } else { 1 + dice.below(3) };
        let element = dice.one_of(list).unwrap_or_default();
        list.extend(std::iter::repeat_n(element, times));
        self.note(&format!("an element of {at} {times} times more"));
        self.bytes = value.to_string().into_bytes();
        "repeated"
    }

    fn rename(&mut self, mut value: Value, dice: &mut Dice) -> &'static str {
        let word = |v: &Value| {
            v.as_str().is_some_and(|s| (1..24).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphabetic()))
        };
        let Some(at) = Self::choose(&value, dice, |v, _| word(v)) else { return "nothing" };
        let words = [
            "Unobtainium",
            "",
            " ",
            "ENABLED",
            "enabled",
            "ok",
            "0",
            "Überhitzt",
            "N/A",
            "Absent",
            "Disabled",
            "Critical",
            "\u{0}",
            "RPM",
            "Percent",
        ];
        let new = dice.one_of(&words).unwrap_or_default();
        self.note(&format!("{at} became {new:?}"));
        if let Some(place) = value.pointer_mut(&at) {
            *place = Value::from(new);
        }
        self.bytes = value.to_string().into_bytes();
        "renamed"
    }

    fn relink(&mut self, mut value: Value, uri: &str, tree: &Tree, dice: &mut Dice) -> &'static str {
        let uris: Vec<&str> = tree.uris().collect();
        let other = dice.one_of(&uris).unwrap_or_default().to_owned();
        let targets = [
            "/redfish/v1/Gone/Away".to_owned(),
            uri.to_owned(),
            format!("{uri}/"),
            format!("{uri}?$skip=1"),
            format!("{uri}#/Members/0"),
            "/redfish/v1".to_owned(),
            "/redfish/v1/Systems".to_owned(),
            "/redfish/v1/Chassis".to_owned(),
            "https://bmc.example/redfish/v1/Systems/1".to_owned(),
            "//bmc.example/redfish/v1".to_owned(),
            "/redfish/../../etc/passwd".to_owned(),
            "redfish/v1/Chassis".to_owned(),
            "/redfish/v1/\r\nX-Evil: 1".to_owned(),
            String::new(),
            "#".to_owned(),
            other.clone(),
            other,
        ];
        let new = dice.one_of(&targets).unwrap_or_default();
        if dice.below(4) == 0 {
            if let Some(fields) = value.as_object_mut() {
                self.note(&format!("nextLink to {new:?}"));
                fields.insert("Members@odata.nextLink".to_owned(), Value::from(new));
            }
        } else if let Some(at) = Self::choose(&value, dice, |v, p| v.is_string() && p.ends_with("/@odata.id"))
            && let Some(place) = value.pointer_mut(&at)
        {
            self.note(&format!("{at} leads to {new:?}"));
            *place = Value::from(new);
        }
        self.bytes = value.to_string().into_bytes();
        "relinked"
    }

    fn huge(&mut self, value: Value, dice: &mut Dice) -> &'static str {
        let Some(at) = Self::choose(&value, dice, |v, _| !v.is_object() && !v.is_array()) else { return "nothing" };
        let long = format!("\"{}\"", "A".repeat(200_000));
        let numbers = [
            "1e308",
            "-1e308",
            "9e18",
            "18446744073709551615",
            "-9223372036854775808",
            "1e400",
            "1e-400",
            "-0.0",
            "999999999999999999999999",
            &long,
            "\"1e309\"",
            "\"NaN\"",
            "NaN",
            "Infinity",
        ];
        let new = dice.one_of(&numbers).unwrap_or_default().to_owned();
        self.raw(value, &at, &new);
        "huge"
    }

    fn deep(&mut self, value: Value, dice: &mut Dice) -> &'static str {
        let Some(at) = Self::choose(&value, dice, |_, _| true) else { return "nothing" };
        let depth = dice.one_of(&[20, 60, 100, 126, 200, 5000]).unwrap_or(60);
        let (open, close) = if dice.below(2) == 0 { ("[", "]") } else { ("{\"Oem\":", "}") };
        let new = format!("{}7{}", open.repeat(depth), close.repeat(depth));
        self.raw(value, &at, &new);
        "deep"
    }

    /// Puts text in a value's place that need not be JSON.
    fn raw(&mut self, mut value: Value, at: &str, new: &str) {
        const MARK: &str = "@@here@@";
        let was_number = value.pointer(at).is_some_and(|v| num(v).is_some());
        if let Some(place) = value.pointer_mut(at) {
            *place = Value::from(MARK);
        }
        self.note(&format!("{at} became {}", new.chars().take(30).collect::<String>()));
        self.bytes = value.to_string().replacen(&format!("\"{MARK}\""), new, 1).into_bytes();
        let is_number = new.trim_matches('"').parse::<f64>().is_ok_and(f64::is_finite);
        if was_number && !is_number {
            self.no_number.push(at.to_owned());
        }
    }
}

/// A value of any type that nobody expects.
fn odd(dice: &mut Dice) -> Value {
    match dice.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!([]),
        4 => json!({}),
        5 => json!("hot"),
        6 => json!("57.25"),
        7 => json!("46 degrees C"),
        8 => json!("N/A"),
        9 => json!(-273.5),
        10 => json!(u64::MAX),
        11 => json!([{"Reading": 4242.5, "ReadingCelsius": 4242.5, "@odata.id": "/redfish/v1"}]),
        12 => json!({"Reading": 777.25, "@odata.id": "/redfish/v1/Chassis"}),
        _ => json!(""),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// Walks the unchanged trees: what is wrong with these is wrong with the oracle, or with the client at its best.
pub(crate) fn unchanged(stands: &[Stand]) -> Vec<String> {
    let mut out = Vec::new();
    for stand in stands {
        for section in Section::OF_BMC {
            let walked = offline::walk(&stand.tree, section, &mut Memory::default(), None, usize::MAX, FIRST);
            let oracle = Oracle { tree: &stand.tree, inline: &stand.inline, spoilt: None };
            out.extend(
                oracle
                    .lies(walked.observations.iter())
                    .into_iter()
                    .map(|lie| format!("{} {}: {lie}", stand.name, section.as_str())),
            );
        }
    }
    out
}

/// A copy of what one walk of an unchanged tree tells, with a tree and an index to judge it by.
pub(crate) fn told(stand: &Stand, section: Section) -> (Vec<Observation>, &Tree, &Inline) {
    let walked = offline::walk(&stand.tree, section, &mut Memory::default(), None, usize::MAX, FIRST);
    (walked.observations, &stand.tree, &stand.inline)
}
