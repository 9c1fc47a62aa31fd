"""Read the file formats that many programs share: archives, tables and JSON, row by row.

`archives` opens what something is packed in, `rows` reads JSONL, JSON, CSV, Parquet and Arrow,
and `tsv` tab-separated values.
"""
