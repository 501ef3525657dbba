//! A probe as JSON lines. The field names are a contract: scripts read them.

use super::report::Report;
use outband_bmc::ipmi::sensor::Precision;
use outband_schemas::{Gap, Inventory, LogEvent, Observation, Part, Quality, Reading, Section, SensorKind, Value};
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::time::Duration;

/// Prints one object a line, the summary last.
pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for (section, observation) in &report.observations {
        match observation {
            Observation::Reading(r) => line(out, &reading(*section, r, report.precisions.get(&r.source)))?,
            Observation::Event(e) => line(out, &event(*section, e))?,
            Observation::Inventory(inventory) => {
                line(out, &identity(*section, inventory))?;
                for p in &inventory.parts {
                    line(out, &part(*section, p))?;
                }
            }
            Observation::Gap(g) => line(out, &gap(*section, g))?,
        }
    }
    line(out, &summary(report))
}

fn line(out: &mut impl Write, value: &Json) -> io::Result<()> {
    writeln!(out, "{value}")
}

fn reading(section: Section, r: &Reading, precision: Option<&Precision>) -> Json {
    // A number behind a discrete type shares its source with the states.
    let precision = precision.filter(|_| r.kind != SensorKind::State);
    let (value, state) = match &r.value {
        Some(Value::Number(n)) => (json!(n), Json::Null),
        Some(Value::State { state, text }) => (json!(text), json!(state)),
        Some(Value::Text(text)) => (json!(text), Json::Null),
        None => (Json::Null, Json::Null),
    };
    let (quality, reason) = quality(&r.quality);
    json!({
        "type": "reading",
        "section": section.as_str(),
        "component": r.component,
        "kind": r.kind,
        "sensor": r.sensor,
        "value": value,
        "state": state,
        "unit": r.kind.unit(),
        "quality": quality,
        "reason": reason,
        "thresholds": r.thresholds,
        "resolution": precision.map(|p| p.resolution),
        "tolerance": precision.map(|p| p.tolerance),
        "accuracy_percent": precision.map(|p| p.accuracy_percent),
        "positive_hysteresis": precision.and_then(|p| p.positive_hysteresis),
        "negative_hysteresis": precision.and_then(|p| p.negative_hysteresis),
        "source": r.source,
        "observed_at": r.observed_at.to_string(),
    })
}

fn quality(quality: &Quality) -> (&'static str, Json) {
    match quality {
        Quality::Good => ("good", Json::Null),
        Quality::Suspect(suspicion) => ("suspect", json!(suspicion)),
        Quality::Unavailable(cause) => ("unavailable", json!(cause.as_str())),
    }
}

fn event(section: Section, e: &LogEvent) -> Json {
    json!({
        "type": "event",
        "section": section.as_str(),
        "component": e.component,
        "kind": e.kind,
        "value": e.message,
        "unit": "",
        "quality": "good",
        "severity": e.severity.as_str(),
        "deasserted": e.deasserted,
        "log": e.log,
        "id": e.id,
        "time": e.bmc_time.map(|t| t.to_string()),
        "code": e.code,
        "raw": e.raw,
        "source": e.source,
        "observed_at": e.observed_at.to_string(),
    })
}

fn identity(section: Section, inventory: &Inventory) -> Json {
    let id = &inventory.identity;
    let words: Vec<&str> =
        [&id.manufacturer, &id.model, &id.serial].into_iter().flatten().map(String::as_str).collect();
    json!({
        "type": "inventory",
        "section": section.as_str(),
        "component": "server/identity",
        "kind": "identity",
        "value": words.join(" "),
        "unit": "",
        "quality": "good",
        "manufacturer": id.manufacturer,
        "model": id.model,
        "serial": id.serial,
        "uuid": id.uuid,
        "hostname": id.hostname,
        "asset_tag": id.asset_tag,
        "bmc_clock_offset_ms": inventory.bmc_clock_offset_ms,
        "source": inventory.source,
        "observed_at": inventory.observed_at.to_string(),
    })
}

fn part(section: Section, p: &Part) -> Json {
    let words: Vec<&str> = [&p.manufacturer, &p.model, &p.serial].into_iter().flatten().map(String::as_str).collect();
    let firmware = p.firmware.as_deref().filter(|_| words.is_empty());
    json!({
        "type": "inventory",
        "section": section.as_str(),
        "component": p.component,
        "kind": "part",
        "value": firmware.map_or_else(|| words.join(" "), str::to_owned),
        "unit": "",
        "quality": "good",
        "manufacturer": p.manufacturer,
        "model": p.model,
        "part_number": p.part_number,
        "serial": p.serial,
        "firmware": p.firmware,
        "capacity_bytes": p.capacity_bytes,
        "source": p.source,
    })
}

fn gap(section: Section, g: &Gap) -> Json {
    json!({
        "type": "gap",
        "section": section.as_str(),
        "component": g.component,
        "kind": g.cause.as_str(),
        "value": g.detail,
        "unit": "",
        "quality": "unavailable",
        "source": g.source,
        "observed_at": g.observed_at.to_string(),
    })
}

fn summary(report: &Report) -> Json {
    let count = |wanted: fn(&Observation) -> bool| report.observations.iter().filter(|(_, o)| wanted(o)).count();
    let stats = &report.stats;
    let failures: Vec<Json> = report
        .failures
        .iter()
        .map(|f| {
            json!({
                "section": f.section.map(Section::as_str),
                "component": f.component,
                "cause": f.cause.as_str(),
                "detail": f.detail,
                "source": f.source,
            })
        })
        .collect();
    let broken = report
        .broken
        .as_ref()
        .map(|e| json!({ "rung": e.rung, "cause": e.cause.as_str(), "detail": e.detail, "remedy": e.remedy }));
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let steps: Vec<Json> = report
        .steps
        .iter()
        .map(|s| {
            json!({
                "step": s.name,
                "elapsed_ms": millis(s.elapsed),
                "requests": s.requests,
                "bytes": s.bytes,
                "connections": s.connections,
            })
        })
        .collect();
    json!({
        "type": "summary",
        "component": Json::Null,
        "kind": "probe",
        "value": if report.ok() { "ok" } else { "failed" },
        "unit": "",
        "quality": if report.ok() { "good" } else { "unavailable" },
        "source": report.address,
        "requests": stats.requests,
        "datagrams_sent": stats.datagrams_sent,
        "datagrams_received": stats.datagrams_received,
        "bytes": stats.bytes_sent + stats.bytes_received,
        "bytes_sent": stats.bytes_sent,
        "bytes_received": stats.bytes_received,
        "connections": stats.connections,
        "elapsed_ms": millis(report.elapsed),
        "steps": steps,
        "session_left_open": report.session_left,
        "readings": count(|o| matches!(o, Observation::Reading(_))),
        "events": count(|o| matches!(o, Observation::Event(_))),
        "gaps": count(|o| matches!(o, Observation::Gap(_))),
        "certificate": report.certificate.map(|c| c.to_string()),
        "climbed": report.climbed,
        "broken": broken,
        "failures": failures,
    })
}
