//! What was told twice.

use super::{Said, good, kinds, plain, serial};
use crate::support_redfish::items::{Group, Holdings, Item};
use crate::support_redfish::tree::Tree;
use outband_schemas::{ComponentClass, ComponentId, Reading, SensorKind};
use std::collections::{BTreeMap, BTreeSet};

/// What was told twice.
pub(crate) fn duplicates(tree: &Tree, holdings: &Holdings<'_>, said: &Said<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let mut series: BTreeMap<(&ComponentId, SensorKind, &str), Vec<&str>> = BTreeMap::new();
    for r in &said.readings {
        series.entry((&r.component, r.kind, &r.sensor)).or_default().push(&r.source.0);
    }
    for ((component, kind, sensor), sources) in series.iter().filter(|(_, s)| s.len() > 1) {
        // The same state of the same resource in two sections is one series with two values of it.
        if sources.iter().collect::<BTreeSet<_>>().len() > 1 || sources.len() > 2 {
            out.push(format!("{} of {component}, {sensor}: {}", kind.as_str(), sources.join(" and ")));
        }
    }
    for (key, n) in said.event_keys.iter().filter(|(_, n)| **n > 1) {
        out.push(format!("log entry {key}: {n} times"));
    }
    let mut serials: BTreeMap<(&str, Option<&str>), BTreeSet<&ComponentId>> = BTreeMap::new();
    for part in said.parts.iter().filter(|p| p.component.class() == ComponentClass::Disk) {
        let real = tree.find(&part.source.0).is_none_or(|body| serial(body).is_some());
        if let Some(serial) = part.serial.as_deref().filter(|_| real) {
            serials.entry((serial, part.model.as_deref())).or_default().insert(&part.component);
        }
    }
    for ((serial, _), places) in serials.iter().filter(|(_, p)| p.len() > 1) {
        if !kept_apart(holdings, serial) {
            out.push(format!(
                "drive {serial}: {}",
                places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
            ));
        }
    }
    out.extend(both_generations(holdings, said));
    out
}

/// Whether a serial proves nothing: one storage shows it twice, or two systems each show it as their own. Firmware and mockups that know no serial write
/// the same one to every drive.
fn kept_apart(holdings: &Holdings<'_>, wanted: &str) -> bool {
    let drives = holdings.items.iter().filter(|i| i.kind == "drive" && serial(i.body) == Some(wanted));
    let mut tops = BTreeSet::new();
    drives.into_iter().any(|d| !tops.insert(d.uri.split('/').nth(3)))
}

/// One sensor, shown by both generations of resources and told from both.
fn both_generations(holdings: &Holdings<'_>, said: &Said<'_>) -> Vec<String> {
    let mut named: BTreeMap<(&str, &str, String), Vec<&Item<'_>>> = BTreeMap::new();
    for item in holdings.items.iter().filter(|i| i.group != Group::Only) {
        named.entry((item.kind, &item.owner, plain(&item.name))).or_default().push(item);
    }
    let mut out = Vec::new();
    for ((kind, _, name), items) in named {
        let of = |group| items.iter().filter(|i| i.group == group).collect::<Vec<_>>();
        let (old, new) = (of(Group::Old), of(Group::New));
        if let ([old], [new]) = (&old[..], &new[..])
            && !name.is_empty()
        {
            let told = |i: &Item<'_>| -> BTreeSet<SensorKind> {
                let wanted = |r: &&&Reading| good(r) && (kinds(kind).contains(&r.kind) || r.kind == SensorKind::State);
                said.at(&i.uri).iter().filter(wanted).map(|r| r.kind).collect()
            };
            for twice in told(old).intersection(&told(new)) {
                out.push(format!("{} {:?}: from {} and from {}", twice.as_str(), old.name, old.uri, new.uri));
            }
        }
    }
    out
}
