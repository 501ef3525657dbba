-- Drills, other thresholds for some servers, and what a restart must not forget. Times are milliseconds since 1970-01-01T00:00:00Z.

-- Exercises. `plan`: which turn of which plan made it; NULL: a person did.
CREATE TABLE drill (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    ended    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    plan     TEXT UNIQUE,
    body     TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX drill_on ON drill (id) WHERE ended = 0;

-- Thresholds that somebody set otherwise for some servers.
CREATE TABLE threshold (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    ended    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX threshold_in_force ON threshold (id) WHERE ended = 0;

-- Every change of either. Append-only.
CREATE TABLE decision (
    room     TEXT NOT NULL, -- drill, threshold
    id       INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL, -- JSON
    PRIMARY KEY (room, id, revision)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER decision_stays BEFORE UPDATE ON decision
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decision_kept BEFORE DELETE ON decision
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;

-- Which BMC has which firmware. `since`: when it was seen to have changed; NULL: it was like that from the first.
CREATE TABLE bmc_firmware (
    server  TEXT PRIMARY KEY,
    model   TEXT NOT NULL,
    version TEXT NOT NULL,
    since   INTEGER
) STRICT, WITHOUT ROWID;

-- Incidents that ended, by when: what comes back soon is the same trouble.
CREATE INDEX incident_by_end ON incident (json_extract(body, '$.stage.at')) WHERE ended = 1;
-- The incidents of a ticket.
CREATE INDEX incident_by_ticket ON incident (json_extract(body, '$.ticket'));
