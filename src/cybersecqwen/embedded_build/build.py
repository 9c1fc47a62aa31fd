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
from cybersecqwen.embedded.classifier import ARTIFACT, CweClassifier, Parameters
from cybersecqwen.embedded.knowledge import SHIPPED
from cybersecqwen.embedded.layer import Calibration, Layer
from cybersecqwen.embedded.option_ranker import RANKER
from cybersecqwen.embedded.quantisation import Floats, Quantised
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
from cybersecqwen.embedded_build.mapping_examples import (
    catalogue_examples,
    mapped,
    own_examples,
    read_mappings,
)
from cybersecqwen.embedded_build.mapping_layer import adapted, mapped_by_analyst
from cybersecqwen.embedded_build.validation import measure, measure_mapping
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
_LATER = "2025-07-01"  # calibrated before, tested from then on


@dataclass(frozen=True, slots=True)
class UpstreamFiles(KnowledgeFiles):
    """The files to build from, each as upstream serves it."""

    records: tuple[Path, ...] = ()
    benchmark: Path | None = None
    kev: Path | None = None
    mappings: Path | None = None  # by MITRE's analysts


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
    index = BenchmarkIndex(items, settings)
    clean = labelled_records(inputs.records, index)
    more = mapping_texts(inputs, index)
    _log.info("%d labelled records, %d left out", len(clean.kept), len(clean.dropped))
    mappings = read_mappings(inputs.mappings) if inputs.mappings else {}
    examples = [mapped(example, mappings) for example in clean.kept]
    parameters, validation = fit(examples, Hyperparameters(), more=more.kept)
    read = {"CWE catalogue": inputs.cwe, "analysts' mappings": inputs.mappings}
    facts = {
        "sources": [
            {"name": name, "file": path.name, "sha256": sha256_file(path)}
            for name, path in (
                *(("vulnerability records", path) for path in inputs.records),
                *((name, path) for name, path in read.items() if path),
            )
        ],
        "rules": describe_rules(settings),
        "benchmark_items": {task: len(rows) for task, rows in items.items()},
        "labelled_records": len(clean.kept),
        "mapping_texts": len(more.kept),
        "mapping_texts_dropped": len(more.dropped),
        "dropped": len(clean.dropped),
        "hits": clean.counts(),
        "settings": asdict(Hyperparameters()),
        "latest": max(example.date for example in clean.kept),
        "validation": validation,
    }
    return save(folder, ARTIFACT, parameters.to_bytes(), facts)


def mapping_texts(inputs: UpstreamFiles, benchmark: BenchmarkIndex) -> Decontaminated[Labelled]:
    """Read the catalogue's own words where it is given, less what overlaps with an item."""
    texts = list(catalogue_examples(inputs.cwe)) if inputs.cwe else []
    texts = [text for text in texts if text.group >= _HELD_OUT]
    return decontaminate(texts, lambda e: Row(e.text, (e.cve_id,), e.mapping[0][0]), benchmark)


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


def fit(
    examples: Sequence[Labelled], settings: Hyperparameters, *, more: Sequence[Labelled] = ()
) -> tuple[Parameters, Json]:
    """Train what ships, and a second model for the drift; measure both on what they never saw.

    The second model also tells how sure answers on records are that are newer than what was
    trained on: what ships is calibrated by that, for these are what is classified.
    """
    training = [example for example in examples if example.group >= _HELD_OUT]
    calibration = [example for example in examples if example.group < _CALIBRATION]
    held_out = [example for example in examples if _CALIBRATION <= example.group < _HELD_OUT]
    after = sorted((e for e in examples if e.date >= _DRIFT), key=lambda e: e.date)
    known = {example.text for example in own_examples()}
    own = [example for example in more if example.text in known]
    validation: Json = {}
    curves = None
    if before := earlier_records(training):
        analysts = [example for example in examples if _kept_from_earlier(example)]
        earlier = adapted(train(before, settings, more=more, log=_log.info), before, own=own)
        first = [example for example in after if example.date < _LATER] or after
        tested = _parameters(earlier, _curves(earlier, first, analysts))
        for name, date in (("by_date", _DRIFT), ("by_later_date", _LATER)):
            if later := [example for example in after if example.date >= date]:
                validation[name] = {"split": date, **_measured(tested, before, later)}
        validation["analysts"] = measure_mapping(CweClassifier(tested), analysts)
        curves = _curves(earlier, after, analysts)
    model = adapted(train(training, settings, more=more, log=_log.info), training, own=own)
    curves = curves or _curves(model, calibration, ())
    parameters = _parameters(model, curves)
    validation["by_text"] = _measured(parameters, training, held_out)
    return parameters, validation


def earlier_records(training: Sequence[Labelled]) -> list[Labelled]:
    """Return what the second model learns from; nothing where no record is newer.

    It is what came before the date, less every second record that MITRE's analysts mapped: on
    those it is compared with the analysts.
    """
    before = [e for e in training if e.date < _DRIFT and not _kept_from_earlier(e)]
    return before if any(example.date >= _DRIFT for example in training) else []


def _kept_from_earlier(example: Labelled) -> bool:
    return example.group % 2 == 1 and mapped_by_analyst(example)


def _measured(
    parameters: Parameters, training: Sequence[Labelled], held_out: Sequence[Labelled]
) -> Json:
    seen = Counter(example.first for example in training)
    classifier = CweClassifier(parameters)
    return {
        "training_records": len(training),
        **measure(classifier, held_out, seen=seen),
        "mapping": measure_mapping(classifier, held_out),
    }


def _rounded(model: Model) -> Model:
    """Round the vectors as they ship, for it is what they answer that is calibrated."""
    vectors = Quantised.of(model.vectors)
    return model._replace(vectors=vectors.take(np.arange(len(model.vectors))))


def _curves(
    model: Model, examples: Sequence[Labelled], analysts: Sequence[Labelled]
) -> tuple[Calibration, Calibration | None]:
    """Calibrate the labels, and the mapping, on records that were not trained on.

    Records whose labels are all discouraged have no mapping to compare with; those that analysts
    mapped stand for them, each as often as makes up for it.
    """
    rounded = _rounded(model)
    labels = _calibrated(rounded, examples, [example.first for example in examples])
    if model.mapping is None:
        return labels, None
    told = [example for example in examples if example.mapping]
    often = round((len(examples) - len(told)) / len(analysts)) if analysts else 0
    told += list(analysts) * often
    golds = [max(example.mapping, key=lambda pair: pair[1])[0] for example in told]
    return labels, _calibrated(rounded.on(model.mapping), told, golds) if told else labels


def _calibrated(model: Model, examples: Sequence[Labelled], golds: Sequence[str]) -> Calibration:
    number = {name: position for position, name in enumerate(model.classes)}
    labels = np.array([number.get(gold, -1) for gold in golds])
    return calibrate(
        model.logits(Features.of(model.vocabulary, [e.text for e in examples])), labels
    )


def _parameters(model: Model, curves: tuple[Calibration, Calibration | None]) -> Parameters:
    """Make what ships of a model: halves of floats, and vectors of 4-bit numbers."""
    mapping, calibration = model.mapping, curves[1]
    return Parameters(
        model.vocabulary,
        Quantised.of(model.vectors),
        model.bias,
        Layer(model.classes, _half(model.head), model.head_bias, curves[0]),
        Layer(mapping.classes, _half(mapping.weights), mapping.bias, calibration)
        if mapping and calibration
        else None,
    )


def _half(weights: Floats) -> Floats:
    return weights.astype(np.float16).astype(np.float32)
