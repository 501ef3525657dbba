//! `outband audit`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::paging;
use crate::when::Time;
use crate::words::Word;
use clap::Subcommand;
use outband_proto::audit::{AuditEntry, ListAuditEntriesRequest, VerifyAuditRequest, VerifyAuditResponse};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Entries, newest first
    List {
        /// Only of this person
        #[arg(long)]
        who: Option<String>,
        /// Only of this resource, e.g. tickets/12
        #[arg(long, value_name = "NAME")]
        resource: Option<String>,
    },
    /// Walk the chain of hashes and name the first break
    Verify {
        /// What an earlier verify printed as HASH
        #[arg(long, value_name = "SEQ:HASH")]
        expect: Option<String>,
    },
}

#[derive(Debug, Serialize)]
struct View {
    seq: i64,
    at: Time,
    who: String,
    role: String,
    peer: String,
    method: String,
    resource: String,
    detail: String,
    outcome: String,
    request_id: String,
    before: String,
    after: String,
    hash: String,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "seq", head: Word::Number, wide: false, cell: |v, _| v.seq.to_string(), raw: |v| v.seq.to_string() },
    Column { key: "at", head: Word::Time, wide: false, cell: |v, _| v.at.short(), raw: |v| v.at.text() },
    Column { key: "who", head: Word::Who, wide: false, cell: |v, _| v.who.clone(), raw: |v| v.who.clone() },
    Column { key: "role", head: Word::Role, wide: false, cell: |v, _| v.role.clone(), raw: |v| v.role.clone() },
    Column { key: "peer", head: Word::From, wide: true, cell: |v, _| v.peer.clone(), raw: |v| v.peer.clone() },
    Column {
        key: "method",
        head: Word::What,
        wide: false,
        cell: |v, _| v.method.rsplit('/').next().unwrap_or_default().to_owned(),
        raw: |v| v.method.clone(),
    },
    Column {
        key: "resource",
        head: Word::Name,
        wide: false,
        cell: |v, _| v.resource.clone(),
        raw: |v| v.resource.clone(),
    },
    Column { key: "detail", head: Word::Detail, wide: false, cell: |v, _| v.detail.clone(), raw: |v| v.detail.clone() },
    Column {
        key: "outcome",
        head: Word::Status,
        wide: false,
        cell: |v, _| v.outcome.clone(),
        raw: |v| v.outcome.clone(),
    },
    Column {
        key: "request_id",
        head: Word::Request,
        wide: true,
        cell: |v, _| v.request_id.clone(),
        raw: |v| v.request_id.clone(),
    },
    Column { key: "before", head: Word::Before, wide: true, cell: |v, _| v.before.clone(), raw: |v| v.before.clone() },
    Column { key: "after", head: Word::After, wide: true, cell: |v, _| v.after.clone(), raw: |v| v.after.clone() },
    Column { key: "hash", head: Word::Hash, wide: true, cell: |v, _| v.hash.clone(), raw: |v| v.hash.clone() },
];

impl From<AuditEntry> for View {
    fn from(e: AuditEntry) -> Self {
        Self {
            seq: e.seq,
            at: Time(e.at_ms),
            who: e.who,
            role: e.role,
            peer: e.peer,
            method: e.method,
            resource: e.resource,
            detail: e.detail,
            outcome: e.outcome,
            request_id: e.request_id,
            before: e.before,
            after: e.after,
            hash: e.hash,
        }
    }
}

/// The log as the collector found it.
#[derive(Debug, Serialize)]
struct Chain {
    entries: i64,
    head: String,
    broken_seq: i64,
    broken: String,
}

impl Document for Chain {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        vec![Block::Sheet(vec![
            (shown.word(Word::Intact), self.entries.to_string()),
            (shown.word(Word::Hash), format!("{}:{}", self.entries, self.head)),
        ])]
    }

    fn rows(&self) -> Rows {
        let row = vec![self.entries.to_string(), self.head.clone(), self.broken_seq.to_string(), self.broken.clone()];
        (vec!["entries", "head", "broken_seq", "broken"], vec![row])
    }
}

pub(crate) async fn run(context: &Context, command: AuditCommand) -> Result<(), Error> {
    match command {
        AuditCommand::List { who, resource } => {
            let (who, resource) = (who.unwrap_or_default(), resource.unwrap_or_default());
            let paged = paging::follow(context.limit, async |page_size, page_token| {
                let (who, resource) = (who.clone(), resource.clone());
                let request = ListAuditEntriesRequest { page_size, page_token, who, resource };
                let answer = context.api.audit().list_audit_entries(request).await?.into_inner();
                Ok((answer.entries.into_iter().map(View::from).collect(), answer.next_page_token))
            })
            .await?;
            let list = List { name: "entries", columns: COLUMNS, paged, none: Word::NoEntries };
            output::print(&context.render(&list)?)
        }
        AuditCommand::Verify { expect } => verify(context, expect.as_deref()).await,
    }
}

async fn verify(context: &Context, expect: Option<&str>) -> Result<(), Error> {
    let request = match expect {
        None => VerifyAuditRequest::default(),
        Some(noted) => noted
            .split_once(':')
            .and_then(|(seq, hash)| Some(VerifyAuditRequest { seq: seq.parse().ok()?, hash: hash.to_owned() }))
            .ok_or_else(|| Error::Usage("--expect wants SEQ:HASH, as `outband audit verify` printed it".to_owned()))?,
    };
    let VerifyAuditResponse { entries, head, broken_seq, broken } =
        context.api.audit().verify_audit(request).await?.into_inner();
    let chain = Chain { entries, head, broken_seq, broken };
    output::print(&context.render(&chain)?)?;
    if chain.broken_seq == 0 { Ok(()) } else { Err(Error::Broken { seq: chain.broken_seq, how: chain.broken }) }
}
