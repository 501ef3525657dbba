-- The slow change of servers: what cannot be learnt again from the newest readings. One row a server, written when a day has closed.
CREATE TABLE drift (
    server TEXT PRIMARY KEY,
    body   BLOB NOT NULL -- JSON, deflated
) STRICT;
