-- Since when a notice is being sent: its first try; NULL until then. What is stuck is told by it.
ALTER TABLE notice ADD COLUMN first_try INTEGER;
