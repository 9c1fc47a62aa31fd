-- The record store. The application id is "CSQW"; user_version is the version of this schema.
CREATE TABLE versions (           -- the latest that each source gave
    cve_id TEXT NOT NULL,
    published TEXT NOT NULL,      -- ISO date, '' where the record states none
    description TEXT NOT NULL,
    cwe_nvd TEXT NOT NULL,        -- the labels are JSON lists
    cwe_cna TEXT NOT NULL,
    cwe_cisa_adp TEXT NOT NULL,
    cvss3_vector TEXT,
    assigner TEXT,
    description_source TEXT,
    rejected INTEGER NOT NULL,
    modified TEXT NOT NULL,       -- by upstream, UTC to the millisecond
    source TEXT NOT NULL,         -- nvd, cvelist, table or kev
    status TEXT NOT NULL DEFAULT '',
    cvss TEXT NOT NULL DEFAULT '[]',  -- a JSON list of [source, version, vector, score]
    affected TEXT NOT NULL DEFAULT '[]',  -- a JSON list of [vendor, product, versions]
    PRIMARY KEY (cve_id, source)
);

CREATE TABLE records (            -- what follows from the versions
    cve_id TEXT NOT NULL,
    published TEXT NOT NULL,      -- ISO date, '' where the record states none
    description TEXT NOT NULL,
    cwe_nvd TEXT NOT NULL,        -- the labels are JSON lists
    cwe_cna TEXT NOT NULL,
    cwe_cisa_adp TEXT NOT NULL,
    cvss3_vector TEXT,
    assigner TEXT,
    description_source TEXT,
    rejected INTEGER NOT NULL,
    modified TEXT NOT NULL,       -- by upstream, UTC to the millisecond
    sources TEXT NOT NULL,        -- a JSON list
    status TEXT NOT NULL DEFAULT '',
    cvss TEXT NOT NULL DEFAULT '[]',  -- as in versions
    affected TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (cve_id)
);

CREATE INDEX records_published ON records (published, cve_id);
CREATE INDEX records_modified ON records (modified, cve_id);

CREATE TABLE history (            -- what changed in a record that was there before
    id INTEGER PRIMARY KEY,
    cve_id TEXT NOT NULL,
    field TEXT NOT NULL,          -- a column of records
    old TEXT NOT NULL,            -- JSON
    new TEXT NOT NULL,
    source TEXT NOT NULL,         -- whose version brought the change
    modified TEXT NOT NULL,       -- when upstream made it
    seen TEXT NOT NULL            -- when it came here
);

CREATE INDEX history_cve ON history (cve_id, id);

CREATE TABLE feeds (
    feed TEXT PRIMARY KEY,
    cursor TEXT NOT NULL DEFAULT '',    -- upstream's time up to which all is here
    progress TEXT NOT NULL DEFAULT '',  -- JSON: how far the part in work is
    checked TEXT NOT NULL DEFAULT ''
);

CREATE TABLE releases (
    id INTEGER PRIMARY KEY,
    feed TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    seen TEXT NOT NULL
);

CREATE TABLE kev (
    cve_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    date_added TEXT NOT NULL,
    due_date TEXT NOT NULL,
    action TEXT NOT NULL,
    ransomware INTEGER NOT NULL,
    cwes TEXT NOT NULL
);

CREATE TABLE epss (
    cve_id TEXT PRIMARY KEY,
    score REAL NOT NULL,          -- probability, 0 to 1
    percentile REAL NOT NULL      -- share of CVEs that score no higher
) WITHOUT ROWID;

CREATE TABLE refused (            -- records that upstream lists and that could not be read
    feed TEXT NOT NULL,
    cve_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    seen TEXT NOT NULL,
    PRIMARY KEY (feed, cve_id)
);

PRAGMA application_id = 1129533783;
PRAGMA user_version = 4;
