-- How agents got their certificates, and which are refused.

CREATE TABLE invite (
    id INTEGER PRIMARY KEY,
    -- SHA-256 of the secret; the secret itself is kept nowhere.
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    site TEXT NOT NULL,
    -- NULL: the agent chooses its name.
    agent TEXT,
    who TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- NULL: open, as far as its time goes.
    ended_at INTEGER,
    used_by TEXT
) STRICT;

CREATE TABLE agent_certificate (
    serial TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    site TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    not_after INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_certificate_of ON agent_certificate (agent, issued_at);

-- Every certificate of this agent that was issued until then is refused.
CREATE TABLE agent_revocation (
    agent TEXT PRIMARY KEY,
    revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
