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
