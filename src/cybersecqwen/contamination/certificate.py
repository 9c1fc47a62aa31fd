"""State what an audit found, in a file that anyone can check again without trusting it.

    benchmark = read_benchmark(folder)
    certificate = certify(audit, train=train, benchmark=benchmark, settings=settings,
                          rules=list(RULES), outputs=[page])
    write_json(out / "certificate.json", certificate)
    recheck(out / "certificate.json", train=train, benchmark=benchmark)     # [] when it holds

Two kinds are checked: that of an audit, and the one that `corpus` writes beside what it made.
A certificate names files by their place in what was given, never by where that lay, and holds
no time: the same input gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from cybersecqwen import __version__
from cybersecqwen.artifacts import FOLDER
from cybersecqwen.config import Contamination, Recipe
from cybersecqwen.contamination import RULES, BenchmarkIndex, Row, describe_rules
from cybersecqwen.contamination.audit import Audit, checked_rules, run_audit
from cybersecqwen.contamination.training_files import training_files
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_json, read_jsonl, read_text, sha256_file
from cybersecqwen.formats.archives import readable
from cybersecqwen.manifest import MANIFEST, outputs_of
from cybersecqwen.records import Benchmark
from cybersecqwen.sources.schema import Schema, parse

_TOOL = {"name": "cybersecqwen", "version": __version__}
_EVIDENCE = ("contamination.json", "contamination.html")  # of an audit
_PARTS = ("train", "validation")  # of a corpus
_CARD, _CARD_TITLE = "DATASET_CARD.md", re.compile(r"^# (.+): CVE to CWE", re.MULTILINE)
_LEDGER = "dropped.jsonl"
_DROPPED = "contaminated-"  # begins the reasons of the ledger that name a rule
_NOTHING = object()


class AuditCertificate(Schema):
    """The fields of an audit's certificate that a check needs; values are compared as they are."""

    kind: Literal["audit"]
    inputs: dict[Literal["train", "benchmark"], dict[str, str]]
    outputs: dict[str, str]
    rules: dict[str, dict[str, Any]]
    settings: Contamination
    clean: bool


class CorpusCertificate(Schema):
    """The fields of a corpus's certificate that a check needs."""

    recipe: str
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    rules: dict[str, dict[str, Any]]
    counts: dict[str, Any]
    clean: bool


def certify(
    audit: Audit,
    *,
    train: Path,
    benchmark: Benchmark,
    settings: Contamination,
    rules: Sequence[str],
    outputs: Sequence[Path],
) -> Json:
    """State what was audited, by which rules and limits, and what was found.

    `rules` are those of the audit, `outputs` the files that tell of it, of one folder.
    """
    return {
        "tool": _TOOL,
        "kind": "audit",
        "inputs": {"train": _train_hashes(train), "benchmark": _benchmark_hashes(benchmark)},
        "outputs": {path.name: sha256_file(path) for path in outputs},
        "rules": {name: rule for name, rule in describe_rules(settings).items() if name in rules},
        "settings": settings.model_dump(mode="json"),
        "benchmark_items": dict(audit.items),
        "train_rows": audit.train_rows,
        "forms": dict(audit.forms),
        "columns": audit.reading.columns,
        "unreadable": len(audit.reading.unreadable),
        "passed_over": audit.reading.passed_over.lines(),
        "counts": audit.counts,
        "clean": audit.clean,
        "verdict": audit.verdict,
    }


def provenance(recipe: Recipe, benchmark: Benchmark, inputs: Json) -> Json:
    """State what made a set of examples, and what it was held against by which rules."""
    return {
        "tool": _TOOL,
        "recipe": recipe.name,
        "inputs": inputs,
        "rules": describe_rules(recipe.contamination),
        "benchmark_items": {task: len(items) for task, items in benchmark.items()},
    }


def read_certificate(path: Path) -> Json:
    """Read a certificate of an audit or a corpus; raises InputError on anything else."""
    stated = read_json(path)
    if not isinstance(stated, dict) or not ("kind" in stated or "recipe" in stated):
        raise InputError(
            "no certificate of an audit or a corpus",
            where=path,
            tip="expected is the certificate.json that audit or corpus wrote",
        )
    schema = AuditCertificate if "kind" in stated else CorpusCertificate
    try:
        parse(schema, json.dumps(stated).encode(), path)
    except RecursionError as error:
        raise InputError("is nested too deeply", where=path) from error
    for name in stated["outputs"]:
        if PurePosixPath(name).name != name or "\\" in name:
            raise InputError(f"the output {name!r} is no file beside it", where=path)
    return stated


