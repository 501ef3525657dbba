//! `outband incidents`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{Column, List, OfServer};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use outband_proto::incident::{Incident, ListIncidentsRequest};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct View {
    server: String,
    component: String,
    fault: String,
    stage: String,
    predicted: bool,
    reason: String,
    onset: Time,
    noted_at: Time,
    ticket: String,
    /// Why it has no ticket of its own.
    hold: String,
    held_by: String,
    held_until: Time,
    members: i32,
    /// Of a storm, where the incidents of its ticket are asked for.
    member_names: Vec<String>,
}

impl OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

const COLUMNS: &[Column<View>] = &[
    Column::SERVER,
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column { key: "fault", head: Word::Fault, wide: false, cell: |v, _| v.fault.clone(), raw: |v| v.fault.clone() },
    Column { key: "stage", head: Word::State, wide: false, cell: |v, _| v.stage.clone(), raw: |v| v.stage.clone() },
    Column {
        key: "onset",
        head: Word::Onset,
        wide: false,
        cell: |v, s| v.onset.age(s.now_ms, s.lang),
        raw: |v| v.onset.text(),
    },
    Column {
        key: "ticket",
        head: Word::Ticket,
        wide: false,
        cell: |v, _| if v.ticket.is_empty() { "–".to_owned() } else { name::short(&v.ticket) },
        raw: |v| v.ticket.clone(),
    },
    Column {
        key: "hold",
        head: Word::NoTicketFor,
        wide: false,
        cell: |v, _| match (v.hold.as_str(), v.held_by.as_str()) {
            ("", _) => "–".to_owned(),
            (hold, "") => hold.to_owned(),
            (hold, by) => format!("{hold}: {by}"),
        },
        raw: |v| v.hold.clone(),
    },
    Column {
        key: "held_until",
        head: Word::To,
        wide: true,
        cell: |v, _| v.held_until.short(),
        raw: |v| v.held_until.text(),
    },
    Column {
        key: "members",
        head: Word::Members,
        wide: false,
        cell: |v, _| if v.members == 0 { "–".to_owned() } else { v.members.to_string() },
        raw: |v| v.members.to_string(),
    },
    Column { key: "reason", head: Word::Reason, wide: false, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
];

impl From<Incident> for View {
    fn from(i: Incident) -> Self {
        Self {
            server: i.server,
            component: i.component,
            fault: i.fault,
            stage: i.stage,
            predicted: i.predicted,
            reason: i.reason,
            onset: Time(i.onset_ms),
            noted_at: Time(i.noted_at_ms),
            ticket: i.ticket,
            hold: i.hold,
            held_by: i.held_by,
            held_until: Time::optional(i.held_until_ms),
            members: i.members,
            member_names: i.member_names,
        }
    }
}

pub(crate) async fn run(
    context: &Context,
    server: Option<String>,
    held: bool,
    ticket: Option<String>,
) -> Result<(), Error> {
    let ticket = ticket.map(|t| name::ticket(&t)).unwrap_or_default();
    let server = server.map(|s| name::server(&s)).unwrap_or_default();
    watch::show(context, async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request =
                ListIncidentsRequest { server: server.clone(), held, page_size, page_token, ticket: ticket.clone() };
            let answer = context.api.incidents().list_incidents(request).await?.into_inner();
            Ok((answer.incidents.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "incidents", columns: COLUMNS, paged, none: Word::NoIncidents })
    })
    .await
}
