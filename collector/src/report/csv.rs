//! CSV (RFC 4180) with a byte order mark, as spreadsheets want it.
//!
//! A report of several tables becomes one file: the first field names the table, each table begins with its heads, and all records have
//! the same number of fields. One table alone is a plain file with one header.

use super::doc::{Doc, Table};

/// What a spreadsheet would take for a formula.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// The report.
pub fn write(doc: &Doc) -> Vec<u8> {
    let tables: Vec<&Table> = doc.tables().collect();
    let mut out = "\u{feff}".to_owned();
    if let [only] = tables.as_slice() {
        record(&mut out, only.columns.iter().map(|c| text(c)));
        for row in values(doc, only) {
            record(&mut out, row.into_iter());
        }
        return out.into_bytes();
    }
    let width = tables.iter().map(|t| t.columns.len()).max().unwrap_or(0) + 1;
    let mut put = |key: &str, fields: Vec<String>| {
        let padding = width.saturating_sub(fields.len() + 1);
        let all = std::iter::once(key.to_owned()).chain(fields).chain(std::iter::repeat_n(String::new(), padding));
        record(&mut out, all);
    };
    for table in &tables {
        put(table.key, table.columns.iter().map(|c| text(c)).collect());
        for row in values(doc, table) {
            put(table.key, row);
        }
    }
    out.into_bytes()
}

fn values<'a>(doc: &'a Doc, table: &'a Table) -> impl Iterator<Item = Vec<String>> + 'a {
    use super::doc::Cell;
    table.rows.iter().map(|row| {
        let value = |cell: &Cell| match cell {
            // Only words can be meant ill.
            Cell::Text(words) => text(words),
            other => other.raw(doc.lang, &doc.zone),
        };
        row.iter().map(value).collect()
    })
}

/// Words that no spreadsheet takes for a formula.
pub fn text(words: &str) -> String {
    let first = words.trim_start_matches([' ', '\u{a0}', '\u{3000}', '\n']).chars().next();
    if first.is_some_and(|c| FORMULA.contains(&c)) { format!("'{words}") } else { words.to_owned() }
}

fn record(out: &mut String, fields: impl Iterator<Item = String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_formula_is_not_one() {
        for evil in ["=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "＝1"] {
            assert!(text(evil).starts_with('\''), "{evil:?}");
        }
        for plain in ["disk/Bay 3", "", "3-1", "a=b", "'quoted"] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn quotes_commas_and_line_ends_are_quoted() {
        let mut out = String::new();
        record(&mut out, ["a,b", "say \"hi\"", "two\r\nlines", "plain"].map(str::to_owned).into_iter());
        assert_eq!(out, "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",plain\r\n");
    }
}