def recheck(certificate: Path, *, train: Path | None = None, benchmark: Benchmark) -> list[str]:
    """Check a certificate against the files and by a new audit; [] when it holds.

    Each line names one disagreement: what, stated, found. `train` is what was audited; that of a
    corpus lies beside its certificate. Raises InputError when the certificate, or what is given
    and no certificate speaks of, cannot be read.
    """
    stated, folder = read_certificate(certificate), certificate.parent
    is_audit = "kind" in stated
    if is_audit != (train is not None):
        raise InputError(
            "what was audited is not given" if is_audit else "a corpus lies beside its certificate",
            where=certificate,
            tip="name it with --train" if is_audit else "leave out --train",
        )
    inputs = {"benchmark": _benchmark_hashes(benchmark, gold=is_audit)}
    if train is not None:
        inputs["train"] = _train_hashes(train, known_as=list(stated["inputs"].get("train", ())))
    elif cwe := _cwe_hashes(stated):
        inputs["cwe"] = cwe
    files = {"inputs": inputs, "outputs": _output_hashes(stated, folder)}
    files |= {} if is_audit else _card(certificate)
    lines = [*_differences(_part(stated, files), files), *_changes(certificate)]
    try:
        actual = _audited(stated, train, benchmark) if train else _judged(stated, folder, benchmark)
    except InputError as error:
        if not lines:
            raise
        return [*lines, f"audit: cannot be repeated: {error}"]
    return [*lines, *_differences(_part(stated, actual), actual)]


def unchecked(certificate: Path) -> list[str]:
    """Name what a corpus's certificate states and nothing beside it proves."""
    stated, manifest = read_certificate(certificate), certificate.with_name(MANIFEST)
    if "kind" in stated or manifest.is_file():
        return []
    own = _cwe_hashes(stated)
    cwe = [] if own == stated["inputs"].get("cwe", {}) else ["inputs cwe"]
    recipe = [] if certificate.with_name(_CARD).is_file() else ["recipe"]
    return [*recipe, *cwe, "inputs records"]


def _card(certificate: Path) -> Json:
    """Return what the card beside a corpus's certificate says of it."""
    card = certificate.with_name(_CARD)
    title = _CARD_TITLE.search(read_text(card)) if card.is_file() else None
    return {"recipe": title[1]} if title else {}


def _changes(certificate: Path) -> Iterator[str]:
    """Say whether a certificate is another than the manifest beside it knows."""
    manifest = certificate.with_name(MANIFEST)
    if manifest.is_file():
        known = outputs_of(manifest.parent).get(certificate.name)
        yield from _differences(sha256_file(certificate), known, f"{MANIFEST} {certificate.name}")


def _cwe_hashes(stated: Json) -> dict[str, str]:
    """Hash the CWE catalogue that a corpus was made with, where it is the one that ships."""
    names = [name for name in stated["inputs"].get("cwe", {}) if (FOLDER / name).is_file()]
    return {name: sha256_file(FOLDER / name) for name in names}


def _audited(stated: Json, train: Path, benchmark: Benchmark) -> Json:
    """Audit again by the stated rules and limits, and return what the certificate should say."""
    settings, rules = Contamination(**stated["settings"]), checked_rules(list(stated["rules"]))
    audit = run_audit(train, benchmark, settings, rules=rules, allow_unreadable=True)
    certificate = certify(
        audit, train=train, benchmark=benchmark, settings=settings, rules=rules, outputs=()
    )
    return {k: v for k, v in certificate.items() if k not in ("inputs", "outputs")}


def _judged(stated: Json, folder: Path, benchmark: Benchmark) -> Json:
    """Judge the rows of a corpus again, as `corpus` does: by description, id and label."""
    settings = _limits(stated["rules"], folder)
    index, counts, overlapping = BenchmarkIndex(benchmark, settings), Counter[str](), 0
    for part in _PARTS:
        path = folder / f"{part}.jsonl"
        rows = [_row(fields, path) for fields in read_jsonl(path)]
        counts[part] = len(rows)
        overlapping += sum(map(bool, index.hits_of(rows)))
    ledger = list(read_jsonl(folder / _LEDGER))
    known = {"records": stated["counts"].get("records")}  # told by the records alone
    known |= {"overlapping": overlapping} if overlapping else {}
    return {
        "tool": _TOOL,
        "rules": describe_rules(settings),
        "benchmark_items": {task: len(of_task) for task, of_task in benchmark.items()},
        "counts": known | counts | {"cohort": counts.total() + len(ledger)} | _dropped(ledger),
        "clean": not overlapping,
    }


