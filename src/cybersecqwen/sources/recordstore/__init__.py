"""The record store: every CVE record as upstream has it now, in one SQLite file.

    for outcome in update(UpdateOptions(Path("records.sqlite"), default_cache())):
        print(outcome.feed, outcome.changes)
    for row in rows(Path("records.sqlite"), RecordFilter(since="2025-12-01")):
        print(row["cve_id"], row["cwe_nvd"])

`database` opens the file, `versions` makes one record of the feeds' versions, `query` reads from
the store, `session` holds what the update of a feed needs, and `update` updates all feeds.
"""
