//! Lists: one row an item, columns described once for tables and spreadsheets.

use super::{Block, Document, Rows, Shown};
use crate::name;
use crate::paging::Paged;
use crate::words::Word;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A column of a list.
pub(crate) struct Column<T> {
    /// In spreadsheets; as the field of the JSON document.
    pub(crate) key: &'static str,
    /// In tables.
    pub(crate) head: Word,
    /// Only in wide tables.
    pub(crate) wide: bool,
    /// What people read.
    pub(crate) cell: fn(&T, &Shown) -> String,
    /// What programs read.
    pub(crate) raw: fn(&T) -> String,
}

/// What is about a server.
pub(crate) trait OfServer {
    /// The server's whole name.
    fn server(&self) -> &str;
}

impl<T: OfServer> Column<T> {
    /// The server, by its short name for people.
    pub(crate) const SERVER: Self = Self {
        key: "server",
        head: Word::Server,
        wide: false,
        cell: |item, _| name::short(item.server()),
        raw: |item| item.server().to_owned(),
    };
}

/// Items under one name.
pub(crate) struct List<T: 'static> {
    /// The document's one field, plural.
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column<T>],
    pub(crate) paged: Paged<T>,
    /// What to say where there is none.
    pub(crate) none: Word,
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.name, &self.paged.rows)?;
        map.serialize_entry("truncated", &self.paged.more)?;
        map.end()
    }
}

impl<T: Serialize> Document for List<T> {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        if self.paged.rows.is_empty() {
            return vec![Block::Note(shown.word(self.none))];
        }
        let mut blocks = vec![table(None, self.columns, &self.paged.rows, shown)];
        if self.paged.more {
            blocks.push(Block::Note(shown.word(Word::More)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        raw(self.columns, &self.paged.rows)
    }
}

/// A table of some items.
pub(crate) fn table<T>(title: Option<Word>, columns: &[Column<T>], items: &[T], shown: &Shown) -> Block {
    let columns: Vec<_> = columns.iter().filter(|c| shown.wide || !c.wide).collect();
    Block::Table {
        title: title.map(|t| shown.word(t)),
        head: columns.iter().map(|c| shown.word(c.head)).collect(),
        rows: items.iter().map(|item| columns.iter().map(|c| (c.cell)(item, shown)).collect()).collect(),
    }
}

/// The same for a spreadsheet, with every column.
pub(crate) fn raw<T>(columns: &[Column<T>], items: &[T]) -> Rows {
    let keys = columns.iter().map(|c| c.key).collect();
    (keys, items.iter().map(|item| columns.iter().map(|c| (c.raw)(item)).collect()).collect())
}
