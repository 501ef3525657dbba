//! Fields that hold something else than they should. Each is lost to whoever reads it, so it is told: one line for what a resource, or many alike, lost.
//!
//! Redfish gives a name one meaning wherever it stands (DSP0268), so names are all that is looked at; sections of makers (`Oem`) have their own and are left
//! out.

use super::lenient::{self, Bad};
use super::route::Role;
use super::walk::Node;
use outband_schemas::{Cause, Gap, Observation, Quality, Section, Source, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// Read in every section.
const TEXTS: [&str; 12] = [
    "Id",
    "Name",
    "MemberId",
    "State",
    "Health",
    "HealthRollup",
    "PowerState",
    "ReadingUnits",
    "ReadingType",
    "PhysicalContext",
    "LineInputStatus",
    "Severity",
];

/// What makes a part the part that it is: read for the inventory and for drives.
const IDENTITY: [&str; 16] = [
    "Manufacturer",
    "Model",
    "SerialNumber",
    "PartNumber",
    "SparePartNumber",
    "Version",
    "UUID",
    "AssetTag",
    "HostName",
    "SKU",
    "DeviceLocator",
    "Socket",
    "ProcessorType",
    "MediaType",
    "Protocol",
    "ServiceLabel",
];

const NUMBERS: [&str; 33] = [
    "Reading",
    "ReadingCelsius",
    "CurrentReading",
    "ReadingRPM",
    "ReadingVolts",
    "SpeedRPM",
    "LineInputVoltage",
    "PowerInputWatts",
    "PowerOutputWatts",
    "LastPowerOutputWatts",
    "PowerConsumedWatts",
    "EfficiencyPercent",
    "LowerThresholdFatal",
    "LowerThresholdCritical",
    "LowerThresholdNonCritical",
    "UpperThresholdNonCritical",
    "UpperThresholdCritical",
    "UpperThresholdFatal",
    "CapacityBytes",
    "CapacityGB",
    "CapacityMiB",
    "SizeMB",
    "PredictedMediaLifeLeftPercent",
    "MinNumNeeded",
    "MaxNumSupported",
    "CorrectableECCErrorCount",
    "UncorrectableECCErrorCount",
    "PowerOnHours",
    "PercentageUsed",
    "AvailableSparePercent",
    "MediaErrors",
    "CurrentLinkSpeedMbps",
    "PowerCapacityWatts",
];

const TRUTHS: [&str; 4] = ["FailurePredicted", "ServiceEnabled", "Resolved", "RedundancyEnabled"];

const TIMES: [&str; 3] = ["Created", "EventTimestamp", "DateTime"];

/// Lists of members that stand within their resource.
const LISTS: [&str; 13] = [
    "Members",
    "Temperatures",
    "Fans",
    "Voltages",
    "PowerSupplies",
    "PowerControl",
    "Redundancy",
    "FanRedundancy",
    "PowerSupplyRedundancy",
    "StorageControllers",
    "Drives",
    "Devices",
    "MetricValues",
];

/// Where the walk goes on.
const LINKS: [&str; 26] = [
    "Chassis",
    "Systems",
    "Managers",
    "UpdateService",
    "TelemetryService",
    "Thermal",
    "Power",
    "ThermalSubsystem",
    "PowerSubsystem",
    "Sensors",
    "Metrics",
    "Storage",
    "SimpleStorage",
    "Volumes",
    "Controllers",
    "Processors",
    "Memory",
    "NetworkAdapters",
    "LogServices",
    "Entries",
    "FirmwareInventory",
    "SoftwareInventory",
    "MetricReports",
    "EnvironmentMetrics",
    "ThermalMetrics",
    "Ports",
];

/// No resource nests its own fields deeper.
const DEPTH: usize = 6;
/// Of one resource so many are named, the others counted.
const NAMED: usize = 5;
/// Lines of one poll.
const LINES: usize = 100;

/// The fields of a resource that hold something else than they should.
pub(super) fn of(section: Section, resource: &Value) -> Vec<Bad> {
    let mut found = Vec::new();
    look(section, resource, "", 0, &mut found);
    found
}

fn look(section: Section, resource: &Value, at: &str, depth: usize, found: &mut Vec<Bad>) {
    let Value::Object(fields) = resource else { return };
    for (name, value) in
        fields.iter().filter(|(name, _)| !name.contains('@') && !matches!(name.as_str(), "Oem" | "Actions"))
    {
        let is = |names: &[&str]| names.contains(&name.as_str());
        let bad = match () {
            () if is(&TEXTS) || is(&IDENTITY) && matches!(section, Section::Inventory | Section::Drives) => {
                lenient::text_field(resource, name).bad().cloned()
            }
            () if is(&NUMBERS) && !is_excerpt(value) => lenient::number_field(resource, name).bad().cloned(),
            () if is(&TRUTHS) => lenient::truth_field(resource, name).bad().cloned(),
            () if is(&TIMES) => lenient::time_field(resource, name).bad().cloned(),
            () if name == "Status" => {
                (!matches!(value, Value::Null | Value::Object(_) | Value::String(_))).then(|| Bad::new(name, value))
            }
            () if is(&LISTS) => {
                let before = found.len();
                look_at_list(name, value, at, found);
                if !value.is_array() && found.len() > before {
                    continue;
                }
                None
            }
            () if is(&LINKS) => leads_nowhere(value).then(|| Bad::new(name, value)),
            () => None,
        };
        let here = |bad: Bad| if at.is_empty() { bad } else { Bad { field: format!("{at}/{}", bad.field), ..bad } };
        if let Some(bad) = bad {
            found.push(here(bad));
            continue;
        }
        let below = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
        match value {
            Value::Object(_) if depth < DEPTH => look(section, value, &below, depth + 1, found),
            Value::Array(elements) if depth < DEPTH => {
                for (index, element) in elements.iter().enumerate() {
                    look(section, element, &format!("{below}/{index}"), depth + 1, found);
                }
            }
            _ => {}
        }
    }
}

/// Whether a figure comes as the excerpt of a sensor (DSP0266, "Excerpts"): its number is a field of its own.
fn is_excerpt(value: &Value) -> bool {
    ["Reading", "DataSourceUri", "@odata.id"].iter().any(|f| value.get(*f).is_some())
}

/// Whether what should be a link, or a list, is neither. An empty object is how some say "none".
fn leads_nowhere(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) => false,
        Value::Object(fields) => ["@odata.id", "href"].iter().any(|f| fields.get(*f).is_some_and(|v| !v.is_string())),
        Value::String(text) => !text.trim().is_empty() && !text.trim().starts_with('/'),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A list and its elements, which are resources or links to some.
fn look_at_list(name: &str, value: &Value, at: &str, found: &mut Vec<Bad>) {
    let name = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
    match value {
        Value::Array(elements) => {
            let bad =
                elements.iter().enumerate().filter(|(_, e)| !lenient::is_inline(e) && lenient::target(e).is_none());
            found.extend(bad.map(|(index, e)| Bad { field: format!("{name}/{index}"), ..Bad::new("", e) }));
        }
        _ if leads_nowhere(value) || is_no_list(value) => found.push(Bad { field: name, ..Bad::new("", value) }),
        _ => {}
    }
}

/// Whether an object stands where a list belongs, and is no link to a collection either.
fn is_no_list(value: &Value) -> bool {
    value.as_object().is_some_and(|o| !o.is_empty() && !o.contains_key("@odata.id") && !o.contains_key("href"))
}

/// What of a collection holds something else than it should: the list itself and its members; of a log's page, and of an entry by itself, their fields too.
pub(super) fn of_members(role: Role, uri: &str, body: &Value, at: Timestamp) -> Option<Gap> {
    let lost = match role {
        Role::LogEntry => of(Section::Log, body),
        _ => {
            let lists = ["Members", "Items"].iter().filter_map(|name| Some((*name, body.get(*name)?)));
            let mut found = Vec::new();
            lists.for_each(|(name, value)| look_at_list(name, value, "", &mut found));
            found
        }
    };
    let source = Source(lost.first()?.pointer(uri));
    let detail = format!("{}: {}", role.what(), words(&lost));
    Some(Gap { component: None, cause: Cause::Malformed, detail, observed_at: at, source, span: None })
}

/// Resources of one owner and role that lost the same fields.
type Alike<'a> = (&'a str, Role, String);

