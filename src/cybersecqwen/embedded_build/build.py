"""Build the artifacts that ship in the package, from upstream's own files.

    build(UpstreamFiles(records=(Path("cve.parquet"),), benchmark=Path("cti-bench"), ...))

What is trained or indexed is decontaminated against every task of the benchmark first, and the
certificate beside each artifact says by which rules, how much was left out and what the
rest measures. The same inputs give the same bytes on one machine and set of libraries.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from cybersecqwen.artifacts import FOLDER, save
from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import (
    BenchmarkIndex,
    Decontaminated,
    Row,
    decontaminate,
    describe_rules,
)
from cybersecqwen.cwe.catalogue import save_catalogue
from cybersecqwen.embedded.classifier import ARTIFACT, CweClassifier, Parameters, Quantised
from cybersecqwen.embedded.knowledge import SHIPPED
from cybersecqwen.embedded.option_ranker import RANKER
from cybersecqwen.embedded_build import indexing, ranker_training
from cybersecqwen.embedded_build.calibration import calibrate
from cybersecqwen.embedded_build.classifier_training import (
    Features,
    Hyperparameters,
    Labelled,
    Model,
    labelled,
    train,
)
from cybersecqwen.embedded_build.indexing import KnowledgeFiles
from cybersecqwen.embedded_build.validation import measure
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, exclusive, sha256_file
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.cwe import catalogue_version, read_catalogue
from cybersecqwen.sources.kev import read_kev, save_index

_log = logging.getLogger(__name__)

# Texts that read the same fall into one of 1,000 groups, and a group is never cut in two.
_CALIBRATION = 40  # groups from 0: calibrated on
_HELD_OUT = 80  # groups up to here: reported on; the rest is trained on
_DRIFT = "2025-01-01"  # the second split: trained before, tested from then on


@dataclass(frozen=True, slots=True)
class UpstreamFiles(KnowledgeFiles):
    """The files to build from, each as upstream serves it."""

    records: tuple[Path, ...] = ()
    benchmark: Path | None = None
    kev: Path | None = None


def build_facts(inputs: UpstreamFiles, folder: Path) -> Json:
    """Make the CWE facts from the catalogue's XML."""
    cwe = _needed(inputs.cwe, "--cwe", "the CWE catalogue")
    return save_catalogue(
        read_catalogue(cwe),
        version=catalogue_version(cwe),
        source_sha256=sha256_file(cwe),
        folder=folder,
    )


def build_classifier(inputs: UpstreamFiles, folder: Path) -> Json:
    """Train, quantise, calibrate and measure the CWE classifier."""
    benchmark = _needed(inputs.benchmark, "--benchmark", "the folder of CTI-Bench")
    if not inputs.records:
        raise InputError("no records are given", tip="add --records FILE")
    items, settings = read_benchmark(benchmark), Contamination()
    clean = labelled_records(inputs.records, BenchmarkIndex(items, settings))
    _log.info("%d labelled records, %d left out", len(clean.kept), len(clean.dropped))
    parameters, validation = fit(clean.kept, Hyperparameters())
    facts = {
        "sources": [
            {"name": "vulnerability records", "file": path.name, "sha256": sha256_file(path)}
            for path in inputs.records
        ],
        "rules": describe_rules(settings),
        "benchmark_items": {task: len(rows) for task, rows in items.items()},
        "labelled_records": len(clean.kept),
        "dropped": len(clean.dropped),
        "hits": clean.counts(),
        "settings": asdict(Hyperparameters()),
        "latest": max(example.date for example in clean.kept),
        "validation": validation,
    }
    return save(folder, ARTIFACT, parameters.to_bytes(), facts)


def build_knowledge(inputs: UpstreamFiles, folder: Path) -> Json:
    """Index ATT&CK, CAPEC and CWE, and fit the weights by which an option is chosen."""
    benchmark = _needed(inputs.benchmark, "--benchmark", "the folder of CTI-Bench")
    target = folder / SHIPPED.name
    certificate = indexing.build(inputs, benchmark=benchmark, target=target)
    weights = ranker_training.build(benchmark, index=target, target=folder / RANKER.name)
    return {**certificate, "bytes": certificate["bytes"] + weights["bytes"]}


def build_known_exploited(inputs: UpstreamFiles, folder: Path) -> Json:
    """Make the facts of CISA's catalogue of known exploited vulnerabilities."""
    kev = _needed(inputs.kev, "--kev", "CISA's catalogue")
    return save_index(read_kev(kev), source_sha256=sha256_file(kev), folder=folder)


PARTS: dict[str, Callable[[UpstreamFiles, Path], Json]] = {
    "facts": build_facts,
    "kev": build_known_exploited,
    "classifier": build_classifier,
    "knowledge": build_knowledge,
}


def build(
    inputs: UpstreamFiles, *, parts: Sequence[str] = tuple(PARTS), folder: Path = FOLDER
) -> dict[str, Json]:
    """Make the parts and return their certificates, which lie beside them."""
    certificates = {}
    with exclusive(folder):
        for part in parts:
            _log.info("building %s", part)
            certificates[part] = PARTS[part](inputs, folder)
    return certificates


def _needed(path: Path | None, option: str, what: str) -> Path:
    if path is None:
        raise InputError(f"{what} is needed and not given", tip=f"add {option}")
    return path


def labelled_records(paths: Sequence[Path], benchmark: BenchmarkIndex) -> Decontaminated[Labelled]:
    """Read labelled records and leave out what overlaps with a benchmark item."""
    records = chain.from_iterable(map(read_vulnerabilities, paths))
    return decontaminate(labelled(records), lambda e: Row(e.text, (e.cve_id,), e.first), benchmark)


def fit(examples: Sequence[Labelled], settings: Hyperparameters) -> tuple[Parameters, Json]:
    """Train what ships, and a second model for the drift; measure both on what they never saw."""
    training = [example for example in examples if example.group >= _HELD_OUT]
    calibration = [example for example in examples if example.group < _CALIBRATION]
    held_out = [example for example in examples if _CALIBRATION <= example.group < _HELD_OUT]
    parameters = _parameters(train(training, settings, log=_log.info), calibration)
    validation = {"by_text": _measured(parameters, training, held_out)}
    before = [example for example in training if example.date < _DRIFT]
    after = [example for example in examples if example.date >= _DRIFT]
    if before and after:
        earlier = _parameters(
            train(before, settings, log=_log.info),
            [example for example in calibration if example.date < _DRIFT],
        )
        validation["by_date"] = {"split": _DRIFT, **_measured(earlier, before, after)}
    return parameters, validation


def _measured(
    parameters: Parameters, training: Sequence[Labelled], held_out: Sequence[Labelled]
) -> Json:
    seen = Counter(example.first for example in training)
    return {
        "training_records": len(training),
        **measure(CweClassifier(parameters), held_out, seen=seen),
    }


def _parameters(model: Model, calibration: Sequence[Labelled]) -> Parameters:
    """Round the vectors, then calibrate what the rounded ones answer."""
    quantised = Quantised.of(model.vectors)
    rounded = model._replace(vectors=quantised.take(np.arange(len(model.vectors))))
    number = {name: position for position, name in enumerate(model.classes)}
    labels = np.array([number.get(example.first, -1) for example in calibration])
    logits = rounded.logits(Features.of(model.vocabulary, [e.text for e in calibration]))
    return Parameters(
        model.vocabulary,
        model.classes,
        quantised,
        model.bias,
        model.head.astype(np.float16).astype(np.float32),
        model.head_bias,
        calibrate(logits, labels),
    )
