"""The contents of a run folder, read back and checked: the only source of a report's numbers.

    evidence = load_evidence(Path("runs/smoke"))
    evidence.results[0].strict_accuracy.mean

A stage that has not run is None, or an empty list. A file that does not read as what it
should be raises InputError with its path and the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from cybersecqwen.benchmark.statistics import wilson
from cybersecqwen.benchmark.summary import caveats
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_json, read_text
from cybersecqwen.manifest import made_from_of, outputs_of
from cybersecqwen.reports.published import Book

CTI_BENCH = "cti-bench"
_LOSS_PLOT = "plots/loss.svg"


class Spread(BaseModel):
    """A mean over trials and their standard deviation, None for a single trial."""

    mean: float = Field(ge=0, le=1)
    std: float | None = None
    interval_95: tuple[float, float] | None = None


class Measured(BaseModel):
    """A metric of a task or a protocol beside accuracy; None where nothing could be measured."""

    mean: float | None = None
    std: float | None = None
    interval_95: tuple[float | None, float | None] = (None, None)


class Benchmark(BaseModel):
    """Which benchmark was asked: its name and the sha256 of each file."""

    name: str = "unknown"
    sha256: dict[str, str] = {}


class Artifact(BaseModel):
    """One file of a model, by size and checksum."""

    bytes: int
    sha256: str


class Fitted(BaseModel):
    """Items of a task that weights were fitted to, by the parity of their positions."""

    task: str
    positions: Literal["odd", "even"]
    items: int


class Unread(BaseModel):
    """Answers that a protocol left unread, by their form, and what a lenient reader scores."""

    count: int
    share: float
    forms: dict[str, int]
    lenient: dict[str, float | None]
    warning: str


class Engine(BaseModel):
    """The facts that an engine states about itself and a reader of its scores needs."""

    engine: str = ""
    deterministic: bool = False
    books: dict[str, Book] = {}
    fitted_to: list[Fitted] = []
    artifacts: dict[str, Artifact] = {}


class Result(BaseModel):
    """The scores of one task under one protocol (`scores.json`)."""

    task: str
    protocol: str
    protocol_version: int | str
    modified: list[str] = []
    model: str = ""
    kind: str = ""  # of the model as it was asked: instruct or base
    engine: Engine = Field(default=Engine(), exclude=True)
    benchmark: Benchmark = Benchmark()
    items: int = Field(ge=1)
    of: int = 0  # items of the whole task; 0 in scores of version 0.1
    partial: bool = False
    failed: int = 0
    trials: list[dict[str, Any]] = Field(min_length=1)
    strict_accuracy: Spread
    parseable_rate: Spread
    metrics: dict[str, Measured] = {}
    unread: Unread | None = None  # version 0.1 did not store it

    @property
    def under(self) -> str:
        """The protocol with its version."""
        return f"{self.protocol} {self.protocol_version}"

    @property
    def remarks(self) -> list[str]:
        """What a reader of the score has to know, changes to the protocol first."""
        remarks = [f"modified: {', '.join(self.modified)}"] if self.modified else []
        remarks += ["deterministic"] if self.engine.deterministic else []
        remarks += [f"weights fitted to {f.items:,} of these items" for f in self.fitted]
        warning = self.unread.warning if self.unread else ""
        remarks += caveats(self.items, self.of, self.failed, warning)
        if self.benchmark.name != CTI_BENCH:
            remarks.append(f"benchmark: {self.benchmark.name}, not CTI-Bench")
        return remarks

    @property
    def comparable(self) -> bool:
        """Return whether the items are CTI-Bench's, all of them, as those of published numbers."""
        return self.benchmark.name == CTI_BENCH and not self.partial

    @property
    def book(self) -> Book:
        """Return whether the answers were looked up; a recording does not say how it was made."""
        if self.engine.engine == "replay":
            return "not stated"
        return self.engine.books.get(self.task, "closed")

    @property
    def fitted(self) -> list[Fitted]:
        """The items of this very task that weights of the model were fitted to."""
        return [f for f in self.engine.fitted_to if f.task == self.task and self.comparable]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval over items and trials; Wilson's where none was stored."""
        return self.strict_accuracy.interval_95 or wilson(self.strict_accuracy.mean, self.items)


class CorpusInputs(BaseModel):
    """The sha256 of each feed and each benchmark file that a corpus was made from."""

    records: dict[str, str]
    benchmark: dict[str, str]


class Counts(BaseModel):
    """Numbers of records read, kept and dropped: by reason, and by rule and task."""

    records: int
    cohort: int | None = None
    train: int
    validation: int
    dropped: dict[str, int]
    contaminated: dict[str, dict[str, int]]


