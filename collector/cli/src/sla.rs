//! `outband tickets sla` and `outband time`.

use crate::context::Context;
use crate::error::Error;
use crate::name;
use crate::once::RequestArgs;
use crate::output::{self, Block, Column, Document, Rows, Shown};
use crate::when::{self, Time, span};
use crate::words::{Lang, Word};
use outband_proto::sla as wire;
use serde::Serialize;

/// The sums behind the clocks of a ticket.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    at: Time,
    tzdb: String,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    clock: String,
    cycle: i32,
    status: String,
    policy: String,
    policy_revision: i32,
    priority: String,
    target: String,
    calendar: String,
    calendar_revision: i32,
    zone: String,
    start: Time,
    due: Time,
    met_at: Time,
    elapsed_ms: i64,
    remaining_ms: Option<i64>,
    spans: Vec<Counted>,
    pauses: Vec<Pause>,
    flags: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Counted {
    from: Time,
    to: Time,
    ms: i64,
    why: String,
}

#[derive(Debug, Serialize)]
struct Pause {
    from: Time,
    to: Time,
    state: String,
}

const COUNTED: &[Column<Counted>] = &[
    Column { key: "from", head: Word::From, wide: false, cell: |c, _| c.from.short(), raw: |c| c.from.text() },
    Column { key: "to", head: Word::Until, wide: false, cell: |c, _| c.to.short(), raw: |c| c.to.text() },
    Column { key: "ms", head: Word::Used, wide: false, cell: |c, s| span(c.ms, s.lang), raw: |c| c.ms.to_string() },
    Column { key: "why", head: Word::Why, wide: false, cell: |c, s| why(&c.why, s), raw: |c| c.why.clone() },
];

/// What a spreadsheet reads: a counted span with the run that it belongs to.
const KEYS: [&str; 8] = ["ticket", "clock", "cycle", "policy", "from", "to", "ms", "why"];

fn why(word: &str, shown: &Shown) -> String {
    match word {
        "started" => shown.word(Word::ClockStarted),
        "rebased" => shown.word(Word::ClockRebased),
        "resumed" => shown.word(Word::ClockResumed),
        "opened" => shown.word(Word::HoursOpened),
        other => other.to_owned(),
    }
}

/// `3 h 12 min left`, or how much too long it took.
fn left(run: &Run, shown: &Shown) -> Option<String> {
    let left = span(run.remaining_ms?, shown.lang);
    Some(match shown.lang {
        Lang::En => format!("{left} left"),
        Lang::ZhCn => format!("剩余 {left}"),
    })
}

