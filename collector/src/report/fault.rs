//! The report of one fault: after its repair what it was, what was done, and what keeps it from coming again; before it the same as far as it is
//! known, as a diagnosis.

use super::history::Entry;
use super::sla::Promises;
use super::whys::{Whys, whys};
use crate::callpack::timeline::{Timeline, What};
use crate::discretion::Discretion;
use crate::words::{Audience, Lang};
use outband_schemas::{Timestamp, Triage};
use outband_store::{PartRecord, ServerRecord};
use outband_ticket::sla::{ClockStatus, account};
use outband_ticket::{Action, Priority, Resolution, State, Target, Ticket, Transition, Verdict};
use serde::Serialize;
use std::time::Duration;

/// So many entries of what happened to the server are told at most.
pub const AROUND_MOST: usize = 300;

/// What is told of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The ticket.
    pub ticket: &'a Ticket,
    /// Its log.
    pub log: &'a [Transition],
    /// Its server, where it is one.
    pub server: Option<&'a ServerRecord>,
    /// The parts of the server, those that were replaced included.
    pub parts: &'a [PartRecord],
    /// The model of the server.
    pub model: Option<&'a str>,
    /// Whose it is.
    pub customer: Option<&'a str>,
    /// The contract that covered its server when it was opened, and that one's package.
    pub contract: Option<(&'a str, &'a str)>,
    /// What happened to its server around it.
    pub timeline: &'a Timeline,
    /// What a customer reads of it.
    pub told: &'a Discretion<'a>,
}

/// The report of one fault: it holds what its audience may read, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultReport {
    /// The number of the ticket.
    pub ticket: u64,
    /// Its line.
    pub title: String,
    /// Where it stands.
    pub state: State,
    /// How urgent it is.
    pub priority: Priority,
    /// The fault, by the word of tickets.
    pub fault: String,
    /// The rule that found it first.
    pub rule: String,
    /// Whether it is an exercise.
    pub drill: bool,
    /// Whether a failure was foretold rather than seen.
    pub predicted: bool,
    /// The server.
    pub server: String,
    /// Its chassis serial.
    pub serial: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its site.
    pub site: Option<String>,
    /// Whose it is.
    pub customer: Option<String>,
    /// The contract that covered the server when the ticket was opened.
    pub contract: Option<String>,
    /// The package that it buys.
    pub package: Option<String>,
    /// The place in it.
    pub component: String,
    /// Why there is a ticket.
    pub reason: String,
    /// What kind of trouble it is; not for customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triage: Option<Triage>,
    /// What was computed, where a person set another kind; not for customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triage_computed: Option<Triage>,
    /// When the condition began (the agent's clock).
    #[serde(serialize_with = "super::json::time")]
    pub onset: Timestamp,
    /// When the ticket was opened.
    #[serde(serialize_with = "super::json::time")]
    pub opened: Timestamp,
    /// When it was resolved; `None` while it is not.
    #[serde(serialize_with = "super::json::maybe_time")]
    pub ended: Option<Timestamp>,
    /// How.
    pub resolution: Option<Resolution>,
    /// The root cause.
    pub cause: Option<String>,
    /// What a person says that it was.
    pub verdict: Option<Verdict>,
    /// What was observed, oldest first.
    pub evidence: Vec<Fact>,
    /// What happened to the ticket.
    pub timeline: Vec<Entry>,
    /// What happened to the server around it, oldest first; at most [`AROUND_MOST`], the newest.
    pub around: Vec<Around>,
    /// Its clocks with what was counted.
    pub clocks: Vec<Clock>,
    /// The parts in its place, then and now.
    pub parts: Vec<Part>,
    /// Why it came so far, and what is to be done.
    #[serde(flatten)]
    pub whys: Whys,
    /// What was known at this time.
    #[serde(serialize_with = "super::json::time")]
    pub as_of: Timestamp,
    /// For whom.
    pub audience: Audience,
}

