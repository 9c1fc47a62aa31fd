"""What the classifier learns to map by, beside the labels of records: how MITRE would map.

    mappings = read_mappings(Path("top25-2023-mappings.tsv"))
    examples = [mapped(example, mappings) for example in examples]
    more = list(catalogue_examples(Path("cwec_latest.xml.zip")))

A record is mapped to what MITRE's analysts chose for it, the root cause before what follows from
it, or else to those of its labels that may be mapped to. A record whose labels are all discouraged
teaches no mapping. The catalogue's own words, and texts of this project for weaknesses that have
hardly a record yet, stand for the classes that no record names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.cwe.mapping import ADVISED_AGAINST, mapping_usage
from cybersecqwen.embedded_build.classifier_training import Labelled, Targets, group_of
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_jsonl
from cybersecqwen.sources.cwe import read_weaknesses

ANALYST = 3.0  # weight of an analyst's mapping, a record's labels together having 1
CAUSE = 0.7  # of it for the root cause of a chain, the rest for what follows
CATALOGUE = 1.0  # weight of a text of the catalogue
_COLUMNS = ("cve_id", "cwe", "chains")
_SECTIONS = ("description", "alternate term", "observed example")
_OWN = Path(__file__).with_name("emergent.jsonl")


def read_mappings(path: Path) -> dict[str, Targets]:
    """Read the analysts' table: for each CVE the CWEs of their mapping, weights summing to 1.

    Raises InputError where a column is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise InputError(f"no column {missing[0]}", where=path, tip="give MITRE's table as TSV")
        return {row["cve_id"]: _shares(row["cwe"], row["chains"]) for row in rows}


def _shares(cause: str, chains: str) -> Targets:
    following = dict.fromkeys(
        cwe.strip() for one in chains.split(",") for cwe in one.split("->") if cwe.strip()
    )
    following.pop(cause, None)
    if not following:
        return ((cause, 1.0),)
    return ((cause, CAUSE), *((cwe, (1 - CAUSE) / len(following)) for cwe in following))


def mapped(example: Labelled, mappings: Mapping[str, Targets]) -> Labelled:
    """Return a record with what it is to be mapped to."""
    if analysts := mappings.get(example.cve_id):
        return example._replace(mapping=tuple((cwe, ANALYST * share) for cwe, share in analysts))
    allowed = [next(filter(may_be_mapped_to, given), "") for given in example.labels]
    named = [cwe for cwe in allowed if cwe]
    return example._replace(mapping=tuple((cwe, 1 / len(named)) for cwe in named))


def may_be_mapped_to(cwe: str) -> bool:
    """Tell whether MITRE allows to map to an entry, be it with review."""
    entry = load_catalogue().get(cwe)
    return entry is not None and mapping_usage(entry) not in ADVISED_AGAINST


def catalogue_examples(path: Path) -> Iterator[Labelled]:
    """Yield texts on the weaknesses that may be mapped to: names, descriptions, observed examples.

    Texts of this project's own follow, on weaknesses that hardly a record is labelled with.
    """
    knowledge = read_weaknesses(path)
    for entry in knowledge.entries:
        if may_be_mapped_to(entry.entry_id):
            yield _example(entry.entry_id, entry.entry_id, entry.name)
    for passage in knowledge.passages:
        if passage.section in _SECTIONS and may_be_mapped_to(passage.entry_id):
            title, _, text = passage.text.partition(": ")
            cve_id = normalise_cve(title) if passage.section == "observed example" else ""
            yield _example(
                passage.entry_id, cve_id or passage.entry_id, text if cve_id else passage.text
            )
    yield from own_examples()


def own_examples() -> Iterator[Labelled]:
    """Yield the texts of this project's own, which count as much as an analyst's mapping."""
    for row in read_jsonl(_OWN):
        yield _example(row["cwe"], row["cwe"], row["text"])


def _example(cwe: str, source: str, text: str) -> Labelled:
    return Labelled(source, "", text, ((), (), ()), group_of(text), ((cwe, CATALOGUE),))
