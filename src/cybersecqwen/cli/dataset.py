"""The command that reports on records and corpora."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cybersecqwen.cli.export import dataset as export_dataset
from cybersecqwen.cli.group import FILE, Group, echo, json_option

if TYPE_CHECKING:
    from cybersecqwen.reports.dataset import Corpus, TokenCounter


@click.group(cls=Group)
def dataset() -> None:
    """Report on the contents of records and corpora."""


@dataset.command()
@click.argument("run", type=FILE, required=False)
@click.option(
    "--records",
    type=FILE,
    multiple=True,
    help="Vulnerability records: NVD, CVE JSON 5, parquet or JSONL; may be repeated.",
)
@click.option("--tokenizer", help="Folder or hub id.  [default: the run's own, or an estimate]")
@click.option(
    "--max-length",
    type=click.IntRange(min=1),
    help="Limit in tokens.  [default: the run's, or 4096]",
)
@click.option("--out", type=FILE, help="Folder to write.  [default: RUN/report/dataset]")
@json_option
def report(
    run: Path | None,
    records: tuple[Path, ...],
    tokenizer: str | None,
    max_length: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Report on the corpus of RUN, on records, or on both.

    Classes and years, sources of labels and their conflicts, duplicates, lengths in tokens:
    REPORT.md, dataset.json, the list of conflicts, and plots. Without RUN the folder is
    dataset-report.
    """
    from cybersecqwen.cwe.catalogue import load_catalogue
    from cybersecqwen.cwe.mapping import MappingAdvice
    from cybersecqwen.reports.dataset import (
        DatasetSettings,
        describe,
        read_corpus,
        summary,
        write_report,
    )

    if run is None and not records:
        raise click.UsageError("give the folder of a RUN, --records, or both")
    folder = out or (run / "report" / "dataset" if run else Path("dataset-report"))
    corpus = read_corpus(run) if run else None
    catalogue = load_catalogue()
    settings = DatasetSettings(
        catalogue,
        MappingAdvice(catalogue).better,
        max_length=max_length or (corpus.recipe.training.max_length if corpus else 4096),
        counter=_counter(tokenizer, run, corpus),
    )
    described, conflicts = describe(corpus, records, settings=settings)
    write_report(described, conflicts, folder)
    text = f"{summary(described)}\n\nReport: {folder / 'REPORT.md'}"
    echo(described, text, as_json=as_json)


def _counter(tokenizer: str | None, run: Path | None, corpus: Corpus | None) -> TokenCounter | None:
    """Load the tokenizer that is given, or the one that the run itself trained with."""
    from cybersecqwen.reports.dataset import load_counter, own_tokenizer

    source = tokenizer or (own_tokenizer(run) if run else None)
    if source is None:
        return None
    return load_counter(source, template=corpus.recipe.model.chat_template if corpus else "qwen3")


_older_export = copy(export_dataset)  # `dataset export`, as it was called before
_older_export.hidden = True
dataset.add_command(_older_export, "export")
