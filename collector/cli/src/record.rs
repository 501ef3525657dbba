//! `outband record`.

use crate::context::{Context, now_ms};
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Block, Column, Document, Format, List, Rows, Shown};
use crate::when::Time;
use crate::words::{Lang, Word};
use crate::{name, paging, verify};
use clap::Subcommand;
use outband_proto::record::{
    CreateHoldRequest, EraseCustomerRequest, ErasePersonRequest, ErasePersonResponse, ExportCustomerRequest, Hold,
    ListHoldsRequest, PreviewRetentionRequest, ReleaseHoldRequest,
};
use serde::{Serialize, Serializer};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Put a pseudonym in place of a person's name in all tickets and the audit log
    ErasePerson {
        /// The name, as it stands on tickets
        person: String,
        /// Do it; without this, it is only counted
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Take out what a customer's people wrote, and their names; on order the records, too
    EraseCustomer {
        /// The customer, as the topology or the contracts name it
        #[arg(required_unless_present = "site")]
        customer: Option<String>,
        /// A site in its place; may be given several times
        #[arg(long = "site", id = "site", value_name = "SITE", conflicts_with = "customer")]
        sites: Vec<String>,
        /// Somebody of the customer's, as named on tickets; those who used a customer's token are found without
        #[arg(long = "person", value_name = "NAME")]
        people: Vec<String>,
        /// The records as well: closed tickets with everything about them, log entries, gaps, history
        #[arg(long)]
        records: bool,
        /// Do it; without this, it is only counted
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// What would go now because it is older than its term
    Retention,
    /// Legal holds: nothing about a customer goes, by age or on order, before they are released
    Holds {
        #[command(subcommand)]
        command: Option<HoldsCommand>,
    },
    /// Whether an export is as it was handed out; needs no collector
    Verify {
        /// The export
        file: PathBuf,
    },
    /// Write one customer's evidence to a zip file, with a manifest of SHA-256 sums
    Export {
        /// The customer, as the topology names it
        #[arg(long, required_unless_present = "site")]
        customer: Option<String>,
        /// A site; may be given several times
        #[arg(long = "site", id = "site", value_name = "SITE", conflicts_with = "customer")]
        sites: Vec<String>,
        /// The file to write
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HoldsCommand {
    /// Those that nobody has released
    List {
        /// Released ones, too
        #[arg(long)]
        all: bool,
    },
    /// Make one
    Add {
        /// Of this customer
        #[arg(long, required_unless_present = "site")]
        customer: Option<String>,
        /// Of this site
        #[arg(long, conflicts_with = "customer")]
        site: Option<String>,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Release one
    Release {
        /// Its number
        number: String,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Values with their names for programs and for people, in the order in which they are shown.
#[derive(Debug)]
struct Facts(Vec<(&'static str, Word, String)>);

impl Facts {
    fn of<const N: usize>(facts: [(&'static str, Word, String); N]) -> Self {
        Self(facts.into())
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, _, value)| (key, value)))
    }
}

impl Document for Facts {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        vec![Block::Sheet(self.0.iter().map(|(_, word, value)| (shown.word(*word), value.clone())).collect())]
    }

    fn rows(&self) -> Rows {
        (self.0.iter().map(|f| f.0).collect(), vec![self.0.iter().map(|f| f.2.clone()).collect()])
    }
}

/// A hold.
#[derive(Debug, Clone, Serialize)]
struct HoldView {
    name: String,
    of: String,
    servers: Vec<String>,
    reason: String,
    author: String,
    created_at: Time,
    released_at: Time,
    released_by: String,
    etag: String,
}

const HOLDS: &[Column<HoldView>] = &[
    Column {
        key: "name",
        head: Word::Name,
        wide: false,
        cell: |v, _| v.name.trim_start_matches("holds/").to_owned(),
        raw: |v| v.name.clone(),
    },
    Column { key: "of", head: Word::Covers, wide: false, cell: |v, _| v.of.clone(), raw: |v| v.of.clone() },
    Column { key: "reason", head: Word::Why, wide: false, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
    Column { key: "author", head: Word::Who, wide: false, cell: |v, _| v.author.clone(), raw: |v| v.author.clone() },
    Column {
        key: "created_at",
        head: Word::From,
        wide: false,
        cell: |v, _| v.created_at.short(),
        raw: |v| v.created_at.text(),
    },
    Column {
        key: "released_at",
        head: Word::Ended,
        wide: false,
        cell: |v, _| v.released_at.short(),
        raw: |v| v.released_at.text(),
    },
    Column {
        key: "servers",
        head: Word::Server,
        wide: true,
        cell: |v, _| v.servers.join(" "),
        raw: |v| v.servers.join(" "),
    },
    Column { key: "etag", head: Word::Version, wide: true, cell: |v, _| v.etag.clone(), raw: |v| v.etag.clone() },
];

impl From<Hold> for HoldView {
    fn from(h: Hold) -> Self {
        Self {
            name: h.name,
            of: h.of,
            servers: h.servers,
            reason: h.reason,
            author: h.author,
            created_at: Time(h.created_at_ms),
            released_at: Time::optional(h.released_at_ms),
            released_by: h.released_by,
            etag: h.etag,
        }
    }
}

/// What was, or would be, erased.
#[derive(Debug, Serialize)]
struct Erased {
    pseudonym: String,
    ticket_entries: i64,
    audit_entries: i64,
    mentions: Vec<String>,
}

impl Document for Erased {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        vec![Block::Sheet(vec![
            (shown.word(Word::Pseudonym), self.pseudonym.clone()),
            (shown.word(Word::TicketEntries), self.ticket_entries.to_string()),
            (shown.word(Word::AuditEntries), self.audit_entries.to_string()),
            (shown.word(Word::Mentions), self.mentions.join(" ")),
        ])]
    }

    fn rows(&self) -> Rows {
        let row = vec![
            self.pseudonym.clone(),
            self.ticket_entries.to_string(),
            self.audit_entries.to_string(),
            self.mentions.join(" "),
        ];
        (vec!["pseudonym", "ticket_entries", "audit_entries", "mentions"], vec![row])
    }
}

pub(crate) async fn run(context: &Context, command: RecordCommand) -> Result<(), Error> {
    match command {
        RecordCommand::ErasePerson { person, yes, request } => {
            let request = ErasePersonRequest { person, validate_only: !yes, request_id: request.request_id };
            let ErasePersonResponse { pseudonym, ticket_entries, audit_entries, mentions } =
                context.api.record().erase_person(request).await?.into_inner();
            let erased = Erased { pseudonym, ticket_entries, audit_entries, mentions };
            output::print(&context.render(&erased)?)
        }
        RecordCommand::EraseCustomer { customer, sites, people, records, yes, request } => {
            let request = EraseCustomerRequest {
                customer: customer.unwrap_or_default(),
                sites: sites.iter().map(|site| name::site(site)).collect(),
                people,
                records,
                validate_only: !yes,
                request_id: request.request_id,
            };
            let e = context.api.record().erase_customer(request).await?.into_inner();
            let facts = Facts::of([
                ("pseudonym", Word::Pseudonym, e.pseudonym),
                ("ticket_entries", Word::TicketEntries, e.ticket_entries.to_string()),
                ("audit_entries", Word::AuditEntries, e.audit_entries.to_string()),
                ("notices", Word::NoticesHead, e.notices.to_string()),
                ("tickets", Word::Tickets, e.tickets.join(" ")),
                ("kept", Word::Kept, e.kept.join(" ")),
                ("rows", Word::OtherRows, e.rows.to_string()),
                ("proof", Word::Proof, e.proof),
            ]);
            output::print(&context.render(&facts)?)
        }
        RecordCommand::Retention => {
            let due = context.api.record().preview_retention(PreviewRetentionRequest {}).await?.into_inner();
            let history = due.history.iter().map(|held| {
                let mib = held.bytes / (1 << 20);
                let since = held.from_ms.map(|from| format!(" from {}", Time(from).text())).unwrap_or_default();
                format!("{}: {} files, {mib} MiB{since}", held.resolution, held.files)
            });
            let history = history.collect::<Vec<_>>().join("; ");
            let facts = Facts::of([
                ("history", Word::HistoryHeld, history),
                ("tickets", Word::Tickets, due.tickets.join(" ")),
                ("tickets_before", Word::TicketsBefore, Time(due.tickets_before_ms).text()),
                ("audit_entries", Word::AuditEntries, due.audit_entries.to_string()),
                ("audit_before", Word::AuditBefore, Time(due.audit_before_ms).text()),
            ]);
            output::print(&context.render(&facts)?)
        }
        RecordCommand::Holds { command } => holds(context, command.unwrap_or(HoldsCommand::List { all: false })).await,
        RecordCommand::Verify { file } => check(&file, context.format, context.lang),
        RecordCommand::Export { customer, sites, file } => {
            let sites = sites.iter().map(|site| format!("sites/{}", site.trim_start_matches("sites/"))).collect();
            export(context, ExportCustomerRequest { customer: customer.unwrap_or_default(), sites }, &file).await
        }
    }
}

async fn export(context: &Context, request: ExportCustomerRequest, path: &Path) -> Result<(), Error> {
    let mut pieces = context.api.record().export_customer(request).await?.into_inner();
    let mut file = Partial::create(path)?;
    while let Some(piece) = pieces.message().await? {
        file.write(&piece.chunk)?;
    }
    file.finish()
}

async fn holds(context: &Context, command: HoldsCommand) -> Result<(), Error> {
    let holds = match command {
        HoldsCommand::List { all } => {
            context.api.record().list_holds(ListHoldsRequest { all }).await?.into_inner().holds
        }
        HoldsCommand::Add { customer, site, why, request } => {
            let of = match (customer, site) {
                (Some(customer), _) => format!("customers/{customer}"),
                (None, site) => name::site(&site.unwrap_or_default()),
            };
            let request = CreateHoldRequest { of, reason: why, request_id: request.request_id };
            context.api.record().create_hold(request).await?.into_inner().hold.into_iter().collect()
        }
        HoldsCommand::Release { number, why, change } => {
            let request = ReleaseHoldRequest {
                name: format!("holds/{}", number.trim_start_matches("holds/")),
                reason: why,
                etag: change.if_etag,
                request_id: change.request.request_id,
            };
            context.api.record().release_hold(request).await?.into_inner().hold.into_iter().collect()
        }
    };
    let views: Vec<HoldView> = holds.into_iter().map(HoldView::from).collect();
    // They come in one answer.
    let paged = paging::follow(context.limit, async |_, _| Ok((views.clone(), String::new()))).await?;
    output::print(&context.render(&List { name: "holds", columns: HOLDS, paged, none: Word::NoEntries })?)
}

/// Looks at an export and says what was found.
pub(crate) fn check(file: &Path, format: Format, lang: Lang) -> Result<(), Error> {
    let verified = verify::file(file)?;
    let facts = Facts::of([
        ("files", Word::Files, verified.files.to_string()),
        ("audit_entries", Word::AuditEntries, verified.entries.to_string()),
        ("seal", Word::Seal, verified.seal),
    ]);
    let shown = Shown { now_ms: now_ms(), lang, wide: format == Format::Wide };
    output::print(&output::render(&facts, format, &shown, false)?)
}

/// A file in the making: under its name there is the whole file, or none.
pub(crate) struct Partial {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl Partial {
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        // For the eyes of whoever asked: it is full of what others need not see.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.map_err(|source| Error::File { path: partial.clone(), source })?;
        Ok(Self { file, partial, path: path.to_owned() })
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file.write_all(piece).map_err(|source| Error::File { path: self.partial.clone(), source })
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        let done = self.file.sync_all().and_then(|()| std::fs::rename(&self.partial, &self.path));
        done.map_err(|source| Error::File { path: self.path, source })
    }

    /// There is nothing to put into it after all.
    pub(crate) fn discard(self) -> Result<(), Error> {
        std::fs::remove_file(&self.partial).map_err(|source| Error::File { path: self.partial, source })
    }
}

/// A secret that is told once: into a file, which is there before it is asked for, or alone on standard output, so that it can be piped to where it is needed.
pub(crate) struct Once(Option<Partial>);

impl Once {
    pub(crate) fn to(out: Option<&Path>) -> Result<Self, Error> {
        Ok(Self(out.map(Partial::create).transpose()?))
    }

    /// The answer that holds the secret; where there is none, there is no file either.
    pub(crate) fn answered<T>(self, answer: Result<tonic::Response<T>, tonic::Status>) -> Result<(Self, T), Error> {
        match answer {
            Ok(answer) => Ok((self, answer.into_inner())),
            Err(status) => {
                self.0.map(Partial::discard).transpose()?;
                Err(status.into())
            }
        }
    }

    /// Tells it. Whether standard output is left for other words.
    pub(crate) fn tell(self, secret: &str) -> Result<bool, Error> {
        let line = format!("{secret}\n");
        let Some(mut file) = self.0 else { return output::print(&line).map(|()| false) };
        file.write(line.as_bytes())?;
        file.finish()?;
        Ok(true)
    }
}
