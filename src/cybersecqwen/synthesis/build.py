"""Make the question-and-answer pairs of a recipe, a ledger of the rejected ones, a certificate.

    certificate = build(recipe, SynthesisInputs(...), run / "synthesis")

The same inputs give the same bytes. The certificate is written after the files were read back and
every pair was checked again.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Recipe, Synthesis
from cybersecqwen.contamination import Row, decontaminate
from cybersecqwen.contamination.certificate import provenance
from cybersecqwen.contamination.partitions import open_index
from cybersecqwen.corpus.dataset_card import SPLITS
from cybersecqwen.engines.teacher import Teacher
from cybersecqwen.errors import InputError, RecipeError, StageError
from cybersecqwen.files import Json, read_jsonl, sha256_file, write_json, write_jsonl, write_text
from cybersecqwen.records import Benchmark, Vulnerability, Weakness
from cybersecqwen.synthesis.checks import OFFENSIVE_DESCRIPTIONS, Checks, LengthLimits
from cybersecqwen.synthesis.cvss import vector_drafts
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.generation import DraftSource, Subjects, generate_drafts
from cybersecqwen.synthesis.giveaways import giveaways
from cybersecqwen.synthesis.leakage import BenchmarkFacts
from cybersecqwen.synthesis.pair import LETTERS, Makers, Pair, arranged, draft_of
from cybersecqwen.synthesis.pair_card import bare_question, diversity, synthesis_card
from cybersecqwen.synthesis.passage_questions import passage_drafts
from cybersecqwen.synthesis.record_facts import RecordFacts, collect_records
from cybersecqwen.synthesis.record_questions import QuestionWriter, record_drafts
from cybersecqwen.synthesis.relation_questions import RELATIONS, RelationQuestions
from cybersecqwen.synthesis.selection import Selection, select_pairs

_log = logging.getLogger(__name__)

# Of a teacher's usage; its speed differs from run to run, and stands in usage.json alone.
_SPENT = ("url", "model", "requests", "prompt_tokens", "completion_tokens", "cost")
_OUTPUTS = ("train.jsonl", "validation.jsonl", "rejected.jsonl")
_NOTHING = "nothing: there was nothing to ask about"


@dataclass(frozen=True)
class SynthesisInputs:
    """Everything that pairs are made from; `checksums` go into the certificate as they are.

    `trained_on` are the descriptions that the corpus trains on, whose label is not asked for again,
    and `held_out` the normalised ones that it validates on, which are not asked about at all.
    """

    vulnerabilities: Iterable[Vulnerability]
    benchmark: Benchmark
    catalogue: Mapping[str, Weakness]
    base: FactBase
    checksums: Json
    trained_on: tuple[str, ...] = ()
    held_out: frozenset[str] = frozenset()


def build(
    recipe: Recipe,
    inputs: SynthesisInputs,
    out: Path,
    *,
    teacher: Teacher | None = None,
    cluster: Cluster | None = None,
) -> Json:
    """Write train.jsonl, validation.jsonl, rejected.jsonl, the card and the certificate.

    Returns the certificate. A teacher makes the pairs in place of the facts. A cluster changes
    where texts are held against the benchmark, and no byte. Raises RecipeError where the recipe
    has no [synthesis], InputError when no pair is left, EngineError when the teacher fails,
    StageError when a written file does not pass the check it is certified for.
    """
    settings = recipe.synthesis
    if settings is None:
        raise RecipeError("the recipe has no table [synthesis]", tip="--set synthesis.pairs=8000")
    records = collect_records(
        inputs.vulnerabilities, recipe.corpus, inputs.catalogue, held_out=inputs.held_out
    )
    checks = _checks(recipe, settings, inputs, cluster)
    if teacher is None:
        drafts = DraftSource(_makers(records, inputs, settings))
    else:
        clean = decontaminate(
            records, lambda record: Row(record.text, (record.cve_id,), record.cwe), checks.index
        ).kept
        subjects = Subjects(clean, inputs.base)
        drafts = generate_drafts(teacher, subjects, settings, out / "answers.jsonl")
    selection = select_pairs(drafts.makers, checks, settings)
    made = len(selection.train) + len(selection.validation)
    reasons = Counter(problem.reason for _, problem in selection.rejected)
    reasons.update(row["reason"] for row in drafts.unusable)
    if not selection.train:
        commonest = max(reasons, key=lambda reason: reasons[reason], default=_NOTHING)
        raise InputError(
            f"no pair is left of {reasons.total()}",
            where=out,
            tip=f"most were rejected as {commonest}",
        )
    if made < settings.pairs:
        _log.warning(
            "%s: %d pairs of the %d wanted: nothing more to ask", out, made, settings.pairs
        )
    _write(selection, drafts.unusable, recipe.name, out)
    certificate = _certificate(recipe, inputs, out, checks)
    certificate["counts"] |= {
        "wanted": settings.pairs,
        "records": len(records),
        "rejected": dict(sorted(reasons.items())),
    }
    certificate["teacher"] = drafts.usage and {name: drafts.usage[name] for name in _SPENT}
    if drafts.usage:
        write_json(out / "usage.json", drafts.usage)
    write_text(out / "DATASET_CARD.md", synthesis_card(certificate))
    write_json(out / "certificate.json", certificate)
    return certificate


def _makers(records: Sequence[RecordFacts], inputs: SynthesisInputs, settings: Synthesis) -> Makers:
    """Collect every way of making pairs from facts, each with its own draws."""

    def rng(name: str) -> random.Random:
        return random.Random(f"{settings.seed}/{name}")

    base = inputs.base
    writer = QuestionWriter(records, base, inputs.catalogue, rng("records"))
    makers = record_drafts(writer)
    vectors = [v for r in records if (v := r.vulnerability.cvss3_vector)]
    makers |= vector_drafts(vectors, rng("vectors"))
    for relation in RELATIONS:
        asker = RelationQuestions(relation, base, rng(relation.topic))
        makers[relation.kind, relation.topic, True] = asker.choices
        makers[relation.kind, relation.topic, False] = asker.lists
    return makers | passage_drafts(base, rng("passages"))


def _checks(
    recipe: Recipe, settings: Synthesis, inputs: SynthesisInputs, cluster: Cluster | None
) -> Checks:
    names = {entry_id: entry.name for entry_id, entry in inputs.base.entries.items()}
    return Checks(
        open_index(inputs.benchmark, recipe.contamination, cluster),
        BenchmarkFacts(inputs.benchmark, names),
        LengthLimits(recipe.training.max_length, settings.min_words, settings.max_words),
        trained_on=inputs.trained_on,
    )


def _certify(path: Path, checks: Checks) -> list[Pair]:
    """Read a file back and check its rows again; raises StageError at one that fails."""
    rows = list(read_jsonl(path))
    pairs = [arranged(draft_of(row), _position(row)) for row in rows]
    for row, pair, overlap in zip(rows, pairs, checks.overlaps(pairs), strict=True):
        problem = checks.problem(pair) or overlap
        if problem or (pair.prompt, pair.completion) != (row["prompt"], row["completion"]):
            what = " ".join(problem or ("is not what it was made of",)).strip()
            raise StageError(f"{row['id']}: {what}", where=path)
        checks.accept(pair)
    return pairs


def _position(row: Json) -> int:
    return LETTERS.index(row["answer"]) if row["options"] else 0


def _write(selection: Selection, unusable: Sequence[Json], name: str, out: Path) -> None:
    for part, pairs in (("train", selection.train), ("validation", selection.validation)):
        rows = ({"id": f"{name}-{part}-{n}"} | p.row() for n, p in enumerate(pairs, start=1))
        write_jsonl(out / f"{part}.jsonl", rows)
    rejected = (problem._asdict() | pair.row() for pair, problem in selection.rejected)
    write_jsonl(out / "rejected.jsonl", chain(rejected, unusable))


def _certificate(recipe: Recipe, inputs: SynthesisInputs, out: Path, checks: Checks) -> Json:
    """Check the written files again, pair by pair, and state what was checked with what."""
    checks.forget()
    parts = {name: _certify(out / f"{name}.jsonl", checks) for name in SPLITS}
    pairs = [pair for part in parts.values() for pair in part]
    shared = provenance(recipe, inputs.benchmark, inputs.checksums)
    return shared | {
        "knowledge": dict(sorted(inputs.base.releases.items())),
        "outputs": {name: sha256_file(out / name) for name in _OUTPUTS},
        "rules": shared["rules"] | _RULES,
        "offensive_rules": OFFENSIVE_DESCRIPTIONS,
        "counts": {
            **{name: len(part) for name, part in parts.items()},
            "kinds": _counted(pair.draft.kind for pair in pairs),
            "topics": _counted(f"{pair.draft.kind}: {pair.draft.topic}" for pair in pairs),
            "forms": _counted("choice" if p.options else p.draft.form for p in pairs),
            "made_by": _counted(pair.draft.made_by for pair in pairs),
        },
        "letters": {
            name: _counted(p.letter for p in part if p.letter) for name, part in parts.items()
        },
        "diversity": dict(_diversity(pairs)),
        "giveaways": giveaways(pairs),
        "clean": True,
    }


_RULES = {
    "benchmark-fact": {
        "description": "an item of cti-mcq links to the page of an entry, and the pair joins that "
        "entry with the item's right option: its words, or 0.8 of three and more"
    },
    "benchmark-entry": {
        "description": "an item of cti-ate links to the page of an entry that the pair is about"
    },
}


def _diversity(pairs: Sequence[Pair]) -> Iterator[tuple[str, Json]]:
    yield "all", diversity(map(bare_question, pairs))
    for kind in sorted({pair.draft.kind for pair in pairs}):
        yield kind, diversity(bare_question(pair) for pair in pairs if pair.draft.kind == kind)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
