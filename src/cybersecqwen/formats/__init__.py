"""Files in the formats of others: archives and folders, tables and JSON, row by row.

`archives` opens what something is packed in, `rows` reads JSONL, JSON, CSV, Parquet and Arrow,
and `tsv` tab-separated values.
"""
