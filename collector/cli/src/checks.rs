//! `outband health check`, `checks` and `show`.

use crate::context::Context;
use crate::error::Error;
use crate::health::status_word;
use crate::once::RequestArgs;
use crate::output::{self, Block, Column, Document, List, OfServer, Rows, Shown};
use crate::ticket_view::triage_text;
use crate::when::Time;
use crate::words::{Lang, Word};
use crate::{name, paging, watch};
use clap::Subcommand;
use outband_proto::check::{self as wire, GetHealthCheckRequest, ListHealthChecksRequest, RunHealthCheckRequest};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How often it is asked how far a check is.
const LOOK: Duration = Duration::from_millis(400);

pub(crate) const HELP: &str = "\
`health` alone tells what is known; `health check` has the BMC read whole first, by the agent that polls it anyway: sensors, logs, drives, inventory. It changes
nothing at the server. Where the BMC cannot be read, the report says why, and what was known before. Checks also come by themselves: [health_check] of collector.toml.

Examples:
  outband health                              all sites and servers
  outband health srv-1                        one server and its components
  outband health sites/dc1                    one site and its servers
  outband health 'srv-1/disk/Bay 3'           one component
  outband health check srv-1                  read it now, and report: score, findings with advice, what changed, what could not be read
  outband health check srv-1 --html srv-1.html
  outband health checks srv-1                 earlier checks
  outband health show 12                      the report of one

STALE and UNKNOWN are not OK: nothing recent is known.
Exit code of check and show: 0 well, 6 there are findings, 7 the BMC could not be read.";

