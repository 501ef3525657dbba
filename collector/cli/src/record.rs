//! `outband record`.

use crate::context::Context;
use crate::error::Error;
use crate::once::RequestArgs;
use crate::output::{self, Block, Document, Rows, Shown};
use crate::words::Word;
use clap::Subcommand;
use outband_proto::record::{ErasePersonRequest, ErasePersonResponse, ExportCustomerRequest};
use serde::Serialize;
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
