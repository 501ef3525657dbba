-- What a call about a ticket needs: what changed in a server, how wrong its BMC's clock is, and who may look in for a while.

-- A part that stayed and got another firmware. Another serial in a place is another row of `part`.
CREATE TABLE part_change (
    server    TEXT NOT NULL,
    component TEXT NOT NULL,
    serial    TEXT NOT NULL, -- empty where it has none
    at        INTEGER NOT NULL, -- the agent's clock
    was       TEXT NOT NULL, -- the version
    now       TEXT NOT NULL,
    PRIMARY KEY (server, component, serial, at)
) STRICT, WITHOUT ROWID;

-- How far a BMC's clock is ahead of the agent's, as one source says: a row whenever that changed by more than a second.
CREATE TABLE bmc_clock (
    server    TEXT NOT NULL,
    source    TEXT NOT NULL,
    at        INTEGER NOT NULL, -- the agent's clock
    offset_ms INTEGER NOT NULL,
    PRIMARY KEY (server, source, at)
) STRICT, WITHOUT ROWID;

-- Somebody's temporary access to one ticket. Of its token only the SHA-256 is here.
CREATE TABLE access_grant (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket INTEGER NOT NULL REFERENCES ticket (number),
    open   INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    body   TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX access_grant_by_ticket ON access_grant (ticket, id);
CREATE INDEX access_grant_open ON access_grant (id) WHERE open = 1;
