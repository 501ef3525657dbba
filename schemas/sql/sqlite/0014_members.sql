-- The parts of a larger incident, by its ticket.
CREATE INDEX ticket_by_parent ON ticket (json_extract(body, '$.parent'), number);
