-- Drives as the disk model knows them: months of SMART values, which cannot be learnt again from the newest readings. One row a drive.
CREATE TABLE drive (
    key       TEXT PRIMARY KEY, -- serial:… or, without one, place:…
    server    TEXT,             -- where it was last read
    component TEXT,
    body      BLOB NOT NULL     -- JSON, deflated
) STRICT;

CREATE INDEX drive_by_server ON drive (server);

-- What is learnt of all drives: what thresholds cost, what became of cohorts. One row.
CREATE TABLE drive_fleet (
    id   INTEGER PRIMARY KEY CHECK (id = 0),
    body BLOB NOT NULL -- JSON, deflated
) STRICT;
