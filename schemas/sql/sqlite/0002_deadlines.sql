-- What falls due when, by which promises, and the collector's own time. Times are milliseconds since 1970-01-01T00:00:00Z.

-- When something next falls due for a ticket. One that has nothing to come has no row.
CREATE TABLE deadline (
    ticket INTEGER PRIMARY KEY,
    due    INTEGER NOT NULL
) STRICT;
CREATE INDEX deadline_by_due ON deadline (due, ticket);

-- One row. `change`: of the last ticket change that `deadline` knows. `terms`: a print of the promises by which it was computed.
CREATE TABLE deadline_index (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    change INTEGER NOT NULL,
    terms  TEXT NOT NULL
) STRICT;
INSERT INTO deadline_index VALUES (1, 0, '');

-- Every revision of every policy that was ever in force: a ticket names the one that it was promised.
CREATE TABLE sla_policy (
    name     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    body     TEXT NOT NULL, -- JSON
    PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;

-- At most one row: the collector's time when it was last kept, and the machine's time since it started.
CREATE TABLE collector_time (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    at      INTEGER NOT NULL,
    boot    INTEGER NOT NULL, -- milliseconds since the machine started
    boot_id TEXT NOT NULL     -- of that start
) STRICT;
