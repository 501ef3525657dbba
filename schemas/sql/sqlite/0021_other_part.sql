-- The part that was at fault instead of the one that a ticket is about: as whoever gave the verdict named it, and which part of the same
-- server that is, as far as it is known.
ALTER TABLE outcome ADD COLUMN other TEXT;
ALTER TABLE outcome ADD COLUMN other_component TEXT;
ALTER TABLE outcome ADD COLUMN other_serial TEXT;
ALTER TABLE outcome ADD COLUMN other_model TEXT;
-- Made anew from their logs: those that name such a part, and those that tell now whether they ended by themselves.
DELETE FROM outcome WHERE basis = 'other_part' OR (basis = '' AND answer = 'unknown');
