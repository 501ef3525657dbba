-- Notices to people, made from the logs of tickets. Times are milliseconds since 1970-01-01T00:00:00Z.

-- One row, made when notices are first looked for. `change`: the ticket change through which they were made. `since`: log entries from
-- before it are nobody's news. `instance`: makes the keys of this store's notices unlike any other's.
CREATE TABLE outbox (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    change   INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    instance TEXT NOT NULL
) STRICT;

-- Through which entry of a ticket's log notices were made.
CREATE TABLE outbox_mark (
    ticket INTEGER PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT;

CREATE TABLE notice (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket     INTEGER NOT NULL,
    seq        INTEGER NOT NULL, -- of the ticket's log
    step       INTEGER NOT NULL, -- 0: at once; 1 and more: fallbacks
    cause      TEXT NOT NULL,
    channel    TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    lang       TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    key        TEXT NOT NULL,    -- the same on every delivery
    state      TEXT NOT NULL,    -- pending, delivered, failed, cancelled
    attempts   INTEGER NOT NULL,
    made_at    INTEGER NOT NULL,
    next_try   INTEGER NOT NULL, -- of a pending one
    settled_at INTEGER,
    error      TEXT NOT NULL,    -- the last one; why it was cancelled
    batch      TEXT,             -- the key of the digest that it goes out in
    digest     INTEGER NOT NULL, -- whether it may go out in one
    UNIQUE (ticket, seq, step, channel, recipient)
) STRICT;
CREATE INDEX notice_due ON notice (next_try) WHERE state = 'pending';
CREATE INDEX notice_settled ON notice (settled_at) WHERE settled_at IS NOT NULL;
