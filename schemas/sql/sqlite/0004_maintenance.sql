-- Maintenance windows, mutes and known issues.
CREATE TABLE maintenance (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    ended    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX maintenance_in_force ON maintenance (id) WHERE ended = 0;

-- Every change of them. Append-only.
CREATE TABLE maintenance_change (
    window   INTEGER NOT NULL REFERENCES maintenance (id),
    revision INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL, -- JSON
    PRIMARY KEY (window, revision)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER maintenance_change_stays BEFORE UPDATE ON maintenance_change
BEGIN SELECT RAISE(ABORT, 'changes of windows are append-only'); END;
CREATE TRIGGER maintenance_change_kept BEFORE DELETE ON maintenance_change
BEGIN SELECT RAISE(ABORT, 'changes of windows are append-only'); END;
