-- Servers of erased customers, as long as the running program may still hold in memory what it learnt of them: what it writes back of them meanwhile is
-- erased again. `drive` is empty, or a drive that had been taken out of the server.
CREATE TABLE erasure (
    server TEXT NOT NULL,
    drive TEXT NOT NULL,
    PRIMARY KEY (server, drive)
) STRICT, WITHOUT ROWID;
