//! Whether what is told can be derived from what is there: no value, state, text or time may be invented.

use super::items::{leading, num};
use super::times::{seconds, times_in};
use super::tree::{Tree, loosely};
use outband_schemas::{
    Inventory, LogEvent, Observation, Part, Quality, Reading, SensorKind, Severity, State, Suspicion, Thresholds,
    Value as Told,
};
use serde_json::Value;
use std::collections::HashMap;

/// Objects within other resources, by the URI that they give themselves: resource and pointer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inline(HashMap<String, Vec<(String, String)>>);

impl Inline {
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut inline = Self::default();
        for uri in tree.uris() {
            if let Some(value) = tree.find(uri) {
                inline.gather(uri, value, &mut String::new());
            }
        }
        inline
    }

    /// Adds those of one resource that was changed.
    pub(crate) fn add(&mut self, tree: &Tree, uri: &str) {
        if let Some(value) = tree.find(uri) {
            self.gather(uri, value, &mut String::new());
        }
    }

    fn gather(&mut self, resource: &str, value: &Value, pointer: &mut String) {
        let length = pointer.len();
        match value {
            Value::Object(fields) => {
                if let Some(id) = fields.get("@odata.id").and_then(Value::as_str).filter(|_| fields.len() > 1) {
                    let place = (resource.to_owned(), pointer.clone());
                    self.0.entry(loosely(id)).or_default().push(place);
                }
                for (name, inner) in fields {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.gather(resource, inner, pointer);
                    pointer.truncate(length);
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    self.gather(resource, inner, pointer);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// The scalars of a place.
#[derive(Debug, Default)]
struct Scalars {
    /// Numbers and texts that are numbers from end to end.
    plain: Vec<f64>,
    /// Numbers with which a text begins.
    leading: Vec<f64>,
    texts: Vec<String>,
    truths: bool,
    /// How many fields tell of a severity.
    severities: usize,
    /// Lengths of arrays, for what is told as their count.
    lengths: Vec<usize>,
    /// The bytes are no UTF-8: what is not ASCII may have been read in several ways.
    bent: bool,
}

/// Fields that never are a reading: what they hold is no source of one.
fn is_no_reading(name: &str) -> bool {
    name.starts_with('@')
        || name.contains("Threshold")
        || name.contains("ReadingRange")
        || matches!(
            name,
            "Id" | "MemberId"
                | "SensorNumber"
                | "Name"
                | "Description"
                | "Actions"
                | "Links"
                | "RelatedItem"
                | "DataSourceUri"
        )
}

impl Scalars {
    fn take(&mut self, value: &Value, readings_only: bool) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    if !(readings_only && is_no_reading(name)) {
                        self.severities += usize::from(name.contains("everity") && inner.is_string());
                        self.take(inner, readings_only);
                        // A figure may be told with its field's name, e.g. `MinNumNeeded 2`.
                        match inner {
                            Value::String(text) => self.texts.push(format!("{name} {}", clean(text))),
                            Value::Number(_) | Value::Bool(_) => self.texts.push(format!("{name} {inner}")),
                            _ => {}
                        }
                    }
                }
            }
            Value::Array(list) => {
                self.lengths.push(list.len());
                list.iter().for_each(|v| self.take(v, readings_only));
            }
            Value::String(text) => {
                match text.trim().parse::<f64>() {
                    Ok(n) => self.plain.push(n),
                    Err(_) => self.leading.extend(num(value)),
                }
                self.plain.extend(seconds(text.trim()));
                self.texts.push(clean(text));
            }
            Value::Number(n) => {
                self.plain.extend(n.as_f64());
                self.texts.push(n.to_string());
            }
            Value::Bool(b) => {
                self.truths = true;
                self.texts.push(b.to_string());
            }
            Value::Null => {}
        }
    }

    /// Whatever looks like a number or a text in bytes that are no JSON.
    fn scan(&mut self, bytes: &[u8]) {
        self.bent |= std::str::from_utf8(bytes).is_err();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
        };
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))) {
            self.plain.extend(word.parse::<f64>().ok());
            self.leading.extend(leading(word));
        }
        let plain = text.replace("\\\"", "\"").replace("\\/", "/").replace("\\\\", "\\");
        self.texts.extend(plain.split('"').map(clean));
        self.texts.push(clean(&plain.replace(['"', ':', ','], " ")));
        self.texts.push(clean(&plain));
        self.truths = true;
        self.severities += 1;
        self.lengths.extend(0..100);
    }

    fn holds(&self, said: &str) -> bool {
        let said = clean(said);
        // A number may be written in another way than it came.
        let number = || said.parse::<f64>().is_ok_and(|n| self.plain.contains(&n));
        let ascii = |text: &str| text.chars().filter(char::is_ascii).collect::<String>();
        let bent = || self.bent && self.texts.iter().any(|t| ascii(t).contains(&ascii(&said)));
        said.is_empty() || self.texts.iter().any(|t| t.contains(&said)) || number() || bent()
    }

    fn any(&self, words: &[&str]) -> bool {
        self.texts.iter().any(|t| words.iter().any(|w| t.to_ascii_lowercase().contains(w)))
    }

    fn number(&self, kind: SensorKind, said: f64, coerced: bool) -> bool {
        let flag = kind == SensorKind::FailurePredicted
            && (said == 0.0 || said == 1.0)
            && (self.truths || !self.texts.is_empty());
        // A link that is down has no speed.
        let down = kind == SensorKind::LinkSpeed
            && said == 0.0
            && !self.texts.iter().any(|t| matches!(t.as_str(), "Up" | "LinkUp"));
        let from = |n: &f64| derived(*n, said);
        flag || down || self.plain.iter().any(from) || coerced && self.leading.iter().any(from)
    }

    /// Whether a clock that shows a time of these stands at this moment: one without fractions is anywhere within its second.
    fn shows(&self, millis: i64) -> bool {
        self.texts.iter().any(|t| {
            let whole = if t.contains('.') { 0 } else { 500 };
            times_in(&t.to_uppercase()).into_iter().any(|time| [time, time.saturating_add(whole)].contains(&millis))
        })
    }

    /// Whether a word of a state is there, or one of our own for what the BMC says in other fields or does not say.
    fn says(&self, part: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        let own = match part {
            "no status given" => true,
            "input lost" => self.holds("LossOfInput"),
            "input out of range" => self.holds("OutOfRange"),
            "switched off" => self.holds("Disabled") || self.holds("false"),
            "no transceiver" => self.holds("Absent"),
            "no signal" => self.holds("false"),
            _ => part.starts_with("the same drive as "),
        };
        let counted =
            || part.strip_suffix(" members").and_then(|n| n.parse().ok()).is_some_and(|n| self.lengths.contains(&n));
        let raid = || part.strip_prefix("RAID").is_some_and(|level| self.holds(level));
        let done = || {
            let (what, percent) = part.strip_suffix(" %").and_then(|p| p.rsplit_once(' '))?;
            Some(
                self.holds(what)
                    && number(percent)
                        .is_some_and(|p| self.plain.iter().chain(&self.leading).any(|n| (n - p).abs() <= 0.5)),
            )
        };
        own || self.holds(part) || counted() || raid() || done() == Some(true)
    }
}

