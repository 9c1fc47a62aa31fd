"""The rows that are measured: vulnerability records, or the examples of a run's corpus.

    for row in rows_of_records(read_vulnerabilities(Path("cve.parquet"))): ...
    corpus = read_corpus(Path("runs/smoke"))
    corpus.splits                       # {"train": 239, "validation": 27}

An example becomes a record with the one label it is trained on, under the source it is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.files import Json, read_json, read_jsonl
from cybersecqwen.manifest import finished, outputs_of
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Example, Vulnerability
from cybersecqwen.reports.dataset.labels import labels_of, primary

SPLITS = ("train", "validation")


class Row(NamedTuple):
    """A record, and what a model is asked about it and learns to answer, "" for no answer yet."""

    record: Vulnerability
    prompt: str
    completion: str = ""

    @property
    def label(self) -> str:
        """Give the primary label, "" for none."""
        found = primary(labels_of(self.record))
        return found[1] if found else ""


@dataclass(frozen=True)
class Corpus:
    """A finished corpus of a run, read whole; `splits` are its files by name."""

    recipe: Recipe
    certificate: Json
    outputs: Json
    splits: dict[str, tuple[Row, ...]]

    @property
    def rows(self) -> Iterator[Row]:
        """Give the rows of all splits, training first."""
        for rows in self.splits.values():
            yield from rows


def rows_of_records(records: Iterable[Vulnerability]) -> Iterator[Row]:
    """Yield each record with the prompt that a corpus would ask about it."""
    for record in records:
        yield Row(record, rcm_prompt(record.description))


def read_corpus(run: Path) -> Corpus:
    """Read the corpus of a run folder.

    Raises InputError where `run` is no run folder, StageError where its corpus is not finished
    or is no longer what its manifest proves.
    """
    if not (run / "recipe.toml").is_file():
        raise InputError("is no run folder", where=run, tip="it holds no recipe.toml")
    recipe = load_recipe(run / "recipe.toml")
    tip = f"run it first: cybersecqwen corpus {recipe.name} --out {run}"
    folder = finished(run / "corpus", tip=tip)
    return Corpus(
        recipe,
        read_json(folder / "certificate.json"),
        outputs_of(folder),
        {name: tuple(map(_row, _examples(folder / f"{name}.jsonl"))) for name in SPLITS},
    )


def _examples(path: Path) -> Iterator[Example]:
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            yield Example(**row)
        except TypeError as error:
            raise StageError(
                f"is no example: {error}", where=f"{path}:{number}", tip="build the corpus again"
            ) from error


def _row(example: Example) -> Row:
    record = Vulnerability(example.cve_id, example.published, example.description)
    label: Json = {f"cwe_{example.label_source}": (example.cwe,)}
    return Row(replace(record, **label), example.prompt, example.completion)
