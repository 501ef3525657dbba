//! A ticket, as it is shown.

use crate::name;
use crate::output::{self, Block, Column, Document, OfServer, Rows, Shown};
use crate::when::{Time, span};
use crate::words::{Lang, Word};
use outband_proto::ticket as wire;
use serde::Serialize;

/// A ticket.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    name: String,
    state: &'static str,
    priority: &'static str,
    title: String,
    server: String,
    component: String,
    site: String,
    cause: String,
    fault: String,
    root_cause: String,
    parent: String,
    merged_into: String,
    links: Vec<String>,
    suppressed_by: String,
    verdict: String,
    /// What kind of trouble it is; `null`: nobody said.
    triage: Option<Triage>,
    policy: String,
    predicted: bool,
    reason: String,
    evidence: Vec<Evidence>,
    clocks: Vec<Clock>,
    transitions: Vec<Transition>,
    comments: Vec<Comment>,
    onset: Time,
    created_at: Time,
    updated_at: Time,
    assignee: String,
    resolution: String,
    part_serial: String,
    etag: String,
    members_total: i32,
    members: Vec<Member>,
    accesses: Vec<Access>,
}

/// What kind of trouble it is, how sure that is, and what it rests on.
#[derive(Debug, Serialize)]
pub(crate) struct Triage {
    pub(crate) class: String,
    pub(crate) confidence: String,
    pub(crate) because: Vec<String>,
}

impl From<wire::Triage> for Triage {
    fn from(t: wire::Triage) -> Self {
        Self { class: t.class, confidence: t.confidence, because: t.because }
    }
}

/// A kind of trouble and how sure it is, as people call it.
pub(crate) fn triage_text(class: &str, confidence: &str, shown: &Shown) -> String {
    let class = shown.word(match class {
        "hardware" => Word::TriageHardware,
        "firmware_configuration" => Word::TriageFirmware,
        "compatibility" => Word::TriageCompatibility,
        "environment_cooling" => Word::TriageCooling,
        "environment_power" => Word::TriagePower,
        "network" => Word::TriageNetwork,
        "" => return "–".to_owned(),
        _ => Word::TriageUnknown,
    });
    let sure = shown.word(match confidence {
        "strong" => Word::ConfidenceStrong,
        "likely" => Word::ConfidenceLikely,
        _ => Word::ConfidenceWeak,
    });
    format!("{class} ({sure})")
}

/// A ticket that is a part of this one.
#[derive(Debug, Serialize)]
struct Member {
    name: String,
    title: String,
    state: &'static str,
}

/// A temporary access that is open.
#[derive(Debug, Serialize)]
struct Access {
    grant: String,
    holder: String,
    role: String,
    until: Time,
}

#[derive(Debug, Serialize)]
struct Evidence {
    observed_at: Time,
    text: String,
}

