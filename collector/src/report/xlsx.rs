//! Office Open XML workbooks: a sheet a table, typed cells, frozen heads.

use super::doc::{Block, Cell, Doc, Table, none, share};
use super::period::serial;
use crate::words::Lang;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

/// So many characters a cell holds.
const CELL: usize = 32_767;
/// So many rows a sheet holds, without its head.
const ROWS: usize = 1_048_575;
/// The name of the sheet of what is no table.
const ABOUT: &str = "report";

struct Formats {
    head: Format,
    share: Format,
    span: Format,
    time: Format,
}

/// The report.
pub fn write(doc: &Doc) -> Result<Vec<u8>, XlsxError> {
    let formats = Formats {
        head: Format::new().set_bold().set_text_wrap(),
        share: Format::new().set_num_format("0.00%"),
        span: Format::new().set_num_format("[h]:mm:ss"),
        time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
    };
    let mut book = Workbook::new();
    about(book.add_worksheet().set_name(ABOUT)?, doc, &formats)?;
    for table in doc.tables() {
        sheet(book.add_worksheet().set_name(table.key)?, doc, table, &formats)?;
    }
    book.save_to_buffer()
}

fn about(sheet: &mut Worksheet, doc: &Doc, formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_column_width(0, 100)?;
    sheet.write_string_with_format(0, 0, clipped(&doc.title), &formats.head)?;
    let mut row = 1;
    for block in &doc.blocks {
        let lines: Vec<String> = match block {
            Block::Heading(text) | Block::Text(text) => vec![text.clone()],
            Block::List(items) => items.clone(),
            Block::Table(table) => vec![format!("{} → {}", table.title, table.key)],
        };
        for line in lines {
            sheet.write_string(row, 0, clipped(&line))?;
            row += 1;
        }
    }
    Ok(())
}

fn sheet(sheet: &mut Worksheet, doc: &Doc, table: &Table, formats: &Formats) -> Result<(), XlsxError> {
    sheet.set_freeze_panes(1, 0)?;
    for (column, head) in (0_u16..).zip(&table.columns) {
        sheet.set_column_width(column, 20)?;
        sheet.write_string_with_format(0, column, clipped(head), &formats.head)?;
    }
    if table.rows.is_empty() {
        sheet.write_string(1, 0, clipped(&table.empty))?;
    }
    let (shown, left) = fit(table.rows.len(), ROWS);
    for (row, cells) in (1_u32..).zip(table.rows.iter().take(shown)) {
        for (column, cell) in (0_u16..).zip(cells) {
            match cell {
                Cell::Text(text) => sheet.write_string(row, column, clipped(text))?,
                #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
                Cell::Count(n) => sheet.write_number(row, column, *n as f64)?,
                Cell::Number(n, _) => sheet.write_number(row, column, *n)?,
                Cell::Share(_, 0) | Cell::None => sheet.write_string(row, column, none(doc.lang))?,
                Cell::Share(part, of) => {
                    sheet.write_number_with_format(row, column, share(*part, *of), &formats.share)?
                }
                Cell::Span(span) => {
                    sheet.write_number_with_format(row, column, span.as_secs_f64() / 86_400.0, &formats.span)?
                }
                Cell::Time(at) => sheet.write_number_with_format(row, column, serial(*at, &doc.zone), &formats.time)?,
            };
        }
    }
    if left > 0 {
        let row = u32::try_from(shown).unwrap_or(u32::MAX).saturating_add(1);
        sheet.write_string(row, 0, left_out(left, doc.lang))?;
    }
    Ok(())
}

/// Of so many rows, how many are shown, and how many are left out: where there are too many, the last row says so.
fn fit(rows: usize, most: usize) -> (usize, usize) {
    if rows <= most { (rows, 0) } else { (most.saturating_sub(1), rows - most.saturating_sub(1)) }
}

/// What the last row says where rows were left out.
fn left_out(left: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!("{left} more rows do not fit into a sheet; the CSV file holds all of them"),
        Lang::ZhCn => format!("另有 {left} 行超出工作表容量；CSV 文件包含全部数据"),
    }
}

/// As much of a text as a cell holds.
fn clipped(text: &str) -> String {
    // Counted in UTF-16, as spreadsheets count.
    if text.encode_utf16().count() <= CELL {
        return text.to_owned();
    }
    let mut units = 1;
    let kept = text.chars().take_while(|c| {
        units += c.len_utf16();
        units <= CELL
    });
    kept.chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_that_is_too_long_says_how_many_rows_it_leaves_out() {
        assert_eq!(fit(9, 10), (9, 0));
        assert_eq!(fit(10, 10), (10, 0));
        // The tenth row says that the last two are left out.
        assert_eq!(fit(11, 10), (9, 2));
        assert!(left_out(2, Lang::En).starts_with("2 more rows") && left_out(2, Lang::ZhCn).contains("2 行"));
    }

    #[test]
    fn what_does_not_fit_into_a_workbook_is_told_in_it() {
        let rows = vec![vec![Cell::Count(1)]; ROWS + 5];
        let table = Table { key: "t", title: String::new(), columns: vec!["n".to_owned()], rows, empty: String::new() };
        let zone = jiff::tz::TimeZone::UTC;
        let doc = Doc { title: "long".to_owned(), lang: Lang::En, zone, blocks: vec![Block::Table(table)] };
        let file = write(&doc).unwrap();
        let mut book: calamine::Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(file)).unwrap();
        let sheet = calamine::Reader::worksheet_range(&mut book, "t").unwrap();
        assert_eq!(sheet.height(), ROWS + 1);
        let last = sheet.get_value((u32::try_from(ROWS).unwrap(), 0)).unwrap().to_string();
        assert_eq!(last, "6 more rows do not fit into a sheet; the CSV file holds all of them");
    }
}
