"""What is in a dataset: classes, sources of labels and their conflicts, duplicates, lengths.

    settings = Settings(catalogue, MappingAdvice(catalogue).better)
    report, conflicts = describe(None, (Path("cve.parquet"),), settings=settings)
    write_report(report, conflicts, Path("dataset-report"))

Each module measures one thing in one pass over the records; `measure` runs them together,
`markdown` and `plots` show what they found.
"""

from __future__ import annotations

from cybersecqwen.reports.dataset.describe import describe
from cybersecqwen.reports.dataset.description import Settings
from cybersecqwen.reports.dataset.document import summary
from cybersecqwen.reports.dataset.files import write_report
from cybersecqwen.reports.dataset.rows import read_corpus
from cybersecqwen.reports.dataset.texts import load_counter, own_tokenizer

__all__ = [
    "Settings",
    "describe",
    "load_counter",
    "own_tokenizer",
    "read_corpus",
    "summary",
    "write_report",
]
