//! Reports: how promises were kept in a month, how reliable hardware and repairs are, and what a fault was.
//!
//! Read in this order: README.md (the rules), [`period`] (months), [`case`] (a ticket as reports see it), [`sla`], [`reliability`] and [`fault`] (pure
//! functions that give values), [`doc`] (a report for people, from which `html`, `markdown`, `csv` and `xlsx` are written), [`gather`]
//! (the only one that knows the store).

pub mod case;
pub mod csv;
pub mod doc;
pub mod fault;
mod fault_doc;
pub mod foretold;
pub mod gather;
pub mod history;
pub mod html;
mod json;
pub mod labels;
pub mod maintained;
pub mod markdown;
pub mod period;
pub mod prevent;
pub mod reliability;
mod reliability_doc;
pub mod sla;
mod sla_doc;
pub mod whys;
pub mod xlsx;

use crate::words::Lang;
use doc::Doc;
use jiff::tz::TimeZone;
use serde::Serialize;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; one file.
    Html,
    /// For wikis and mails.
    Markdown,
    /// For spreadsheets and programs.
    Csv,
    /// A workbook.
    Xlsx,
    /// The value itself.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] = [Self::Html, Self::Markdown, Self::Csv, Self::Xlsx, Self::Json];

    /// The word on the wire; also how names of files end.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Json => "json",
        }
    }

    /// The format of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == word)
    }
}

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As a workbook.
    #[error("the workbook cannot be written: {0}")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
    /// As JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no such table in it.
    #[error("there is no table {wanted:?}; there are {known}")]
    NoTable {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
}

/// A report, of whatever kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// How promises were kept.
    Sla(Box<sla::SlaReport>),
    /// How reliable hardware and repairs are.
    Reliability(reliability::Reliability),
    /// What a fault was; its times in this zone.
    Fault(Box<fault::FaultReport>, #[serde(skip)] TimeZone),
}

impl Report {
    /// For people.
    pub fn doc(&self, lang: Lang) -> Doc {
        match self {
            Self::Sla(report) => sla_doc::doc(report, lang),
            Self::Reliability(report) => reliability_doc::doc(report, lang),
            Self::Fault(report, zone) => fault_doc::doc(report, lang, zone.clone()),
        }
    }

    /// As a file. With `table`, only that table of it; JSON is always whole.
    pub fn write(&self, format: Format, lang: Lang, table: Option<&str>) -> Result<Vec<u8>, Error> {
        Ok(match format {
            Format::Json => serde_json::to_vec_pretty(self)?,
            Format::Html => html::write(&self.part(lang, table)?).into_bytes(),
            Format::Markdown => markdown::write(&self.part(lang, table)?).into_bytes(),
            Format::Csv => csv::write(&self.part(lang, table)?),
            Format::Xlsx => xlsx::write(&self.part(lang, table)?)?,
        })
    }

    fn part(&self, lang: Lang, table: Option<&str>) -> Result<Doc, Error> {
        let doc = self.doc(lang);
        let Some(key) = table else { return Ok(doc) };
        let known = doc.tables().map(|t| t.key).collect::<Vec<_>>().join(", ");
        doc.only(key).ok_or_else(|| Error::NoTable { wanted: key.to_owned(), known })
    }
}
