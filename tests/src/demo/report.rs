//! What the demo says: text for people, or one JSON document at the end with the progress on stderr.
#![allow(clippy::print_stdout, reason = "this is the demo's output")]

use super::Options;
use super::programs::{Door, Programs};
use super::watch::{News, Watch};
use crate::process;
use crate::sim::fleet::{Credentials, Plan, Protocol, Server};
use crate::sim::machine::FaultKind;
use outband_proto::ticket::{Clock, Ticket, clock};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Says what happens.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    commands: String,
    commands_shown: bool,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        // Who waits for tickets only has no time to look around.
        Self { json: options.json, commands: String::new(), commands_shown: options.until_tickets }
    }

    fn say(&self, line: &str) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }

    pub(super) fn building(&self) {
        self.say("Building agent, collector and command line (nothing to do where they are up to date) …");
    }

    pub(super) fn site(&self, plans: &[Plan], seed: u64) {
        let ipmi = plans.iter().filter(|p| p.protocol == Protocol::Ipmi).count();
        let racks = plans.iter().map(|p| p.spec.rack).max().map_or(0, |r| r + 1);
        self.say(&format!(
            "\nA simulated site on loopback, seed {seed}: {} servers in {racks} racks, {ipmi} BMCs speak IPMI (RMCP+), {} Redfish (HTTPS).\nWhat will go wrong there, which neither agent nor collector is told:",
            plans.len(),
            plans.len() - ipmi
        ));
        let mut hot: Vec<&str> = Vec::new();
        for plan in plans {
            for fault in &plan.faults {
                if fault.kind == FaultKind::InletRunsHot {
                    hot.push(&plan.spec.name);
                    continue;
                }
                self.say(&format!("  from {:>3.0} s  {}  {}", fault.onset, plan.spec.name, describe(fault.kind, plan)));
            }
        }
        let hot = match hot.as_slice() {
            [] => return,
            [one] => (*one).to_owned(),
            [first, .., last] => format!("{first} … {last}"),
        };
        self.say(&format!("  from  30 s  {hot}  the air in front of the rack gets hotter"));
    }

    /// How to reach the BMCs of a site that runs alone.
    pub(super) fn bmcs(&self, site: &[Server], credentials: &Credentials) {
        self.say(&format!("\nUser {}, password {}", credentials.user, credentials.password));
        for server in site {
            let what = server.bmc.describe(&server.plan);
            self.say(&format!("  {}  {}  ({what})", server.plan.spec.name, server.bmc.url()));
        }
        self.say("Ctrl-C ends the site.");
    }

    pub(super) fn running(&mut self, programs: &Programs, door: &Door, after: Duration) {
        self.say(&format!(
            "\nCollector {} and agent are running after {:.1} s. Files are in {}; logs are {} and {}.\n",
            door.operators,
            after.as_secs_f64(),
            programs.root().display(),
            programs.log("outband-agent").display(),
            programs.log("outband-collector").display(),
        ));
        let outband = process::program_path("outband");
        self.commands = format!(
            "Look around in another terminal:\n  export OUTBAND_ENDPOINT={} OUTBAND_CA={} OUTBAND_TOKEN_FILE={}\n  alias outband={}\n  outband servers\n  outband health\n  outband tickets\n  outband tickets --watch\n  outband events\n  outband agents\n",
            door.operators,
            door.ca.display(),
            door.token.display(),
            outband.display(),
        );
    }

    pub(super) fn news(&mut self, news: &News, watch: &Watch, after: Duration) {
        if news.counts {
            let (servers, healths) = watch.counts();
            let healths: Vec<String> = healths.iter().map(|(word, n)| format!("{n} {word}")).collect();
            let after = after.as_secs_f64();
            self.say(&format!(
                "{after:>6.1} s  {servers} servers known: {}; {} tickets",
                healths.join(", "),
                watch.tickets()
            ));
        }
        for ticket in &news.opened {
            self.opened(ticket, watch);
        }
        for ticket in &news.moved {
            let state = word(ticket.state().as_str_name());
            self.say(&format!("{:>6.1} s  {} is now {state}", after.as_secs_f64(), ticket.name));
        }
        if !self.commands_shown && watch.missing().is_empty() {
            self.commands_shown = true;
            self.say(&format!("\n{}\nCtrl-C ends the demo.\n", self.commands));
        }
    }

    fn opened(&self, ticket: &Ticket, watch: &Watch) {
        let what = if ticket.predicted { "PREDICTED FAILURE" } else { "FAULT" };
        let priority = ticket.priority().as_str_name().trim_start_matches("PRIORITY_").to_owned();
        self.say(&format!(
            "{:>6.1} s  {what}  {} {}  {}  {}\n          why:    {}",
            watch.seconds_to(ticket),
            watch.server_name(ticket),
            ticket.component,
            ticket.name,
            priority,
            ticket.reason,
        ));
        let clocks: Vec<String> = ticket.clocks.iter().map(clock_words).collect();
        self.say(&format!("          clocks: {}", clocks.join("; ")));
    }

    pub(super) fn done(&self, watch: &Watch, options: &Options, after: Duration) {
        self.outcome(watch, options, after);
        for ticket in watch.wished() {
            let seconds = watch.seconds_to(ticket);
            self.say(&format!(
                "{} for {} was open {seconds:.1} s after the programs' start.",
                ticket.name, ticket.component
            ));
        }
    }

    pub(super) fn failed(&self, watch: &Watch, options: &Options, after: Duration) {
        self.outcome(watch, options, after);
        let missing: Vec<String> =
            watch.missing().iter().map(|c| format!("a ticket for a predicted {c} failure")).collect();
        eprintln!("Not within {} s: {}.", options.timeout.as_secs(), missing.join(" and "));
    }

    fn outcome(&self, watch: &Watch, options: &Options, after: Duration) {
        if self.json {
            let tickets: Vec<Value> = watch.wished().into_iter().map(|t| as_json(t, watch)).collect();
            let document = json!({
                "seed": options.seed, "servers": options.servers, "elapsed_s": after.as_secs_f64(), "tickets": tickets,
                "missing": watch.missing(),
            });
            println!("{document:#}");
        }
    }

    pub(super) fn ending(&self) {
        self.say("\nEnding agent and collector …");
    }
}

