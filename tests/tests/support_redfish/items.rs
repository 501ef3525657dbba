//! What a tree holds, item by item: the rules of the independent census, with names instead of sums.

use super::tree::Tree;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of the census, in its order.
pub(crate) const KINDS: [&str; 12] = [
    "chassis",
    "system",
    "manager",
    "temperature",
    "fan",
    "voltage",
    "power_supply",
    "drive",
    "drive_life",
    "drive_smart",
    "log_entry",
    "firmware",
];

/// Which of the resources for one thing an item comes from. Of these the census counts the largest group only, per chassis and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// `Thermal` and `Power`.
    Old,
    /// `Sensors`, `PowerSupplies`.
    New,
    /// `ThermalSubsystem/Fans`.
    FanResource,
    /// There is only one place for it.
    Only,
}

/// One thing that a tree holds.
#[derive(Debug, Clone)]
pub(crate) struct Item<'t> {
    pub(crate) kind: &'static str,
    /// Where it stands: a URI, with a JSON pointer for an element of an array.
    pub(crate) uri: String,
    pub(crate) name: String,
    /// The chassis, system or log service that it belongs to.
    pub(crate) owner: String,
    pub(crate) group: Group,
    pub(crate) body: &'t Value,
}

/// Everything in a tree, and for each kind what the census counts.
#[derive(Debug, Default)]
pub(crate) struct Holdings<'t> {
    pub(crate) items: Vec<Item<'t>>,
    pub(crate) counted: BTreeMap<&'static str, usize>,
}

/// A number, or the number that a text begins with.
pub(crate) fn num(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => leading(text),
        _ => None,
    }
}

/// The number that a text begins with.
pub(crate) fn leading(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return None;
    }
    let rest = unsigned.get(digits..)?;
    let fraction =
        rest.strip_prefix('.').map_or(0, |r| r.len() - r.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    let length = text.len() - rest.len() + if fraction > 0 { fraction + 1 } else { 0 };
    text.get(..length)?.parse().ok()
}

pub(crate) fn state(resource: &Value) -> Option<&str> {
    resource.get("Status")?.get("State")?.as_str()
}

fn present(resource: &Value) -> bool {
    !matches!(state(resource), Some("Absent" | "Disabled"))
}

pub(crate) fn id_of(resource: &Value) -> Option<&str> {
    resource.get("@odata.id")?.as_str()
}

fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(s)) => !s.is_empty(),
        Some(Value::Number(n)) => n.as_f64() != Some(0.0),
        Some(Value::Array(a)) => !a.is_empty(),
        Some(Value::Object(o)) => !o.is_empty(),
        Some(Value::Bool(true)) => true,
    }
}