#[derive(Debug, Serialize)]
struct Clock {
    name: String,
    status: &'static str,
    target: String,
    target_ms: i64,
    elapsed_ms: i64,
    due: Time,
    met_at: Time,
    breached_at: Time,
    flags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Transition {
    at: Time,
    who: String,
    action: String,
    from: &'static str,
    to: &'static str,
    why: String,
    /// Of a milestone that was told afterwards.
    reached_at: Time,
}

#[derive(Debug, Serialize)]
struct Comment {
    at: Time,
    who: String,
    text: String,
    visibility: String,
}

impl OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

/// The kind of trouble, as people call it.
fn kind(view: &View, shown: &Shown) -> String {
    view.triage.as_ref().map_or_else(|| "–".to_owned(), |t| triage_text(&t.class, &t.confidence, shown))
}

/// The columns of a list of tickets.
pub(crate) const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Ticket, wide: false, cell: |v, _| name::short(&v.name), raw: |v| v.name.clone() },
    Column {
        key: "priority",
        head: Word::Priority,
        wide: false,
        cell: |v, _| v.priority.to_owned(),
        raw: |v| v.priority.to_owned(),
    },
    Column {
        key: "state",
        head: Word::State,
        wide: false,
        cell: |v, s| state_text(v.state, s),
        raw: |v| v.state.to_owned(),
    },
    Column::SERVER,
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column {
        key: "triage",
        head: Word::TriageKind,
        wide: true,
        cell: kind,
        raw: |v| v.triage.as_ref().map(|t| t.class.clone()).unwrap_or_default(),
    },
    Column { key: "title", head: Word::Title, wide: false, cell: |v, _| v.title.clone(), raw: |v| v.title.clone() },
    Column {
        key: "predicted",
        head: Word::Predicted,
        wide: true,
        cell: |v, s| s.word(if v.predicted { Word::Yes } else { Word::No }),
        raw: |v| v.predicted.to_string(),
    },
    Column { key: "cause", head: Word::Rule, wide: true, cell: |v, _| v.cause.clone(), raw: |v| v.cause.clone() },
    Column {
        key: "assignee",
        head: Word::Assignee,
        wide: true,
        cell: |v, _| v.assignee.clone(),
        raw: |v| v.assignee.clone(),
    },
    Column { key: "next_clock", head: Word::NextClock, wide: false, cell: next_clock, raw: |v| raw_next(v) },
    Column {
        key: "part_serial",
        head: Word::Serial,
        wide: true,
        cell: |v, _| v.part_serial.clone(),
        raw: |v| v.part_serial.clone(),
    },
    Column { key: "onset", head: Word::Onset, wide: true, cell: |v, _| v.onset.short(), raw: |v| v.onset.text() },
    Column {
        key: "created_at",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.created_at.age(s.now_ms, s.lang),
        raw: |v| v.created_at.text(),
    },
];

const CLOCKS: &[Column<Clock>] = &[
    Column {
        key: "name",
        head: Word::Clock,
        wide: false,
        cell: |c, s| clock_text(&c.name, s),
        raw: |c| c.name.clone(),
    },
    Column { key: "target", head: Word::Target, wide: false, cell: |c, _| c.target.clone(), raw: |c| c.target.clone() },
    Column {
        key: "status",
        head: Word::Status,
        wide: false,
        cell: |c, s| status_text(c.status, s),
        raw: |c| c.status.to_owned(),
    },
    Column {
        key: "elapsed_ms",
        head: Word::Used,
        wide: false,
        cell: |c, s| span(c.elapsed_ms, s.lang),
        raw: |c| c.elapsed_ms.to_string(),
    },
    Column { key: "due", head: Word::Due, wide: false, cell: due_text, raw: |c| c.due.text() },
];

const EVIDENCE: &[Column<Evidence>] = &[
    Column {
        key: "observed_at",
        head: Word::Time,
        wide: false,
        cell: |e, _| e.observed_at.short(),
        raw: |e| e.observed_at.text(),
    },
    Column { key: "text", head: Word::What, wide: false, cell: |e, _| e.text.clone(), raw: |e| e.text.clone() },
];

const TRANSITIONS: &[Column<Transition>] = &[
    Column { key: "at", head: Word::Time, wide: false, cell: |t, _| t.at.short(), raw: |t| t.at.text() },
    Column { key: "who", head: Word::Who, wide: false, cell: |t, _| t.who.clone(), raw: |t| t.who.clone() },
    Column { key: "action", head: Word::What, wide: false, cell: done, raw: |t| t.action.clone() },
    Column { key: "to", head: Word::State, wide: false, cell: |t, s| state_text(t.to, s), raw: |t| t.to.to_owned() },
    Column { key: "why", head: Word::Why, wide: false, cell: |t, _| t.why.clone(), raw: |t| t.why.clone() },
];

const MEMBERS: &[Column<Member>] = &[
    Column { key: "name", head: Word::Ticket, wide: false, cell: |m, _| name::short(&m.name), raw: |m| m.name.clone() },
    Column {
        key: "state",
        head: Word::State,
        wide: false,
        cell: |m, s| state_text(m.state, s),
        raw: |m| m.state.into(),
    },
    Column { key: "title", head: Word::Title, wide: false, cell: |m, _| m.title.clone(), raw: |m| m.title.clone() },
];