/// One gap for each resource, or for many alike below one chassis, system or log, that lost fields; those that a reading tells of already are left out.
pub(super) fn gaps(section: Section, nodes: &[Node], told: &[Observation]) -> Vec<Gap> {
    let told: HashSet<&str> = told
        .iter()
        .filter_map(|o| match o {
            Observation::Reading(r) if r.quality == Quality::Unavailable(Cause::Malformed) => Some(r.source.0.as_str()),
            _ => None,
        })
        .collect();
    let mut groups: BTreeMap<Alike<'_>, Vec<(&Node, String)>> = BTreeMap::new();
    for node in nodes {
        let mut lost = of(section, &node.body);
        lost.retain(|bad| !told.contains(bad.pointer(&node.uri).as_str()));
        if let Some(first) = lost.first() {
            let pointer = first.pointer(&node.uri);
            groups.entry((&node.owner, node.role, words(&lost))).or_default().push((node, pointer));
        }
    }
    let count = groups.len();
    let mut gaps: Vec<Gap> =
        groups.into_iter().take(LINES).filter_map(|((_, role, words), group)| line(role, &words, &group)).collect();
    if let Some(last) = gaps.last_mut().filter(|_| count > LINES) {
        last.detail = format!("{} (and {} more such lines)", last.detail, count - LINES);
    }
    gaps
}

