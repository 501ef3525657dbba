-- Health checks: what was asked, how far it is, and the report. Times are milliseconds since 1970-01-01T00:00:00Z.
-- `plan`: which turn of the schedule asked for it; NULL: a person did.
CREATE TABLE health_check (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    server   TEXT NOT NULL,
    ended    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    plan     TEXT,
    body     TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX health_check_open ON health_check (id) WHERE ended = 0;
CREATE INDEX health_check_by_server ON health_check (server, id);
CREATE UNIQUE INDEX health_check_turn ON health_check (server, plan) WHERE plan IS NOT NULL;
