"""Exports of a run's merged model: one stage for each format, into exports/<format>.

    folder = export(open_exports("runs/smoke"), "gguf-q8_0")

An export's folder is evaluated as any model is, into itself; the model card then holds it against
the merged model.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_jsonl, write_text
from cybersecqwen.pipeline.stage import Run, Stage, run_stage
from cybersecqwen.pipeline.stages import EXAMPLES, MODEL

if TYPE_CHECKING:
    from cybersecqwen.training.export import ExportSettings

_CALIBRATION = 32  # examples of the corpus


def open_exports(folder: Path) -> Run:
    """Open a run folder by the recipe in it; raises InputError where there is none."""
    from cybersecqwen.config import load_recipe

    recipe = folder / "recipe.toml"
    if not recipe.is_file():
        raise InputError("no recipe.toml here", where=folder, tip="give the folder of a run")
    return Run(load_recipe(recipe), folder)


def export(run: Run, form: str, *, quantizer: Path | None = None) -> Path:
    """Export the merged model, unless that is done, and return the folder, with the card in it.

    Raises StageError where the run is not merged, or the folder is of another model.
    """
    from cybersecqwen.reports.model_card import render

    stage = export_stage(form, quantizer=quantizer)
    run_stage(stage, run)
    folder = run.out / stage.folder
    write_text(folder / "README.md", render(run.out))  # no part of the proof: it is written anew
    return folder


def export_stage(form: str, *, quantizer: Path | None = None) -> Stage:
    """Return the stage of a format; one that is calibrated reads the corpus too."""
    from cybersecqwen.training.export import FORMATS

    return Stage(
        "export",
        f"exports/{form}",
        partial(_export, form, quantizer),
        config=("name", "license", "model.base", "evaluation.protocol"),
        inputs=(MODEL, EXAMPLES) if FORMATS[form].calibrated else (MODEL,),
    )


def _export(form: str, quantizer: Path | None, run: Run, folder: Path, _checksums: Json) -> None:
    from cybersecqwen.training.export import FORMATS

    calibrated = FORMATS[form].calibrated
    FORMATS[form].write(MODEL.read(run), folder, _settings(run, quantizer, calibrated=calibrated))


def _settings(run: Run, quantizer: Path | None, *, calibrated: bool) -> ExportSettings:
    """Take what an export says from the recipe and its protocol."""
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.engines import gguf
    from cybersecqwen.training.export import ExportSettings
    from cybersecqwen.training.gguf_writer import About

    recipe, protocol = run.recipe, find_protocol(run.recipe.evaluation.protocol)
    base = recipe.model.base
    said = gguf.origin(base) if gguf.is_gguf(base) else Path(base).name
    rows = islice(read_jsonl(EXAMPLES.read(run) / EXAMPLES.files[0]), _CALIBRATION)
    return ExportSettings(
        About(recipe.name, recipe.license, said),
        # Ollama's own settings (temperature 0.8, top_k 40 …) are not what was measured.
        sampling={
            **{"temperature": protocol.temperature, "top_p": protocol.top_p},
            **{"top_k": 0, "min_p": 0, "repeat_penalty": 1},
            **{"num_predict": protocol.max_tokens, "num_ctx": recipe.training.max_length},
        },
        examples=[(row["prompt"], row["completion"]) for row in rows] if calibrated else [],
        quantizer=quantizer,
    )