fn line(role: Role, words: &str, group: &[(&Node, String)]) -> Option<Gap> {
    let (node, pointer) = group.first()?;
    let detail = match group.len() {
        1 => format!("{}: {words}", role.what()),
        n => format!("{n} × {}: {words} (first of them: {})", role.what(), node.uri),
    };
    Some(Gap {
        component: None,
        cause: Cause::Malformed,
        detail,
        observed_at: node.at,
        source: Source(pointer.clone()),
        span: None,
    })
}

/// The lost fields for people; a few by name.
pub(super) fn words(lost: &[Bad]) -> String {
    let named: Vec<String> = lost.iter().take(NAMED).map(Bad::to_string).collect();
    match lost.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lost(section: Section, resource: &Value) -> Vec<String> {
        of(section, resource).iter().map(Bad::to_string).collect()
    }

    #[test]
    fn each_kind_of_field_is_looked_at_wherever_it_stands() {
        let chassis = json!({"Name": ["x"], "Status": 3, "Thermal": 7, "Power": "none", "Sensors": {"@odata.id": 1},
            "Links": {"Drives": "x"}, "Fans": {"0": {}}, "Temperatures": [{"ReadingCelsius": {}}, "hot", null], "Thresholds": {"UpperCritical": {"Reading": "high"}}});
        assert_eq!(
            lost(Section::Sensors, &chassis),
            [
                "Fans holds an object",
                "Links/Drives holds the text \"x\"",
                "Name holds an array",
                "Power holds the text \"none\"",
                "Sensors holds an object",
                "Status holds the number 3",
                "Temperatures/1 holds the text \"hot\"",
                "Temperatures/2 holds null",
                "Temperatures/0/ReadingCelsius holds an object",
                "Thermal holds the number 7",
                "Thresholds/UpperCritical/Reading holds the text \"high\"",
            ]
        );
    }

    #[test]
    fn what_says_that_there_is_none_is_not_lost() {
        let good = json!({"Name": null, "Status": null, "ReadingCelsius": "N/A", "Created": "0000-00-00T00:00:00Z", "Members": null, "Thermal": {},
            "Power": {"@odata.id": "/p"}, "Drives": ["/d/1", {"@odata.id": "/d/2"}], "SerialNumber": 5, "Oem": {"X": {"Name": []}},
            "Reading": {"Reading": 4}, "UpperThresholdCritical": ""});
        assert_eq!(lost(Section::Inventory, &good), Vec::<String>::new());
    }

    #[test]
    fn what_makes_a_part_is_looked_at_where_parts_are_told() {
        let part = json!({"SerialNumber": {"x": 1}});
        assert_eq!(lost(Section::Inventory, &part), ["SerialNumber holds an object"]);
        assert!(lost(Section::Sensors, &part).is_empty());
    }

    fn node(uri: &str, body: Value) -> Node {
        let (owner, parent) = ("/c".to_owned(), String::new());
        Node { uri: uri.to_owned(), role: Role::Sensor, owner, parent, body, at: Timestamp::from_secs(1) }
    }

    #[test]
    fn many_alike_are_one_line_with_the_first_as_its_source() {
        let nodes: Vec<Node> = (0..50).map(|i| node(&format!("/s/{i}"), json!({"Name": {}}))).collect();
        let gaps = gaps(Section::Sensors, &nodes, &[]);
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].source.0, "/s/0#/Name");
        assert!(gaps[0].detail.contains("50 × sensor: Name holds an object"), "{}", gaps[0].detail);
    }

    #[test]
    fn the_lines_of_one_poll_are_bounded_and_the_last_says_so() {
        let nodes: Vec<Node> =
            (0..150).map(|i| node(&format!("/s/{i}"), json!({"Reading": format!("odd {i}")}))).collect();
        let gaps = gaps(Section::Sensors, &nodes, &[]);
        assert_eq!(gaps.len(), LINES);
        assert!(gaps[LINES - 1].detail.contains("50 more"), "{}", gaps[LINES - 1].detail);
    }
}
