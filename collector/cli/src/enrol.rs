//! `outband agent`: who may join, and which agent no longer belongs.

use crate::context::Context;
use crate::error::Error;
use crate::once::RequestArgs;
use crate::output::{self, Column, List};
use crate::paging::Paged;
use crate::when::Time;
use crate::words::Word;
use crate::{name, record};
use clap::Subcommand;
use outband_proto::enrol::{
    ApprovePendingAgentRequest, CreateInviteRequest, Invite, ListInvitesRequest, ListPendingAgentsRequest,
    PendingAgent, RevokeAgentRequest, RevokeInviteRequest,
};
use serde::Serialize;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
An agent says who it is by a certificate of its own, which it renews by itself. It gets the first one in either of two ways:

  with an invite: here `outband agent invite --site dc1`, at the agent's machine `outband-agent join`, and paste the line;
  without:        at the agent's machine `outband-agent join --collector HOST:PORT`, which shows six words; here
                  `outband agent pending`, and if the words are the same, `outband agent approve WORDS… --site dc1`.

Examples:
  outband agent invite --site dc1 --agent dc1-agent-1                one line, good for an hour, for one agent
  outband agent invite --site dc1 --valid 24h --out dc1.line         into a file that nobody else may read
  outband agent invites                                              invites that nobody used yet
  outband agent revoke-invite 3
  outband agent pending                                              agents that wait, and their words
  outband agent approve vivid otter lunar maple crisp tulip --site dc1
  outband agent revoke dc1-agent-1 --why 'machine stolen'            refuses its certificate and cuts its stream, at once
  outband agents                                                     all of them, how each says who it is, until when";

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Print one line that lets one agent in, once
    Invite {
        /// The site that the agent watches
        #[arg(long)]
        site: String,
        /// What the agent is to be called; needed for a name that there is already [default: the agent says]
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// How long the line is good: 30m, 24h; at most 7d
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        valid: String,
        /// Where the agent reaches the collector; may be given several times [default: as collector.toml says]
        #[arg(long = "address", value_name = "HOST:PORT")]
        addresses: Vec<String>,
        /// The file that the line is written to, for nobody else to read; else it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Invites that nobody used yet
    Invites {
        /// Those that are over, too
        #[arg(long)]
        all: bool,
    },
    /// Have an invite let nobody in any more
    RevokeInvite {
        /// Its number
        number: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Agents that wait to be approved, and their six words
    Pending,
    /// Let in the agent that shows these six words
    Approve {
        /// The words, as the agent shows them
        #[arg(required = true, num_args = 1.., value_name = "WORDS")]
        words: Vec<String>,
        /// The site that it watches
        #[arg(long)]
        site: String,
        /// What it is to be called; needed for a name that there is already [default: as it would like]
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Refuse an agent's certificates from now on, and cut its stream
    Revoke {
        /// The agent
        name: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
}

#[derive(Debug, Serialize)]
struct InviteView {
    name: String,
    site: String,
    agent: String,
    created_by: String,
    created_at: Time,
    expires_at: Time,
    ended_at: Time,
    ended: String,
    used_by: String,
}

const INVITES: &[Column<InviteView>] = &[
    Column {
        key: "name",
        head: Word::Number,
        wide: false,
        cell: |v, _| v.name.trim_start_matches("invites/").to_owned(),
        raw: |v| v.name.clone(),
    },
    Column { key: "site", head: Word::Site, wide: false, cell: |v, _| site(&v.site), raw: |v| v.site.clone() },
    Column {
        key: "agent",
        head: Word::Agent,
        wide: false,
        cell: |v, _| dash(&name::short(if v.used_by.is_empty() { &v.agent } else { &v.used_by })),
        raw: |v| v.agent.clone(),
    },
    Column {
        key: "expires_at",
        head: Word::ExpiresAt,
        wide: false,
        cell: |v, _| v.expires_at.short(),
        raw: |v| v.expires_at.text(),
    },
    Column {
        key: "ended",
        head: Word::Ended,
        wide: false,
        cell: |v, _| {
            if v.ended.is_empty() { "–".to_owned() } else { format!("{} ({})", v.ended_at.short(), v.ended) }
        },
        raw: |v| v.ended.clone(),
    },
    Column {
        key: "created_by",
        head: Word::Who,
        wide: true,
        cell: |v, _| v.created_by.clone(),
        raw: |v| v.created_by.clone(),
    },
    Column {
        key: "created_at",
        head: Word::Time,
        wide: true,
        cell: |v, _| v.created_at.short(),
        raw: |v| v.created_at.text(),
    },
];

#[derive(Debug, Serialize)]
struct PendingView {
    words: String,
    agent: String,
    peer: String,
    asked_at: Time,
    expires_at: Time,
}

const PENDING: &[Column<PendingView>] = &[
    Column { key: "words", head: Word::SixWords, wide: false, cell: |v, _| v.words.clone(), raw: |v| v.words.clone() },
    Column {
        key: "agent",
        head: Word::Agent,
        wide: false,
        cell: |v, _| dash(&name::short(&v.agent)),
        raw: |v| v.agent.clone(),
    },
    Column { key: "peer", head: Word::FromWhere, wide: false, cell: |v, _| v.peer.clone(), raw: |v| v.peer.clone() },
    Column {
        key: "asked_at",
        head: Word::Time,
        wide: true,
        cell: |v, _| v.asked_at.short(),
        raw: |v| v.asked_at.text(),
    },
    Column {
        key: "expires_at",
        head: Word::ExpiresAt,
        wide: false,
        cell: |v, _| v.expires_at.short(),
        raw: |v| v.expires_at.text(),
    },
];

/// What became of one agent.
#[derive(Debug, Serialize)]
struct AgentView {
    name: String,
    /// `certificate` or `revoked`.
    identity: String,
    /// Until when the certificate is good, or since when it is refused.
    at: Time,
    /// Whether a stream was cut.
    cut: bool,
}

const AGENTS: &[Column<AgentView>] = &[
    Column { key: "name", head: Word::Agent, wide: false, cell: |v, _| name::short(&v.name), raw: |v| v.name.clone() },
    Column {
        key: "identity",
        head: Word::SaysWho,
        wide: false,
        cell: |v, s| s.word(if v.identity == "revoked" { Word::Revoked } else { Word::ByCertificate }),
        raw: |v| v.identity.clone(),
    },
    Column { key: "at", head: Word::Time, wide: false, cell: |v, _| v.at.short(), raw: |v| v.at.text() },
    Column {
        key: "cut",
        head: Word::StreamCut,
        wide: true,
        cell: |v, s| s.word(if v.cut { Word::Yes } else { Word::No }),
        raw: |v| v.cut.to_string(),
    },
];

fn site(name: &str) -> String {
    name.trim_start_matches("sites/").to_owned()
}

fn dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

impl From<Invite> for InviteView {
    fn from(i: Invite) -> Self {
        Self {
            name: i.name,
            site: i.site,
            agent: i.agent,
            created_by: i.created_by,
            created_at: Time(i.created_at_ms),
            expires_at: Time(i.expires_at_ms),
            ended_at: Time::optional(i.ended_at_ms),
            ended: i.ended,
            used_by: i.used_by,
        }
    }
}

impl From<PendingAgent> for PendingView {
    fn from(p: PendingAgent) -> Self {
        Self {
            words: p.words,
            agent: p.agent,
            peer: p.peer,
            asked_at: Time(p.asked_at_ms),
            expires_at: Time(p.expires_at_ms),
        }
    }
}

pub(crate) async fn run(context: &Context, command: AgentCommand) -> Result<(), Error> {
    let mut identities = context.api.identities();
    let agent = |name: Option<String>| name.map(|name| name::agent(&name)).unwrap_or_default();
    match command {
        AgentCommand::Invite { site, agent: named, valid, addresses, out, request: RequestArgs { request_id } } => {
            let valid = outband_schemas::time::duration(&valid).map_err(|e| Error::Usage(e.to_string()))?;
            // Before anything is asked: a line that cannot be put down is lost.
            let once = record::Once::to(out.as_deref())?;
            let request = CreateInviteRequest {
                site: name::site(&site),
                agent: agent(named),
                // 0 would be taken for the usual time.
                valid_secs: i64::try_from(valid.as_secs().max(1)).unwrap_or(i64::MAX),
                addresses,
                request_id,
            };
            let (once, answer) = once.answered(identities.create_invite(request).await)?;
            if once.tell(&answer.line)? { invites(context, answer.invite.into_iter().collect()) } else { Ok(()) }
        }
        AgentCommand::Invites { all } => {
            let found = identities.list_invites(ListInvitesRequest { all }).await?.into_inner().invites;
            invites(context, found)
        }
        AgentCommand::RevokeInvite { number, request: RequestArgs { request_id } } => {
            let bare = number.trim_start_matches("invites/");
            let request = RevokeInviteRequest { name: format!("invites/{bare}"), request_id };
            invites(context, identities.revoke_invite(request).await?.into_inner().invite.into_iter().collect())
        }
        AgentCommand::Pending => {
            let found = identities.list_pending_agents(ListPendingAgentsRequest {}).await?.into_inner().agents;
            let paged = Paged { rows: found.into_iter().map(PendingView::from).collect(), more: false };
            let list = List { name: "agents", columns: PENDING, paged, none: Word::NobodyWaits };
            output::print(&context.render(&list)?)
        }
        AgentCommand::Approve { words, site, agent: named, request: RequestArgs { request_id } } => {
            let request = ApprovePendingAgentRequest {
                words: words.join(" "),
                site: name::site(&site),
                agent: agent(named),
                request_id,
            };
            let answer = identities.approve_pending_agent(request).await?.into_inner();
            let identity = "certificate".to_owned();
            let at = Time(answer.not_after_ms);
            agents(context, AgentView { name: answer.name, identity, at, cut: false })
        }
        AgentCommand::Revoke { name: named, why, request: RequestArgs { request_id } } => {
            let request = RevokeAgentRequest { name: name::agent(&named), reason: why, request_id };
            let answer = identities.revoke_agent(request).await?.into_inner();
            let identity = "revoked".to_owned();
            let at = Time(answer.revoked_at_ms);
            agents(context, AgentView { name: answer.name, identity, at, cut: answer.cut })
        }
    }
}

fn invites(context: &Context, invites: Vec<Invite>) -> Result<(), Error> {
    let paged = Paged { rows: invites.into_iter().map(InviteView::from).collect(), more: false };
    output::print(&context.render(&List { name: "invites", columns: INVITES, paged, none: Word::NoInvites })?)
}

fn agents(context: &Context, agent: AgentView) -> Result<(), Error> {
    let paged = Paged { rows: vec![agent], more: false };
    output::print(&context.render(&List { name: "agents", columns: AGENTS, paged, none: Word::NoAgents })?)
}
