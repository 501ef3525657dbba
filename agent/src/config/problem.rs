//! What is wrong with a config, each problem with its line and field.

use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// One thing that is wrong. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line, from 1; `None` where the file could not be read at all.
    pub line: Option<usize>,
    /// The field, e.g. `targets[2].url`; empty where it is the file.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A step from the top of the file to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Collects problems of one TOML file and finds their lines.
pub(super) struct Problems<'a> {
    file: &'a Path,
    text: &'a str,
    tree: toml::Spanned<DeTable<'a>>,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        let (tree, _) = DeTable::parse_recoverable(text);
        Self { file, text, tree, found: Vec::new() }
    }

    /// Notes a problem of the field at `steps`, unless one is known there or above.
    pub(super) fn add(&mut self, steps: &[Step], message: impl fmt::Display) {
        let field = name(steps);
        let known = |p: &Problem| {
            p.file == self.file && (p.field == field || (!p.field.is_empty() && is_below(&field, &p.field)))
        };
        if self.found.iter().any(known) {
            return;
        }
        let line = Some(self.line_of_byte(self.byte_of(steps)));
        self.found.push(Problem { file: self.file.to_owned(), line, field, message: message.to_string() });
    }

    /// Notes a problem of the text itself.
    pub(super) fn add_at_byte(&mut self, byte: usize, message: impl fmt::Display) {
        let line = Some(self.line_of_byte(byte));
        let message = message.to_string();
        self.found.push(Problem { file: self.file.to_owned(), line, field: String::new(), message });
    }

    /// Notes a problem of another file, such as the CSV of targets.
    pub(super) fn add_foreign(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Every problem, in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        let own = self.file.to_owned();
        self.found.sort_by(|a, b| {
            (a.file != own, &a.file, a.line, &a.field).cmp(&(b.file != own, &b.file, b.line, &b.field))
        });
        self.found
    }

    fn byte_of(&self, steps: &[Step]) -> usize {
        let mut at = 0;
        let mut table = Some(self.tree.get_ref());
        let mut array = None;
        for step in steps {
            let value: Option<&toml::Spanned<DeValue<'_>>> = match step {
                Step::Key(key) => table.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == key)).map(|(k, v)| {
                    at = k.span().start;
                    v
                }),
                Step::Index(index) => {
                    array.and_then(|a: &toml::de::DeArray<'_>| a.get(*index)).inspect(|v| at = v.span().start)
                }
            };
            table = value.and_then(|v| v.get_ref().as_table());
            array = value.and_then(|v| v.get_ref().as_array());
        }
        at
    }

    fn line_of_byte(&self, byte: usize) -> usize {
        self.text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
    }
}

fn name(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => {
                out.push('.');
                out.push_str(key);
            }
            Step::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
    out
}

fn is_below(field: &str, above: &str) -> bool {
    field.strip_prefix(above).is_some_and(|rest| rest.starts_with(['.', '[']))
}
