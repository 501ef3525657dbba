//! A ticket, as it is shown.

mod read;
mod text;

use crate::name;
use crate::output::{self, Block, Column, Document, OfServer, Rows, Shown};
use crate::when::{Time, span};
use crate::words::Word;
use serde::Serialize;
pub(crate) use text::{clock_text, status_text};
use text::{done, due_text, moment, next_clock, raw_next, state_text};

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
    /// What was computed, where a person said something else.
    triage_computed: Option<Triage>,
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
    /// Of a kind that a person set: who, and when.
    pub(crate) set_by: String,
    pub(crate) set_at: Time,
}

impl Triage {
    fn line(&self, shown: &Shown) -> String {
        let kind = triage_text(&self.class, &self.confidence, shown);
        let who = if self.set_by.is_empty() { String::new() } else { format!(" {}", self.set_by) };
        let because = if self.because.is_empty() { String::new() } else { format!(": {}", self.because.join("; ")) };
        format!("{kind}{who}{because}")
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
        "set" => Word::ConfidenceSet,
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
        if self.state == "closed"
            && self.verdict.is_empty()
            && !matches!(self.resolution.as_str(), "recovered" | "merged")
        {
            let command = format!("outband tickets verdict {} …", name::short(&self.name));
            sheet.push(line(Word::Verdict, format!("{} ({command})", shown.word(Word::NotGiven).to_lowercase())));
        }
        if let Some(t) = &self.triage {
            sheet.push(line(Word::TriageKind, t.line(shown)));
        }
        if let Some(t) = &self.triage_computed {
            sheet.push(line(Word::TriageComputed, t.line(shown)));
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
