//! What was kept by an older version is still whole, and what was tampered with is named.

use super::conformance::audit::{actor, deed};
use super::conformance::make::{at, on_disk};
use outband_store::audit::{Audit, Wrong};
use outband_store::deadline::Deadlines;
use outband_store::drill::Drills;
use outband_store::grant::Grants;
use outband_store::keeping::Keeping;
use outband_store::maintenance::Maintenance;
use outband_store::order::Orders;
use outband_store::sqlite::Options;
use outband_store::threshold::Thresholds;
use outband_store::{Outbox, Sequence, SqliteStore, Store};
use outband_ticket::{Action, State, Ticket, TicketNumber, Visibility};
use rusqlite::Connection;
use std::path::Path;

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

const FIRST: &str = include_str!("../../../../schemas/sql/sqlite/0001_store.sql");

/// A ticket as the version before stored it: comments and evidence are not in its log, the opening says its priority only.
const TICKET: &str = r#"{"number":1,"state":"in_progress","priority":"p3","title":"Disk failure predicted: disk/3 of web1",
    "site":"dc1","server":"s1","component":"disk/3","fault":"disk_failure","rule":"disk.smart_growth","predicted":true,
    "reason":"sectors grow","evidence":[{"observed_at":1800000000000,"text":"8 -> 16"}],"onset":1800000000000,
    "created_at":1800000001000,"updated_at":1800000009000,"assignee":"li","root_cause":null,"resolution":null,
    "part_serial":"D1","comments":[{"at":1800000009000,"who":"li","text":"called the vendor"}],"transitions":2,"revision":4}"#;
const LOG: [&str; 2] = [
    r#"{"seq":1,"at":1800000001000,"who":"collector","why":"sectors grow","action":"open","priority":"p3","from":null,"to":"new"}"#,
    r#"{"seq":2,"at":1800000005000,"who":"li","why":"","action":"start","from":"new","to":"in_progress"}"#,
];

fn of_the_first_version(dir: &Path) {
    let db = on_disk(&dir.join("store.db"));
    db.execute_batch("CREATE TABLE schema_version (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT")
        .unwrap();
    db.execute_batch(FIRST).unwrap();
    let checksum = format!("{:08x}", crc32c::crc32c(FIRST.as_bytes()));
    db.execute("INSERT INTO schema_version VALUES (1, ?1)", [checksum]).unwrap();
    let ticket = "INSERT INTO ticket VALUES (1, 's1', 'disk/3', 'disk_failure', 3, 1, 4, 1, ?1)";
    db.execute(ticket, [TICKET]).unwrap();
    for (seq, entry) in (1..).zip(LOG) {
        let at = if seq == 1 { 1_800_000_001_000_i64 } else { 1_800_000_005_000 };
        db.execute("INSERT INTO ticket_transition VALUES (1, ?1, ?2, ?3)", (seq, at, entry)).unwrap();
    }
}

#[test]
fn tickets_of_the_first_version_open_and_are_the_fold_of_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    of_the_first_version(dir.path());
    let record = open(dir.path()).ticket(TicketNumber(1)).unwrap().unwrap();
    assert_eq!((record.log.len(), record.ticket.revision), (3, 5));
    assert!(matches!(&record.log[2].action, Action::Import { snapshot } if snapshot.revision == 4));
    assert_eq!(record.ticket.comments[0].visibility, Visibility::Internal);
    assert_eq!(Ticket::fold(TicketNumber(1), &record.log), Some(record.ticket.clone()));
    assert_eq!(Ticket::at(TicketNumber(1), &record.log, at(2)).map(|t| t.state), Some(State::New));
}

#[test]
fn a_store_is_brought_up_once() {
    let dir = tempfile::tempdir().unwrap();
    of_the_first_version(dir.path());
    let first = open(dir.path()).ticket(TicketNumber(1)).unwrap();
    assert_eq!(open(dir.path()).ticket(TicketNumber(1)).unwrap(), first);
}

/// A store with this many entries, and a connection that may do everything.
fn audited(dir: &Path, entries: i64) -> Connection {
    let store = open(dir);
    for n in 1..=entries {
        store.audit(actor("li"), deed(at(n), &format!("tickets/{n}"))).unwrap();
    }
    store.close().unwrap();
    on_disk(&dir.join("store.db"))
}

fn tampered(how: &str) -> Option<(i64, Wrong)> {
    let dir = tempfile::tempdir().unwrap();
    let db = audited(dir.path(), 9);
    db.execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_kept").unwrap();
    db.execute_batch(how).unwrap();
    drop(db);
    open(dir.path()).verify_audit(None).unwrap().broken
}

