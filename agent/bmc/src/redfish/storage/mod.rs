//! Section drives: drives with their life and SMART figures, controllers and volumes.

mod drives;
#[cfg(test)]
mod tests;
mod units;
#[cfg(test)]
mod walk_tests;
mod words;

use super::lenient::text;
use super::report::{Figure, Report, Seen, Status, analog, part_state};
use super::route::Role;
use super::walk::{Node, tail};
use crate::smart::{self, SmartFigure};
pub(super) use drives::{Drive, drives, part};
use outband_schemas::{Reading, SensorKind, Value as Told};
use serde_json::Value;
use std::collections::BTreeSet;
pub(super) use units::place;

pub(super) fn report(report: &mut Report<'_>) {
    let reports: Vec<&Node> = report.of(Role::SmartReport).collect();
    for drive in drives(report) {
        let status = Status::of(drive.body);
        report.push(part_state(&drive.component, &status, &drive.seen));
        for listing in &drive.listings {
            report.push(listing_state(&drive, listing));
        }
        if status.is_absent() {
            continue;
        }
        states(report, &drive);
        figures(report, &drive, &reports);
    }
    units::controllers(report);
    units::batteries(report);
    units::volumes(report);
}

/// What is said of a drive where it is listed again, so that two URIs are not taken for two drives.
fn listing_state(drive: &Drive<'_>, listing: &Node) -> Option<Reading> {
    let seen = Seen { uri: listing.uri.clone(), at: listing.at };
    let sensor = format!("health, listed again at {}", listing.uri);
    let mut reading = part_state(&drive.component, &Status::of(&listing.body), &seen)?;
    if let Some(Told::State { text, .. }) = &mut reading.value {
        *text = format!("{text}, the same drive as {}", drive.seen.uri);
    }
    reading.sensor = super::lenient::clip(&sensor, 200);
    Some(reading)
}

/// Words on a drive beside its `Status`.
fn states(report: &mut Report<'_>, drive: &Drive<'_>) {
    let oem = drive.body.get("Oem");
    let hpe = ["Hpe", "Hp"].iter().find_map(|o| oem?.get(*o));
    let said = [
        ("StatusIndicator", text(drive.body, "StatusIndicator"), "/StatusIndicator"),
        ("WearStatus", hpe.and_then(|h| text(h, "WearStatus")), "/Oem/Hpe/WearStatus"),
    ];
    for (sensor, word, pointer) in said {
        let seen = Seen { uri: format!("{}#{pointer}", drive.seen.uri), at: drive.seen.at };
        report.push(word.and_then(|word| words::state(&drive.component, sensor, &word, &seen)));
    }
    report.push(units::operation(&drive.component, drive.body, &drive.seen));
}

/// The figures of a drive, each kind once: its own before those that add to it.
fn figures(report: &mut Report<'_>, drive: &Drive<'_>, reports: &[&Node]) {
    let own = smart::figures(drive.body).into_iter().map(|f| (drive.seen.clone(), f));
    let details = drive.details.iter().flat_map(|n| {
        let seen = Seen { uri: n.uri.clone(), at: n.at };
        smart::figures(&n.body).into_iter().map(move |f| (seen.clone(), f))
    });
    let id = text(drive.body, "Id").unwrap_or_else(|| tail(&drive.seen.uri).to_owned());
    let metrics = reports.iter().flat_map(|n| {
        let seen = Seen { uri: n.uri.clone(), at: n.at };
        smart::from_metric_report(&n.body, &id, &drive.seen.uri).into_iter().map(move |f| (seen.clone(), f))
    });
    let mut all: Vec<(Seen, SmartFigure)> = own.chain(details).chain(metrics).collect();
    all.sort_by_key(|(_, figure)| !figure.number.is_value());
    let mut bodies = std::iter::once(drive.body).chain(drive.details.iter().map(|n| &n.body));
    let spare_limit = bodies.find_map(smart::spare_limit);
    let mut told = BTreeSet::new();
    for (seen, figure) in all {
        if !told.insert(figure.kind) {
            continue;
        }
        let uri = match figure.number.is_value() {
            true => format!("{}#{}", seen.uri, figure.pointer),
            // What is bad knows its own pointer.
            false => seen.uri,
        };
        let mut told = Figure::new(figure.kind, figure.sensor, figure.number);
        if told.kind == SensorKind::SpareLeft {
            told.thresholds.lower_critical = spare_limit;
        }
        report.push(analog(&drive.component, told, &Status::default(), &Seen { uri, at: seen.at }));
    }
    // A flash drive has a life; where its field is there and empty, that is worth a word.
    let life = "PredictedMediaLifeLeftPercent";
    let is_flash = text(drive.body, "MediaType").is_some_and(|m| m.to_ascii_uppercase().contains("SSD"));
    if is_flash && !told.contains(&SensorKind::LifeLeft) && drive.body.get(life) == Some(&Value::Null) {
        let seen = Seen { uri: format!("{}#/{life}", drive.seen.uri), at: drive.seen.at };
        report.push(analog(&drive.component, Figure::new(SensorKind::LifeLeft, life, None), &Status::default(), &seen));
    }
}
