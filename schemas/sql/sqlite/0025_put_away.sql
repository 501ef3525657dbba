-- Through which row of the ingest log readings are put away, where that is further than the cursor.
ALTER TABLE state ADD COLUMN put_away INTEGER NOT NULL DEFAULT 0;
