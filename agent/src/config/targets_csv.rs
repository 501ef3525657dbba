//! Targets from a CSV file, for sites that keep their list in a spreadsheet.

use super::file::{CipherName, TargetTable};
use super::problem::Problem;
use std::collections::HashMap;
use std::path::Path;

const COLUMNS: [&str; 6] = ["id", "url", "credentials", "fingerprint", "ca_file", "cipher"];

/// A row of the file, with its line.
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) target: TargetTable,
}

/// Reads the rows; what is wrong with one does not lose the others.
pub(super) fn read(path: &Path) -> (Vec<Row>, Vec<Problem>) {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut note = |line: Option<usize>, field: &str, message: String| {
        problems.push(Problem { file: path.to_owned(), line, field: field.to_owned(), message });
    };
    // A spreadsheet's export may begin with a byte order mark.
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(error) => {
            note(None, "", error.to_string());
            return (rows, problems);
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let columns: HashMap<String, usize> = match reader.headers() {
        Ok(headers) => headers.iter().enumerate().map(|(i, h)| (h.to_ascii_lowercase(), i)).collect(),
        Err(error) => {
            note(Some(1), "", error.to_string());
            return (rows, problems);
        }
    };
    for name in columns.keys().filter(|n| !COLUMNS.contains(&n.as_str())) {
        note(Some(1), name, format!("unknown column; columns are {}", COLUMNS.join(", ")));
    }
    for name in COLUMNS[..3].iter().filter(|n| !columns.contains_key(**n)) {
        note(Some(1), name, "this column is missing".to_owned());
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map(|p| usize::try_from(p.line()).unwrap_or(0));
                note(line, "", error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, |p| usize::try_from(p.line()).unwrap_or(0));
        let cell =
            |name: &str| columns.get(name).and_then(|i| record.get(*i)).filter(|c| !c.is_empty()).map(str::to_owned);
        let target = TargetTable {
            id: cell("id"),
            url: cell("url"),
            credentials: cell("credentials"),
            fingerprint: cell("fingerprint"),
            ca_file: cell("ca_file"),
            cipher: cell("cipher").map(CipherName::Name),
            ..TargetTable::default()
        };
        rows.push(Row { line, target });
    }
    (rows, problems)
}
