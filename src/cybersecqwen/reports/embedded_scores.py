"""The figures of the model that ships, kept beside its artifacts for every comparison table.

    save(Path("runs/embedded"), STORED, benchmark=Path("cti-bench"))
    for row in embedded_rows():
        print(row.model, row.cti_rcm, row.cti_mcq)

The file names the artifacts that were measured by their checksums. A row whose artifacts are
not the ones installed says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cybersecqwen import __version__
from cybersecqwen.artifacts import FOLDER
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.score import extractor
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.engines.embedded_model import EmbeddedEngine
from cybersecqwen.engines.response_log import read_responses
from cybersecqwen.errors import InputError
from cybersecqwen.files import write_json
from cybersecqwen.reports.published import Book, Published
from cybersecqwen.reports.run_folder import Artifact, Result, load_results, read_model

STORED = FOLDER / "benchmark.json"
MODEL = "CyberSecQwen embedded"
_COMMAND = "cybersecqwen evaluate --engine embedded --save FILE"
_SOURCE = "measured with this package, figures stored with its artifacts"


class Unseen(BaseModel):
    """The share of a task's items that no weight was fitted to."""

    items: int
    correct: int


class Figures(BaseModel):
    """The result of one task under one protocol."""

    task: str
    protocol: str
    protocol_version: int | str
    modified: list[str]
    book: Book
    items: int
    trials: int
    strict_accuracy: float
    std: float | None
    parseable_rate: float
    interval_95: tuple[float, float]
    benchmark_sha256: dict[str, str]
    unseen: Unseen | None = None


class Stored(BaseModel):
    """The stored file: which artifacts were measured, and what came of it."""

    command: str
    model: str
    version: str
    artifacts: dict[str, Artifact]
    results: list[Figures]


def save(run: Path, target: Path, *, benchmark: Path) -> Stored:
    """Write the embedded model's figures in a run folder to `target`; only those on CTI-Bench.

    Raises InputError where there are none, or where two are of different artifacts.
    """
    measured = [r for r in load_results(run) if r.engine.engine == "embedded" and r.comparable]
    if not measured:
        raise InputError(
            "holds no figures of the embedded model on CTI-Bench",
            where=run,
            tip="give --benchmark the folder of the published files",
        )
    if any(result.engine.artifacts != measured[0].engine.artifacts for result in measured):
        raise InputError(
            "its tasks are of different artifacts", where=run, tip="choose a new --out"
        )
    stored = Stored(
        command=_COMMAND,
        model=MODEL,
        version=__version__,
        artifacts=measured[0].engine.artifacts,
        results=[_figures(run, result, benchmark) for result in measured],
    )
    write_json(target, stored.model_dump(mode="json"))
    return stored


def load(path: Path = STORED) -> Stored:
    """Read the stored figures; raises InputError where the file is missing or damaged."""
    return read_model(Stored, path, tip=f"run: {_COMMAND}")


def embedded_rows(path: Path = STORED) -> tuple[Published, ...]:
    """Return the stored scores as rows of a comparison, a protocol each; none without the file."""
    if not path.is_file():
        return ()
    stored = load(path)
    current = current_checksums()
    stale = {name: a.sha256 for name, a in stored.artifacts.items()} != current
    return tuple(
        _row(stored, list(same), stale=stale)
        for _, same in groupby(sorted(stored.results, key=_protocol), key=_protocol)
    )


def current_checksums() -> dict[str, str]:
    """Return the sha256 of each artifact of this installation."""
    artifacts = EmbeddedEngine().describe()["artifacts"]
    return {name: facts["sha256"] for name, facts in artifacts.items()}


def megabytes(artifacts: dict[str, Artifact]) -> str:
    """Write the size of all artifacts together."""
    return f"{sum(artifact.bytes for artifact in artifacts.values()) / 1e6:.1f} MB"


def _figures(run: Path, result: Result, benchmark: Path) -> Figures:
    file = f"{result.task}.tsv"
    figures = {
        "book": result.book,
        "trials": len(result.trials),
        "strict_accuracy": result.strict_accuracy.mean,
        "std": result.strict_accuracy.std,
        "parseable_rate": result.parseable_rate.mean,
        "interval_95": result.interval,
        "benchmark_sha256": {file: result.benchmark.sha256[file]},
        "unseen": _unseen(run, result, benchmark) if result.fitted else None,
    }
    return Figures.model_validate(result.model_dump() | figures)


def _unseen(run: Path, result: Result, benchmark: Path) -> Unseen:
    """Count the right answers to the items at the positions that nothing was fitted to."""
    extract = extractor(TASKS[result.task], find_protocol(result.protocol)).read
    folder = run / "evaluation" / result.task / result.protocol / "trial-0"
    answers = {answer.item: answer.text for answer in read_responses(folder / "responses.jsonl")}
    odd = any(fitted.positions == "odd" for fitted in result.fitted)
    items = read_items(benchmark, result.task)[0 if odd else 1 :: 2]
    return Unseen(
        items=len(items), correct=sum(extract(answers[i.index]).answer == i.gold for i in items)
    )


def _protocol(figures: Figures) -> str:
    changes = f", modified: {', '.join(figures.modified)}" if figures.modified else ""
    return f"{figures.protocol} {figures.protocol_version}{changes}"


def _row(stored: Stored, same: Sequence[Figures], *, stale: bool) -> Published:
    of: dict[str, Any] = {figures.task: figures for figures in same}
    rcm, mcq = of.get("cti-rcm"), of.get("cti-mcq")
    notes = ["deterministic, no language model"]
    notes += [_fitted(figures) for figures in same if figures.unseen]
    notes += ["**of other artifacts than those installed**"] if stale else []
    return Published(
        model=stored.model,
        size=megabytes(stored.artifacts),
        cti_mcq=mcq and mcq.strict_accuracy,
        cti_rcm=rcm and rcm.strict_accuracy,
        shots=0,
        source=_SOURCE,
        protocol=_protocol(same[0]),
        note="; ".join(notes),
        mcq_book=mcq.book if mcq else "closed",
        rcm_book=rcm.book if rcm else "closed",
    )


def _fitted(figures: Figures) -> str:
    unseen = figures.unseen or Unseen(items=1, correct=0)
    return (
        f"{figures.task}: weights fitted to {figures.items - unseen.items:,} of the items, "
        f"{unseen.correct / unseen.items:.3f} on the other {unseen.items:,}"
    )