class Certificate(BaseModel):
    """The evidence that a corpus holds no benchmark item (`certificate.json`)."""

    tool: dict[str, str]
    inputs: CorpusInputs
    outputs: dict[str, str]
    rules: dict[str, dict[str, Any]]
    counts: Counts
    benchmark_items: dict[str, int]
    clean: bool


class Synthesized(BaseModel):
    """The synthetic pairs that were made and refused (`synthesis/certificate.json`)."""

    inputs: dict[str, Any]
    outputs: dict[str, str]
    counts: dict[str, int | dict[str, int]]
    letters: dict[str, dict[str, int]]
    knowledge: dict[str, str]
    rules: dict[str, dict[str, Any]]
    benchmark_items: dict[str, int]
    teacher: dict[str, Any] | None
    clean: bool


class Distilled(BaseModel):
    """The yield of a teacher's answers (`distillation/certificate.json`)."""

    teacher: dict[str, dict[str, Any]]
    examples: dict[str, int]
    answers: dict[str, int | dict[str, int]]
    tokens: dict[str, int]
    agreement: float
    yielded: float = Field(alias="yield")
    cost: float | None


@dataclass(frozen=True)
class Evidence:
    """Everything on disk that a report may state."""

    recipe: Recipe
    certificate: Certificate | None
    summary: Json | None
    parity: Json | None  # of the merge
    results: list[Result]  # of this run's merged model
    others: list[str]  # what else was evaluated into the folder, by task and protocol
    synthesized: Synthesized | None = None
    distilled: Distilled | None = None
    exported: Json | None = None  # the parity of exports and servers with this merged model
    loss_plot: str = ""  # its path as the card links to it, "" where there is none
    own_template: str = ""  # the chat template that the adapter was trained with


Model = TypeVar("Model", bound=BaseModel)


def load_evidence(run: Path) -> Evidence:
    """Read a run folder; raises InputError where it is none or one of its files is damaged."""
    if not (run / "recipe.toml").is_file():
        raise InputError("no recipe.toml here", where=run, tip="give the folder of a run")
    own = [path for path in _evaluations(run) if _of_merged_model(run, path)]
    others = [path for path in _evaluations(run) if path not in own]
    template = run / "adapter" / "chat_template.jinja"
    return Evidence(
        recipe=load_recipe(run / "recipe.toml"),
        certificate=_certificate(Certificate, run / "corpus"),
        summary=_object(run / "adapter" / "summary.json"),
        parity=_object(run / "merged" / "parity.json"),
        results=[read_model(Result, path) for path in own],
        synthesized=_certificate(Synthesized, run / "synthesis"),
        distilled=_certificate(Distilled, run / "distillation"),
        exported=_exported(run),
        others=[f"{path.parts[-3]}/{path.parts[-2]}" for path in others],
        loss_plot=_LOSS_PLOT if (run / "report" / _LOSS_PLOT).is_file() else "",
        own_template=read_text(template) if template.is_file() else "",
    )


def _exported(run: Path) -> Json | None:
    parity, merged = _object(run / "parity.json"), run / "merged"
    if parity is None or not (merged / "manifest.json").is_file():
        return None
    return parity if parity.get("model") == outputs_of(merged) else None


def _certificate(model: type[Model], stage: Path) -> Model | None:
    path = stage / "certificate.json"
    return read_model(model, path) if path.is_file() else None


def load_results(run: Path) -> list[Result]:
    """Read the scores of every finished evaluation in a folder, by task and protocol name."""
    return [read_model(Result, path) for path in _evaluations(run)]


def _evaluations(run: Path) -> list[Path]:
    paths = sorted(run.glob("evaluation/*/*/scores.json"))
    return [path for path in paths if (path.parent / "manifest.json").is_file()]


def _of_merged_model(run: Path, scores: Path) -> bool:
    """Return whether the evaluated files are the ones that now lie in the merged folder."""
    merged = run / "merged"
    if not (merged / "manifest.json").is_file():
        return False
    made_from = made_from_of(scores.parent) or {}
    model = made_from.get("inputs", {}).get("model", {})
    return bool(model.get("files") == outputs_of(merged))


def read_model(
    model: type[Model], path: Path, *, tip: str = "run the stage that wrote it again"
) -> Model:
    """Read a JSON file as a model; raises InputError with its path and the field."""
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{field}: {first['msg']}", where=path, tip=tip) from error


def _object(path: Path) -> Json | None:
    if not path.is_file():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError("not a JSON object", where=path, tip="run the stage that wrote it again")
    return value
