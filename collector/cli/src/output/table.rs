//! Tables and sheets as text. Widths count columns of the terminal, so that Chinese and Latin text line up.

use super::Block;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// The blocks, a blank line between them.
pub(super) fn text(blocks: &[Block]) -> String {
    let blocks: Vec<String> = blocks.iter().map(block).collect();
    let mut text = blocks.join("\n\n");
    text.push('\n');
    text
}

fn block(block: &Block) -> String {
    match block {
        Block::Note(text) => text.clone(),
        Block::Sheet(lines) => {
            let rows = lines.iter().map(|(name, value)| vec![name.clone(), one_line(value)]);
            lay_out(None, rows)
        }
        Block::Table { title, head, rows } => {
            let rows = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect());
            let table = lay_out(Some(head), rows);
            title.as_ref().map_or(table.clone(), |title| format!("{title}\n{table}"))
        }
    }
}

fn lay_out(head: Option<&Vec<String>>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if let Some(head) = head {
        table.set_header(head);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// A BMC may put anything into a text: line ends and escape sequences must not reach the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let block = Block::Table {
            title: None,
            head: vec!["名称".to_owned(), "X".to_owned()],
            rows: vec![vec!["a".to_owned(), "1".to_owned()], vec!["服务器".to_owned(), "2".to_owned()]],
        };
        assert_eq!(text(&[block]), "名称    X\na       1\n服务器  2\n");
    }

    #[test]
    fn escape_sequences_of_a_bmc_do_not_reach_the_terminal() {
        let text = text(&[Block::Sheet(vec![("x".to_owned(), "a\u{1b}[31mb\nc".to_owned())])]);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 1);
    }
}
