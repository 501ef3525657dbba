-- How long records are kept, and what keeps them longer. Times are milliseconds since 1970-01-01T00:00:00Z.

-- Legal holds: nothing of these servers goes before somebody releases it.
CREATE TABLE hold (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    released INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL -- JSON
) STRICT;

-- One row at most: the last entry of the audit log that retention removed, and its hash. The chain goes on from there; the entry that
-- tells of the removal names both.
CREATE TABLE audit_anchor (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Closed tickets by their last change.
CREATE INDEX ticket_closed ON ticket (json_extract(body, '$.updated_at')) WHERE open = 0;