/// Something that was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// When (the agent's clock).
    #[serde(serialize_with = "super::json::time")]
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// Something that happened to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Around {
    /// When, as well as it is known.
    #[serde(serialize_with = "super::json::time")]
    pub at: Timestamp,
    /// By which clock: `collector`, `agent`, `bmc_corrected`, `bmc`, `read`.
    pub by: &'static str,
    /// Where it is from: `log`, `power`, `firmware`, `inventory`, `gap`.
    pub source: &'static str,
    /// What, in English.
    pub en: String,
    /// What, in Chinese.
    pub zh: String,
}

/// A run of a clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clock {
    /// Its name.
    pub clock: Target,
    /// Which run of it.
    pub cycle: u32,
    /// Where it stands.
    pub status: ClockStatus,
    /// The time allowed, in words.
    pub allowed: String,
    /// The policy and its revision.
    pub policy: String,
    /// The calendar and its zone.
    pub calendar: String,
    /// When it is due, or was.
    #[serde(serialize_with = "super::json::maybe_time")]
    pub due: Option<Timestamp>,
    /// When it was met.
    #[serde(serialize_with = "super::json::maybe_time")]
    pub met_at: Option<Timestamp>,
    /// What was counted: the sum of its spans.
    #[serde(serialize_with = "super::json::span")]
    pub elapsed: Duration,
    /// What was counted, and what was not because of the ticket's state.
    pub spans: Vec<Stretch>,
}

/// A stretch of time that was counted, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The state that stopped the clock; `None` where it counted.
    pub paused_in: Option<State>,
    /// From when.
    #[serde(serialize_with = "super::json::time")]
    pub from: Timestamp,
    /// Until when.
    #[serde(serialize_with = "super::json::time")]
    pub to: Timestamp,
}

/// A part in the place of the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Whether it came after the ticket was opened.
    pub new: bool,
    /// Its model.
    pub model: Option<String>,
    /// Its serial.
    pub serial: Option<String>,
    /// Its firmware.
    pub firmware: Option<String>,
    /// When it was first seen there.
    #[serde(serialize_with = "super::json::time")]
    pub first_seen: Timestamp,
    /// When it was last seen there.
    #[serde(serialize_with = "super::json::time")]
    pub last_seen: Timestamp,
}

/// The report of a ticket.
pub fn fault(subject: Subject<'_>, promises: Promises<'_>, audience: Audience, now: Timestamp) -> FaultReport {
    let Subject { ticket, log, server, parts, model, customer, contract, timeline: around, told } = subject;
    let for_customer = audience == Audience::Customer;
    let resolved = log.iter().rev().find(|e| matches!(e.action, Action::Resolve { .. }));
    let accounts = account(promises.policies, promises.calendars, log, now);
    let Whys { mut whys, mut prevent } = whys(log, for_customer);
    let mut shown = (ticket.clone(), log.to_vec());
    if for_customer {
        shown = (told.ticket(ticket), log.iter().filter_map(|entry| told.entry(entry)).collect());
        whys.iter_mut().chain(&mut prevent).for_each(|text| *text = told.text(text));
    }
    let (ticket, log) = shown;
    let mut timeline: Vec<Entry> = log.iter().map(Entry::from).collect();
    // A milestone that was told afterwards stands where it was reached.
    timeline.sort_by_key(|entry| entry.at);
    FaultReport {
        ticket: ticket.number.0,
        title: ticket.title.clone(),
        state: ticket.state,
        priority: ticket.priority,
        fault: ticket.fault.clone(),
        rule: ticket.rule.clone(),
        drill: ticket.drill,
        predicted: ticket.predicted,
        server: ticket.server.to_string(),
        serial: server.and_then(|s| s.identity.serial.clone()),
        model: model.map(str::to_owned),
        site: ticket.site.as_ref().or(server.map(|s| &s.site)).map(ToString::to_string),
        customer: customer.map(str::to_owned),
        contract: contract.map(|(name, _)| name.to_owned()),
        package: contract.map(|(_, package)| package.to_owned()),
        component: ticket.component.to_string(),
        reason: ticket.reason.clone(),
        triage: ticket.kind().filter(|_| !for_customer),
        triage_computed: ticket.triage.clone().filter(|_| !for_customer && ticket.triage_set.is_some()),
        onset: ticket.onset,
        opened: ticket.created_at,
        ended: resolved.map(|e| e.at).filter(|_| !ticket.is_open()),
        resolution: ticket.resolution,
        cause: ticket.root_cause.clone(),
        verdict: ticket.verdict,
        evidence: ticket.evidence.iter().map(|e| Fact { at: e.observed_at, text: e.text.clone() }).collect(),
        timeline,
        around: self::around(around),
        clocks: accounts.iter().map(|a| clock(a, now)).collect(),
        parts: in_place(&ticket, parts),
        whys: Whys { whys, prevent },
        as_of: now,
        audience,
    }
}

