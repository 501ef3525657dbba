//! Item by item: what became of it in what the client told, and why. There is no list of exceptions; every reason is computed from the tree and the told.

pub(crate) mod duplicates;

use super::items::{Group, Holdings, Item, elements, id_of, num, smart_fields, state};
use super::tree::{Tree, loosely};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, Gap, LogEvent, Observation, Part, Quality, Reading, SensorKind,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const SILENT: &str = "not a word";

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Told with its own URI as the source.
    Told,
    /// Told with another URI: that of the same thing in the other generation of resources, or of the resource that shows its value.
    ToldAs(String),
    /// Not told as the census would have it, for a reason that the tree shows.
    Explained(String),
    /// Neither.
    Unexplained(String),
}

/// The kinds of readings that speak of a kind of the census.
fn kinds(kind: &str) -> &'static [SensorKind] {
    match kind {
        "temperature" => &[SensorKind::Temperature, SensorKind::ThermalMargin],
        "fan" => &[SensorKind::FanSpeed, SensorKind::FanDuty],
        "voltage" => &[SensorKind::Voltage, SensorKind::InputVoltage],
        _ => &[],
    }
}

const SMART: [SensorKind; 22] = [
    SensorKind::PowerOnHours,
    SensorKind::LifeLeft,
    SensorKind::MediaErrors,
    SensorKind::ReallocatedSectors,
    SensorKind::ReportedUncorrectable,
    SensorKind::SpareLeft,
    SensorKind::PendingSectors,
    SensorKind::OfflineUncorrectable,
    SensorKind::CommandTimeouts,
    SensorKind::CrcErrors,
    SensorKind::BytesWritten,
    SensorKind::FailurePredicted,
    SensorKind::CriticalWarning,
    SensorKind::UnsafeShutdowns,
    SensorKind::PowerCycles,
    SensorKind::ReallocationEvents,
    SensorKind::HighFlyWrites,
    SensorKind::SpinRetries,
    SensorKind::EndToEndErrors,
    SensorKind::BytesRead,
    SensorKind::ErrorLogEntries,
    SensorKind::OverheatedTime,
];

/// What a client told, to be looked up.
#[derive(Debug, Default)]
pub(crate) struct Said<'o> {
    readings: Vec<&'o Reading>,
    by_source: HashMap<String, Vec<&'o Reading>>,
    by_resource: HashMap<String, Vec<&'o Reading>>,
    events: HashMap<String, Vec<&'o LogEvent>>,
    event_keys: BTreeMap<String, usize>,
    parts: Vec<&'o Part>,
    parts_at: HashMap<String, Vec<&'o Part>>,
    gaps: Vec<&'o Gap>,
}

/// A pointer's spellings are one.
fn spot(uri: &str) -> String {
    loosely(&uri.replace("/#/", "#/").replace("#/", "#").replace('#', "#/"))
}

fn resource(uri: &str) -> String {
    loosely(uri.split('#').next().unwrap_or(uri))
}

impl<'o> Said<'o> {
    pub(crate) fn of(observations: impl Iterator<Item = &'o Observation>) -> Self {
        let mut said = Self::default();
        for observation in observations {
            match observation {
                Observation::Reading(r) => {
                    said.readings.push(r);
                    said.by_source.entry(spot(&r.source.0)).or_default().push(r);
                    said.by_resource.entry(resource(&r.source.0)).or_default().push(r);
                }
                Observation::Event(e) => {
                    *said.event_keys.entry(e.natural_key()).or_default() += 1;
                    said.events.entry(spot(&e.source.0)).or_default().push(e);
                }
                Observation::Inventory(i) => {
                    for part in &i.parts {
                        said.parts.push(part);
                        said.parts_at.entry(spot(&part.source.0)).or_default().push(part);
                    }
                }
                Observation::Gap(gap) => said.gaps.push(gap),
            }
        }
        said
    }

    pub(crate) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    pub(crate) fn readings(&self) -> &[&'o Reading] {
        &self.readings
    }

    fn at(&self, uri: &str) -> &[&'o Reading] {
        self.by_source.get(&spot(uri)).map_or(&[], Vec::as_slice)
    }

