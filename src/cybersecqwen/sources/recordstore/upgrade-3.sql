-- From the schema 3 to 4. What is in the store gets its products when it comes again.
ALTER TABLE versions ADD COLUMN affected TEXT NOT NULL DEFAULT '[]';
ALTER TABLE records ADD COLUMN affected TEXT NOT NULL DEFAULT '[]';
PRAGMA user_version = 4;
