"""The contents of a dataset: classes, sources of labels and their conflicts, duplicates, lengths.

    settings = DatasetSettings(catalogue, MappingAdvice(catalogue).better)
    report, conflicts = describe(None, (Path("cve.parquet"),), settings=settings)
    write_report(report, conflicts, Path("dataset-report"))

`label_counts`, `agreement` and `text_statistics` measure, in the one pass of `description`;
`document` and `plots` show the figures.
"""

from __future__ import annotations

from cybersecqwen.reports.dataset.description import Corpus, DatasetSettings, describe, read_corpus
from cybersecqwen.reports.dataset.document import summary, write_report
from cybersecqwen.reports.dataset.text_statistics import TokenCounter, load_counter, own_tokenizer

__all__ = [
    "Corpus",
    "DatasetSettings",
    "TokenCounter",
    "describe",
    "load_counter",
    "own_tokenizer",
    "read_corpus",
    "summary",
    "write_report",
]
