-- Through which sequence of an event lane bodies are assessed: they are assessed before telemetry that came before them, so that a failure of now does not wait for
-- an hour that was spooled. Always 0 for telemetry, where the cursor says it.
ALTER TABLE lane ADD COLUMN assessed INTEGER NOT NULL DEFAULT 0;
UPDATE lane SET assessed = coalesce(
    (SELECT max(seq) FROM ingest_log WHERE lane_id = lane.id AND id <= (SELECT cursor FROM state)), 0)
WHERE lane = 1;