#[test]
fn whatever_is_changed_in_the_audit_log_the_first_break_is_named() {
    let body = "UPDATE audit SET body = replace(body, 'tickets/5', 'tickets/6') WHERE seq = 5";
    assert_eq!(tampered(body), Some((5, Wrong::Changed)));
    assert_eq!(tampered("UPDATE audit SET hash = zeroblob(32) WHERE seq = 4"), Some((4, Wrong::Changed)));
    assert_eq!(tampered("UPDATE audit SET hash = x'00' WHERE seq = 4"), Some((4, Wrong::Changed)));
    assert_eq!(tampered("UPDATE audit SET at = at + 1 WHERE seq = 7"), Some((7, Wrong::Changed)));
    assert_eq!(tampered("UPDATE audit SET who = 'wang' WHERE seq = 3"), Some((3, Wrong::Actor)));
    assert_eq!(tampered("UPDATE audit SET peer = '192.0.2.9' WHERE seq = 3"), Some((3, Wrong::Actor)));
    assert_eq!(tampered("DELETE FROM audit WHERE seq = 6"), Some((6, Wrong::Missing)));
    let moved = "DELETE FROM audit WHERE seq = 6; UPDATE audit SET seq = seq - 1 WHERE seq > 6";
    assert_eq!(tampered(moved), Some((6, Wrong::Changed)));
    assert_eq!(tampered("SELECT 1"), None);
}

#[test]
fn an_entry_that_somebody_changes_in_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let db = audited(dir.path(), 9);
    db.execute_batch("DROP TRIGGER audit_stays; UPDATE audit SET body = replace(body, 'tickets/5', 'tickets/4')")
        .unwrap();
    drop(db);
    assert_eq!(open(dir.path()).verify_audit(None).unwrap().broken, Some((5, Wrong::Changed)));
}

#[test]
fn what_was_cut_off_the_end_is_missed_by_whoever_kept_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let db = audited(dir.path(), 9);
    db.execute_batch("DROP TRIGGER audit_kept; DELETE FROM audit WHERE seq > 7").unwrap();
    drop(db);
    let store = open(dir.path());
    assert_eq!(store.verify_audit(None).unwrap().broken, None, "by itself it looks whole");
    assert_eq!(store.verify_audit(Some(9)).unwrap().broken, Some((8, Wrong::Missing)));
}

#[test]
fn entries_of_the_audit_log_can_neither_be_changed_nor_deleted_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let db = audited(dir.path(), 2);
    assert!(db.execute_batch("UPDATE audit SET body = '{}' WHERE seq = 1").is_err());
    assert!(db.execute_batch("DELETE FROM audit WHERE seq = 2").is_err());
}

#[test]
fn a_log_is_append_only_again_after_somebody_was_erased() {
    let dir = tempfile::tempdir().unwrap();
    of_the_first_version(dir.path());
    let store = open(dir.path());
    let erased = store.erase_person("li", actor("zhao"), deed(at(20), ""), false).unwrap();
    assert_eq!(erased.entries, 2, "who started it, and the import that has the comment and the assignee");
    let record = store.ticket(TicketNumber(1)).unwrap().unwrap();
    assert_eq!(record.ticket.comments[0].who, erased.pseudonym);
    assert_eq!(Ticket::fold(TicketNumber(1), &record.log), Some(record.ticket));
    store.close().unwrap();
    let db = on_disk(&dir.path().join("store.db"));
    assert!(db.execute_batch("UPDATE ticket_transition SET at = 0").is_err());
    let left: i64 =
        db.query_row("SELECT count(*) FROM ticket WHERE instr(body, '\"li\"') > 0", [], |r| r.get(0)).unwrap();
    assert_eq!(left, 0);
}

const MIGRATIONS: [(i64, &str); 5] = [
    (1, FIRST),
    (2, include_str!("../../../../schemas/sql/sqlite/0002_deadlines.sql")),
    (3, include_str!("../../../../schemas/sql/sqlite/0003_outbox.sql")),
    (4, include_str!("../../../../schemas/sql/sqlite/0004_maintenance.sql")),
    (7, include_str!("../../../../schemas/sql/sqlite/0007_audit.sql")),
];

const WINDOW: &str = r#"{"id":1,"kind":"mute","name":"noisy fan","selector":{"server":"s1","component":"fan/1"},
    "starts":"2026-01-31T22:00:00","lasts_secs":3600,"zone":"Asia/Shanghai","recurrence":null,"reason":"spare is ordered",
    "author":"li","created_at":1800000002000,"ended_at":null,"revision":1}"#;

