"""Turn records into a training corpus, a ledger of what was dropped, and a certificate.

    vulnerabilities ─cohort─▶ candidates ─deduplicate─▶ ─decontaminate─▶ ─limit─▶ examples

Everything is ordered by CVE id and drawn with the recipe's seed: the same input gives the
same bytes. The certificate is written after the files are read back and checked again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Recipe
from cybersecqwen.contamination import RULES, BenchmarkIndex, Hit, Row, decontaminate
from cybersecqwen.contamination.certificate import provenance
from cybersecqwen.contamination.partitions import open_index
from cybersecqwen.corpus.cohort import Candidate, by_text, select
from cybersecqwen.corpus.dataset_card import SPLITS, Part, dataset_card
from cybersecqwen.cwe.cause import argue
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.files import Json, read_jsonl, sha256_file, write_json, write_jsonl, write_text
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Benchmark, Dropped, Example, Vulnerability, Weakness

_OUTPUTS = ("train.jsonl", "validation.jsonl", "dropped.jsonl")


@dataclass(frozen=True)
class CorpusInputs:
    """The inputs of a corpus; `checksums` go into the certificate as they are."""

    vulnerabilities: Iterable[Vulnerability]
    benchmark: Benchmark
    catalogue: Mapping[str, Weakness]
    checksums: Json


def build(
    recipe: Recipe, inputs: CorpusInputs, out: Path, *, cluster: Cluster | None = None
) -> Json:
    """Write train.jsonl, validation.jsonl, dropped.jsonl, the dataset card and the certificate.

    Returns the certificate. A cluster changes where records are held against the benchmark, and
    no byte. Raises InputError when no record is left, StageError when a
    written file does not pass the check it is certified for.
    """
    ledger: list[Dropped] = []
    candidates, read = _cohort(inputs, recipe, ledger)
    candidates = _deduplicate(candidates, ledger)
    index = open_index(inputs.benchmark, recipe.contamination, cluster)
    contaminated: dict[str, dict[str, int]] = {rule: {} for rule in RULES}
    if recipe.corpus.contaminated == "drop":
        candidates, contaminated = _decontaminate(candidates, index, ledger)
    candidates = _limit(candidates, recipe, ledger)
    if len(candidates) < 2:
        raise InputError(
            f"{len(candidates)} of {read} records are left for the corpus",
            where=recipe.name,
            tip=f"most were dropped as {_commonest(ledger)}; look at the cohort's filters",
        )
    train, validation = _split(_examples(candidates, recipe, inputs.catalogue), recipe)
    rows = {"train": list(map(asdict, train)), "validation": list(map(asdict, validation))}
    files = {name: f"{name}.jsonl" for name in SPLITS}
    for name, file in files.items():
        write_jsonl(out / file, rows[name])
    write_jsonl(out / "dropped.jsonl", (d._asdict() for d in sorted(ledger)))
    certificate = _certificate(recipe, inputs, out, index)
    certificate["counts"] |= {
        "records": read,
        "cohort": len(candidates) + len(ledger),
        "dropped": dict(sorted(Counter(d.reason for d in ledger).items())),
        "contaminated": contaminated,
    }
    card = dataset_card(recipe, certificate, [Part("cwe", files, rows)])
    write_text(out / "DATASET_CARD.md", card)
    write_json(out / "certificate.json", certificate)
    return certificate


def _cohort(
    inputs: CorpusInputs, recipe: Recipe, ledger: list[Dropped]
) -> tuple[list[Candidate], int]:
    """Keep the first usable record of each CVE id in the cohort, and count the records read."""
    read = 0
    chosen: dict[str, Candidate] = {}
    for read, vulnerability in enumerate(inputs.vulnerabilities, start=1):  # noqa: B007
        outcome = select(vulnerability, recipe.corpus, inputs.catalogue)
        before = chosen.get(vulnerability.cve_id)
        if outcome and before:
            reason = _duplicate(before.vulnerability, vulnerability)
            ledger.append(Dropped(vulnerability.cve_id, reason, where=vulnerability.where))
        elif isinstance(outcome, Dropped):
            ledger.append(outcome)
        elif outcome:
            chosen[vulnerability.cve_id] = outcome
    return [chosen[cve_id] for cve_id in sorted(chosen)], read


def _duplicate(first: Vulnerability, again: Vulnerability) -> str:
    if first.description != again.description:
        return "duplicate-id-other-text"
    return "duplicate-id" if first == again else "duplicate-id-other-facts"


def _deduplicate(candidates: list[Candidate], ledger: list[Dropped]) -> list[Candidate]:
    """Keep one record of each text; drop every record of a text that carries two labels."""
    kept = []
    for same in by_text(candidates, lambda c: c.vulnerability.description).values():
        labels = sorted({candidate.cwe for candidate in same})
        if len(labels) == 1:
            kept.append(same[0])
            ledger += [
                _dropped(c, "duplicate-text", same[0].vulnerability.cve_id) for c in same[1:]
            ]
        else:
            ledger += [_dropped(c, "label-conflict", " ".join(labels)) for c in same]
    return kept


def _decontaminate(
    candidates: list[Candidate], index: BenchmarkIndex, ledger: list[Dropped]
) -> tuple[list[Candidate], dict[str, dict[str, int]]]:
    """Drop what overlaps with the benchmark; count the records by strongest rule and task."""
    clean = decontaminate(candidates, lambda c: c.row, index)
    for candidate, hits in clean.dropped:
        detail = " ".join(f"{_item(hit)}={hit.score:g}" for hit in hits)
        ledger.append(_dropped(candidate, f"contaminated-{hits[0].rule}", detail, _item(hits[0])))
    counts = clean.counts()
    return clean.kept, {rule: counts.get(rule, {}) for rule in RULES}


def _limit(candidates: list[Candidate], recipe: Recipe, ledger: list[Dropped]) -> list[Candidate]:
    """Draw the recipe's number of records where there are more."""
    limit = recipe.corpus.max_examples
    if limit is None or len(candidates) <= limit:
        return candidates
    drawn = set(random.Random(recipe.corpus.seed).sample(range(len(candidates)), limit))
    ledger += [_dropped(c, "over-limit") for i, c in enumerate(candidates) if i not in drawn]
    return [candidate for i, candidate in enumerate(candidates) if i in drawn]


