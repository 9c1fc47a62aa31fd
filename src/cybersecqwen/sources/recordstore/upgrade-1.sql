-- From the schema 1 to 2. What is in the store gets its status and CVSS when it comes again.
ALTER TABLE versions ADD COLUMN status TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN cvss TEXT NOT NULL DEFAULT '[]';
ALTER TABLE records ADD COLUMN status TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN cvss TEXT NOT NULL DEFAULT '[]';
CREATE TABLE epss (
    cve_id TEXT PRIMARY KEY, score REAL NOT NULL, percentile REAL NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 2;
