-- From the schema 2 to 3, after search.sql: the words of the records that are there.
INSERT INTO search (search) VALUES ('rebuild');
PRAGMA user_version = 3;
