-- History in files of its own: readings by week, buckets of five minutes by month, hours by year. Times are milliseconds since
-- 1970-01-01T00:00:00Z.

-- The files in history/, each from its first commit on until it is too old. `class`: 0 readings, 1 five minutes, 2 hours. `mark`
-- stands in the file, too: another file in its place is not taken for it. `damage`: what was lost of it, where something was.
CREATE TABLE volume (
    name   TEXT PRIMARY KEY,
    class  INTEGER NOT NULL,
    start  INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    mark   INTEGER NOT NULL,
    damage TEXT
) STRICT, WITHOUT ROWID;

-- Rows of buckets that are to be made, or made again because what they are made of changed.
CREATE TABLE roll_due (
    class  INTEGER NOT NULL,
    start  INTEGER NOT NULL,
    series INTEGER NOT NULL,
    PRIMARY KEY (class, start, series)
) STRICT, WITHOUT ROWID;

-- One row. Readings from before `raw_from` are gone: what was made of them is not made again.
CREATE TABLE history_state (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    raw_from INTEGER NOT NULL
) STRICT;
INSERT INTO history_state VALUES (1, 0);

-- One sensor of many servers.
CREATE INDEX series_by_kind ON series (kind, component);
