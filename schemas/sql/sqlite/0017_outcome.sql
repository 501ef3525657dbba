-- What became of each ticket: a fold over its log that is kept beside it, so that counting how often rules were right reads no logs.
-- Written with the ticket, and made anew from the log where it is missing. Times are milliseconds since 1970-01-01T00:00:00Z.
CREATE TABLE outcome (
    ticket    INTEGER PRIMARY KEY,
    rule      TEXT NOT NULL,
    fault     TEXT NOT NULL,
    site      TEXT,
    server    TEXT NOT NULL,
    component TEXT NOT NULL,
    serial    TEXT, -- of the part, where it is known
    model     TEXT, -- of the part, where it is known
    predictor TEXT, -- the version of the model that foretold it; NULL: a rule alone
    predicted INTEGER NOT NULL,
    answer    TEXT NOT NULL, -- right, wrong, unknown, pending, aside
    basis     TEXT NOT NULL, -- what that rests on: seen, a verdict, nothing
    opened_at INTEGER NOT NULL,
    known_at  INTEGER,
    seen_at   INTEGER
) STRICT;
CREATE INDEX outcome_by_rule ON outcome (rule, ticket);
