"""The model to serve: its folder or GGUF file, its name, and the chat template it is served with.

    model = find_model("runs/smollm2-135m")
    template = template_file(model)

The template is the run's own. That of any other model is made system-prompt-free first: SmolLM2's,
in a GGUF file too, tells the model who it is before every chat that has no system turn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cybersecqwen.engines import EngineOptions, smollm2
from cybersecqwen.engines.gguf_model import gguf_file
from cybersecqwen.engines.transformers import TransformersEngine, load_errors
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, read_json, read_text, write_text
from cybersecqwen.sources.fetch import default_cache
from cybersecqwen.training.chat_template import chat_template


@dataclass(frozen=True)
class ServedModel:
    """A model folder or a GGUF file, and what it is called."""

    path: Path
    name: str
    config: Json  # that of a folder; empty for a GGUF file

    @property
    def is_gguf(self) -> bool:
        """Return whether it is a GGUF file."""
        return self.path.is_file()

    @property
    def dtype(self) -> str:
        """The precision that the weights are stored in."""
        return str(self.config.get("dtype") or self.config.get("torch_dtype") or "auto")

    @property
    def samples(self) -> bool:
        """Return whether its generation_config.json asks for sampling."""
        file = self.path / "generation_config.json"
        return file.is_file() and bool(read_json(file).get("do_sample"))

    @property
    def context(self) -> int | None:
        """The tokens that the model was made for, where its config says so."""
        text = self.config.get("text_config") or self.config
        return text.get("max_position_embeddings")


def find_model(model: str) -> ServedModel:
    """Find what a string names: a run, a model folder, a GGUF file or its folder, or "smollm2".

    Raises InputError for a run that is not merged, and EngineError for a folder that is incomplete.
    """
    path = smollm2.folder() if model == "smollm2" else Path(model)
    if file := gguf_file(str(path)):
        return ServedModel(file.absolute(), file.stem, {})
    if path.suffix.lower() == ".gguf":
        raise InputError("no such file", where=path, tip="give the path of a GGUF file")
    if (path / "recipe.toml").is_file():
        path = path / "merged"
        if not (path / "manifest.json").is_file():
            raise InputError(
                "this run has no merged model", where=path, tip="cybersecqwen merge makes it"
            )
    opened = TransformersEngine.open(str(path), EngineOptions())  # it checks what is in the folder
    name = model if model == "smollm2" else opened.name
    return ServedModel(path.absolute(), name, read_json(path / "config.json"))


def template_file(model: ServedModel) -> Path:
    """Return the file of the chat template to serve a model with, in the cache where it is new.

    Raises RecipeError for a model without a template, or one that cannot be had without a system
    prompt.
    """
    beside = _beside(model)
    if model.is_gguf and beside.is_file():
        return beside
    text = chat_template("own", _tokenizer(model), where=model.path)
    if beside.is_file() and read_text(beside) == text:
        return beside
    checksum = hashlib.sha256(text.encode()).hexdigest()[:12]
    file = default_cache() / "serving" / f"{checksum}.jinja"
    if not file.is_file():
        write_text(file, text)
    return file


def has_template(model: ServedModel, template: Path) -> bool:
    """Return whether a model folder itself has this chat template, in either of its two places."""
    beside = _beside(model)
    if beside.is_file():
        return beside == template
    settings = read_json(model.path / "tokenizer_config.json")
    return bool(settings.get("chat_template") == read_text(template))


def _beside(model: ServedModel) -> Path:
    return (model.path.parent if model.is_gguf else model.path) / "chat_template.jinja"


def _tokenizer(model: ServedModel) -> Any:
    where, options = model.path, {}
    if model.is_gguf:
        with extra("smollm2"):
            import gguf  # noqa: F401  # what transformers reads the file with
        where, options = model.path.parent, {"gguf_file": model.path.name}
    with extra("train"):
        from transformers import AutoTokenizer
    try:
        return AutoTokenizer.from_pretrained(where, local_files_only=True, **options)
    except load_errors() as error:
        raise InputError(
            f"its tokenizer cannot be read: {type(error).__name__} {error}",
            where=model.path,
            tip="put its chat template beside it, as chat_template.jinja",
        ) from error
