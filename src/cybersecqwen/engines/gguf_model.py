"""A GGUF file as an engine in process: its weights dequantised to float32.

    model = open_model("runs/smoke/exports/gguf-q8_0")

It answers with the numbers that are stored in the file, which is what an export is measured by;
llama.cpp rounds what it computes on the way too. For that, ask its server.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from cybersecqwen.engines import gguf
from cybersecqwen.engines.interface import EngineOptions, Model
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.files import Json, sha256_file


class GgufEngine(TransformersEngine):
    """Generates with the model of a GGUF file, kept as a model folder in the cache."""

    _file: Path

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is the path of a GGUF file, or of a folder that holds one."""
        return gguf_file(model) is not None

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open the file; raises InputError for one that is damaged or cannot be read."""
        file = gguf_file(model) or Path(model)
        engine = cls(gguf.model_folder(str(file)), kind=options.kind, batch_size=options.batch_size)
        engine._file = file
        return Model(file.stem, engine, options.kind)

    def describe(self) -> dict[str, Any]:
        """Name the file in place of the folder in the cache."""
        return super().describe() | {"model": str(self._file), "gguf_sha256": self._checksum}

    def identity(self) -> Json:
        """Return the checksum of the file."""
        return {"files": {self._file.name: self._checksum}}

    @cached_property
    def _checksum(self) -> str:
        return sha256_file(self._file)


def gguf_file(model: str) -> Path | None:
    """Return the GGUF file that a path names, or the only one in a folder; None for another."""
    path = Path(model)
    if path.suffix.lower() == ".gguf" and path.is_file():
        return path
    files = sorted(path.glob("*.gguf")) if model and path.is_dir() else []
    return files[0] if len(files) == 1 and not (path / "config.json").exists() else None