#[derive(Debug, Subcommand)]
pub(crate) enum HealthCommand {
    /// Read a server's BMC whole, now, and report
    Check {
        /// The server, as `outband servers` shows it
        server: String,
        /// Only begin it; `outband health show` tells what came of it
        #[arg(long)]
        no_wait: bool,
        /// Write the report as a page, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Checks that were made, newest first
    Checks {
        /// Only of this server
        server: Option<String>,
    },
    /// The report of a check
    Show {
        /// Its number
        number: String,
        /// Write it as a page, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

/// A check.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    server: String,
    requester: String,
    plan: String,
    requested_at: Time,
    /// `waiting`, `reading`, `assessing`, `done`, `unread`.
    state: String,
    why: String,
    ended_at: Time,
    report: Option<Report>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// `healthy`, `findings`, `unchecked`.
    verdict: String,
    summary: String,
    server_name: String,
    site: String,
    model: String,
    serial: String,
    score: Option<u32>,
    status: String,
    fresh: bool,
    newest_reading: Time,
    since: Time,
    losses: Vec<Loss>,
    findings: Vec<Finding>,
    unread: Vec<Unread>,
    part_changes: Vec<PartChange>,
    firmware: Vec<Firmware>,
    entries: Vec<Entry>,
    entries_left_out: i32,
    trend: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Loss {
    points: u32,
    component: String,
    rule: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Finding {
    component: String,
    fault: String,
    title: String,
    predicted: bool,
    level: String,
    reason: String,
    onset: Time,
    evidence: Vec<String>,
    ticket: String,
    triage: String,
    triage_confidence: String,
    triage_because: Vec<String>,
    advice: String,
}

#[derive(Debug, Serialize)]
struct Unread {
    what: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct PartChange {
    component: String,
    was: String,
    now: String,
}

#[derive(Debug, Serialize)]
struct Firmware {
    component: String,
    version: String,
}

#[derive(Debug, Serialize)]
struct Entry {
    at: Time,
    severity: String,
    component: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct Point {
    at: Time,
    score: u32,
}

impl OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Number, wide: false, cell: |v, _| number(&v.name), raw: |v| v.name.clone() },
    Column::SERVER,
    Column {
        key: "requested_at",
        head: Word::CheckAsked,
        wide: false,
        cell: |v, _| v.requested_at.short(),
        raw: |v| v.requested_at.text(),
    },
    Column {
        key: "requester",
        head: Word::Who,
        wide: true,
        cell: |v, _| v.requester.clone(),
        raw: |v| v.requester.clone(),
    },
    Column { key: "plan", head: Word::CheckPlan, wide: true, cell: |v, _| or_dash(&v.plan), raw: |v| v.plan.clone() },
    Column { key: "result", head: Word::CheckResult, wide: false, cell: result, raw: |v| verdict(v).to_owned() },
    Column { key: "score", head: Word::Score, wide: false, cell: |v, _| or_dash(&score(v)), raw: score },
    Column { key: "findings", head: Word::CheckCount, wide: false, cell: |v, _| or_dash(&count(v)), raw: count },
    Column { key: "why", head: Word::Why, wide: false, cell: |v, _| or_dash(&v.why), raw: |v| v.why.clone() },
];

fn number(name: &str) -> String {
    name.trim_start_matches("checks/").to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

fn score(view: &View) -> String {
    view.report.as_ref().and_then(|r| r.score).map(|s| s.to_string()).unwrap_or_default()
}

fn count(view: &View) -> String {
    view.report.as_ref().map(|r| r.findings.len().to_string()).unwrap_or_default()
}

/// What it came to, or how far it is.
fn verdict(view: &View) -> &str {
    view.report.as_ref().map_or(view.state.as_str(), |r| r.verdict.as_str())
}

fn result(view: &View, shown: &Shown) -> String {
    shown.word(match verdict(view) {
        "healthy" => Word::CheckHealthy,
        "findings" => Word::CheckFindings,
        "waiting" => Word::CheckWaiting,
        "reading" => Word::CheckReading,
        "assessing" => Word::CheckAssessing,
        _ => Word::CheckUnchecked,
    })
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let line = |word: Word, text: String| (shown.word(word), text);
        let mut sheet = vec![
            line(Word::Number, number(&self.name)),
            line(Word::Server, name::short(&self.server)),
            line(Word::CheckAsked, self.requested_at.short()),
            line(Word::CheckResult, result(self, shown)),
        ];
        if !self.why.is_empty() {
            sheet.push(line(Word::Why, self.why.clone()));
        }
        let Some(report) = &self.report else { return vec![Block::Sheet(sheet)] };
        sheet.push(line(Word::Score, or_dash(&score(self))));
        sheet.push(line(Word::Status, shown.word(status_word(&report.status))));
        for (word, text) in [(Word::Model, &report.model), (Word::Serial, &report.serial), (Word::Site, &report.site)] {
            sheet.push(line(word, or_dash(text)));
        }
        sheet.push(line(Word::CheckSummary, report.summary.clone()));
        let mut blocks = vec![Block::Sheet(sheet)];
        report.tables(shown, &mut blocks);
        blocks.retain(|b| !matches!(b, Block::Table { rows, .. } if rows.is_empty()));
        blocks
    }

    fn rows(&self) -> Rows {
        let keys = vec!["name", "server", "component", "fault", "predicted", "triage", "reason", "ticket", "advice"];
        let findings = self.report.iter().flat_map(|r| &r.findings);
        let row = |f: &Finding| {
            let predicted = f.predicted.to_string();
            let texts = [&self.name, &self.server, &f.component, &f.fault, &predicted, &f.triage, &f.reason, &f.ticket];
            texts.into_iter().chain([&f.advice]).cloned().collect()
        };
        (keys, findings.map(row).collect())
    }
}

impl Report {
    fn tables(&self, shown: &Shown, blocks: &mut Vec<Block>) {
        let mut table = |title: Word, head: &[Word], rows: Vec<Vec<String>>| {
            let head = head.iter().map(|word| shown.word(*word)).collect();
            blocks.push(Block::Table { title: Some(shown.word(title)), head, rows });
        };
        let finding = |f: &Finding| {
            let kind = triage_text(&f.triage, &f.triage_confidence, shown);
            let ticket = or_dash(&name::short(&f.ticket));
            vec![f.component.clone(), f.title.clone(), kind, f.reason.clone(), ticket, f.advice.clone()]
        };
        table(
            Word::CheckFindingsTable,
            &[Word::Component, Word::Fault, Word::TriageKind, Word::Reason, Word::Ticket, Word::CheckAdvice],
            self.findings.iter().map(finding).collect(),
        );
        let loss = |l: &Loss| vec![format!("-{}", l.points), l.component.clone(), l.rule.clone(), l.reason.clone()];
        table(
            Word::Penalties,
            &[Word::Points, Word::Component, Word::Rule, Word::Reason],
            self.losses.iter().map(loss).collect(),
        );
        let unread = |u: &Unread| vec![or_dash(&u.what), u.why.clone()];
        table(Word::CheckUnread, &[Word::Name, Word::Reason], self.unread.iter().map(unread).collect());
        let change = |c: &PartChange| vec![c.component.clone(), or_dash(&c.was), or_dash(&c.now)];
        table(
            Word::CheckChanged,
            &[Word::Component, Word::CheckWas, Word::CheckIs],
            self.part_changes.iter().map(change).collect(),
        );
        let firmware = |f: &Firmware| vec![f.component.clone(), f.version.clone()];
        table(Word::CheckFirmware, &[Word::Component, Word::Version], self.firmware.iter().map(firmware).collect());
        let entry = |e: &Entry| vec![e.at.short(), e.severity.clone(), e.component.clone(), e.message.clone()];
        table(
            Word::CheckEntries,
            &[Word::Time, Word::Severity, Word::Component, Word::Message],
            self.entries.iter().map(entry).collect(),
        );
        let point = |p: &Point| vec![p.at.short(), p.score.to_string()];
        table(Word::CheckTrend, &[Word::Time, Word::Score], self.trend.iter().map(point).collect());
    }
}

impl From<wire::HealthCheck> for View {
    fn from(c: wire::HealthCheck) -> Self {
        Self {
            name: c.name,
            server: c.server,
            requester: c.requester,
            plan: c.plan,
            requested_at: Time(c.requested_at_ms),
            state: c.state,
            why: c.why,
            ended_at: Time::optional(c.ended_at_ms),
            report: c.report.map(Report::from),
        }
    }
}

impl From<wire::Report> for Report {
    fn from(r: wire::Report) -> Self {
        let loss = |l: wire::Loss| Loss { points: l.points, component: l.component, rule: l.rule, reason: l.reason };
        let change = |c: wire::PartChange| PartChange { component: c.component, was: c.was, now: c.now };
        let entry = |e: wire::Entry| Entry {
            at: Time(e.at_ms),
            severity: e.severity,
            component: e.component,
            message: e.message,
        };
        Self {
            verdict: r.verdict,
            summary: r.summary,
            server_name: r.server_name,
            site: r.site,
            model: r.model,
            serial: r.serial,
            score: r.score,
            status: r.status,
            fresh: r.fresh,
            newest_reading: Time(r.newest_reading_ms),
            since: Time::optional(r.since_ms),
            losses: r.losses.into_iter().map(loss).collect(),
            findings: r.findings.into_iter().map(Finding::from).collect(),
            unread: r.unread.into_iter().map(|u| Unread { what: u.what, why: u.why }).collect(),
            part_changes: r.part_changes.into_iter().map(change).collect(),
            firmware: r.firmware.into_iter().map(|f| Firmware { component: f.component, version: f.version }).collect(),
            entries: r.entries.into_iter().map(entry).collect(),
            entries_left_out: r.entries_left_out,
            trend: r.trend.into_iter().map(|p| Point { at: Time(p.at_ms), score: p.score }).collect(),
        }
    }
}

impl From<wire::Finding> for Finding {
    fn from(f: wire::Finding) -> Self {
        Self {
            component: f.component,
            fault: f.fault,
            title: f.title,
            predicted: f.predicted,
            level: f.level,
            reason: f.reason,
            onset: Time(f.onset_ms),
            evidence: f.evidence,
            ticket: f.ticket,
            triage: f.triage,
            triage_confidence: f.triage_confidence,
            triage_because: f.triage_because,
            advice: f.advice,
        }
    }
}

pub(crate) async fn run(context: &Context, command: HealthCommand) -> Result<(), Error> {
    match command {
        HealthCommand::Check { server, no_wait, html, request: RequestArgs { request_id } } => {
            let request = RunHealthCheckRequest { server: name::server(&server), request_id };
            let begun = context.api.checks().run_health_check(request).await?.into_inner().check.unwrap_or_default();
            if no_wait {
                return output::print(&context.render(&View::from(begun))?);
            }
            let over = follow(context, begun, html.is_some()).await?;
            tell(context, over, html)
        }
        HealthCommand::Checks { server } => {
            let server = server.map(|s| name::server(&s)).unwrap_or_default();
            watch::show(context, async || {
                let paged = paging::follow(context.limit, async |page_size, page_token| {
                    let request = ListHealthChecksRequest { server: server.clone(), page_size, page_token };
                    let answer = context.api.checks().list_health_checks(request).await?.into_inner();
                    Ok((answer.checks.into_iter().map(View::from).collect(), answer.next_page_token))
                })
                .await?;
                context.render(&List { name: "checks", columns: COLUMNS, paged, none: Word::NoChecks })
            })
            .await
        }
        HealthCommand::Show { number, html } => {
            let check = get(context, &format!("checks/{}", self::number(&number)), html.is_some()).await?;
            tell(context, check, html)
        }
    }
}

async fn get(context: &Context, name: &str, html: bool) -> Result<wire::HealthCheck, Error> {
    let language = match context.lang {
        Lang::En => "en",
        Lang::ZhCn => "zh-CN",
    };
    let request = GetHealthCheckRequest { name: name.to_owned(), language: language.to_owned(), html };
    Ok(context.api.checks().get_health_check(request).await?.into_inner().check.unwrap_or_default())
}

/// Waits until a check is over, and says meanwhile how far it is where somebody looks on.
async fn follow(context: &Context, begun: wire::HealthCheck, html: bool) -> Result<wire::HealthCheck, Error> {
    let (shown, looked_on) = (context.shown(), std::io::stderr().is_terminal());
    let mut told = String::new();
    loop {
        let check = get(context, &begun.name, html).await?;
        if check.done {
            return Ok(check);
        }
        let why = check.why.clone();
        let mut line = format!("{}: {}", name::short(&check.server), result(&View::from(check), &shown));
        if !why.is_empty() {
            line = format!("{line} ({why})");
        }
        if looked_on && line != told {
            eprintln!("{line} …");
            told = line;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Shows a report, and ends with what it came to.
fn tell(context: &Context, check: wire::HealthCheck, html: Option<PathBuf>) -> Result<(), Error> {
    if let Some(path) = html.filter(|_| !check.html.is_empty()) {
        std::fs::write(&path, &check.html).map_err(|source| Error::File { path, source })?;
    }
    let view = View::from(check);
    output::print(&context.render(&view)?)?;
    match verdict(&view) {
        "findings" => Err(Error::Told { exit_code: 6 }),
        "unchecked" => Err(Error::Told { exit_code: 7 }),
        _ => Ok(()),
    }
}
