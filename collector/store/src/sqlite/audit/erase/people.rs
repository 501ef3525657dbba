//! A person's name in the rooms beside tickets and audit: what people decided, and what they were told.

use crate::StoreError;
use crate::sqlite::error::{During, damaged};
use crate::sqlite::keeping::{loosened, with_column};
use rusqlite::Connection;
use serde_json::Value;

const DOING: &str = "erasing a person";

/// Tables whose bodies say who did, approved or got something.
pub(in crate::sqlite) const OF_PEOPLE: &[&str] = &[
    "access_grant",
    "decision",
    "drill",
    "health_check",
    "hold",
    "maintenance",
    "maintenance_change",
    "remediation",
    "threshold",
];

/// What a body holds under these names is no person, whatever it is called.
const NO_PEOPLE: &[&str] = &["selector", "servers", "server", "component", "fault", "rule", "customer", "site"];

/// Puts a pseudonym in place of a name, or counts the rows in which it stands.
pub(super) fn rename(db: &Connection, name: &str, pseudonym: &str, dry_run: bool) -> Result<usize, StoreError> {
    let tables: Vec<String> = OF_PEOPLE.iter().map(ToString::to_string).filter(|t| there(db, t)).collect();
    let changed = loosened(db, &tables, |db| {
        let mut changed = 0;
        for table in &tables {
            changed += bodies(db, table, name, pseudonym, dry_run)?;
        }
        Ok(changed)
    })?;
    let mut changed = changed;
    // The audit log and the remembered answers are seen to by their own rooms.
    for table in with_column(db, "who")?.iter().filter(|t| !["audit", "request"].contains(&t.as_str())) {
        changed += if dry_run {
            let sql = format!("SELECT count(*) FROM \"{table}\" WHERE who = ?1");
            let count: i64 = db.query_row(&sql, [name], |row| row.get(0)).during(DOING)?;
            usize::try_from(count).unwrap_or_default()
        } else {
            db.execute(&format!("UPDATE \"{table}\" SET who = ?2 WHERE who = ?1"), (name, pseudonym)).during(DOING)?
        };
    }
    let told: i64 =
        db.query_row("SELECT count(*) FROM notice WHERE recipient = ?1", [name], |r| r.get(0)).during(DOING)?;
    if !dry_run {
        // One that waits goes nowhere any more: there is no such recipient.
        db.execute("UPDATE notice SET recipient = ?2 WHERE recipient = ?1", (name, pseudonym)).during(DOING)?;
    }
    Ok(changed + usize::try_from(told).unwrap_or_default())
}

fn there(db: &Connection, table: &str) -> bool {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
    db.query_row(sql, [table], |row| row.get(0)).unwrap_or(false)
}

fn bodies(db: &Connection, table: &str, name: &str, pseudonym: &str, dry_run: bool) -> Result<usize, StoreError> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut query =
        db.prepare(&format!("SELECT DISTINCT body FROM {table} WHERE instr(body, ?1) > 0")).during(DOING)?;
    // As JSON writes it.
    let quoted = Value::from(name).to_string();
    let rows = query.query_map([quoted.trim_matches('"')], |row| row.get::<_, String>(0)).during(DOING)?;
    for body in rows {
        let body = body.during(DOING)?;
        let mut value: Value = serde_json::from_str(&body).map_err(|e| damaged(table, &e))?;
        if replace(&mut value, name, pseudonym) {
            found.push((body, value.to_string()));
        }
    }
    let mut changed = 0;
    for (before, after) in found {
        let sql = if dry_run {
            format!("SELECT count(*) FROM {table} WHERE body = ?1 AND ?2 <> ''")
        } else {
            format!("UPDATE {table} SET body = ?2 WHERE body = ?1")
        };
        changed += if dry_run {
            let count: i64 = db.query_row(&sql, (&before, &after), |row| row.get(0)).during(DOING)?;
            usize::try_from(count).unwrap_or_default()
        } else {
            db.execute(&sql, (&before, &after)).during(DOING)?
        };
    }
    Ok(changed)
}

/// Puts `other` wherever exactly `name` stands; answers whether it did.
fn replace(value: &mut Value, name: &str, other: &str) -> bool {
    match value {
        Value::String(text) if text == name => {
            other.clone_into(text);
            true
        }
        // Every one, not until the first: a filter, since `any` would stop there.
        Value::Array(all) => all.iter_mut().filter_map(|one| replace(one, name, other).then_some(())).count() > 0,
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(key, _)| !NO_PEOPLE.contains(&key.as_str()))
            .fold(false, |done, (_, one)| replace(one, name, other) || done),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_every_table_it_is_known_whether_it_is_of_people() {
        // Tickets and their logs are rewritten as what they are; the others hold what machines said.
        let not = [
            "audit",
            "chunk",
            "damaged_chunk",
            "drift",
            "drive",
            "drive_fleet",
            "event",
            "gap",
            "health",
            "incident",
            "ingest_log",
            "journal",
            "latest",
            "notice",
            "part",
            "quarantine",
            "sla_policy",
            "ticket",
            "ticket_transition",
            "usage_day",
        ];
        let mut db = Connection::open_in_memory().unwrap();
        crate::sqlite::migrate::migrate(&mut db).unwrap();
        for table in with_column(&db, "body").unwrap() {
            assert!(
                OF_PEOPLE.contains(&table.as_str()) || not.contains(&table.as_str()),
                "does {table} hold names of people?"
            );
        }
        for table in OF_PEOPLE {
            assert!(there(&db, table), "{table}");
        }
    }

    #[test]
    fn a_name_is_replaced_where_it_is_a_persons_and_nowhere_else() {
        let mut body =
            json!({ "author": "li", "selector": { "server": "li" }, "reason": "li asked", "steps": [{ "by": "li" }] });
        assert!(replace(&mut body, "li", "person-1"));
        assert_eq!(
            body,
            json!({ "author": "person-1", "selector": { "server": "li" }, "reason": "li asked", "steps": [{ "by": "person-1" }] })
        );
        assert!(!replace(&mut body, "li", "person-2"));
    }
}