pub(crate) fn named(resource: &Value) -> String {
    let text = |field: &str| match resource.get(field)? {
        Value::String(s) if !s.trim().is_empty() => Some(s.trim().to_owned()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    ["Name", "FanName", "Id", "MemberId"].iter().find_map(|f| text(f)).unwrap_or_default()
}

impl Tree {
    fn linked(&self, resource: &Value, field: &str) -> Option<(String, &Value)> {
        let uri = id_of(resource.get(field)?)?;
        Some((trimmed(uri), self.get(uri)?))
    }

    /// The members of a collection over all its pages, each with its URI.
    pub(crate) fn members<'t>(&'t self, uri: &str, collection: &'t Value) -> Vec<(String, &'t Value)> {
        let (mut out, mut seen) = (Vec::new(), BTreeSet::new());
        let mut page = Some((trimmed(uri), collection));
        while let Some((uri, body)) = page.take() {
            for (index, member) in elements(body, "Members") {
                let Some(fields) = member.as_object() else { continue };
                if fields.keys().any(|k| k != "@odata.id" && k != "href") {
                    out.push((id_of(member).map_or_else(|| format!("{uri}#/Members/{index}"), trimmed), member));
                } else if let Some(link) = id_of(member)
                    && seen.insert(link.to_owned())
                    && let Some(found) = self.get(link)
                {
                    out.push((trimmed(link), found));
                }
            }
            let next =
                body.get("Members@odata.nextLink").filter(|n| truthy(Some(n))).or_else(|| body.get("@odata.nextLink"));
            let next = next.and_then(|n| n.as_str().or_else(|| id_of(n)));
            page = next.filter(|n| seen.insert((*n).to_owned())).and_then(|n| Some((trimmed(n), self.get(n)?)));
        }
        out
    }

    fn all<'t>(&'t self, resource: &'t Value, field: &str) -> Vec<(String, &'t Value)> {
        self.linked(resource, field).map(|(uri, body)| self.members(&uri, body)).unwrap_or_default()
    }

    /// Takes stock of the tree.
    pub(crate) fn holdings(&self) -> Holdings<'_> {
        let mut h = Holdings::default();
        h.counted.extend(KINDS.map(|k| (k, 0)));
        let Some(root) = self.get("/redfish/v1") else { return h };
        let (chassis, systems, managers) =
            (self.all(root, "Chassis"), self.all(root, "Systems"), self.all(root, "Managers"));
        for (kind, list) in [("chassis", &chassis), ("system", &systems), ("manager", &managers)] {
            for (uri, body) in list {
                h.add(kind, Group::Only, uri, (uri.clone(), *body), None);
                *h.counted.entry(kind).or_default() += 1;
            }
        }
        for (uri, body) in &chassis {
            self.sensors(&mut h, uri, body);
        }
        self.drives(&mut h, &chassis, &systems);
        self.logs(&mut h, systems.iter().chain(&managers).chain(&chassis));
        let inventory = self.linked(root, "UpdateService").map(|(_, s)| self.all(s, "FirmwareInventory"));
        for (uri, body) in inventory.unwrap_or_default() {
            if truthy(body.get("Version")) {
                h.add("firmware", Group::Only, "/redfish/v1/UpdateService", (uri, body), None);
                *h.counted.entry("firmware").or_default() += 1;
            }
        }
        h
    }

    fn sensors<'t>(&'t self, h: &mut Holdings<'t>, chassis: &str, body: &'t Value) {
        let first = h.items.len();
        if let Some((uri, thermal)) = self.linked(body, "Thermal") {
            for (index, t) in elements(thermal, "Temperatures") {
                let reading = t.get("ReadingCelsius").or_else(|| t.get("CurrentReading"));
                if t.is_object() && present(t) && reading.and_then(num).is_some() {
                    h.add("temperature", Group::Old, chassis, (format!("{uri}#/Temperatures/{index}"), t), None);
                }
            }
            for (index, f) in elements(thermal, "Fans") {
                let reading = ["Reading", "ReadingRPM", "CurrentReading"].iter().find_map(|r| f.get(*r));
                if f.is_object() && present(f) && reading.and_then(num).is_some() {
                    h.add("fan", Group::Old, chassis, (format!("{uri}#/Fans/{index}"), f), None);
                }
            }
        }
        if let Some((uri, power)) = self.linked(body, "Power") {
            for (index, v) in elements(power, "Voltages") {
                if v.is_object() && present(v) && v.get("ReadingVolts").and_then(num).is_some() {
                    h.add("voltage", Group::Old, chassis, (format!("{uri}#/Voltages/{index}"), v), None);
                }
            }
            for (index, p) in elements(power, "PowerSupplies") {
                if p.is_object() && present(p) {
                    h.add("power_supply", Group::Old, chassis, (format!("{uri}#/PowerSupplies/{index}"), p), None);
                }
            }
        }
        for (uri, s) in self.all(body, "Sensors") {
            let kind = match s.get("ReadingType").and_then(Value::as_str) {
                Some("Temperature") => "temperature",
                Some("Rotational") => "fan",
                Some("Voltage") => "voltage",
                _ => continue,
            };
            if present(s) && s.get("Reading").and_then(num).is_some() {
                h.add(kind, Group::New, chassis, (uri, s), None);
            }
        }
        if let Some((_, thermal)) = self.linked(body, "ThermalSubsystem") {
            for (uri, f) in self.all(thermal, "Fans") {
                if present(f) && f.get("SpeedPercent").and_then(|s| s.get("Reading")).and_then(num).is_some() {
                    h.add("fan", Group::FanResource, chassis, (uri, f), None);
                }
            }
        }
        if let Some((_, power)) = self.linked(body, "PowerSubsystem") {
            for (uri, p) in self.all(power, "PowerSupplies") {
                if present(p) {
                    h.add("power_supply", Group::New, chassis, (uri, p), None);
                }
            }
        }
        let mut groups: BTreeMap<&str, BTreeMap<Group, usize>> = BTreeMap::new();
        for item in h.items.iter().skip(first) {
            *groups.entry(item.kind).or_default().entry(item.group).or_default() += 1;
        }
        for (kind, sizes) in groups {
            *h.counted.entry(kind_of(kind)).or_default() += sizes.into_values().max().unwrap_or_default();
        }
    }

    fn drives<'t>(&'t self, h: &mut Holdings<'t>, chassis: &[(String, &'t Value)], systems: &[(String, &'t Value)]) {
        let mut drives: BTreeMap<String, (String, &'t Value)> = BTreeMap::new();
        let mut add = |owner: &str, uri: String, body: &'t Value| {
            if body.is_object() && present(body) {
                drives.entry(id_of(body).map_or(uri, trimmed)).or_insert_with(|| (owner.to_owned(), body));
            }
        };
        for (owner, body) in chassis {
            for (uri, drive) in self.all(body, "Drives") {
                add(owner, uri, drive);
            }
            let links = body.get("Links").unwrap_or(&Value::Null);
            for (_, link) in elements(links, "Drives") {
                if let Some((uri, drive)) = id_of(link).and_then(|u| Some((u, self.get(u)?))) {
                    add(owner, trimmed(uri), drive);
                }
            }
        }
        let mut simple = Vec::new();
        for (system, body) in systems {
            for (unit_uri, unit) in self.all(body, "Storage") {
                for (index, d) in elements(unit, "Drives") {
                    match id_of(d) {
                        Some(uri) => self.get(uri).into_iter().for_each(|drive| add(&unit_uri, trimmed(uri), drive)),
                        None => add(&unit_uri, format!("{unit_uri}#/Drives/{index}"), d),
                    }
                }
            }
            for (unit_uri, unit) in self.all(body, "SimpleStorage") {
                for (index, d) in elements(unit, "Devices") {
                    if d.is_object() && present(d) {
                        simple.push((system, format!("{unit_uri}#/Devices/{index}"), d));
                    }
                }
            }
        }
        // The census counts the devices of the first system only; here they all are items.
        let first = simple.first().map(|(system, ..)| *system);
        let of_first = simple.iter().filter(|(system, ..)| Some(*system) == first).count();
        *h.counted.entry("drive").or_default() = if drives.is_empty() { of_first } else { drives.len() };
        if drives.is_empty() {
            drives.extend(simple.into_iter().map(|(system, uri, d)| (uri, (system.clone(), d))));
        }
        for (uri, (owner, body)) in drives {
            h.add("drive", Group::Only, &owner, (uri.clone(), body), None);
            if body.get("PredictedMediaLifeLeftPercent").and_then(num).is_some() {
                *h.counted.entry("drive_life").or_default() += 1;
                h.add("drive_life", Group::Only, &owner, (uri.clone(), body), None);
            }
            if body.get("Oem").is_some_and(|oem| !smart_fields(oem).is_empty()) {
                *h.counted.entry("drive_smart").or_default() += 1;
                h.add("drive_smart", Group::Only, &owner, (uri, body), None);
            }
        }
    }

    fn logs<'t, 'l>(&'t self, h: &mut Holdings<'t>, holders: impl Iterator<Item = &'l (String, &'t Value)>)
    where
        't: 'l,
    {
        let mut seen = BTreeSet::new();
        for (_, holder) in holders {
            for (uri, service) in self.all(holder, "LogServices") {
                if !seen.insert(id_of(service).map(str::to_owned)) {
                    continue;
                }
                let Some((entries_uri, entries)) = self.linked(service, "Entries") else { continue };
                for (entry_uri, entry) in self.members(&entries_uri, entries) {
                    if ["Created", "Message", "MessageId"].iter().any(|f| truthy(entry.get(*f))) {
                        *h.counted.entry("log_entry").or_default() += 1;
                        let said = entry.get("Message").and_then(Value::as_str).map(|m| m.chars().take(40).collect());
                        h.add("log_entry", Group::Only, &uri, (entry_uri, entry), said);
                    }
                }
            }
        }
    }
}

