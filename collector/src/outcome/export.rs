//! The own drives in the tables that `outband-collector train` reads. Failures come from verified outcomes only; a drive of which it was
//! foretold that it fails, and of which nobody knows whether it would have, is named and left out, since it is neither one nor the other.

use outband_health::Fault;
use outband_health::model::{Attribute, Day, Smart};
use outband_schemas::{ComponentId, ServerId, Timestamp};
use outband_store::drives::{DriveRecord, Drives};
use outband_store::outcome::{OutcomeFilter, Outcomes, TicketOutcome};
use outband_store::{Store, StoreError};
use outband_ticket::{Answer, TicketNumber};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;

/// A file and what is in it.
pub type File = (&'static str, Vec<u8>);

/// What is known of what became of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs, or nobody knows of a failure.
    Well,
    /// It failed, which was seen or confirmed.
    Failed(Day),
    /// A failure was foretold, and nobody has verified it.
    Unverified(TicketNumber),
}

/// What became of drives: by serial, and of those without one by place.
#[derive(Debug, Default)]
struct Fates {
    serials: BTreeMap<String, Fate>,
    places: BTreeMap<(ServerId, ComponentId), Fate>,
}

impl Fates {
    fn of(outcomes: &[TicketOutcome]) -> Self {
        let mut fates = Self::default();
        for of in outcomes.iter().filter(|o| o.fault == Fault::DiskFailure.as_str()) {
            let Some(fate) = fate(of) else { continue };
            let known = match &of.serial {
                Some(serial) => fates.serials.entry(serial.clone()).or_insert(Fate::Well),
                None => fates.places.entry((of.server.clone(), of.component.clone())).or_insert(Fate::Well),
            };
            *known = worse(*known, fate);
        }
        // A drive that was at fault where another part was suspected failed like any other.
        for of in outcomes {
            let Some(failed) = of.outcome.other_failed_at().map(|at| Fate::Failed(day(at))) else { continue };
            let known = match (&of.other.serial, &of.other.component) {
                (Some(serial), _) => fates.serials.entry(serial.clone()).or_insert(Fate::Well),
                (None, Some(place)) => fates.places.entry((of.server.clone(), place.clone())).or_insert(Fate::Well),
                (None, None) => continue,
            };
            *known = worse(*known, failed);
        }
        fates
    }

    fn of_drive(&self, record: &DriveRecord) -> Fate {
        let by_serial = record.serial.as_ref().and_then(|serial| self.serials.get(serial));
        // A ticket that names no serial may be about another drive that was in the place: whatever it says of one is not known of this one.
        let by_place = record.place.as_ref().and_then(|place| self.places.get(place));
        by_serial.or(by_place).copied().unwrap_or(Fate::Well)
    }
}

fn fate(of: &TicketOutcome) -> Option<Fate> {
    if of.outcome.answer == Answer::Aside {
        return None;
    }
    let failed = of.outcome.failed_at().filter(|_| of.serial.is_some() || of.outcome.answer == Answer::Right);
    Some(match failed {
        Some(at) => Fate::Failed(day(at)),
        None if of.outcome.answer.is_verified() => Fate::Well,
        None => Fate::Unverified(of.ticket),
    })
}

/// Of two tickets about one drive: a failure is one, whatever else was said; the first one counts.
fn worse(a: Fate, b: Fate) -> Fate {
    match (a, b) {
        (Fate::Failed(a), Fate::Failed(b)) => Fate::Failed(a.min(b)),
        (failed @ Fate::Failed(_), _) | (_, failed @ Fate::Failed(_)) => failed,
        (unverified @ Fate::Unverified(_), _) => unverified,
        (Fate::Well, other) => other,
    }
}

fn day(at: Timestamp) -> Day {
    Day::try_from(at.as_millis().div_euclid(DAY_MS)).unwrap_or(Day::MAX)
}

