"""Describe the records of feeds, a run's corpus, or both, beside one another.

    settings = DatasetSettings(catalogue, MappingAdvice(catalogue).better)
    report, conflicts = describe(None, (Path("cve.parquet"),), settings=settings)
    report["records"]["classes"]["head"][0]["cwe"]      # 'CWE-79'

All is measured in one pass. The primary label of a record is the first of NVD, else of the CNA,
else of CISA-ADP; NVD's placeholders are no labels. Rejected records are counted and left out of
everything else. An example of a corpus is a record with the one label it is trained on, under the
source it is from. Where records and a corpus are given, its examples are looked up in the records'
list of conflicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from cybersecqwen import __version__
from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.corpus.dataset_card import SPLITS
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.cwe.label import labels_of, primary_label
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.files import Json, read_json, read_jsonl, sha256_tree
from cybersecqwen.manifest import finished, outputs_of
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Example, Vulnerability, Weakness
from cybersecqwen.reports.dataset.agreement import (
    Better,
    Conflict,
    agreement,
    conflicts_of,
    discouraged,
)
from cybersecqwen.reports.dataset.label_counts import Labelling, Labellings, coverage, spread, years
from cybersecqwen.reports.dataset.text_statistics import Duplicates, Lengths, TokenCounter
from cybersecqwen.sources import read_vulnerabilities


class DatasetRow(NamedTuple):
    """A record, and what a model is asked about it and learns to answer, "" for no answer yet."""

    record: Vulnerability
    prompt: str
    completion: str = ""

    @property
    def label(self) -> str:
        """Return the primary label, "" for none."""
        primary = primary_label(labels_of(self.record))
        return primary[1] if primary else ""


@dataclass(frozen=True)
class Corpus:
    """A finished corpus of a run, read whole; `splits` are its files by name."""

    recipe: Recipe
    certificate: Json
    outputs: Json
    splits: dict[str, tuple[DatasetRow, ...]]

    @property
    def rows(self) -> Iterator[DatasetRow]:
        """Return the rows of all splits, training first."""
        for rows in self.splits.values():
            yield from rows


def rows_of_records(records: Iterable[Vulnerability]) -> Iterator[DatasetRow]:
    """Yield each record with the prompt that a corpus would ask about it."""
    for record in records:
        yield DatasetRow(record, rcm_prompt(record.description))


def read_corpus(run: Path) -> Corpus:
    """Read the corpus of a run folder.

    Raises InputError where `run` is not a run folder, StageError where its corpus is not finished
    or is no longer what its manifest proves.
    """
    if not (run / "recipe.toml").is_file():
        raise InputError("is not a run folder", where=run, tip="it holds no recipe.toml")
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


def _row(example: Example) -> DatasetRow:
    record = Vulnerability(example.cve_id, example.published, example.description)
    label: Json = {f"cwe_{example.label_source}": (example.cwe,)}
    return DatasetRow(replace(record, **label), example.prompt, example.completion)


@dataclass(frozen=True)
class DatasetSettings:
    """The catalogue and the limits of a report.

    `better` names a neighbour of a discouraged label.
    """

    catalogue: Mapping[str, Weakness]
    better: Better
    max_length: int = 4096  # tokens, of the published recipe
    counter: TokenCounter | None = None


class Measured(NamedTuple):
    """The figures of a dataset as JSON-able values, and each record its sources differ over."""

    figures: Json
    conflicts: tuple[Conflict, ...]


def measure(rows: Iterable[DatasetRow], *, settings: DatasetSettings) -> Measured:
    """Measure all rows; raises InputError where there are none, or none that is not rejected."""
    catalogue = settings.catalogue
    graph = CweGraph(catalogue)
    records: Labellings = Counter()
    conflicts: list[Conflict] = []
    duplicates, lengths = Duplicates(), Lengths(settings.max_length, settings.counter)
    rejected = without_text = 0
    for record, prompt, completion in rows:
        if record.rejected:
            rejected += 1
            continue
        labelling = Labelling.of(record)
        records[labelling] += 1
        conflicts += conflicts_of(record.cve_id, labelling.labels, graph)
        if record.description.strip():
            label = labelling.primary.cwe if labelling.primary else ""
            duplicates.add(record.cve_id, record.description, label)
            lengths.add(record.cve_id, record.description, prompt, completion)
        else:
            without_text += 1
    if not records:
        raise InputError(
            f"{rejected} records, all of them rejected" if rejected else "no records",
            tip="give records of vulnerabilities",
        )
    classes: Counter[str] = Counter()
    for labelling, count in records.items():
        if labelling.primary:
            classes[labelling.primary.cwe] += count
    figures = {
        "records": records.total(),
        "rejected": rejected,
        "without_text": without_text,
        "labelled": part(classes.total(), records.total()),
        "years": years(records, catalogue),
        "classes": spread(classes, catalogue),
        "coverage": coverage(records, catalogue),
        "agreement": agreement(records, graph),
        "conflicts": {"records": len({c.cve_id for c in conflicts}), "pairs": len(conflicts)},
        "discouraged": discouraged(records, catalogue, settings.better),
        "duplicates": duplicates.to_json(),
        "lengths": lengths.to_json(),
    }
    return Measured(figures, tuple(sorted(conflicts)))


def describe(
    corpus: Corpus | None, records: Sequence[Path], *, settings: DatasetSettings
) -> tuple[Json, tuple[Conflict, ...]]:
    """Return the report of what is given, and every conflict of the records' sources.

    Raises InputError for records that cannot be read, or where there are none.
    """
    report: Json = {"version": __version__, "inputs": {}}
    conflicts: tuple[Conflict, ...] = ()
    if records:
        read = chain.from_iterable(map(read_vulnerabilities, records))
        report["records"], conflicts = measure(rows_of_records(read), settings=settings)
        for path in records:
            prefix = "" if path.is_file() else f"{path.name}/"
            report["inputs"] |= {prefix + n: sha256 for n, sha256 in sha256_tree(path).items()}
    if corpus:
        report["inputs"] |= {f"corpus/{name}": sha256 for name, sha256 in corpus.outputs.items()}
        report["corpus"] = _corpus(corpus, settings)
        if records:
            report["corpus"]["contested"] = _contested(corpus, conflicts)
    return report, conflicts


def _corpus(corpus: Corpus, settings: DatasetSettings) -> Json:
    figures, _ = measure(corpus.rows, settings=settings)
    classes = {name: {row.label for row in rows} for name, rows in corpus.splits.items()}
    return {
        **figures,
        "recipe": corpus.recipe.name,
        "splits": {name: len(rows) for name, rows in corpus.splits.items()},
        "dropped": corpus.certificate["counts"]["dropped"],
        "classes_only_in_validation": sorted(classes["validation"] - classes["train"]),
    }


def _contested(corpus: Corpus, conflicts: Sequence[Conflict]) -> Json:
    """Count the examples over whose record two sources differ."""
    differing = {conflict.cve_id for conflict in conflicts}
    ids = [row.record.cve_id for row in corpus.rows]
    return part(sum(cve_id in differing for cve_id in ids), len(ids))
