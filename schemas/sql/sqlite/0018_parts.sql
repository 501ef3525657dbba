-- How long a part has run, by its own count: the first that was told of it, and the newest. What is told later is its successor's.
CREATE TABLE part_hours (
    server      TEXT NOT NULL,
    component   TEXT NOT NULL,
    serial      TEXT NOT NULL,
    first_at    INTEGER NOT NULL,
    first_hours REAL NOT NULL,
    last_at     INTEGER NOT NULL,
    last_hours  REAL NOT NULL,
    PRIMARY KEY (server, component, serial)
) STRICT, WITHOUT ROWID;