def _dropped(ledger: Sequence[Json]) -> Json:
    """Count the ledger of a corpus by reason, and the contaminated by strongest rule and task."""
    reasons = [str(row.get("reason")) for row in ledger]
    tasks: dict[str, Counter[str]] = {rule: Counter() for rule in RULES}
    for row, reason in zip(ledger, reasons, strict=True):
        rule = reason.removeprefix(_DROPPED)
        if reason.startswith(_DROPPED) and rule in tasks:
            hits = str(row.get("detail")).split()  # task/item=score
            tasks[rule].update({hit.partition("/")[0] for hit in hits})
    contaminated = {rule: dict(of_rule) for rule, of_rule in tasks.items()}
    return {"dropped": dict(Counter(reasons)), "contaminated": contaminated}


def _limits(rules: Mapping[str, Any], where: Path) -> Contamination:
    """Take the limits from the rules of a certificate, where a corpus has no others."""
    try:
        return Contamination(
            ngram=rules["ngram"]["n"],
            containment=rules["ngram"]["containment"],
            similarity=rules["near-duplicate"]["similarity"],
            similarity_with_answer=rules["answer-aware"]["similarity"],
        )
    except (KeyError, ValueError) as error:
        what = "the rules lack a limit, or hold one out of range"
        raise InputError(what, where=where) from error


def _row(fields: Json, where: Path) -> Row:
    values = [fields.get(name) for name in ("description", "cve_id", "cwe")]
    if not all(isinstance(value, str) for value in values):
        raise InputError("a row lacks its description, cve_id or cwe", where=where)
    text, cve_id, answer = map(str, values)
    return Row(text, (cve_id,), answer)


def _output_hashes(stated: Json, folder: Path) -> dict[str, str]:
    """Hash the files that stand beside a certificate, stated or not."""
    parts = _EVIDENCE if "kind" in stated else (*(f"{part}.jsonl" for part in _PARTS), _LEDGER)
    names = sorted({*stated["outputs"], *parts})
    with readable(folder):
        return {name: sha256_file(folder / name) for name in names if (folder / name).is_file()}


def _train_hashes(path: Path, *, known_as: Sequence[str] = ()) -> dict[str, str]:
    """Hash what was audited; a single file may have got another name than it is known as."""
    files = training_files(path)
    with readable(path):
        if path.is_file():
            return {known_as[0] if len(known_as) == 1 else path.name: sha256_file(path)}
        return {file.relative_to(path).as_posix(): _hash(file) for file in files}


def _hash(file: Path) -> str:
    """Hash a file of a folder, and say so where it cannot be read: the audit lists it."""
    try:
        return sha256_file(file)
    except OSError:
        return "unreadable"


def _benchmark_hashes(benchmark: Benchmark, *, gold: bool = True) -> dict[str, str]:
    """Hash the files of a benchmark that are read."""
    files = (*benchmark.files, *(benchmark.gold_files if gold else ()))
    return {path.name: sha256_file(path) for path in files}


def _part(stated: Json, actual: Json) -> Json:
    """Take of a certificate what can be held against what a check gives."""
    part = {name: stated[name] for name in actual if name in stated}
    if "inputs" in part:  # the records of a corpus need not be at hand
        part["inputs"] = {k: v for k, v in part["inputs"].items() if k in actual["inputs"]}
    return part


def _differences(stated: Any, actual: Any, name: str = "") -> Iterator[str]:
    if isinstance(stated, dict) and isinstance(actual, dict):
        for key in sorted(stated.keys() | actual.keys()):
            values = stated.get(key, _NOTHING), actual.get(key, _NOTHING)
            yield from _differences(*values, name=f"{name} {key}".strip())
    elif stated != actual:
        yield f"{name}: stated {_shown(stated)}, found {_shown(actual)}"


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else json.dumps(value, ensure_ascii=False)