def _examples(
    candidates: list[Candidate], recipe: Recipe, catalogue: Mapping[str, Weakness]
) -> list[Example]:
    terse = recipe.corpus.completion == "id"
    return [
        Example(
            cve_id=vulnerability.cve_id,
            prompt=rcm_prompt(vulnerability.description),
            completion=cwe if terse else argue(vulnerability.description, catalogue[cwe]),
            cwe=cwe,
            label_source=label_source,
            published=vulnerability.published,
            description=vulnerability.description,
        )
        for vulnerability, cwe, label_source in candidates
    ]


def _split(examples: list[Example], recipe: Recipe) -> tuple[list[Example], list[Example]]:
    """Cut the validation part off; no text stands in both, since each stands once in all."""
    size = max(1, round(len(examples) * recipe.corpus.validation_fraction))
    held_out = set(random.Random(recipe.corpus.seed).sample(range(len(examples)), size))
    train = [e for i, e in enumerate(examples) if i not in held_out]
    return train, [e for i, e in enumerate(examples) if i in held_out]


def _certificate(recipe: Recipe, inputs: CorpusInputs, out: Path, index: BenchmarkIndex) -> Json:
    """Check the written files again, row by row, and state what was checked with what."""
    counts, overlapping = {}, 0
    for name in SPLITS:
        path = out / f"{name}.jsonl"
        rows = list(read_jsonl(path))
        counts[name] = len(rows)
        overlaps = index.hits_of(Row(r["description"], (r["cve_id"],), r["cwe"]) for r in rows)
        for row, hits in zip(rows, overlaps, strict=True):
            if hits and recipe.corpus.contaminated == "drop":
                raise StageError(f"{row['cve_id']} overlaps with the benchmark", where=path)
            overlapping += bool(hits)
    counts |= {"overlapping": overlapping} if overlapping else {}
    return provenance(recipe, inputs.benchmark, inputs.checksums) | {
        "outputs": {name: sha256_file(out / name) for name in _OUTPUTS},
        "counts": counts,
        "clean": not overlapping,
    }


def _dropped(candidate: Candidate, reason: str, detail: str = "", item: str = "") -> Dropped:
    vulnerability = candidate.vulnerability
    return Dropped(vulnerability.cve_id, reason, detail, item, vulnerability.where)


def _item(hit: Hit) -> str:
    return f"{hit.task}/{hit.item}"


def _commonest(ledger: list[Dropped]) -> str:
    reasons = Counter(d.reason for d in ledger)
    return reasons.most_common(1)[0][0] if reasons else "outside the cohort's years"
