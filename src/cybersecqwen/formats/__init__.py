"""Read the file formats that many programs share: archives, tables and JSON, row by row.

`archives` opens what something is packed in, `encoding` decodes text, `rows` reads JSONL, CSV,
text, Parquet and Arrow, `json_stream` JSON of any layout, and `tsv` tab-separated values.
"""
