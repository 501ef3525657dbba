//! A probe for people.

use super::report::Report;
use comfy_table::{Table, presets};
use outband_bmc::{ConnectError, Rung, RungReport};
use outband_schemas::{Inventory, LogEvent, Observation, Quality, Reading, SensorKind, State, Value};
use std::io::{self, Write};

/// Prints tables to `out`; the ladder of a failed login goes to `err`.
pub(super) fn print(report: &Report, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
    if let Some(error) = &report.broken {
        return ladder(&report.address, error, err);
    }
    for observation in report.observations.iter().map(|(_, o)| o) {
        if let Observation::Inventory(i) = observation {
            inventory(i, out)?;
        }
    }
    readings(report, out)?;
    events(report, out)?;
    gaps(report, out)?;
    summary(report, out)
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

fn show(title: &str, table: &Table, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{title}\n{}\n", table.trim_fmt())
}

fn inventory(i: &Inventory, out: &mut impl Write) -> io::Result<()> {
    let id = &i.identity;
    let words = |parts: &[&Option<String>]| -> String {
        parts.iter().filter_map(|p| p.as_deref()).collect::<Vec<_>>().join(" ")
    };
    writeln!(out, "SERVER  {}", words(&[&id.manufacturer, &id.model]))?;
    for (name, value) in
        [("serial", &id.serial), ("uuid", &id.uuid), ("host", &id.hostname), ("asset tag", &id.asset_tag)]
    {
        if let Some(value) = value {
            writeln!(out, "  {name:<10} {value}")?;
        }
    }
    if let Some(offset) = i.bmc_clock_offset_ms.filter(|o| o.abs() >= 5_000) {
        writeln!(
            out,
            "  {:<10} the BMC's clock is {} s {}",
            "clock",
            offset.abs() / 1000,
            if offset > 0 { "ahead" } else { "behind" }
        )?;
    }
    writeln!(out)?;
    if i.parts.is_empty() {
        return Ok(());
    }
    let mut table = plain(&["COMPONENT", "MAKER, MODEL", "PART NUMBER", "SERIAL", "FIRMWARE", "SIZE"]);
    for p in &i.parts {
        let size = p.capacity_bytes.map_or(String::new(), |b| format!("{:.0} GB", b as f64 / 1e9));
        let text = |o: &Option<String>| o.clone().unwrap_or_default();
        table.add_row([
            p.component.to_string(),
            words(&[&p.manufacturer, &p.model]),
            text(&p.part_number),
            text(&p.serial),
            text(&p.firmware),
            size,
        ]);
    }
    show("PARTS", &table, out)
}

fn readings(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = plain(&["COMPONENT", "SENSOR", "KIND", "VALUE", "QUALITY", "SOURCE"]);
    let mut rows: Vec<&Reading> = report
        .observations
        .iter()
        .filter_map(|(_, o)| match o {
            Observation::Reading(r) => Some(r),
            Observation::Event(_) | Observation::Inventory(_) | Observation::Gap(_) => None,
        })
        .collect();
    rows.sort_by_key(|r| r.component.class());
    if rows.is_empty() {
        return Ok(());
    }
    for r in rows {
        table.add_row([
            r.component.to_string(),
            r.sensor.clone(),
            r.kind.to_string(),
            value(r),
            quality(&r.quality),
            r.source.to_string(),
        ]);
    }
    show("READINGS", &table, out)
}

fn value(r: &Reading) -> String {
    match &r.value {
        Some(Value::Number(n)) => {
            let number = format!("{n:.3}");
            let number =
                if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
            format!("{number} {}", unit(r.kind)).trim_end().to_owned()
        }
        Some(Value::State { state, text }) => {
            let word = match state {
                State::Absent => "absent",
                State::Unknown => "unknown",
                State::Ok => "ok",
                State::Warning => "WARNING",
                State::Critical => "CRITICAL",
            };
            if text.is_empty() { word.to_owned() } else { format!("{word} ({text})") }
        }
        Some(Value::Text(text)) => text.clone(),
        None => "–".to_owned(),
    }
}

/// UCUM is for machines.
fn unit(kind: SensorKind) -> &'static str {
    match kind.unit() {
        "Cel" => "°C",
        "1" => "",
        "By" => "B",
        "[cft_i]/min" => "CFM",
        unit => unit,
    }
}

