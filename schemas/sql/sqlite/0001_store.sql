-- The collector's store. Times are milliseconds since 1970-01-01T00:00:00Z. Forward only: never edit a file that was released.

-- One row. `cursor`: the last ingest-log row that was applied. `change`: counts ticket changes.
CREATE TABLE state (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    cursor INTEGER NOT NULL,
    change INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0);

-- Numbers that are given out once.
CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    name               TEXT PRIMARY KEY,
    site               TEXT NOT NULL,
    version            TEXT NOT NULL,
    targets            TEXT NOT NULL, -- JSON array
    sensor_interval_ms INTEGER NOT NULL,
    spool_id           TEXT NOT NULL, -- of the last hello
    epoch              INTEGER NOT NULL,
    hello_at           INTEGER NOT NULL,
    last_heard         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The mark: everything through `committed` of a lane of a life of a spool is stored.
CREATE TABLE lane (
    id              INTEGER PRIMARY KEY,
    agent           TEXT NOT NULL REFERENCES agent (name),
    spool_id        TEXT NOT NULL,
    lane            INTEGER NOT NULL,
    committed       INTEGER NOT NULL,
    announced       INTEGER NOT NULL,
    newest_observed INTEGER,
    UNIQUE (agent, spool_id, lane)
) STRICT;

-- Bodies as they came. AUTOINCREMENT: an id is never used twice, so the cursor never points at something else.
CREATE TABLE ingest_log (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    lane_id     INTEGER NOT NULL REFERENCES lane (id),
    seq         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL,
    UNIQUE (lane_id, seq)
) STRICT;

-- Bodies that could not be understood.
CREATE TABLE quarantine (
    row_id      INTEGER PRIMARY KEY, -- the row of the ingest log
    lane_id     INTEGER NOT NULL REFERENCES lane (id),
    seq         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL,
    error       TEXT NOT NULL,
    at          INTEGER NOT NULL
) STRICT;

CREATE TABLE server (
    id          TEXT PRIMARY KEY,
    site        TEXT NOT NULL,
    identity    TEXT NOT NULL, -- JSON
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    merged_into TEXT,
    rev         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX server_by_site ON server (site, id);

CREATE TABLE target (
    agent  TEXT NOT NULL,
    target TEXT NOT NULL,
    server TEXT NOT NULL REFERENCES server (id),
    PRIMARY KEY (agent, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX target_by_server ON target (server);

-- Each serial that ever sat in a place. The one seen last is the one there now.
CREATE TABLE part (
    server     TEXT NOT NULL REFERENCES server (id),
    component  TEXT NOT NULL,
    serial     TEXT NOT NULL, -- empty where it has none
    body       TEXT NOT NULL, -- JSON
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (server, component, serial)
) STRICT, WITHOUT ROWID;

-- A sensor of a server, as one source gives it.
CREATE TABLE series (
    id         INTEGER PRIMARY KEY,
    server     TEXT NOT NULL REFERENCES server (id),
    component  TEXT NOT NULL,
    class      INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    sensor     TEXT NOT NULL,
    source     TEXT NOT NULL,
    thresholds TEXT, -- JSON, of the newest reading
    UNIQUE (server, component, kind, sensor, source)
) STRICT;

-- The newest reading of each series. `body`: a chunk of one point.
CREATE TABLE latest (
    series      INTEGER PRIMARY KEY REFERENCES series (id),
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;

-- Points that no chunk holds yet, one row per transaction: what the in-memory head is rebuilt from.
CREATE TABLE journal (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
) STRICT;

-- History. `start`: of the two-hour window. By start first, so that a window is written in one place and dropped as one.
CREATE TABLE chunk (
    start  INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    points INTEGER NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (start, series)
) STRICT, WITHOUT ROWID;

-- Chunks whose checksum failed when late readings were to be merged into them.
CREATE TABLE damaged_chunk (
    id     INTEGER PRIMARY KEY,
    start  INTEGER NOT NULL,
    series INTEGER NOT NULL,
    body   BLOB NOT NULL
) STRICT;

CREATE TABLE event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    server      TEXT NOT NULL REFERENCES server (id),
    natural_key TEXT NOT NULL,
    severity    INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body        TEXT NOT NULL, -- JSON
    UNIQUE (server, natural_key)
) STRICT;
CREATE INDEX event_by_server ON event (server, id);

-- A gap that is noticed again within a while is one row that gets longer.
CREATE TABLE gap (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    server        TEXT, -- NULL: of an agent's stream
    agent         TEXT,
    fingerprint   TEXT NOT NULL,
    observed_at   INTEGER NOT NULL,
    last_observed INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    body          TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX gap_by_server ON gap (server, id);
CREATE INDEX gap_by_fingerprint ON gap (server, fingerprint, last_observed);
CREATE INDEX gap_by_age ON gap (last_observed);
CREATE INDEX gap_by_agent ON gap (agent) WHERE agent IS NOT NULL;

CREATE TABLE health (
    scope  TEXT PRIMARY KEY, -- resource name
    server TEXT, -- NULL: of a site
    level  INTEGER NOT NULL, -- 0 site, 1 server, 2 component
    body   TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX health_by_server ON health (server, level);

CREATE TABLE incident (
    id        INTEGER PRIMARY KEY,
    server    TEXT NOT NULL,
    component TEXT NOT NULL,
    fault     TEXT NOT NULL,
    noted_at  INTEGER NOT NULL,
    ended     INTEGER NOT NULL,
    body      TEXT NOT NULL, -- JSON
    UNIQUE (server, component, fault, noted_at)
) STRICT;
CREATE UNIQUE INDEX one_incident ON incident (server, component, fault) WHERE ended = 0;

CREATE TABLE ticket (
    number    INTEGER PRIMARY KEY,
    server    TEXT NOT NULL,
    component TEXT NOT NULL,
    fault     TEXT NOT NULL,
    state     INTEGER NOT NULL,
    open      INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    change    INTEGER NOT NULL UNIQUE,
    body      TEXT NOT NULL -- JSON
) STRICT;
CREATE UNIQUE INDEX one_ticket ON ticket (server, component, fault) WHERE open = 1;
CREATE INDEX ticket_by_server ON ticket (server, number);

-- The log of each ticket. Append-only.
CREATE TABLE ticket_transition (
    ticket INTEGER NOT NULL REFERENCES ticket (number),
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT NOT NULL, -- JSON
    PRIMARY KEY (ticket, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER ticket_transition_stays BEFORE UPDATE ON ticket_transition
BEGIN SELECT RAISE(ABORT, 'a ticket log is append-only'); END;
CREATE TRIGGER ticket_transition_kept BEFORE DELETE ON ticket_transition
BEGIN SELECT RAISE(ABORT, 'a ticket log is append-only'); END;