    /// What a gap says of an item: one at its URI, at its resource, or at the collection that it is a member of.
    fn gap(&self, uri: &str) -> Option<&'o Gap> {
        let (exact, whole) = (spot(uri), resource(uri));
        let parent = whole.rsplit_once('/').map_or("", |(p, _)| p).to_owned();
        self.gaps.iter().copied().find(|g| [&exact, &whole, &parent].contains(&&spot(&g.source.0)))
    }
}

fn good(reading: &Reading) -> bool {
    reading.value.is_some()
}

/// Names without case, punctuation and the words that only say what is measured.
fn plain(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    words
        .filter(|w| {
            !matches!(w.as_str(), "" | "temp" | "temperature" | "sensor" | "reading" | "volt" | "voltage" | "status")
        })
        .collect()
}

/// What became of every item in a full poll; `later` is what polls after it told.
pub(crate) fn fates<'i>(
    tree: &Tree,
    holdings: &'i Holdings<'i>,
    said: &Said<'_>,
    later: &Said<'_>,
) -> Vec<(&'i Item<'i>, Fate)> {
    let look = Look { tree, holdings, said, later, components: drive_components(holdings, said) };
    let mut out: Vec<(&Item<'_>, Fate)> = holdings.items.iter().map(|i| (i, look.fate(i))).collect();
    look.by_count(&mut out);
    out
}

struct Look<'l, 'o> {
    tree: &'l Tree,
    holdings: &'l Holdings<'l>,
    said: &'l Said<'o>,
    /// What was told by later polls, of things that the client put off.
    later: &'l Said<'o>,
    /// Drive's URI → the component that it is told as.
    components: BTreeMap<String, ComponentId>,
}

/// The component of each drive: of what is told of its own resource.
fn drive_components(holdings: &Holdings<'_>, said: &Said<'_>) -> BTreeMap<String, ComponentId> {
    let drives = holdings.items.iter().filter(|i| i.kind == "drive");
    let own = |item: &Item<'_>| {
        let here = said.by_resource.get(&resource(&item.uri)).into_iter().flatten();
        here.map(|r| &r.component).find(|c| c.class() == ComponentClass::Disk).cloned()
    };
    drives.filter_map(|item| Some((item.uri.clone(), own(item)?))).collect()
}

impl Look<'_, '_> {
    fn fate(&self, item: &Item<'_>) -> Fate {
        match item.kind {
            "chassis" | "system" | "manager" => self.holder(item),
            "temperature" | "fan" | "voltage" => self.sensor(item),
            "power_supply" => self.power_supply(item),
            "drive" => self.drive(item),
            "drive_life" => self.life(item),
            "drive_smart" => self.smart(item),
            "log_entry" => self.log_entry(item),
            _ => self.firmware(item),
        }
    }

    fn holder(&self, item: &Item<'_>) -> Fate {
        if !self.said.at(&item.uri).is_empty() || self.said.parts_at.contains_key(&spot(&item.uri)) {
            return Fate::Told;
        }
        let prefix = format!("{}/", resource(&item.uri));
        let below = self.said.by_resource.keys().find(|uri| uri.starts_with(&prefix));
        match below {
            Some(uri) => Fate::ToldAs(uri.clone()),
            None if item
                .body
                .get("Status")
                .is_none_or(|s| s.as_object().is_none_or(|o| o.values().all(Value::is_null))) =>
            {
                Fate::Explained("it gives no status, and nothing below it reads".to_owned())
            }
            None => match id_of(item.body).filter(|id| spot(id) != spot(&item.uri)) {
                Some(id) if !self.said.at(id).is_empty() => {
                    Fate::Explained(format!("it calls itself {id}, which is told"))
                }
                _ => self.missing(item),
            },
        }
    }