/// The tables: `drives.csv`, `changes.csv`, and `left_out.csv`, which names the drives that are in neither, and why. `may` answers whether
/// what is in a server may be told; drives that are in none any more are told where everything may be (`None`).
pub fn gather<S: Store + Drives + Outcomes>(
    store: &S,
    mut may: impl FnMut(&S, Option<&ServerId>) -> Result<bool, StoreError>,
) -> Result<Vec<File>, StoreError> {
    let fates = Fates::of(&store.outcomes(&OutcomeFilter::default())?);
    let mut tables = Tables::new();
    for (key, record) in store.drives()?.drives {
        if may(store, record.place.as_ref().map(|(server, _)| server))? {
            tables.add(&key, &record, fates.of_drive(&record));
        }
    }
    Ok(tables.files())
}

#[derive(Debug)]
struct Tables {
    drives: Vec<u8>,
    changes: Vec<u8>,
    left_out: Vec<u8>,
}

impl Tables {
    fn new() -> Self {
        let mut tables = Self { drives: Vec::new(), changes: Vec::new(), left_out: Vec::new() };
        line(
            &mut tables.drives,
            ["drive", "model", "vendor", "tb", "first_day", "last_day", "failed"].map(str::to_owned),
        );
        let numbers = Attribute::ALL.map(|a| format!("smart_{}", a.number()));
        line(&mut tables.changes, ["drive", "day", "poh"].map(str::to_owned).into_iter().chain(numbers));
        line(&mut tables.left_out, ["drive", "model", "why", "ticket"].map(str::to_owned));
        tables
    }

    fn add(&mut self, key: &str, record: &DriveRecord, fate: Fate) {
        let id = record.serial.clone().unwrap_or_else(|| key.to_owned());
        let model = record.model.clone().unwrap_or_default();
        let drive = record.drive();
        let mut leave_out = |why: &str, ticket: String| {
            line(&mut self.left_out, [id.clone(), model.clone(), why.to_owned(), ticket]);
        };
        if drive.rotating == Some(false) {
            return leave_out("it has no platters", String::new());
        }
        if let Fate::Unverified(ticket) = fate {
            return leave_out("a failure was foretold, and nobody has verified it", ticket.to_string());
        }
        let rows = record.read_on.map(|until| record.history.rows(until)).unwrap_or_default();
        let (Some((first, _)), Some(read_on)) = (rows.first(), record.read_on) else {
            return leave_out("no day of it is known", String::new());
        };
        let (last, failed) = match fate {
            // Before what is remembered of it: there is nothing to learn from.
            Fate::Failed(on) if on <= *first => return leave_out("it failed before what is kept of it", String::new()),
            Fate::Failed(on) => (on, true),
            Fate::Well | Fate::Unverified(_) => (read_on, false),
        };
        let tb = drive.capacity.map(|tb| tb.to_string()).unwrap_or_default();
        let (vendor, failed_word) = (drive.vendor.as_str().to_owned(), if failed { "1" } else { "0" });
        let told = [id.clone(), model, vendor, tb, date(*first), date(last), failed_word.to_owned()];
        line(&mut self.drives, told);
        // The day of failure has no reading, nor have those after it.
        for (day, smart) in rows.iter().filter(|(day, _)| !failed || *day < last) {
            line(&mut self.changes, [id.clone(), date(*day)].into_iter().chain(values(smart)));
        }
    }

    fn files(self) -> Vec<File> {
        vec![("drives.csv", self.drives), ("changes.csv", self.changes), ("left_out.csv", self.left_out)]
    }
}

fn values(smart: &Smart) -> impl Iterator<Item = String> {
    let text = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    std::iter::once(text(smart.hours.map(f64::floor))).chain(smart.raw.map(text))
}

fn date(day: Day) -> String {
    crate::train::source::date(day)
}

/// A line of CSV (RFC 4180).
fn line(out: &mut Vec<u8>, fields: impl IntoIterator<Item = String>) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            out.extend(format!("\"{}\"", field.replace('"', "\"\"")).into_bytes());
        } else {
            out.extend(field.into_bytes());
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
