//! What a health check tells: all that is known of a server at the end of it, and what is other than at the last one.

use crate::callpack::case::called;
use crate::judgement::Terms;
use outband_health::{Incident, Level, Stage, Status};
use outband_schemas::{Cause, Quality, ServerId, Severity, Timestamp, Triage};
use outband_store::check::{Check, CheckFilter, CheckState, Checks};
use outband_store::{EventFilter, GapFilter, Page, PartRecord, Scope, SeriesFilter, Store, StoreError};
use outband_ticket::TicketNumber;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many log entries are told.
const ENTRIES: usize = 50;
/// So many things that could not be read are told.
const UNREAD: usize = 60;
/// So many earlier checks make the trend.
const TREND: usize = 12;
/// Where there was no check before, log entries of so long.
const FIRST_LOOK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sensors a page.
const SENSORS: usize = 2000;

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was read, and nothing is wrong.
    Healthy,
    /// It was read, and something is.
    Findings,
    /// It could not be read: what is told is what was known before.
    Unchecked,
}

impl Verdict {
    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Findings => "findings",
            Self::Unchecked => "unchecked",
        }
    }
}

/// A report. In the words of machines; what people read is said when it is shown, in their language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it comes to.
    pub verdict: Verdict,
    /// What people call the server.
    pub server_name: String,
    /// Where it stands.
    pub site: String,
    /// Its model.
    pub model: String,
    /// Its serial.
    pub serial: String,
    /// 0 to 100; `None`: nothing is known.
    pub score: Option<u8>,
    /// `ok`, `warning`, `critical`, `stale`, `unknown`.
    pub status: Status,
    /// Whether it rests on what was just read.
    pub fresh: bool,
    /// The newest reading that it rests on (the agent's clock).
    pub newest_reading: Option<Timestamp>,
    /// What the points were lost for.
    pub losses: Vec<Loss>,
    /// What is wrong, gravest first; what is foretold is among it.
    pub findings: Vec<Found>,
    /// What could not be read, and why.
    pub unread: Vec<(String, String)>,
    /// What sits in each place: what the next check compares with.
    pub parts: BTreeMap<String, String>,
    /// The places where something else sits than at the last check: the place, what was there, what is there now.
    pub changed: Vec<(String, String, String)>,
    /// Firmware by component.
    pub firmware: BTreeMap<String, String>,
    /// Log entries since the last check, newest first.
    pub entries: Vec<Entry>,
    /// How many more there are.
    pub entries_left_out: usize,
    /// The scores of earlier checks, oldest first.
    pub trend: Vec<(Timestamp, u8)>,
    /// When the last check before this was over.
    pub since: Option<Timestamp>,
}

/// Points lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How many.
    pub points: u8,
    /// Where.
    pub component: String,
    /// By which rule.
    pub rule: String,
    /// Why.
    pub reason: String,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where.
    pub component: String,
    /// What.
    pub fault: outband_health::Fault,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// How grave it is.
    pub level: Level,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub onset: Timestamp,
    /// The facts, oldest first.
    pub evidence: Vec<String>,
    /// Its ticket.
    pub ticket: Option<u64>,
    /// What kind of trouble it is, as its ticket has it.
    pub triage: Option<Triage>,
}

/// An entry of a BMC's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it came.
    pub at: Timestamp,
    /// How grave the BMC calls it.
    pub severity: Severity,
    /// Where.
    pub component: String,
    /// What it says.
    pub message: String,
}

/// The report of a check that is over, by what is known now.
pub fn of<S: Store + Checks>(store: &S, check: &Check, terms: &Terms, now: Timestamp) -> Result<Report, StoreError> {
    let server = &check.server;
    let record = store.server(server)?;
    let health = store.health(&Scope::Server(server.clone()))?.map(|h| h.health);
    let before = earlier(store, check)?;
    let last = before.first().and_then(|c| c.report.clone()).and_then(|r| serde_json::from_value::<Report>(r).ok());
    let since = before.first().and_then(|c| c.ended_at);
    let findings = findings(store, server)?;
    let (parts, firmware) = places(&store.parts(server)?);
    let (entries, entries_left_out) = entries(store, server, since.unwrap_or_else(|| now.minus(FIRST_LOOK)))?;
    let fresh = check.state == CheckState::Done;
    let status = health.as_ref().map_or(Status::Unknown, |h| h.status);
    let verdict = match (fresh, findings.is_empty() && status == Status::Ok) {
        (false, _) => Verdict::Unchecked,
        (true, true) => Verdict::Healthy,
        (true, false) => Verdict::Findings,
    };
    let score = health.as_ref().and_then(|h| h.score);
    let mut trend: Vec<(Timestamp, u8)> = before.iter().rev().filter_map(point).collect();
    trend.extend(score.filter(|_| fresh).map(|score| (now, score)));
    let identity = record.as_ref().map(|r| r.identity.clone()).unwrap_or_default();
    let model = record.as_ref().and_then(|r| terms.topology.place(r)?.model.clone()).or(identity.model);
    Ok(Report {
        verdict,
        server_name: record.as_ref().map_or_else(|| server.to_string(), called),
        site: record.as_ref().map(|r| r.site.to_string()).unwrap_or_default(),
        model: model.unwrap_or_default(),
        serial: identity.serial.unwrap_or_default(),
        score,
        status,
        fresh,
        newest_reading: health.as_ref().and_then(|h| h.newest_reading),
        losses: health.map(|h| h.penalties.into_iter().map(loss).collect()).unwrap_or_default(),
        findings,
        unread: unread(store, check)?,
        changed: last.map(|last| changed(&last.parts, &parts)).unwrap_or_default(),
        parts,
        firmware,
        entries,
        entries_left_out,
        trend,
        since,
    })
}

