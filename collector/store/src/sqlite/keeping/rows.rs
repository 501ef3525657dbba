//! Taking tickets out, with everything that any table has about them.

use crate::StoreError;
use crate::sqlite::error::During;
use rusqlite::Connection;

const DOING: &str = "taking tickets out";

/// The tables with a column of this name.
pub(in crate::sqlite) fn with_column(db: &Connection, column: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = ?1 ORDER BY m.name";
    let mut query = db.prepare(sql).during(DOING)?;
    let rows = query.query_map([column], |row| row.get(0)).during(DOING)?;
    rows.collect::<Result<_, _>>().during(DOING)
}

/// The tables whose rows belong to rows of this one, each with the column that says to which.
fn children(db: &Connection, table: &str) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT m.name, f.\"from\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f
        WHERE m.type = 'table' AND f.\"table\" = ?1 ORDER BY m.name";
    let mut query = db.prepare(sql).during(DOING)?;
    let rows = query.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).during(DOING)?;
    rows.collect::<Result<_, _>>().during(DOING)
}

/// Does something while these tables are not append-only. They are again before the transaction ends.
pub(in crate::sqlite) fn loosened<T>(
    db: &Connection,
    tables: &[String],
    act: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut triggers: Vec<(String, String)> = Vec::new();
    for table in tables {
        let mut query =
            db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1").during(DOING)?;
        let rows = query.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).during(DOING)?;
        for row in rows {
            triggers.push(row.during(DOING)?);
        }
    }
    for (name, _) in &triggers {
        db.execute_batch(&format!("DROP TRIGGER \"{name}\"")).during(DOING)?;
    }
    let done = act(db)?;
    for (_, sql) in &triggers {
        db.execute_batch(sql).during(DOING)?;
    }
    Ok(done)
}

/// Takes tickets out; answers how many rows of other tables went with them.
pub(super) fn take_out(db: &Connection, numbers: &[i64]) -> Result<usize, StoreError> {
    // Whichever room a row belongs to, it goes with its ticket.
    let tables = with_column(db, "ticket")?;
    let mut parts: Vec<(&String, String, String)> = Vec::new();
    for table in &tables {
        parts.extend(children(db, table)?.into_iter().map(|(child, column)| (table, child, column)));
    }
    let all: Vec<String> = tables.iter().cloned().chain(parts.iter().map(|(_, child, _)| child.clone())).collect();
    loosened(db, &all, |db| {
        let mut gone = 0;
        for number in numbers {
            for (table, child, column) in &parts {
                let sql = format!(
                    "DELETE FROM \"{child}\" WHERE \"{column}\" IN (SELECT rowid FROM \"{table}\" WHERE ticket = ?1)"
                );
                gone += db.execute(&sql, [number]).during(DOING)?;
            }
            for table in &tables {
                gone += db.execute(&format!("DELETE FROM \"{table}\" WHERE ticket = ?1"), [number]).during(DOING)?;
            }
            gone += db
                .execute("DELETE FROM incident WHERE ended = 1 AND json_extract(body, '$.ticket') = ?1", [number])
                .during(DOING)?;
            db.execute("DELETE FROM ticket WHERE number = ?1", [number]).during(DOING)?;
        }
        Ok(gone)
    })
}

/// Numbers in a few words: `1-4, 7`.
pub(super) fn ranges(numbers: &[i64]) -> String {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for &number in numbers {
        match spans.last_mut() {
            Some((_, last)) if last.saturating_add(1) == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let words = spans.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_told_as_one() {
        assert_eq!(ranges(&[1, 2, 3, 4, 7, 9, 10]), "1-4, 7, 9-10");
        assert_eq!(ranges(&[]), "");
    }
}
