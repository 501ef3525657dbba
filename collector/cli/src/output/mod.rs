//! Showing answers: one document, five formats.

mod list;
mod number;
mod table;

pub(crate) use list::{Column, List, OfServer, raw, table as table_of};
pub(crate) use number::{bytes, quantity};

use crate::error::Error;
use crate::words::{Lang, Word};
use clap::ValueEnum;
use serde::Serialize;
use std::io::Write;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people with wide screens: all columns
    Wide,
    /// One document; times as RFC 3339
    Json,
    /// The same as YAML
    Yaml,
    /// One line a row, with a header
    Csv,
}

/// For whom, and when, it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) now_ms: i64,
    pub(crate) lang: Lang,
    pub(crate) wide: bool,
}

impl Shown {
    pub(crate) fn word(&self, word: Word) -> String {
        word.text(self.lang).to_owned()
    }
}

/// A piece of what people read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// Names and values, one a line.
    Sheet(Vec<(String, String)>),
    /// Rows under headings.
    Table { title: Option<String>, head: Vec<String>, rows: Vec<Vec<String>> },
    /// A sentence.
    Note(String),
}

/// Rows for a spreadsheet: keys, values.
pub(crate) type Rows = (Vec<&'static str>, Vec<Vec<String>>);

/// An answer. As JSON and YAML it is what it serialises to; field names are stable.
pub(crate) trait Document: Serialize {
    /// What people read.
    fn blocks(&self, shown: &Shown) -> Vec<Block>;
    /// What a spreadsheet reads.
    fn rows(&self) -> Rows;
}

/// The document as text, with a line end. `compact`: JSON in one line.
pub(crate) fn render(document: &impl Document, format: Format, shown: &Shown, compact: bool) -> Result<String, Error> {
    let encode = |e: &dyn std::error::Error| Error::Encode(e.to_string());
    match format {
        Format::Table | Format::Wide => Ok(table::text(&document.blocks(shown))),
        Format::Json if compact => serde_json::to_string(document).map(|json| json + "\n").map_err(|e| encode(&e)),
        Format::Json => serde_json::to_string_pretty(document).map(|json| json + "\n").map_err(|e| encode(&e)),
        Format::Yaml => serde_yaml_ng::to_string(document).map_err(|e| encode(&e)),
        Format::Csv => {
            let (keys, rows) = document.rows();
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(keys).map_err(|e| encode(&e))?;
            for row in rows {
                writer.write_record(row).map_err(|e| encode(&e))?;
            }
            let bytes = writer.into_inner().map_err(|e| encode(&e))?;
            String::from_utf8(bytes).map_err(|e| encode(&e))
        }
    }
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}