/// Where the links in a value lead.
fn links<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            out.extend(fields.get("@odata.id").and_then(Value::as_str));
            fields.values().for_each(|v| links(v, out));
        }
        Value::Array(list) => list.iter().for_each(|v| links(v, out)),
        _ => {}
    }
}

/// The documented ways from a BMC's number to the unit of a kind: powers of ten, watt hours, data units, what is left of 100 %, packed raw values.
fn derived(n: f64, said: f64) -> bool {
    const FACTORS: [f64; 12] =
        [1.0, 1e-3, 1e3, 1e6, 1e9, 3600.0, 3.6e6, 512_000.0, 512.0, 1024.0, 1_048_576.0, 1_073_741_824.0];
    let same = |a: f64| (a - said).abs() <= 1e-9 * said.abs().max(1e-9);
    FACTORS.iter().any(|f| same(n * f)) || same((100.0 - n).max(0.0)) || same(n % 65_536.0)
}

/// Spaces for control characters, one space for several, none at the ends.
fn clean(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Judges what was told against a tree.
pub(crate) struct Oracle<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) inline: &'t Inline,
    /// The resource that was spoilt: what it says of places that are not there is still said by it.
    pub(crate) spoilt: Option<&'t str>,
}

impl Oracle<'_> {
    /// What cannot be derived from the tree.
    pub(crate) fn lies<'o>(&self, observations: impl Iterator<Item = &'o Observation>) -> Vec<String> {
        let mut out = Vec::new();
        for observation in observations {
            match observation {
                Observation::Reading(r) => out.extend(self.reading(r).map(|why| format!("{why}: {r:?}"))),
                Observation::Event(e) => out.extend(self.event(e).map(|why| format!("{why}: {e:?}"))),
                Observation::Inventory(i) => out.extend(self.inventory(i)),
                Observation::Gap(_) => {}
            }
        }
        out
    }

    /// Everything that stands at a source: at its pointer, and in objects elsewhere that give themselves its URI.
    fn at(&self, source: &str, readings_only: bool, below: bool) -> Scalars {
        let (base, pointer) = source.split_once('#').unwrap_or((source, ""));
        // What stands within a member that has no URI of its own has the member's pointer before its own.
        let pointer = &pointer.replace('#', "");
        let mut scalars = Scalars::default();
        let mut take = |resource: &str, start: &str| match self.tree.find(resource) {
            Some(value) => {
                scalars.bent |= self.tree.body(resource).is_some_and(|b| std::str::from_utf8(b).is_err());
                let whole = value.pointer(start).unwrap_or(value);
                scalars.take(whole.pointer(pointer).unwrap_or(whole), readings_only);
            }
            None => self.tree.body(resource).into_iter().for_each(|bytes| scalars.scan(bytes)),
        };
        take(base, "");
        // A member may call itself by a URI with a pointer.
        let named = [base, source].into_iter().filter_map(|uri| self.inline.0.get(&loosely(uri)));
        for (resource, start) in named.flatten() {
            take(resource, start);
        }
        if let Some((resource, rest)) = self.member(base, pointer) {
            take(resource, &rest);
        }
        // A BMC answers an unknown query as if there were none.
        if let Some((path, _)) = base.split_once('?').filter(|_| self.tree.body(base).is_none()) {
            take(path, "");
        }
        if let Some(spoilt) = self.spoilt.filter(|uri| self.tree.body(base).is_none() || self.tree.find(uri).is_none())
        {
            take(spoilt, "");
        }
        // What a BMC does not spell as JSON may have been an inline object of the collection above.
        let mut above = base;
        while let Some((parent, _)) = above.rsplit_once('/') {
            if self
                .tree
                .body(parent)
                .is_some_and(|b| std::str::from_utf8(b).is_err() || self.tree.find(parent).is_none())
            {
                take(parent, "");
            }
            above = parent;
        }
        if below {
            for uri in self.tree.below(base) {
                take(uri, "");
            }
        }
        scalars
    }

    /// The resource that a collection's member links to, where the source names the member by its number: an expanded one that lost its own URI.
    fn member(&self, collection: &str, pointer: &str) -> Option<(&str, String)> {
        let (index, rest) = pointer.strip_prefix("/Members/").map(|p| p.split_once('/').unwrap_or((p, "")))?;
        let member = self.tree.find(collection)?.get("Members")?.get(index.parse::<usize>().ok()?)?;
        let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
        Some((member.get("@odata.id")?.as_str()?, rest))
    }

    fn reading(&self, r: &Reading) -> Option<String> {
        let here = self.at(&r.source.0, true, false);
        match &r.value {
            None => matches!(r.quality, Quality::Unavailable(_))
                .then_some(())
                .map_or(Some("no value and no reason".to_owned()), |()| None),
            Some(_) if matches!(r.quality, Quality::Unavailable(_)) => Some("a value that is unavailable".to_owned()),
            Some(Told::Number(ahead)) if r.kind == SensorKind::ClockOffset => {
                #[expect(clippy::cast_possible_truncation, reason = "an offset is a whole number of milliseconds")]
                let told = r.observed_at.as_millis().saturating_add((ahead * 1000.0).round() as i64);
                let here = self.at(&r.source.0, false, false);
                (!here.shows(told)).then(|| format!("the clock's offset {ahead} comes from no time that is there"))
            }
            Some(Told::Number(n)) => {
                let coerced = r.quality == Quality::Suspect(Suspicion::Coerced)
                    || r.quality == Quality::Suspect(Suspicion::OutOfRange);
                let found =
                    here.number(r.kind, *n, coerced) || self.at(&r.source.0, true, true).number(r.kind, *n, coerced);
                if !n.is_finite() || !found {
                    return Some(format!("{n} is not there"));
                }
                self.thresholds(r.thresholds.as_ref()?, &self.at(&r.source.0, false, false))
            }
            Some(Told::State { state, text }) => self.state(r, *state, text),
            Some(Told::Text(text)) => {
                (!self.at(&r.source.0, false, true).holds(text)).then(|| "a text that is not there".to_owned())
            }
        }
    }

    fn thresholds(&self, t: &Thresholds, here: &Scalars) -> Option<String> {
        let all = [
            t.lower_non_recoverable,
            t.lower_critical,
            t.lower_non_critical,
            t.upper_non_critical,
            t.upper_critical,
            t.upper_non_recoverable,
        ];
        let wrong = all.into_iter().flatten().find(|n| !here.number(SensorKind::Quantity, *n, true));
        wrong.map(|n| format!("the limit {n} is not there"))
    }

    fn state(&self, r: &Reading, state: State, text: &str) -> Option<String> {
        let here = self.at(&r.source.0, false, false);
        let missing = text.split(", ").find(|part| !here.says(part));
        if let Some(part) = missing {
            return Some(format!("{part:?} is not there"));
        }
        let bears = match state {
            State::Ok => r.sensor != "health" || here.any(&["ok", "good", "normal", "optimal", "online", "ready"]),
            State::Warning => here.any(&[
                "warn",
                "degraded",
                "minor",
                "caution",
                "critical",
                "loss",
                "outofrange",
                "charging",
                "learning",
                "low",
                "rebuild",
                "predict",
                "recover",
                "threshold",
                "reconstruct",
                "resync",
                "down",
            ]),
            State::Critical => here
                .any(&["crit", "fail", "fatal", "major", "error", "loss", "offline", "wearout", "missing", "faulty"]),
            State::Absent => here.any(&["absent", "notpresent", "notinstalled"]),
            State::Unknown => true,
        };
        (!bears).then(|| format!("nothing there says {state:?}"))
    }

    fn event(&self, e: &LogEvent) -> Option<String> {
        let here = self.at(&e.source.0, false, false);
        let clipped = |text: &str| here.holds(text) || here.holds(text.trim_end_matches('…'));
        if let Some(text) = [&e.message, &e.code].into_iter().find(|t| !clipped(t)) {
            return Some(format!("{text:?} is not there"));
        }
        if !here.holds(&e.id) && !loosely(&e.source.0).ends_with(&loosely(&e.id)) {
            return Some(format!("the id {:?} is not there", e.id));
        }
        if e.severity != Severity::Unknown && here.severities == 0 {
            return Some("a severity that is not there".to_owned());
        }
        let time = e.bmc_time?;
        (!here.texts.iter().any(|t| times_in(t).contains(&time.as_millis())))
            .then(|| format!("the time {time} is not there"))
    }

    fn inventory(&self, i: &Inventory) -> Vec<String> {
        let mut out: Vec<String> =
            i.parts.iter().filter_map(|p| self.part(p).map(|why| format!("{why}: {p:?}"))).collect();
        let mut holders = Scalars::default();
        for collection in ["Systems", "Chassis", "Managers"] {
            for uri in self.tree.below(&format!("/redfish/v1/{collection}")) {
                match self.tree.find(uri) {
                    Some(value) => holders.take(value, false),
                    None => self.tree.body(uri).into_iter().for_each(|b| holders.scan(b)),
                }
            }
        }
        // A spoilt link may make a holder of anything.
        let spoilt = self.spoilt.and_then(|uri| self.tree.find(uri));
        let mut leads = Vec::new();
        spoilt.into_iter().for_each(|value| links(value, &mut leads));
        leads.iter().filter_map(|uri| self.tree.find(uri)).for_each(|value| holders.take(value, false));
        holders.texts.iter_mut().for_each(|t| *t = t.to_lowercase());
        let id = &i.identity;
        for said in
            [&id.serial, &id.uuid, &id.manufacturer, &id.model, &id.hostname, &id.asset_tag].into_iter().flatten()
        {
            if !holders.holds(&said.to_lowercase()) {
                out.push(format!("the identity {said:?} is not there"));
            }
        }
        if let Some(offset) = i.bmc_clock_offset_ms {
            let told = i.observed_at.as_millis().saturating_add(offset);
            if !holders.shows(told) {
                out.push(format!("the clock's offset {offset} comes from no time that is there"));
            }
        }
        out
    }

    fn part(&self, p: &Part) -> Option<String> {
        let here = self.at(&p.source.0, false, false);
        let texts = [&p.manufacturer, &p.model, &p.part_number, &p.serial, &p.firmware];
        let lower = |t: &str| here.texts.iter().any(|there| there.to_lowercase().contains(&clean(t).to_lowercase()));
        if let Some(text) = texts.into_iter().flatten().find(|t| !here.holds(t) && !lower(t)) {
            return Some(format!("{text:?} is not there"));
        }
        #[expect(clippy::cast_precision_loss, reason = "sizes are compared with a tolerance")]
        let size = p.capacity_bytes? as f64;
        let near = |n: &f64| {
            [1.0, 1e6, 1e9, 1024.0, 1_048_576.0, 1_073_741_824.0]
                .iter()
                .any(|f| (n * f - size).abs() <= 1.0 + size * 1e-9)
        };
        (!here.plain.iter().chain(&here.leading).any(near)).then(|| format!("the size {size} is not there"))
    }
}