fn loss(penalty: outband_health::Penalty) -> Loss {
    Loss { points: penalty.points, component: penalty.component, rule: penalty.rule, reason: penalty.reason }
}

/// The checks of the server before this one that could be made, newest first.
fn earlier<S: Checks>(store: &S, check: &Check) -> Result<Vec<Check>, StoreError> {
    let filter = CheckFilter { server: Some(check.server.clone()) };
    let rows = store.health_checks(&filter, &Page::first(TREND * 2))?.rows;
    Ok(rows.into_iter().filter(|c| c.id != check.id && c.state == CheckState::Done).take(TREND).collect())
}

fn point(check: &Check) -> Option<(Timestamp, u8)> {
    let score = check.report.as_ref()?.get("score")?.as_u64()?;
    Some((check.ended_at?, u8::try_from(score).ok()?))
}

/// What is wrong and has not ended, gravest first. What a person dismissed is not told again.
fn findings<S: Store>(store: &S, server: &ServerId) -> Result<Vec<Found>, StoreError> {
    let told = |i: &Incident| matches!(i.stage, Stage::Open | Stage::Verifying { .. } | Stage::Pending);
    let mut found = Vec::new();
    for incident in store.open_incidents()?.into_iter().filter(|i| i.key.server == *server && told(i)) {
        let ticket = match incident.ticket {
            Some(number) => store.ticket(TicketNumber(number))?,
            None => None,
        };
        found.push(Found {
            component: incident.key.component.to_string(),
            fault: incident.key.fault,
            predicted: incident.predicted,
            level: incident.level,
            reason: incident.reason,
            onset: incident.onset,
            evidence: incident.evidence.into_iter().map(|fact| fact.text).collect(),
            ticket: incident.ticket,
            triage: ticket.and_then(|record| record.ticket.kind()),
        });
    }
    found.sort_by(|a, b| (b.level, a.predicted, &a.component).cmp(&(a.level, b.predicted, &b.component)));
    Ok(found)
}

/// What sits in each place, and the firmware of those that tell it.
fn places(parts: &[PartRecord]) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut places, mut firmware) = (BTreeMap::new(), BTreeMap::new());
    for part in parts.iter().filter(|p| p.current).map(|p| &p.part) {
        let words = [&part.model, &part.serial, &part.firmware];
        let words: Vec<&str> = words.into_iter().filter_map(|w| w.as_deref()).filter(|w| !w.is_empty()).collect();
        places.insert(part.component.to_string(), words.join(" · "));
        if let Some(version) = part.firmware.as_ref().filter(|v| !v.is_empty()) {
            firmware.insert(part.component.to_string(), version.clone());
        }
    }
    (places, firmware)
}

fn changed(was: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
    let names: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let of = |parts: &BTreeMap<String, String>, name: &String| parts.get(name).cloned().unwrap_or_default();
    let both = names.into_iter().map(|name| (name.clone(), of(was, name), of(now, name)));
    both.filter(|(_, was, now)| was != now).collect()
}

/// The entries that came since then, newest first, and how many more there are.
fn entries<S: Store>(store: &S, server: &ServerId, since: Timestamp) -> Result<(Vec<Entry>, usize), StoreError> {
    let filter = EventFilter { server: Some(server.clone()), min_severity: None };
    let rows = store.events(&filter, &Page::first(ENTRIES * 10))?.rows;
    let mut all: Vec<Entry> = rows
        .into_iter()
        .filter(|row| row.received_at > since)
        .map(|row| Entry {
            at: row.event.observed_at,
            severity: row.event.severity,
            component: row.event.component.to_string(),
            message: row.event.message,
        })
        .collect();
    let left_out = all.len().saturating_sub(ENTRIES);
    all.truncate(ENTRIES);
    Ok((all, left_out))
}

/// Sections that the agent could not read, gaps that it told of meanwhile, and sensors that give nothing. An empty place gives nothing either, and is none.
fn unread<S: Store>(store: &S, check: &Check) -> Result<Vec<(String, String)>, StoreError> {
    let mut unread = check.unread.clone();
    if unread.is_empty() && !check.why.is_empty() {
        unread.push((String::new(), check.why.clone()));
    }
    let since = check.asked.as_ref().map_or(check.requested_at, |asked| asked.at);
    let filter = GapFilter { server: Some(check.server.clone()), agent: None };
    for gap in store.gaps(&filter, &Page::first(UNREAD))?.rows.into_iter().filter(|g| g.last_observed >= since) {
        let what = gap.gap.component.map_or_else(|| gap.gap.source.0.clone(), |component| component.to_string());
        unread.push((what, format!("{}: {}", gap.gap.cause.as_str(), gap.gap.detail)));
    }
    let filter = SeriesFilter { server: Some(check.server.clone()), ..SeriesFilter::default() };
    let mut page = Page::first(SENSORS);
    loop {
        let listing = store.latest(&filter, &page)?;
        for latest in listing.rows {
            let reading = latest.reading;
            if let Quality::Unavailable(cause) = reading.quality
                && !matches!(cause, Cause::Absent | Cause::Disabled)
            {
                unread.push((format!("{} {}", reading.component, reading.kind.as_str()), cause.as_str().to_owned()));
            }
        }
        match listing.next {
            Some(next) => page = Page::after(next, SENSORS),
            None => break,
        }
    }
    unread.sort();
    unread.dedup();
    unread.truncate(UNREAD);
    Ok(unread)
}
