-- What agents are asked to do at BMCs. Times are milliseconds since 1970-01-01T00:00:00Z.
CREATE TABLE remediation (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    wire_id  TEXT NOT NULL UNIQUE, -- under which the agent knows it; not guessable, and never of two stores the same
    settled  INTEGER NOT NULL,
    told     INTEGER NOT NULL,     -- whether its ticket's log says what became of it
    ticket   INTEGER,
    sent_at  INTEGER,
    body     TEXT NOT NULL         -- JSON
) STRICT;
CREATE INDEX remediation_open ON remediation (id) WHERE settled = 0 OR told = 0;
CREATE INDEX remediation_sent ON remediation (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX remediation_by_ticket ON remediation (ticket, id) WHERE ticket IS NOT NULL;

-- Every change of them. Append-only.
CREATE TABLE remediation_change (
    remediation INTEGER NOT NULL REFERENCES remediation (id),
    revision    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    who         TEXT NOT NULL,
    what        TEXT NOT NULL,
    PRIMARY KEY (remediation, revision)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER remediation_change_kept BEFORE DELETE ON remediation_change
BEGIN SELECT RAISE(ABORT, 'changes of orders are append-only'); END;

-- What an order brought.
CREATE TABLE remediation_file (
    remediation INTEGER PRIMARY KEY REFERENCES remediation (id),
    media_type  TEXT NOT NULL,
    content     BLOB NOT NULL
) STRICT;

-- One row. While it is stopped, nothing is sent.
CREATE TABLE remediation_switch (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    stopped INTEGER NOT NULL,
    who     TEXT NOT NULL,
    why     TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