fn describe(kind: FaultKind, plan: &Plan) -> String {
    match kind {
        FaultKind::DiskWears { bay } => format!("the drive in bay {bay} reallocates more and more sectors"),
        FaultKind::FanWears { fan } => format!("fan {} wears: slower and slower at equal duty", fan + 1),
        FaultKind::PsuInputLost { psu } => format!("power supply {} loses its input", psu + 1),
        FaultKind::InletRunsHot => "the air at the inlet gets hotter".to_owned(),
        FaultKind::EccBursts { dimm } => {
            format!("memory module {} of {} corrects errors in bursts", dimm + 1, plan.spec.dimms)
        }
        FaultKind::BmcSilent => "the BMC stops answering".to_owned(),
    }
}

/// A clock in words.
fn clock_words(clock: &Clock) -> String {
    let name = &clock.name;
    match (clock.status(), clock.due_ms) {
        (clock::Status::Running, Some(due)) => format!("{name} within {}, {} left", clock.target, span(due - now_ms())),
        (clock::Status::Running, None) => format!("{name} within {}", clock.target),
        (clock::Status::Paused, _) => format!("{name} within {}, paused", clock.target),
        (clock::Status::Met, _) => format!("{name} met"),
        (clock::Status::Breached, _) => format!("{name} within {}, BREACHED", clock.target),
        (clock::Status::MetLate, _) => format!("{name} met late"),
        (clock::Status::Unspecified, _) => name.clone(),
    }
}

/// The word of an enum's value: `STATE_IN_PROGRESS` → `in_progress`.
fn word(name: &str) -> String {
    name.split_once('_').map_or(name, |(_, word)| word).to_ascii_lowercase()
}

fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn as_json(ticket: &Ticket, watch: &Watch) -> Value {
    let clocks: Vec<Value> = ticket
        .clocks
        .iter()
        .map(|c| json!({"name": c.name, "status": word(c.status().as_str_name()), "target": c.target, "due_ms": c.due_ms, "elapsed_ms": c.elapsed_ms}))
        .collect();
    let evidence: Vec<&str> = ticket.evidence.iter().map(|e| e.text.as_str()).collect();
    json!({
        "name": ticket.name, "predicted": ticket.predicted, "title": ticket.title, "server": ticket.server,
        "server_name": watch.server_name(ticket), "component": ticket.component, "cause": ticket.cause, "reason": ticket.reason,
        "part_serial": ticket.part_serial, "state": word(ticket.state().as_str_name()), "priority": ticket.priority().as_str_name().trim_start_matches("PRIORITY_"),
        "seconds_after_start": watch.seconds_to(ticket), "onset_ms": ticket.onset_ms, "created_at_ms": ticket.created_at_ms,
        "evidence": evidence, "clocks": clocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enums_value_is_told_by_its_word() {
        assert_eq!(word("STATE_IN_PROGRESS"), "in_progress");
    }

    #[test]
    fn a_span_is_written_as_a_clock_shows_it() {
        assert_eq!(span(3_599_999), "59:59");
        assert_eq!(span(3_600_000 + 61_000), "1:01:01");
        assert_eq!(span(-5), "0:00");
    }
}
