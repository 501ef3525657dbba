//! HTML: one file, no script, nothing loaded from elsewhere; to be read, mailed and printed. Typed cells carry their value for programs in
//! `<data>` and `<time>`.

use super::doc::{Block, Cell, Doc, Table};
use std::borrow::Cow;
use std::fmt::Write;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,'Noto Sans CJK SC','Microsoft YaHei',sans-serif;color:#1b1f24;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;border-bottom:2px solid #1b1f24;padding-bottom:.3rem}h2{font-size:1.2rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem;font-size:.9rem}caption{text-align:left;font-weight:600;padding:.3rem 0}\
th,td{border:1px solid #c9d1d9;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f0f3f6}\
td.n{text-align:right;white-space:nowrap}p.none{color:#57606a}.wide{overflow-x:auto}\
@media print{body{margin:0;max-width:none}th{background:none}tr{break-inside:avoid}thead{display:table-header-group}}";

/// The report.
pub fn write(doc: &Doc) -> String {
    let mut out = String::new();
    push(&mut out, doc);
    out
}

fn push(out: &mut String, doc: &Doc) {
    let title = escape(&doc.title);
    let lang = doc.lang.tag();
    out.push_str("<!DOCTYPE html>\n<html lang=\"");
    out.push_str(lang);
    out.push_str("\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    for part in ["<title>", &title, "</title>\n<style>", STYLE, "</style>\n</head>\n<body>\n<h1>", &title, "</h1>\n"] {
        out.push_str(part);
    }
    for block in &doc.blocks {
        match block {
            Block::Heading(text) => line(out, "h2", text),
            Block::Text(text) => line(out, "p", text),
            Block::List(items) => {
                out.push_str("<ul>\n");
                items.iter().for_each(|item| line(out, "li", item));
                out.push_str("</ul>\n");
            }
            Block::Table(rows) => table(out, doc, rows),
        }
    }
    out.push_str("</body>\n</html>\n");
}

fn line(out: &mut String, tag: &str, text: &str) {
    let text = escape(text).replace('\n', "<br>");
    for part in ["<", tag, ">", &text, "</", tag, ">\n"] {
        out.push_str(part);
    }
}

fn table(out: &mut String, doc: &Doc, table: &Table) {
    if table.rows.is_empty() {
        let text = escape(&table.empty);
        for part in ["<p class=\"none\" id=\"", table.key, "\">", &escape(&table.title), ": ", &text, "</p>\n"] {
            out.push_str(part);
        }
        return;
    }
    for part in ["<div class=\"wide\"><table id=\"", table.key, "\">\n<caption>", &escape(&table.title)] {
        out.push_str(part);
    }
    out.push_str("</caption>\n<thead><tr>");
    for column in &table.columns {
        for part in ["<th scope=\"col\">", &escape(column), "</th>"] {
            out.push_str(part);
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        row.iter().for_each(|value| cell(out, doc, value));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn cell(out: &mut String, doc: &Doc, value: &Cell) {
    let (shown, raw) = (value.shown(doc.lang, &doc.zone), value.raw(doc.lang, &doc.zone));
    let (shown, raw) = (escape(&shown), escape(&raw));
    let written = match value {
        Cell::Text(_) => write!(out, "<td>{}</td>", shown.replace('\n', "<br>")),
        Cell::None => write!(out, "<td>{shown}</td>"),
        Cell::Time(_) => write!(out, "<td><time datetime=\"{raw}\">{shown}</time></td>"),
        Cell::Count(_) | Cell::Number(..) | Cell::Share(..) | Cell::Span(_) => {
            write!(out, "<td class=\"n\"><data value=\"{raw}\">{shown}</data></td>")
        }
    };
    // Writing to a string does not fail.
    written.unwrap_or_default();
}

/// Text that is no markup.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let replaced = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(replaced.replace('"', "&quot;").replace('\'', "&#39;"))
}