const ACCESSES: &[Column<Access>] = &[
    Column {
        key: "grant",
        head: Word::Number,
        wide: false,
        cell: |a, _| name::short(&a.grant),
        raw: |a| a.grant.clone(),
    },
    Column { key: "holder", head: Word::Holder, wide: false, cell: |a, _| a.holder.clone(), raw: |a| a.holder.clone() },
    Column { key: "role", head: Word::Role, wide: false, cell: |a, _| a.role.clone(), raw: |a| a.role.clone() },
    Column { key: "until", head: Word::Until, wide: false, cell: |a, _| a.until.short(), raw: |a| a.until.text() },
];

const COMMENTS: &[Column<Comment>] = &[
    Column { key: "at", head: Word::Time, wide: false, cell: |c, _| c.at.short(), raw: |c| c.at.text() },
    Column { key: "who", head: Word::Who, wide: false, cell: |c, _| c.who.clone(), raw: |c| c.who.clone() },
    Column { key: "text", head: Word::Message, wide: false, cell: |c, _| c.text.clone(), raw: |c| c.text.clone() },
    Column {
        key: "visibility",
        head: Word::To,
        wide: true,
        cell: |c, _| c.visibility.clone(),
        raw: |c| c.visibility.clone(),
    },
];

/// What was done, and when it was reached where that was told afterwards.
fn done(entry: &Transition, shown: &Shown) -> String {
    // Level 0 of an escalation is what was foretold.
    if let Some(clock) = entry.action.strip_prefix("step:").and_then(|step| step.strip_suffix(":0")) {
        return format!("{}: {clock}", shown.word(Word::LikelyMissed));
    }
    match entry.reached_at {
        Time(0) => entry.action.clone(),
        reached => format!("{} @ {}", entry.action, reached.short()),
    }
}

/// The clock that matters now: one that is overdue, else the one due first, else one that is paused.
fn urgent(view: &View) -> Option<&Clock> {
    let of = |status: &'static str| view.clocks.iter().filter(move |c| c.status == status);
    let overdue = of("breached").min_by_key(|c| c.due.0.min(c.breached_at.0));
    overdue
        .or_else(|| of("running").min_by_key(|c| if c.due.0 == 0 { i64::MAX } else { c.due.0 }))
        .or_else(|| of("paused").next())
}

fn next_clock(view: &View, shown: &Shown) -> String {
    let Some(clock) = urgent(view) else { return "–".to_owned() };
    format!("{} {}", clock_text(&clock.name, shown), due_text(clock, shown))
}

fn raw_next(view: &View) -> String {
    urgent(view).map(|c| format!("{} {} {}", c.name, c.status, c.due.text())).unwrap_or_default()
}

/// `due in 3 h 12 min`, `overdue by 5 min`, `paused`, or when it was met; and that the calendar may yet move it.
fn due_text(clock: &Clock, shown: &Shown) -> String {
    let text = firm_text(clock, shown);
    if clock.flags.is_empty() { text } else { format!("{text}, {}", shown.word(Word::Provisional)) }
}

fn firm_text(clock: &Clock, shown: &Shown) -> String {
    let lang = shown.lang;
    match clock.status {
        "running" if clock.due.0 != 0 => {
            let left = span(clock.due.0 - shown.now_ms, lang);
            match lang {
                Lang::En => format!("due in {left}"),
                Lang::ZhCn => format!("{left}后到期"),
            }
        }
        "breached" => {
            let since = if clock.due.0 != 0 { clock.due.0 } else { clock.breached_at.0 };
            let over = span(shown.now_ms - since, lang);
            match lang {
                Lang::En => format!("overdue by {over}"),
                Lang::ZhCn => format!("已超时 {over}"),
            }
        }
        "met" | "met_late" => clock.met_at.short(),
        other => status_text(other, shown),
    }
}