    fn sensor(&self, item: &Item<'_>) -> Fate {
        let kinds = kinds(item.kind);
        let here = self.said.at(&item.uri);
        if here.iter().any(|r| good(r) && kinds.contains(&r.kind)) {
            return Fate::Told;
        }
        if let Some(twin) = self.twin(item, |r| kinds.contains(&r.kind)) {
            return Fate::ToldAs(twin);
        }
        if let Some(feed) = self.feed(item) {
            return Fate::ToldAs(feed);
        }
        if let Some(other) = here.iter().find(|r| good(r)) {
            let unit = item.body.get("ReadingUnits").and_then(Value::as_str).unwrap_or("-");
            return Fate::Explained(match other.kind {
                SensorKind::State => format!("a discrete sensor (unit {unit:?}): told as a state"),
                kind => format!("its unit {unit:?} says that it is {}", kind.as_str()),
            });
        }
        self.missing(item)
    }

    /// The same sensor, told from another resource.
    fn twin(&self, item: &Item<'_>, wanted: impl Fn(&Reading) -> bool) -> Option<String> {
        let wanted = |r: &&&Reading| good(r) && wanted(r);
        let others = self
            .holdings
            .items
            .iter()
            .filter(|o| o.owner == item.owner && o.kind == item.kind && o.group != item.group);
        let name = plain(&item.name);
        for other in others.clone().filter(|o| !name.is_empty() && plain(&o.name) == name) {
            if self.said.at(&other.uri).iter().any(|r| wanted(&r)) {
                return Some(other.uri.clone());
            }
        }
        // A resource that shows this one's value says so, and the other way round.
        let sources = |body: &Value| -> BTreeSet<String> {
            let mut found = BTreeSet::new();
            data_sources(body, &mut found);
            found
        };
        let own = sources(item.body);
        let me = resource(&item.uri);
        for uri in own.iter().filter(|u| **u != me) {
            if self.said.by_source.get(uri).into_iter().flatten().any(|r| wanted(&r)) {
                return Some(uri.clone());
            }
        }
        let mut showing = self.said.readings.iter().filter(wanted);
        let showing = showing.find(|r| {
            let body = self.tree.find(&r.source.0);
            resource(&r.source.0) != me && body.is_some_and(|b| sources(b).contains(&me))
        });
        showing.map(|r| r.source.0.clone())
    }

    /// The input voltage of the power supply that a voltage sensor names, where it is as large.
    fn feed(&self, item: &Item<'_>) -> Option<String> {
        let name = item.name.to_ascii_lowercase();
        let digits = |text: &str| text.chars().find(char::is_ascii_digit);
        let of_input = item.kind == "voltage" && name.starts_with("ps") && name.contains("in") && name.contains("vol");
        let volts =
            item.body.get("Reading").or_else(|| item.body.get("ReadingVolts")).and_then(num).filter(|_| of_input)?;
        let is_it = |r: &&&Reading| {
            r.kind == SensorKind::InputVoltage
                && digits(r.component.slot()) == digits(&name)
                && r.value
                    .as_ref()
                    .and_then(|v| v.as_number())
                    .is_some_and(|told| (told - volts).abs() <= 0.1 * volts.abs())
        };
        self.said.readings.iter().find(is_it).map(|r| r.source.0.clone())
    }

    fn power_supply(&self, item: &Item<'_>) -> Fate {
        let is_psu = |r: &Reading| r.component.class() == ComponentClass::PowerSupply && r.kind == SensorKind::State;
        if self.said.at(&item.uri).iter().any(|r| is_psu(r) && good(r)) {
            return Fate::Told;
        }
        if let Some(twin) = self.twin(item, is_psu) {
            return Fate::ToldAs(twin);
        }
        if let Some(serial) = serial(item.body) {
            let same = self.said.parts.iter().find(|p| {
                p.component.class() == ComponentClass::PowerSupply
                    && p.serial.as_deref() == Some(serial)
                    && spot(&p.source.0) != spot(&item.uri)
            });
            if let Some(part) = same {
                return Fate::ToldAs(part.source.0.clone());
            }
        }
        self.missing(item)
    }

    fn drive(&self, item: &Item<'_>) -> Fate {
        if self.components.contains_key(&item.uri) {
            return Fate::Told;
        }
        if let Some(twin) = self.same_drive(item) {
            return Fate::ToldAs(format!("{} (serial {})", twin, serial(item.body).unwrap_or("-")));
        }
        self.missing(item)
    }

