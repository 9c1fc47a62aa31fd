-- The words of the descriptions. The texts themselves are those of the records; the triggers keep
-- both alike in whatever transaction changes a record.
CREATE VIRTUAL TABLE search USING fts5(
    description, content = 'records', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER search_insert AFTER INSERT ON records BEGIN
    INSERT INTO search (rowid, description) VALUES (new.rowid, new.description);
END;
CREATE TRIGGER search_delete AFTER DELETE ON records BEGIN
    INSERT INTO search (search, rowid, description)
        VALUES ('delete', old.rowid, old.description);
END;
CREATE TRIGGER search_update AFTER UPDATE OF description ON records
WHEN old.description <> new.description BEGIN
    INSERT INTO search (search, rowid, description)
        VALUES ('delete', old.rowid, old.description);
    INSERT INTO search (rowid, description) VALUES (new.rowid, new.description);
END;
