"""What is evaluated: a model folder, one behind a URL, recorded answers, or what ships.

>>> url = "http://localhost:8000/v1"
>>> subject = served(url, "CyberSecQwen-4B", kind="instruct", concurrency=32)
>>> subject.name
'CyberSecQwen-4B'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cybersecqwen.engines import Engine
from cybersecqwen.engines.embedded_model import EmbeddedEngine
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.openai_api import base_url
from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, sha256_tree
from cybersecqwen.manifest import outputs_of

Kind = Literal["instruct", "base"]


@dataclass(frozen=True)
class Subject:
    """A model under test: how to reach it, and what tells it from every other one."""

    name: str
    engine: Engine
    kind: Kind
    identity: Json  # JSON-able, goes into the manifest
    probe: Callable[[Sequence[str]], Json] | None = None  # what a server honours, by prompts


def find_subject(
    *,
    model: str | None,
    url: str | None,
    responses: Path | None,
    kind: Kind,
    concurrency: int,
    engine: str | None = None,
) -> Subject:
    """Take the model that a command line names: a folder, a server's, recorded answers, or ours."""
    if engine == "embedded":
        return embedded(kind=kind)
    if responses is not None:
        return recorded(responses, kind=kind)
    if model is None:
        what = "--url also needs the model's name there" if url else "no model to evaluate"
        raise InputError(
            what,
            tip="give a recipe, --model FOLDER, --url URL --model NAME, --responses FILE, "
            "or --engine embedded",
        )
    if url is not None:
        return served(url, model, kind=kind, concurrency=concurrency)
    return local(Path(model), kind=kind)


def local(
    folder: Path, *, kind: Kind, batch_size: int = 32, outputs: Json | None = None
) -> Subject:
    """Take a model folder, known by the checksums of its files (`outputs`, where at hand)."""
    if not folder.is_dir():
        raise InputError("no such model folder", where=folder, tip="check --model")
    engine = TransformersEngine(folder, kind=kind, batch_size=batch_size)
    found = folder.resolve()
    name = found.parent.name if found.name == "merged" else found.name  # of a run folder
    return Subject(name, engine, kind, {"files": outputs or _files(folder)})


def _files(folder: Path) -> Json:
    """Hash a model's files; of a merged folder, those that its manifest proves."""
    found = sha256_tree(folder)
    if not (folder / "manifest.json").is_file():
        return found
    proven = outputs_of(folder)
    return proven if proven.items() <= found.items() else found


def served(url: str, model: str, *, kind: Kind, concurrency: int) -> Subject:
    """Take a model of an OpenAI-compatible server, known by the server's URL and its name."""
    engine = HttpEngine(url, model, concurrency=concurrency)

    def tried(prompts: Sequence[str]) -> Json:
        from cybersecqwen.benchmark.probe import probe

        return asdict(probe(url, model, prompts, kind=kind, concurrency=concurrency))

    identity = {"url": base_url(url), "model": model}  # however its slashes are written
    return Subject(model.rsplit("/", 1)[-1], engine, kind, identity, tried)


def recorded(path: Path, *, kind: Kind) -> Subject:
    """Take recorded answers, known by the checksums of the files."""
    if not path.exists():
        raise InputError("no such file or folder", where=path, tip="check --responses")
    return Subject(path.stem, ReplayEngine(path), kind, {"responses": sha256_tree(path)})


def embedded(folder: Path | None = None, *, kind: Kind = "instruct") -> Subject:
    """Take the model that ships, known by its version and the checksums of its artifacts."""
    engine = EmbeddedEngine(folder)
    about = engine.describe()
    files = {name: facts["sha256"] for name, facts in about["artifacts"].items()}
    return Subject("embedded", engine, kind, {"version": about["version"], "artifacts": files})