impl<'t> Holdings<'t> {
    fn add(&mut self, kind: &'static str, group: Group, owner: &str, at: (String, &'t Value), name: Option<String>) {
        let (uri, body) = at;
        let name = name.unwrap_or_else(|| named(body));
        self.items.push(Item { kind, uri, name, owner: owner.to_owned(), group, body });
    }
}

fn kind_of(name: &str) -> &'static str {
    KINDS.into_iter().find(|k| *k == name).unwrap()
}

pub(crate) fn trimmed(uri: &str) -> String {
    uri.trim_end_matches('/').to_owned()
}

pub(crate) fn elements<'v>(from: &'v Value, field: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    from.get(field).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// The fields below `Oem` that the census takes for SMART: name and value.
pub(crate) fn smart_fields(value: &Value) -> Vec<(&str, &Value)> {
    const WORDS: [&str; 9] = [
        "smart",
        "poweronhours",
        "endurance",
        "wear",
        "mediaerr",
        "prefail",
        "lifeused",
        "uncorrectableerror",
        "reallocatedsector",
    ];
    let mut out = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let plain = name.to_ascii_lowercase();
                if !(inner.is_null() || inner.is_object() || inner.is_array())
                    && WORDS.iter().any(|w| plain.contains(w))
                {
                    out.push((name.as_str(), inner));
                }
                out.extend(smart_fields(inner));
            }
        }
        Value::Array(list) => list.iter().for_each(|v| out.extend(smart_fields(v))),
        _ => {}
    }
    out
}
