//! `outband record`.

use crate::args::RecordCommand as C;
use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Block, Document, Rows, Shown};
use crate::words::Word;
use outband_proto::record::{ErasePersonRequest, ErasePersonResponse, ExportCustomerRequest};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

pub(crate) async fn run(context: &Context, command: C) -> Result<(), Error> {
    match command {
        C::ErasePerson { person, yes } => {
            let request = ErasePersonRequest { person, validate_only: !yes };
            let ErasePersonResponse { pseudonym, ticket_entries, audit_entries, mentions } =
                context.api.record().erase_person(request).await?.into_inner();
            let erased = Erased { pseudonym, ticket_entries, audit_entries, mentions };
            output::print(&context.render(&erased)?)
        }
        C::Export { customer, sites, file } => {
            let sites = sites.iter().map(|site| format!("sites/{}", site.trim_start_matches("sites/"))).collect();
            export(context, ExportCustomerRequest { customer: customer.unwrap_or_default(), sites }, &file).await
        }
    }
}

/// Under its name there is the whole file, or none.
async fn export(context: &Context, request: ExportCustomerRequest, path: &Path) -> Result<(), Error> {
    let mut pieces = context.api.record().export_customer(request).await?.into_inner();
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let failed = |source| Error::File { path: partial.clone(), source };
    // For the eyes of whoever asked: it is full of what others need not see.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(failed)?;
    while let Some(piece) = pieces.message().await? {
        file.write_all(&piece.chunk).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}