pub(crate) fn clock_text(name: &str, shown: &Shown) -> String {
    match name {
        "respond" => shown.word(Word::Respond),
        "pickup" => shown.word(Word::ClockPickup),
        "contact" => shown.word(Word::ClockContact),
        "first_response" => shown.word(Word::ClockFirstResponse),
        "remote_access" => shown.word(Word::ClockRemoteAccess),
        "onsite" => shown.word(Word::ClockOnsite),
        "workaround" => shown.word(Word::ClockWorkaround),
        "update_cadence" => shown.word(Word::ClockUpdateCadence),
        "locate" => shown.word(Word::Locate),
        "repair" => shown.word(Word::Repair),
        other => other.to_owned(),
    }
}

pub(crate) fn status_text(status: &str, shown: &Shown) -> String {
    shown.word(match status {
        "running" => Word::Running,
        "paused" => Word::Paused,
        "met" => Word::Met,
        "met_late" => Word::MetLate,
        "breached" => Word::Breached,
        _ => Word::Unknown,
    })
}

fn state_text(state: &str, shown: &Shown) -> String {
    shown.word(match state {
        "new" => Word::New,
        "assigned" => Word::Assigned,
        "in_progress" => Word::InProgress,
        "waiting_for_customer" => Word::WaitingForCustomer,
        "waiting_for_parts" => Word::WaitingForParts,
        "resolved" => Word::Resolved,
        "closed" => Word::Closed,
        "reopened" => Word::Reopened,
        _ => return "–".to_owned(),
    })
}

/// A time and how long ago it was.
fn moment(time: Time, shown: &Shown) -> String {
    if time.0 == 0 { "–".to_owned() } else { format!("{} ({})", time.short(), time.age(shown.now_ms, shown.lang)) }
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let line = |word: Word, text: String| (shown.word(word), text);
        let mut sheet = vec![
            line(Word::Ticket, format!("{} {}", name::short(&self.name), self.priority)),
            line(Word::Title, self.title.clone()),
            line(Word::State, state_text(self.state, shown)),
            line(Word::Server, format!("{} {}", name::short(&self.server), self.site.trim_start_matches("sites/"))),
            line(Word::Component, format!("{} {}", self.component, self.part_serial)),
            line(Word::Predicted, shown.word(if self.predicted { Word::Yes } else { Word::No })),
            line(Word::Rule, self.cause.clone()),
            line(Word::Onset, moment(self.onset, shown)),
            line(Word::Opened, moment(self.created_at, shown)),
        ];
        for (word, text) in [
            (Word::Reason, &self.reason),
            (Word::Assignee, &self.assignee),
            (Word::RootCause, &self.root_cause),
            (Word::Parent, &self.parent),
            (Word::MergedInto, &self.merged_into),
            (Word::Links, &self.links.join(", ")),
            (Word::Quiet, &self.suppressed_by),
            (Word::Resolution, &self.resolution),
            (Word::Verdict, &self.verdict),
            (Word::Policy, &self.policy),
        ] {
            if !text.is_empty() {
                sheet.push(line(word, text.clone()));
            }
        }
        if let Some(t) = &self.triage {
            let kind = triage_text(&t.class, &t.confidence, shown);
            let because = if t.because.is_empty() { String::new() } else { format!(": {}", t.because.join("; ")) };
            sheet.push(line(Word::TriageKind, kind + &because));
        }
        if self.members_total > 0 {
            sheet.push(line(Word::Members, self.members_total.to_string()));
        }
        let mut blocks = vec![Block::Sheet(sheet)];
        blocks.push(output::table_of(Some(Word::Clocks), CLOCKS, &self.clocks, shown));
        blocks.push(output::table_of(Some(Word::Evidence), EVIDENCE, &self.evidence, shown));
        blocks.push(output::table_of(Some(Word::History), TRANSITIONS, &self.transitions, shown));
        blocks.push(output::table_of(Some(Word::Members), MEMBERS, &self.members, shown));
        blocks.push(output::table_of(Some(Word::Accesses), ACCESSES, &self.accesses, shown));
        blocks.push(output::table_of(Some(Word::Comments), COMMENTS, &self.comments, shown));
        blocks.retain(|b| !matches!(b, Block::Table { rows, .. } if rows.is_empty()));
        blocks
    }

    fn rows(&self) -> Rows {
        output::raw(COLUMNS, std::slice::from_ref(self))
    }
}