impl Run {
    fn sheet(&self, shown: &Shown) -> Block {
        let line = |word: Word, text: String| (shown.word(word), text);
        let name = crate::ticket_view::clock_text(&self.clock, shown);
        let name = if self.cycle > 1 { format!("{name} #{}", self.cycle) } else { name };
        let used = span(self.elapsed_ms, shown.lang);
        let mut lines = vec![
            line(Word::Clock, format!("{name} ({})", crate::ticket_view::status_text(&self.status, shown))),
            line(Word::Target, format!("{} {} · {} {}", self.priority, self.target, self.policy, self.policy_revision)),
            line(Word::Used, left(self, shown).map_or(used.clone(), |left| format!("{used}, {left}"))),
            line(Word::Due, self.due.short()),
            line(Word::Calendar, format!("{} {} ({})", self.calendar, self.calendar_revision, self.zone)),
        ];
        for pause in &self.pauses {
            let until = pause.to.short();
            lines.push(line(Word::Paused, format!("{} – {until} {}", pause.from.short(), pause.state)));
        }
        for flag in &self.flags {
            let word = if flag == "beyond_calendar" { Word::BeyondCalendar } else { Word::BeforeCalendar };
            lines.push(line(Word::Note, shown.word(word)));
        }
        Block::Sheet(lines)
    }
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut blocks = Vec::new();
        for run in &self.runs {
            blocks.push(run.sheet(shown));
            if !run.spans.is_empty() {
                blocks.push(output::table_of(None, COUNTED, &run.spans, shown));
            }
        }
        if blocks.is_empty() {
            blocks.push(Block::Note(shown.word(Word::NoClocks)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        let mut rows = Vec::new();
        for run in &self.runs {
            rows.extend(run.spans.iter().map(|c| {
                let policy = format!("{}/{}", run.policy, run.policy_revision);
                let head = [self.name.clone(), run.clock.clone(), run.cycle.to_string(), policy];
                let tail = [c.from.text(), c.to.text(), c.ms.to_string(), c.why.clone()];
                head.into_iter().chain(tail).collect()
            }));
        }
        (KEYS.to_vec(), rows)
    }
}

impl From<wire::Run> for Run {
    fn from(r: wire::Run) -> Self {
        let counted = |c: wire::Counted| Counted {
            from: Time(c.from_ms),
            to: Time(c.to_ms),
            ms: c.to_ms - c.from_ms,
            why: c.why,
        };
        let pause = |p: wire::Pause| Pause { from: Time(p.from_ms), to: Time::optional(p.to_ms), state: p.state };
        Self {
            clock: r.clock,
            cycle: r.cycle,
            status: r.status,
            policy: r.policy,
            policy_revision: r.policy_revision,
            priority: r.priority,
            target: r.target,
            calendar: r.calendar,
            calendar_revision: r.calendar_revision,
            zone: r.zone,
            start: Time(r.start_ms),
            due: Time::optional(r.due_ms),
            met_at: Time::optional(r.met_at_ms),
            elapsed_ms: r.elapsed_ms,
            remaining_ms: r.remaining_ms,
            spans: r.spans.into_iter().map(counted).collect(),
            pauses: r.pauses.into_iter().map(pause).collect(),
            flags: r.flags,
        }
    }
}

/// Shows how the clocks of a ticket were counted.
pub(crate) async fn sums(context: &Context, number: &str, at: Option<&str>) -> Result<(), Error> {
    let at_ms = at.map(|text| when::parse(text, context.shown().now_ms)).transpose()?;
    let request = wire::ComputeSlaRequest { name: name::ticket(number), at_ms };
    let answer = context.api.sla().compute_sla(request).await?.into_inner();
    let runs = answer.runs.into_iter().map(Run::from).collect();
    let view = View { name: answer.name, at: Time(answer.at_ms), tzdb: answer.tzdb, runs };
    output::print(&context.render(&view)?)
}

/// The collector's time.
#[derive(Debug, Serialize)]
struct TimeView {
    at: Time,
    /// By how much the wall clock is ahead, where it is not followed.
    held_ms: Option<i64>,
}

impl Document for TimeView {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut lines = vec![(shown.word(Word::Time), self.at.text())];
        if let Some(held) = self.held_ms {
            let sign = if held < 0 { "-" } else { "+" };
            lines.push((shown.word(Word::WallClockHeld), format!("{sign}{}", span(held.saturating_abs(), shown.lang))));
        }
        vec![Block::Sheet(lines)]
    }

    fn rows(&self) -> Rows {
        let held = self.held_ms.map(|h| h.to_string()).unwrap_or_default();
        (vec!["at", "held_ms"], vec![vec![self.at.text(), held]])
    }
}

/// Shows the collector's time, or has it follow the wall clock.
pub(crate) async fn time(context: &Context, confirm: bool, request: RequestArgs) -> Result<(), Error> {
    if confirm {
        context.api.sla().confirm_time(wire::ConfirmTimeRequest { request_id: request.request_id }).await?;
    }
    let answer = context.api.sla().get_time(wire::GetTimeRequest {}).await?.into_inner();
    output::print(&context.render(&TimeView { at: Time(answer.at_ms), held_ms: answer.held_ms })?)
}