    fn same_drive(&self, item: &Item<'_>) -> Option<String> {
        let own = serial(item.body)?;
        let drives = self.holdings.items.iter().filter(|o| o.kind == "drive" && o.uri != item.uri);
        let mut same = drives.filter(|o| serial(o.body) == Some(own) && self.components.contains_key(&o.uri));
        same.next().map(|o| o.uri.clone())
    }

    fn component(&self, item: &Item<'_>) -> Option<&ComponentId> {
        let own = self.components.get(&item.uri);
        own.or_else(|| self.components.get(&self.same_drive(item)?))
    }

    fn of_drive(&self, item: &Item<'_>, kinds: &[SensorKind]) -> Option<&Reading> {
        let component = self.component(item)?;
        self.said.readings.iter().copied().find(|r| good(r) && r.component == *component && kinds.contains(&r.kind))
    }

    fn life(&self, item: &Item<'_>) -> Fate {
        match self.of_drive(item, &[SensorKind::LifeLeft]) {
            Some(r) if resource(&r.source.0) == resource(&item.uri) => Fate::Told,
            Some(r) => Fate::ToldAs(r.source.0.clone()),
            None => self.missing(item),
        }
    }

    fn smart(&self, item: &Item<'_>) -> Fate {
        let fields = smart_fields(item.body.get("Oem").unwrap_or(&Value::Null));
        match self.of_drive(item, &SMART) {
            Some(r) if resource(&r.source.0) == resource(&item.uri) => return Fate::Told,
            Some(r) => return Fate::ToldAs(r.source.0.clone()),
            None => {}
        }
        if fields.iter().all(|(_, value)| num(value).is_none()) {
            let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            return Fate::Explained(format!("its OEM fields hold no figure: {}", words.join(", ")));
        }
        self.missing(item)
    }

    fn log_entry(&self, item: &Item<'_>) -> Fate {
        if self.said.events.contains_key(&spot(&item.uri)) {
            return Fate::Told;
        }
        let id = id_of(item.body).map(spot);
        if id.as_ref().is_some_and(|id| self.said.events.contains_key(id)) {
            return Fate::Told;
        }
        let content = |body: &Value| ["Id", "Created", "Message", "MessageId"].map(|f| body.get(f).cloned());
        let entries =
            self.holdings.items.iter().filter(|o| o.kind == "log_entry" && o.owner == item.owner && o.uri != item.uri);
        let same = entries
            .filter(|o| content(o.body) == content(item.body))
            .find(|o| self.said.events.contains_key(&spot(&o.uri)));
        if let Some(same) = same {
            return Fate::Explained(format!("the same entry as {}: id, time and text", same.uri));
        }
        let service = self.tree.find(&item.owner);
        if service.and_then(|s| s.get("ServiceEnabled")) == Some(&Value::Bool(false)) {
            return Fate::Explained(format!("its log {} is disabled (ServiceEnabled is false)", item.owner));
        }
        self.missing(item)
    }

    fn firmware(&self, item: &Item<'_>) -> Fate {
        let here = self.said.parts_at.get(&spot(&item.uri)).into_iter().flatten();
        let here = here.chain(id_of(item.body).and_then(|id| self.said.parts_at.get(&spot(id))).into_iter().flatten());
        if here.into_iter().any(|p| p.component.class() == ComponentClass::Firmware && p.firmware.is_some()) {
            return Fate::Told;
        }
        if item.body.get("Version").and_then(Value::as_str).is_some_and(|v| v.trim().is_empty()) {
            return Fate::Explained("its version is blank".to_owned());
        }
        self.missing(item)
    }

