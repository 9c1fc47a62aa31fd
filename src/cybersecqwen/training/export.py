"""The formats that a merged model is exported to, each a folder that some program runs.

    FORMATS["gguf-q8_0"].write(run / "merged", run / "exports" / "gguf-q8_0", settings)

Another format is a function here and a line in FORMATS.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cybersecqwen.errors import CyberSecQwenError, StageError, extra
from cybersecqwen.files import disk_errors, open_to_all, read_json, write_json, write_text
from cybersecqwen.manifest import outputs_of
from cybersecqwen.training.compression import Scheme, compress
from cybersecqwen.training.gguf_writer import About, Weights, write_gguf
from cybersecqwen.training.modelfile import modelfile

_QUANTIZER = "llama-quantize"
# What a folder of weights needs beside them; the settings of sampling that a base model came with
# are none of it.
_GENERATION = ("bos_token_id", "eos_token_id", "pad_token_id")
_PROOF = ("parity.json", "README.md")  # of the merge, and a card that is written anew


@dataclass(frozen=True)
class ExportSettings:
    """What an export says of the model, how it is sampled, and what it is made with.

    `sampling` are the parameters of Ollama. `examples` are prompts and completions of the corpus to
    calibrate on; `quantizer` is llama.cpp's llama-quantize, by default the one on PATH.
    """

    about: About
    sampling: Mapping[str, object] = field(default_factory=dict)
    examples: Sequence[tuple[str, str]] = ()
    quantizer: Path | None = None


@dataclass(frozen=True)
class Format:
    """A format: what it is for, how a folder of it is written, and whether it needs calibration."""

    description: str
    write: Callable[[Path, Path, ExportSettings], None]
    calibrated: bool = False


def _safetensors(merged: Path, folder: Path, _settings: ExportSettings) -> None:
    """Copy the model folder as the Hub lays it out, its generation settings reduced to tokens."""
    with disk_errors(folder):
        _copy(merged, folder, [name for name in outputs_of(merged) if name not in _PROOF])
    _write_generation(merged, folder)


def _gguf(merged: Path, folder: Path, settings: ExportSettings, *, weights: Weights) -> None:
    file = _gguf_file(folder, settings, weights)
    write_gguf(merged, file, weights=weights, about=settings.about)
    _write_beside(merged, file, settings)


def _gguf_q4_k_m(merged: Path, folder: Path, settings: ExportSettings) -> None:
    """Write float16, and let llama.cpp quantise it: the package `gguf` has none of its K-quants."""
    quantizer = find_quantizer(settings.quantizer)
    wide, file = (_gguf_file(folder, settings, weights) for weights in ("f16", "q4_k_m"))
    partial_file = file.with_name(f".{file.name}.partial")
    try:
        write_gguf(merged, wide, weights="f16", about=settings.about)
        _quantize(quantizer, wide, partial_file)
        partial_file.replace(file)
    finally:
        for scratch in (wide, partial_file):
            scratch.unlink(missing_ok=True)
    _write_beside(merged, file, settings)


def find_quantizer(program: Path | None) -> str:
    """Return the path of llama.cpp's quantiser; raises CyberSecQwenError where there is none."""
    path = shutil.which(program or _QUANTIZER)
    if path is None:
        raise CyberSecQwenError(
            f"{_QUANTIZER} of llama.cpp, which makes this format, is not found",
            where=program,
            tip="put it on PATH, or give --quantizer FILE; gguf-q8_0 needs no llama.cpp",
        )
    return path


def _quantize(program: str, source: Path, target: Path) -> None:
    command = [program, str(source), str(target), "Q4_K_M"]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ended.returncode or not target.is_file():
        said = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        raise StageError(
            f"{program} ended with status {ended.returncode}: {said[-1] if said else 'no message'}",
            where=source,
            tip="is it of a current llama.cpp, and is there room on the disk?",
        )


def _gguf_file(folder: Path, settings: ExportSettings, weights: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{settings.about.name}-{weights.upper()}.gguf"


def _write_beside(merged: Path, file: Path, settings: ExportSettings) -> None:
    """Write the chat template beside a GGUF file, as it is and in a Modelfile for Ollama."""
    tokenizer = _tokenizer(merged)
    write_text(file.with_name("chat_template.jinja"), tokenizer.chat_template)
    text = modelfile(file.name, tokenizer, settings.sampling, where=merged)
    write_text(file.with_name("Modelfile"), text)


def _compressed(merged: Path, folder: Path, settings: ExportSettings, *, scheme: Scheme) -> None:
    compress(merged, folder, scheme=scheme, examples=settings.examples)
    weights = (".safetensors", ".safetensors.index.json")
    others = [name for name in outputs_of(merged) if not name.endswith(weights)]
    written = (*_PROOF, "config.json")
    with disk_errors(folder):
        _copy(merged, folder, [name for name in others if name not in written])
    _write_generation(merged, folder)


def _copy(source: Path, folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    open_to_all(folder)


def _write_generation(merged: Path, folder: Path) -> None:
    """Keep what begins, ends and pads a text: a server would mix the rest into every request."""
    settings = read_json(merged / "generation_config.json")
    kept = {name: settings[name] for name in _GENERATION if settings.get(name) is not None}
    write_json(folder / "generation_config.json", kept)


def _tokenizer(merged: Path) -> Any:
    with extra("train"):
        from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(merged, local_files_only=True)


FORMATS: dict[str, Format] = {
    "safetensors": Format("the model folder of the Hugging Face Hub", _safetensors),
    "gguf-f16": Format("float16 for llama.cpp and Ollama", partial(_gguf, weights="f16")),
    "gguf-q8_0": Format("8 bits for llama.cpp and Ollama", partial(_gguf, weights="q8_0")),
    "gguf-q4_k_m": Format("4 to 6 bits for llama.cpp and Ollama", _gguf_q4_k_m),
    "int8": Format("8-bit weights and activations for vLLM", partial(_compressed, scheme="int8")),
    "int4": Format("4-bit weights for vLLM", partial(_compressed, scheme="int4"), calibrated=True),
}