/// Without the ticket's own log, which has a table of its own.
fn around(timeline: &Timeline) -> Vec<Around> {
    let all = timeline.entries.iter().filter(|e| !matches!(e.what, What::Ticket { .. }));
    let mut all: Vec<Around> = all
        .map(|e| Around {
            at: e.at,
            by: e.by.as_str(),
            source: e.what.source(),
            en: e.line(Lang::En),
            zh: e.line(Lang::ZhCn),
        })
        .collect();
    all.drain(..all.len().saturating_sub(AROUND_MOST));
    all
}

fn clock(account: &outband_ticket::sla::Account, now: Timestamp) -> Clock {
    let end = account.clock.met_at.unwrap_or(now);
    let counted = account.spans.iter().map(|s| Stretch { paused_in: None, from: s.from, to: s.to });
    let paused = account.pauses.iter().map(|p| Stretch {
        paused_in: Some(p.state),
        from: p.from.max(account.start),
        to: p.to.unwrap_or(end).min(end),
    });
    let mut spans: Vec<Stretch> = counted.chain(paused.filter(|s| s.from < s.to)).collect();
    spans.sort_by_key(|s| (s.from, s.to));
    Clock {
        clock: account.clock.target.clone(),
        cycle: account.clock.cycle,
        status: account.clock.status,
        allowed: account.clock.allowance.to_string(),
        policy: format!("{} {}", account.policy.0, account.policy.1),
        calendar: format!("{} ({})", account.calendar, account.zone),
        due: account.clock.due,
        met_at: account.clock.met_at,
        elapsed: account.clock.elapsed,
        spans,
    }
}

/// The part that was in the place when it failed, and those that came after it.
fn in_place(ticket: &Ticket, parts: &[PartRecord]) -> Vec<Part> {
    let here = parts.iter().filter(|p| p.part.component == ticket.component);
    let mut all: Vec<Part> = here
        .filter(|p| p.last_seen >= ticket.onset || p.current)
        .map(|p| Part {
            // The serial at fault is old, whenever it was first read.
            new: p.first_seen > ticket.created_at
                && (ticket.part_serial.is_none() || p.part.serial != ticket.part_serial),
            model: p.part.model.clone(),
            serial: p.part.serial.clone(),
            firmware: p.part.firmware.clone(),
            first_seen: p.first_seen,
            last_seen: p.last_seen,
        })
        .collect();
    let known = all.iter().any(|p| p.serial == ticket.part_serial);
    if let Some(serial) = ticket.part_serial.clone().filter(|_| !known) {
        let (first_seen, last_seen) = (ticket.onset, ticket.created_at);
        all.push(Part { new: false, model: None, serial: Some(serial), firmware: None, first_seen, last_seen });
    }
    all.sort_by_key(|p| (p.new, p.first_seen));
    all
}