/// A store with these migrations and no others, and a row or two in each room that people would miss.
fn of_an_older_version(dir: &Path, numbers: &[i64]) {
    let db = on_disk(&dir.join("store.db"));
    db.execute_batch("CREATE TABLE schema_version (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT")
        .unwrap();
    let migrate = |wanted: &dyn Fn(i64) -> bool| {
        for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| numbers.contains(number) && wanted(*number)) {
            db.execute_batch(sql).unwrap();
            let checksum = format!("{:08x}", crc32c::crc32c(sql.as_bytes()));
            db.execute("INSERT INTO schema_version VALUES (?1, ?2)", (number, checksum)).unwrap();
        }
    };
    migrate(&|number| number <= 4);
    db.execute("INSERT INTO ticket VALUES (1, 's1', 'disk/3', 'disk_failure', 3, 1, 4, 1, ?1)", [TICKET]).unwrap();
    for (seq, entry) in (1..).zip(LOG) {
        db.execute("INSERT INTO ticket_transition VALUES (1, ?1, ?2, ?3)", (seq, 1_800_000_001_000_i64, entry))
            .unwrap();
    }
    db.execute_batch(
        "INSERT INTO sequence VALUES ('ticket', 1);
         INSERT INTO deadline VALUES (1, 1800000900000);
         INSERT INTO collector_time VALUES (1, 1800000009000, 77, 'boot');
         INSERT INTO outbox VALUES (1, 1, 1800000000000, 'inst');
         INSERT INTO outbox_mark VALUES (1, 1);
         INSERT INTO notice VALUES (7, 1, 1, 0, 'opened', 'mail', 'desk', 'en', 3, 'A disk', 'Dear desk', 'inst-7',
             'pending', 2, 1800000001000, 1800000003000, NULL, 'refused', NULL, 0);",
    )
    .unwrap();
    db.execute("INSERT INTO maintenance VALUES (1, 0, 1, ?1)", [WINDOW]).unwrap();
    let change = format!(r#"{{"at":1800000002000,"who":"li","what":"create","window":{WINDOW}}}"#);
    db.execute("INSERT INTO maintenance_change VALUES (1, 1, 1800000002000, ?1)", [change]).unwrap();
    migrate(&|number| number > 4);
}

#[test]
fn a_store_of_an_older_version_opens_whole_with_all_the_rooms_of_this_one() {
    // The second one got a later migration before the earlier ones.
    for numbers in [&[1, 2, 3, 4][..], &[1, 2, 3, 4, 7]] {
        let dir = tempfile::tempdir().unwrap();
        of_an_older_version(dir.path(), numbers);
        let store = open(dir.path());
        let record = store.ticket(TicketNumber(1)).unwrap().unwrap();
        assert_eq!((record.ticket.state, record.ticket.assignee.as_deref()), (State::InProgress, Some("li")));
        assert_eq!(Ticket::fold(TicketNumber(1), &record.log), Some(record.ticket));
        let notice = store.due_notices(at(9), 10).unwrap();
        let [notice] = &notice[..] else { panic!("{notice:?}") };
        assert_eq!((notice.id, notice.key.as_str(), notice.attempts), (7, "inst-7", 2));
        assert_eq!(store.due(at(900), 10).unwrap(), [TicketNumber(1)]);
        assert_eq!(store.kept_time().unwrap().map(|time| time.boot_id), Some("boot".to_owned()));
        let windows = store.windows(false).unwrap();
        assert_eq!((windows[0].name.as_str(), windows[0].selector.server.as_deref()), ("noisy fan", Some("s1")));
        assert_eq!(store.window_changes(1).unwrap()[0].who, "li");
        assert_eq!(store.reserve(Sequence::Ticket).unwrap(), 2);
        // Rooms that were not there then.
        assert!(store.grants(None, true).unwrap().is_empty() && store.drills(true).unwrap().is_empty());
        assert!(store.thresholds(true).unwrap().is_empty() && store.holds().unwrap().is_empty());
        assert!(store.pending_orders().unwrap().is_empty());
        store.audit(actor("li"), deed(at(10), "tickets/1")).unwrap();
        assert_eq!(store.verify_audit(None).unwrap().entries, 1);
        store.close().unwrap();
        let db = on_disk(&dir.path().join("store.db"));
        let applied: i64 = db
            .query_row("SELECT count(*) FROM schema_version WHERE number IN (1,2,3,4,5,6,7,8,9,11)", [], |r| r.get(0))
            .unwrap();
        assert_eq!(applied, 10);
        assert_eq!(db.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
    }
}
