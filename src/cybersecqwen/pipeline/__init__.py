"""The pipeline: the stages of a recipe in order, each from files to files.

    finished = run(open_run("smoke", overrides=("training.epochs=1",)))
    finished.out / "report" / "MODEL_CARD.md"

What a manifest proves done is skipped; a stage whose folder was made from other settings or inputs
refuses and names what changed; a killed one goes on where it stopped. Another stage is an object in
`stages` and a line here: its command's options follow from the inputs that it declares.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.errors import InputError
from cybersecqwen.files import exclusive, write_text
from cybersecqwen.pipeline.stage import Run, RunInputs, Stage, refuse_other_settings, run_stage
from cybersecqwen.pipeline.stages import (
    CARD,
    CORPUS,
    DISTILL,
    EVALUATE,
    MERGE,
    SYNTHESIS,
    TRAIN,
    evaluate_model,
    evaluate_recipe,
)

if TYPE_CHECKING:
    from cybersecqwen.config import Recipe

__all__ = [
    "STAGES",
    "Run",
    "RunInputs",
    "Stage",
    "evaluate_model",
    "evaluate_recipe",
    "open_run",
    "run",
    "run_stage",
]

STAGES: dict[str, Stage] = {
    "corpus": CORPUS,
    "synthesis": SYNTHESIS,
    "distill": DISTILL,
    "train": TRAIN,
    "merge": MERGE,
    "evaluate": EVALUATE,
    "card": CARD,
}


def run(opened: Run) -> Run:
    """Take an opened recipe through every stage and return it.

    Raises InputError for an input that none of the recipe's stages reads.
    """
    wanted = [stage for stage in STAGES.values() if stage.wanted(opened.recipe)]
    for stage in STAGES.values():
        for option in stage.options:
            read = any(option in other.options for other in wanted)
            if getattr(opened.inputs, option.name) and not read:
                raise InputError(
                    f"--{option.name} is for {stage.name}, which this recipe does not ask for",
                    where=opened.recipe.name,
                    tip=stage.table_tip,
                )
    for stage in wanted:
        run_stage(stage, opened)
    return opened


def open_run(
    recipe: Recipe | str | Path,
    out: Path | None = None,
    *,
    overrides: tuple[str, ...] = (),
    inputs: RunInputs | None = None,
) -> Run:
    """Open a recipe's run folder, `runs/<name>` unless `out` says otherwise, and write the recipe.

    The recipe is a file, the name of one that ships, or one that is loaded; `overrides` are
    `key.path=value`. Raises StageError, naming the keys, when a stage in the folder was made by
    other settings.
    """
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.tasks import find_task
    from cybersecqwen.config import dump_recipe, load_recipe

    loaded = load_recipe(recipe, overrides=overrides)
    find_protocol(loaded.evaluation.protocol)
    for task in loaded.evaluation.tasks:
        find_task(task)
    opened = Run(loaded, out or Path("runs") / loaded.name, inputs or RunInputs())
    for stage in STAGES.values():
        refuse_other_settings(stage, opened)
    with exclusive(opened.out, below=False):
        write_text(opened.out / "recipe.toml", dump_recipe(loaded))
    return opened
