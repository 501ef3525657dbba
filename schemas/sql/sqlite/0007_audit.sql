-- From here on the log of a ticket holds every change of it. Of older tickets, what the log does not tell (comments, evidence,
-- what they were opened with) enters it as one entry: the ticket as it stands.
INSERT INTO ticket_transition (ticket, seq, at, body)
SELECT number, json_extract(body, '$.transitions') + 1, json_extract(body, '$.updated_at'), json_object(
    'seq', json_extract(body, '$.transitions') + 1,
    'at', json_extract(body, '$.updated_at'),
    'who', 'collector',
    'why', 'logs hold every change from here on',
    'action', 'import',
    'snapshot', json(body),
    'from', json_extract(body, '$.state'),
    'to', json_extract(body, '$.state'))
FROM ticket;
UPDATE ticket SET
    revision = revision + 1,
    body = json_set(body,
        '$.transitions', json_extract(body, '$.transitions') + 1,
        '$.revision', json_extract(body, '$.revision') + 1);

-- Who did what. `hash`: SHA-256 of the hash before, the number and the body. Who it was and from where stand beside the
-- body, which holds only a salted digest of them: they can be erased and the chain still holds.
CREATE TABLE audit (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL, -- JSON
    hash BLOB NOT NULL,
    salt BLOB, -- NULL: who it was has been erased
    who  TEXT NOT NULL,
    peer TEXT
) STRICT;
CREATE INDEX audit_by_who ON audit (who);
CREATE TRIGGER audit_stays BEFORE UPDATE OF seq, at, body, hash ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Answers to requests that carried an id, so that one that comes again is answered and not done again.
CREATE TABLE request (
    who    TEXT NOT NULL,
    id     TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (who, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_by_age ON request (at);
