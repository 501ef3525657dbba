-- What each server used of power and cooling, day by day (UTC): `date` counts days since 1970-01-01.
-- `seen`: hours in which anything was told; 24: the day is not read again. `told`: hours that told the power.
CREATE TABLE usage_day (
    server TEXT NOT NULL,
    date   INTEGER NOT NULL,
    seen   INTEGER NOT NULL,
    told   INTEGER NOT NULL,
    body   TEXT NOT NULL, -- JSON
    PRIMARY KEY (server, date)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_day_told ON usage_day (server, date, seen, told);
