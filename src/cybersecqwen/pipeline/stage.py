"""The shape of a stage: what it is made from, and how a run makes it, skips it or refuses.

    CORPUS = Stage(
        "corpus", "corpus", _build, config=("corpus", "contamination"), inputs=(RECORDS, BENCHMARK)
    )
    run_stage(CORPUS, run)

A stage reads files and writes its folder. The keys of the recipe and the inputs that it declares
are what its manifest says it was made from, and what its command takes options for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from cybersecqwen.files import Json
from cybersecqwen.manifest import (
    MANIFEST,
    finished,
    made_from_of,
    make_stage,
    outputs_of,
    refuse_changes,
    take_over,
)
from cybersecqwen.training.launch import Launch, holds_lock

if TYPE_CHECKING:
    from cybersecqwen.cluster import Cluster
    from cybersecqwen.config import Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class RunInputs:
    """The inputs that a user names, in place of those that the recipe says or that ship.

    A teacher is named as every model is: `NAME@URL`, a URL, a folder. Its prices are for a million
    tokens, read and written; like the concurrency they have no effect on what it writes. Its
    `teacher_options` are those of `open_model`.
    """

    records: tuple[Path, ...] = ()
    benchmark: Path | None = None
    attack: tuple[Path, ...] = ()
    capec: Path | None = None
    cwe: Path | None = None
    teacher: str | None = None
    prices: tuple[float, float] | None = None
    concurrency: int | None = None
    teacher_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A recipe, the folder that its stages write to, and the inputs that were named for it.

    `siblings` are folders of other runs: a stage that one of them made from the same is taken over.
    A `cluster` changes where a stage works, and no byte of what it makes.
    `launch` says how many processes train.
    """

    recipe: Recipe
    out: Path
    inputs: RunInputs = field(default_factory=RunInputs)
    siblings: tuple[Path, ...] = ()
    cluster: Cluster | None = None
    launch: Launch | None = None


@dataclass(frozen=True)
class Option:
    """An option of the command line, which fills the field of RunInputs of the same name."""

    name: str
    kind: Literal["path", "model", "prices", "count"]
    help: str
    multiple: bool = False


@dataclass(frozen=True)
class Input(Generic[T]):
    """Something from outside of the run's folder that a stage reads.

    `checksums` is what a manifest says of it, None where this run does without. It raises
    InputError, with the command or option that mends it, where the input is missing.
    """

    name: str
    checksums: Callable[[Run], Json | None]
    read: Callable[[Run], T]
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Outputs:
    """Files that an earlier stage wrote, as the input of a later one."""

    stage: Stage
    files: tuple[str, ...] = ()  # all that its manifest holds where none is named

    @property
    def name(self) -> str:
        """The stage's folder, under which a manifest records the files."""
        return self.stage.folder

    @property
    def options(self) -> tuple[Option, ...]:
        """No options: the files lie in the run's folder."""
        return ()

    def read(self, run: Run) -> Path:
        """Return the folder."""
        return run.out / self.stage.folder

    def checksums(self, run: Run) -> Json | None:
        """Return the files' checksums, None where the recipe does not ask for the stage.

        Raises StageError where the stage is not finished, or its files are no longer the same.
        """
        if not self.stage.wanted(run.recipe):
            return None
        command = f"cybersecqwen {self.stage.name} {run.recipe.name} --out {run.out}"
        finished(self.read(run), tip=f"run it first: {command}")
        return self.recorded(run)

    def recorded(self, run: Run) -> Json | None:
        """Return the checksums in the stage's manifest, None where there is no manifest."""
        folder = self.read(run)
        return outputs_of(folder, *self.files) if (folder / MANIFEST).is_file() else None


@dataclass(frozen=True)
class Stage:
    """A step from files to files: `make` fills the folder from what is declared, and nothing else.

    `make` gets the run, the folder and the checksums of the inputs. A key of `config` is a dotted
    path into the recipe, recorded under its last part.
    """

    name: str  # of the command
    folder: str  # below the run's
    make: Callable[[Run, Path, Json], object]
    config: tuple[str, ...] = ()
    inputs: tuple[Input[Any] | Outputs, ...] = ()
    table: str = ""  # of the recipe, which asks for this stage; "" where every recipe does
    table_tip: str = ""  # how a recipe without the table is given it on the command line
    without_effect: tuple[str, ...] = ()  # keys in those tables that change nothing in the folder
    manifest: bool = True  # False: `make` itself knows what is done already
    distributed: bool = False  # by several processes, of which one holds the lock and proves it
    scratch: str = ""  # a folder inside that only a resume needs

    @property
    def options(self) -> tuple[Option, ...]:
        """The command-line options of the inputs."""
        return tuple(option for source in self.inputs for option in source.options)

    def wanted(self, recipe: Recipe) -> bool:
        """Tell whether the recipe asks for this stage."""
        return not self.table or getattr(recipe, self.table) is not None

    def settings(self, recipe: Recipe) -> Json:
        """Return the recipe's values that the folder is made from."""
        values = recipe.model_dump(mode="json")
        return {key.rpartition(".")[2]: self._value(values, key) for key in self.config}

    def _value(self, values: Any, key: str) -> Any:
        for part in key.split("."):
            values = values[part]
        if isinstance(values, dict):
            return {name: v for name, v in values.items() if name not in self.without_effect}
        return values

    def checksums(self, run: Run) -> Json:
        """Return every input's checksums; raises InputError or StageError for a missing one."""
        every = {source.name: source.checksums(run) for source in self.inputs}
        return {name: checksums for name, checksums in every.items() if checksums is not None}


def run_stage(stage: Stage, run: Run) -> None:
    """Make a stage's folder, or skip it where its manifest proves it made from the same.

    A folder that was begun goes on where it stopped. Raises StageError, naming what differs, when
    it was made from other settings or inputs.
    """
    if not stage.wanted(run.recipe):
        return
    folder = run.out / stage.folder
    if not stage.manifest:
        stage.make(run, folder, {})
        return
    checksums = stage.checksums(run)
    if stage.distributed and not holds_lock(run.launch):
        if not (folder / MANIFEST).is_file():
            stage.make(run, folder, checksums)
        return
    made_from = {"config": stage.settings(run.recipe), "inputs": checksums}

    def make(target: Path) -> None:
        others = (sibling / stage.folder for sibling in run.siblings)
        if not any(take_over(other, target, made_from) for other in others):
            stage.make(run, target, checksums)

    make_stage(folder, made_from, make)
    if stage.scratch:
        shutil.rmtree(folder / stage.scratch, ignore_errors=True)


def refuse_other_settings(stage: Stage, run: Run) -> None:
    """Refuse a folder that holds the stage made with other settings, before anything is touched."""
    made_from = made_from_of(run.out / stage.folder) if stage.manifest else None
    if made_from:
        refuse_changes(run.out / stage.folder, made_from["config"], stage.settings(run.recipe))


def refuse_stale(stage: Stage, run: Run) -> None:
    """Refuse a stage that was made from other files than those that now lie beside it."""
    made_from = made_from_of(run.out / stage.folder)
    for source in stage.inputs if made_from else ():
        recorded = source.recorded(run) if isinstance(source, Outputs) else None
        if made_from and recorded is not None:
            old = {name: v for name, v in made_from["inputs"].items() if name == source.name}
            refuse_changes(run.out / stage.folder, old, {source.name: recorded})
