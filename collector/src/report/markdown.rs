//! Markdown (CommonMark with tables), for wikis and mails.

use super::doc::{Block, Doc, Table};

/// The report.
pub fn write(doc: &Doc) -> String {
    let mut out = format!("# {}\n", inline(&doc.title));
    for block in &doc.blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => out.push_str(&format!("## {}\n", inline(text))),
            Block::Text(text) => {
                let lines: Vec<String> = text.lines().map(inline).collect();
                out.push_str(&lines.join("  \n"));
                out.push('\n');
            }
            Block::List(items) => items.iter().for_each(|item| out.push_str(&format!("- {}\n", inline(item)))),
            Block::Table(rows) => table(&mut out, doc, rows),
        }
    }
    out
}

fn table(out: &mut String, doc: &Doc, table: &Table) {
    if table.rows.is_empty() {
        out.push_str(&format!("**{}**: {}\n", inline(&table.title), inline(&table.empty)));
        return;
    }
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&format!("**{}**\n\n", inline(&table.title)));
    out.push_str(&row(table.columns.iter().map(|c| inline(c)).collect()));
    out.push_str(&format!("|{}\n", "---|".repeat(table.columns.len())));
    for cells in &table.rows {
        out.push_str(&row(cells.iter().map(|c| inline(&c.shown(doc.lang, &doc.zone))).collect()));
    }
}

/// Words on one line that are no markup.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => {}
            '\n' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_no_markup() {
        assert_eq!(inline("a|b\n<script> *x* [l](u)"), "a\\|b &lt;script&gt; \\*x\\* \\[l\\](u)");
    }
}