fn quality(quality: &Quality) -> String {
    match quality {
        Quality::Good => "good".to_owned(),
        Quality::Suspect(s) => format!(
            "suspect: {}",
            serde_json::to_value(s).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        ),
        Quality::Unavailable(cause) => cause.as_str().to_owned(),
    }
}

fn events(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = plain(&["LOG", "ID", "BMC TIME", "SEVERITY", "COMPONENT", "KIND", "MESSAGE"]);
    let mut some = false;
    for observation in report.observations.iter().map(|(_, o)| o) {
        let Observation::Event(e) = observation else { continue };
        let LogEvent { log, id, message, .. } = e;
        let ended = if e.deasserted { "ended: " } else { "" };
        some = true;
        table.add_row([
            log.clone(),
            id.clone(),
            e.bmc_time.map_or("–".to_owned(), |t| t.to_string()),
            e.severity.as_str().to_owned(),
            e.component.to_string(),
            e.kind.as_str().to_owned(),
            format!("{ended}{message}"),
        ]);
    }
    if some { show("LOG", &table, out) } else { Ok(()) }
}

fn gaps(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if report.failures.is_empty() {
        return Ok(());
    }
    let mut table = plain(&["SECTION", "COMPONENT", "CAUSE", "WHY", "SOURCE"]);
    for f in &report.failures {
        table.add_row([
            f.section.map_or("", |s| s.as_str()).to_owned(),
            f.component.as_ref().map_or(String::new(), ToString::to_string),
            f.cause.as_str().to_owned(),
            f.detail.clone(),
            f.source.clone(),
        ]);
    }
    show("NOT READ", &table, out)
}

fn summary(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let count = |wanted: fn(&Observation) -> bool| report.observations.iter().filter(|(_, o)| wanted(o)).count();
    let readings = count(|o| matches!(o, Observation::Reading(_)));
    let events = count(|o| matches!(o, Observation::Event(_)));
    let s = &report.stats;
    for rung in &report.climbed {
        held(rung, out)?;
    }
    if let Some(print) = report.certificate {
        writeln!(out, "certificate SHA-256 {print}")?;
    }
    if !report.steps.is_empty() {
        let mut table = plain(&["STEP", "SECONDS", "REQUESTS", "BYTES", "CONNECTIONS"]);
        for step in &report.steps {
            table.add_row([
                step.name.to_owned(),
                format!("{:.2}", step.elapsed.as_secs_f64()),
                step.requests.to_string(),
                step.bytes.to_string(),
                step.connections.to_string(),
            ]);
        }
        show("COST", &table, out)?;
    }
    if let Some(why) = &report.session_left {
        writeln!(out, "the session could not be ended, the BMC ends it by itself: {why}")?;
    }
    let packets = if s.datagrams_sent > 0 { format!(" in {} datagrams", s.datagrams_sent) } else { String::new() };
    writeln!(
        out,
        "{readings} readings, {events} log entries, {} not read; {} requests{packets}, {} bytes, {} connections, {:.1} s",
        report.failures.len(),
        s.requests,
        s.bytes_sent + s.bytes_received,
        s.connections,
        report.elapsed.as_secs_f64(),
    )
}

fn held(rung: &RungReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  [ok]     {:<14} {}", rung.rung.to_string(), rung.found)
}

fn ladder(address: &str, error: &ConnectError, err: &mut impl Write) -> io::Result<()> {
    writeln!(err, "{address} could not be read. The ladder:")?;
    for rung in Rung::ALL {
        match error.climbed.iter().find(|r| r.rung == rung) {
            Some(report) => held(report, err)?,
            // A rung below the one that broke has held, also where there is nothing to tell of it.
            None if rung < error.rung => writeln!(err, "  [ok]     {rung}")?,
            None if rung == error.rung => writeln!(err, "  [BROKEN] {:<14} {}", rung.to_string(), error.detail)?,
            None => writeln!(err, "  [ - ]    {rung}")?,
        }
    }
    writeln!(err, "What to do: {}", error.remedy)
}
