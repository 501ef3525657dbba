-- The CRC32C of a body as it came off the wire: a bit that flips on the disk before the body is read and put away is seen, where SQLite sees nothing. NULL: it came
-- before this was kept.
ALTER TABLE ingest_log ADD COLUMN crc INTEGER;