fn state(state: wire::State) -> &'static str {
    use wire::State as S;
    match state {
        S::Unspecified => "",
        S::New => "new",
        S::Assigned => "assigned",
        S::InProgress => "in_progress",
        S::WaitingForCustomer => "waiting_for_customer",
        S::WaitingForParts => "waiting_for_parts",
        S::Resolved => "resolved",
        S::Closed => "closed",
        S::Reopened => "reopened",
    }
}

impl From<wire::Ticket> for View {
    fn from(t: wire::Ticket) -> Self {
        use wire::Priority as P;
        let priority = match t.priority() {
            P::Unspecified => "",
            P::P1 => "P1",
            P::P2 => "P2",
            P::P3 => "P3",
            P::P4 => "P4",
        };
        Self {
            state: state(t.state()),
            priority,
            name: t.name,
            title: t.title,
            server: t.server,
            component: t.component,
            site: t.site,
            cause: t.cause,
            fault: t.fault,
            root_cause: t.root_cause,
            parent: t.parent,
            merged_into: t.merged_into,
            links: t.links.into_iter().map(|l| format!("{} {}", l.kind, l.to)).collect(),
            suppressed_by: t.suppressed_by,
            triage: t.triage.map(Triage::from),
            verdict: t.verdict,
            policy: if t.policy.is_empty() { String::new() } else { format!("{} {}", t.policy, t.policy_revision) },
            predicted: t.predicted,
            reason: t.reason,
            evidence: t
                .evidence
                .into_iter()
                .map(|e| Evidence { observed_at: Time(e.observed_at_ms), text: e.text })
                .collect(),
            clocks: t.clocks.into_iter().map(Clock::from).collect(),
            transitions: t.transitions.into_iter().map(Transition::from).collect(),
            comments: t
                .comments
                .into_iter()
                .map(|c| Comment { at: Time(c.at_ms), who: c.who, text: c.text, visibility: c.visibility })
                .collect(),
            onset: Time(t.onset_ms),
            created_at: Time(t.created_at_ms),
            updated_at: Time(t.updated_at_ms),
            assignee: t.assignee,
            resolution: t.resolution,
            part_serial: t.part_serial,
            etag: t.etag,
            members_total: 0,
            members: Vec::new(),
            accesses: Vec::new(),
        }
    }
}

impl From<wire::GetTicketResponse> for View {
    fn from(answer: wire::GetTicketResponse) -> Self {
        let member = |m: wire::Member| Member { state: state(m.state()), name: m.name, title: m.title };
        let access =
            |a: wire::Access| Access { grant: a.grant, holder: a.holder, role: a.role, until: Time(a.until_ms) };
        Self {
            members_total: answer.members_total,
            members: answer.members.into_iter().map(member).collect(),
            accesses: answer.accesses.into_iter().map(access).collect(),
            ..Self::from(answer.ticket.unwrap_or_default())
        }
    }
}

impl From<wire::Clock> for Clock {
    fn from(c: wire::Clock) -> Self {
        use wire::clock::Status as S;
        let status = match c.status() {
            S::Running => "running",
            S::Paused => "paused",
            S::Met => "met",
            S::Breached => "breached",
            S::MetLate => "met_late",
            S::Unspecified => "unknown",
        };
        Self {
            name: c.name,
            status,
            target: c.target,
            target_ms: c.target_ms,
            elapsed_ms: c.elapsed_ms,
            due: Time::optional(c.due_ms),
            met_at: Time::optional(c.met_at_ms),
            breached_at: Time::optional(c.breached_at_ms),
            flags: c.flags,
        }
    }
}

impl From<wire::Transition> for Transition {
    fn from(t: wire::Transition) -> Self {
        Self {
            at: Time(t.at_ms),
            from: state(t.from()),
            to: state(t.to()),
            who: t.who,
            action: t.action,
            why: t.why,
            reached_at: Time::optional(t.reached_at_ms),
        }
    }
}
