"""Exports of a run's merged model: one stage for each format, into exports/<format>.

    folder = export(open_exports("runs/smoke"), "gguf-q8_0")

An export's folder is evaluated as any model is, into itself; the model card then holds it against
the merged model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen import __version__
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_jsonl, write_json
from cybersecqwen.manifest import outputs_of
from cybersecqwen.pipeline.inputs import benchmark_folder
from cybersecqwen.pipeline.stage import Run, RunInputs, Stage, refuse_stale, run_stage
from cybersecqwen.pipeline.stages import (
    ADAPTER,
    EXAMPLES,
    MODEL,
    base_model,
    finished_exports,
    write_card_to,
)

if TYPE_CHECKING:
    from cybersecqwen.training.export import ExportSettings

_CALIBRATION = 32  # examples of the corpus


def open_exports(folder: Path, benchmark: Path | None = None) -> Run:
    """Open a run folder by the recipe in it; raises InputError where there is none."""
    from cybersecqwen.config import load_recipe

    recipe = folder / "recipe.toml"
    if not recipe.is_file():
        raise InputError("no recipe.toml here", where=folder, tip="give the folder of a run")
    return Run(load_recipe(recipe), folder, RunInputs(benchmark=benchmark))


def export(run: Run, form: str, *, quantizer: Path | None = None) -> Path:
    """Export the merged model, unless that is done, and return the folder, with the card in it.

    Raises StageError where the run is not merged, or the folder is of another model.
    """
    stage = export_stage(form, quantizer=quantizer)
    run_stage(stage, run)
    folder = run.out / stage.folder
    write_card_to(run, folder / "README.md")  # no part of the proof: it is written anew
    return folder


def export_stage(form: str, *, quantizer: Path | None = None) -> Stage:
    """Return the stage of a format; one that is calibrated reads the corpus too."""
    from cybersecqwen.training.export import FORMATS

    return Stage(
        "export",
        f"exports/{form}",
        partial(_export, form, quantizer),
        config=("name", "license", "model.base", "training.max_length", "evaluation.protocol"),
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


def parity(run: Run, servers: Mapping[str, str], *, prompts: int, length: int) -> Json:
    """Hold base and adapter, every export and the servers against the merged model.

    `servers` are addresses, each with the format that it serves; of the recipe's benchmark tasks as
    many `prompts` are asked in all, for answers of `length` tokens. Writes parity.json into the
    run's folder and returns it. Raises StageError where the run is not merged or an export is of
    another model, and EngineError for a model that cannot be opened or asked.
    """
    from cybersecqwen.serving.loss import losses
    from cybersecqwen.serving.observation import RemoteModel
    from cybersecqwen.serving.parity import Subject, check_parity, open_adapter, open_folder

    MODEL.checksums(run)
    adapter, exports = ADAPTER.read(run), finished_exports(run)
    for folder in exports:
        refuse_stale(export_stage(folder.name), run)
    questions = _prompts(run, prompts)
    reference = open_folder(MODEL.read(run))
    subjects = [Subject(f.name, f.name, partial(open_folder, f)) for f in exports]
    if adapter.is_dir():
        opened = partial(open_adapter, run.recipe, adapter, base_model(run))
        subjects.insert(0, Subject("base and adapter", "adapter", opened))
    ends = frozenset(reference.tokenizer.decode([end]) for end in reference.ends)
    subjects += [
        Subject(f"server of {form}", form, RemoteModel(url, ends)) for url, form in servers.items()
    ]
    report = check_parity(reference, subjects, questions, length=length)
    report |= {"version": __version__, "model": outputs_of(MODEL.read(run))}
    report |= {"scores": losses(run.out, exports, benchmark_folder(run))}
    worse = [row["format"] for row in report["scores"] if row["verdict"] == "worse"]
    for subject in report["subjects"]:
        if subject["name"] in worse:
            subject |= {"failures": [*subject["failures"], "score"], "passed": False}
    report["passed"] = all(subject["passed"] for subject in report["subjects"])
    write_json(run.out / "parity.json", report)
    return report


def _prompts(run: Run, count: int) -> list[str]:
    """Take the first questions of each task that the recipe is evaluated on, as many of each."""
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.tasks import read_items
    from cybersecqwen.benchmark.trial import chat_question

    protocol, tasks = find_protocol(run.recipe.evaluation.protocol), run.recipe.evaluation.tasks
    each = -(-count // len(tasks))
    items = (item for t in tasks for item in read_items(benchmark_folder(run), t)[:each])
    return [chat_question(protocol, item) for item in items][:count]