    /// What the client itself says of a thing that it does not tell, where the tree bears it out.
    fn missing(&self, item: &Item<'_>) -> Fate {
        for reading in self.said.at(&item.uri) {
            let Quality::Unavailable(cause) = reading.quality else { continue };
            let off = matches!(state(item.body), Some("StandbyOffline" | "UnavailableOffline" | "Disabled" | "Absent"));
            match cause {
                Cause::Disabled | Cause::Absent if off => {
                    return Fate::Explained(format!(
                        "told as {}: its state is {}",
                        cause.as_str(),
                        state(item.body).unwrap_or("-")
                    ));
                }
                other => return Fate::Unexplained(format!("told as {}, but the tree has it", other.as_str())),
            }
        }
        let discrete =
            item.body.get("ReadingUnits").is_some_and(|u| u.is_null() || u.as_str().is_some_and(str::is_empty));
        match self.said.gap(&item.uri) {
            Some(gap) if discrete => {
                Fate::Explained(format!("a discrete sensor, left out and said so at {}: {}", gap.source.0, gap.detail))
            }
            Some(gap) if gap.cause == Cause::Cancelled && self.later.at(&item.uri).iter().any(|r| good(r)) => {
                Fate::Explained(format!(
                    "put off, said so at {}, and told by a later poll: {}",
                    gap.source.0, gap.detail
                ))
            }
            Some(gap) if matches!(gap.cause, Cause::Malformed | Cause::NotSupported) => {
                Fate::Explained(format!("the client says {}: {}", gap.cause.as_str(), gap.detail))
            }
            Some(gap) => Fate::Unexplained(format!("the client says {}: {}", gap.cause.as_str(), gap.detail)),
            None => Fate::Unexplained(SILENT.to_owned()),
        }
    }

    /// Of several generations of resources for one chassis the census counts the larger. A sensor of the other one, whose name matches nothing, is
    /// covered where as many sensors of its kind are told of the chassis as the census counts there.
    fn by_count(&self, fates: &mut [(&Item<'_>, Fate)]) {
        type Key<'k> = (&'k str, &'static str);
        let mut sizes: BTreeMap<Key<'_>, BTreeMap<Group, (usize, bool)>> = BTreeMap::new();
        for (item, fate) in fates.iter().filter(|(i, _)| i.group != Group::Only) {
            let size =
                sizes.entry((item.owner.as_str(), item.kind)).or_default().entry(item.group).or_insert((0, true));
            size.0 += 1;
            size.1 &= !matches!(fate, Fate::Unexplained(_));
        }
        let mut covered: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for ((owner, kind), groups) in sizes {
            let counted = groups.values().map(|(n, _)| *n).max().unwrap_or_default();
            let whole = groups.values().any(|(n, fine)| *n == counted && *fine);
            let below = format!("{}/", loosely(owner));
            let is_kind = |r: &&&Reading| match kind {
                "power_supply" => r.component.class() == ComponentClass::PowerSupply && r.kind == SensorKind::State,
                _ => kinds(kind).contains(&r.kind) && r.component.class() != ComponentClass::Disk,
            };
            let told = self.said.readings.iter().filter(|r| good(r) && loosely(&r.source.0).starts_with(&below));
            let places: BTreeSet<&ComponentId> = told.filter(is_kind).map(|r| &r.component).collect();
            if whole || places.len() >= counted {
                covered.insert((owner.to_owned(), kind), places.len().max(counted));
            }
        }
        for (item, fate) in
            fates.iter_mut().filter(|(i, f)| i.group != Group::Only && *f == Fate::Unexplained(SILENT.to_owned()))
        {
            if let Some(n) = covered.get(&(item.owner.clone(), item.kind)) {
                *fate = Fate::Explained(format!(
                    "{n} others of the other generation of resources are told in its place, no fewer than are counted"
                ));
            }
        }
    }
}

/// The serial, where it names one thing.
pub(crate) fn serial(body: &Value) -> Option<&str> {
    let serial = body.get("SerialNumber")?.as_str()?.trim();
    let plain: String = serial.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let nothing = ["", "na", "none", "null", "unknown", "notavailable", "notspecified", "empty"];
    let mut chars = plain.chars();
    let first = chars.next();
    let same = first.is_some() && chars.all(|c| Some(c) == first);
    (!nothing.contains(&plain.as_str()) && !same).then_some(serial)
}

fn data_sources(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner.as_str() {
                    Some(uri) if name == "DataSourceUri" => {
                        found.insert(resource(uri));
                    }
                    _ => data_sources(inner, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| data_sources(v, found)),
        _ => {}
    }
}

/// Elements of an array field, for those who look at resources of the tree.
pub(crate) fn count(body: &Value, field: &str) -> usize {
    elements(body, field).count()
}
