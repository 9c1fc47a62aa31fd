"""A local model folder as an engine, in process, on a GPU where there is one.

    engine = TransformersEngine("runs/smoke/merged", kind="instruct")
    for response in engine.generate(requests):
        ...

The folder is what `save_pretrained` writes: config.json, *.safetensors, a tokenizer and,
for an instruct model, a chat template. Nothing is fetched.

An answer does not depend on which others are generated with it, nor on where a run was
resumed, up to the rounding of the arithmetic: batches of another shape can differ in the
last bits, which bfloat16 has few of.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from cybersecqwen.engines.batch_sampling import decode
from cybersecqwen.engines.decoding import MOST, Decoder, OutOfMemoryError, Prompt
from cybersecqwen.engines.interface import EngineOptions, Kind, Model
from cybersecqwen.engines.memory import return_unused
from cybersecqwen.engines.response_files import holds_recordings
from cybersecqwen.engines.threads import limit_threads
from cybersecqwen.errors import EngineError, extra
from cybersecqwen.files import Json, sha256_tree
from cybersecqwen.manifest import outputs_of
from cybersecqwen.prompts import END_OF_TURN
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_TEMPLATE = 5.0  # seconds for the template of one chat, which takes a millisecond


class TransformersEngine:
    """Generates with the model in `folder`, loaded at the first request.

    `kind` "instruct" needs a chat template; "base" takes raw prompts only. `precision`
    ("bfloat16", "float32") and `attention` ("sdpa", "flash_attention_2", "eager") are by
    default the folder's and the library's own. Raises EngineError on a folder that is
    missing, incomplete or damaged.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        kind: Kind,
        batch_size: int | None = None,
        precision: str | None = None,
        attention: str | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._kind = kind
        self._batch_size = batch_size
        self._precision = precision
        self._attention = attention
        _check_files(self._folder)

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is the path of a folder, unless recordings lie there."""
        return bool(model) and Path(model).is_dir() and not holds_recordings(Path(model))

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open a model folder; `merged` of a run folder goes by the name of the run."""
        folder = Path(model).resolve()
        name = folder.parent.name if folder.name == "merged" else folder.name
        engine = cls(model, kind=options.kind, batch_size=options.batch_size)
        return Model(name, engine, options.kind)

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield each answer as soon as it is complete.

        Up to `batch_size` requests are under way at once, by default as many as fit into half of
        the free memory, and no more than 128 on a CPU and 1,024 on a GPU. Raises EngineError,
        before anything is generated, on a request that does not fit into the context.
        """
        prompts = [Prompt(request, self._encode(request)) for request in requests]
        decoder = Decoder(self._model, self._tokenizer, batch_size=self._batch_size)
        try:
            for prompt, tokens in decoder.decode(prompts):
                yield self._response(prompt, tokens)
        except OutOfMemoryError as error:
            raise self._error(error.prompt.request, "out of memory, even alone") from error

    def describe(self) -> dict[str, Any]:
        """Name the model with the sha256 of its files, and what it runs on. Loads no weights."""
        template = self._tokenizer.chat_template if self._kind == "instruct" else None
        weights = sorted(self._folder.glob("*.safetensors"))
        return {
            "engine": "transformers",
            "model": str(self._folder),
            "kind": self._kind,
            "parameters": sum(map(_parameters, weights)),
            "weights_sha256": {file.name: self._checksums[file.name] for file in weights},
            "chat_template_sha256": template and hashlib.sha256(template.encode()).hexdigest(),
            "dtype": self._precision or str(self._config.dtype).removeprefix("torch."),
            "attention": self._attention or "default",
            "device": _device(),
            "batch_size": self._batch_size or f"as memory allows, at most {MOST[_device()]}",
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }

    def identity(self) -> Json:
        """Return the checksums of the files; of a merged folder, of those its manifest proves."""
        files = self._checksums
        if (self._folder / "manifest.json").is_file():
            proven = outputs_of(self._folder)
            files = proven if proven.items() <= files.items() else files
        return {"files": files}

    @cached_property
    def _checksums(self) -> dict[str, str]:
        return sha256_tree(self._folder)

    @cached_property
    def _config(self) -> Any:
        with extra("train"):
            from transformers import AutoConfig
        return self._load(AutoConfig.from_pretrained)

    @cached_property
    def _tokenizer(self) -> Any:
        with extra("train"):
            from transformers import AutoTokenizer
        tokenizer = self._load(AutoTokenizer.from_pretrained)
        if self._kind == "instruct" and not tokenizer.chat_template:
            raise EngineError(
                "this model has no chat template",
                where=self._folder,
                tip='add chat_template.jinja, or evaluate it as kind "base"',
            )
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        with extra("train"):
            from transformers import AutoModelForCausalLM, GenerationConfig
        return_unused()
        model, info = self._load(
            AutoModelForCausalLM.from_pretrained,
            output_loading_info=True,
            use_safetensors=True,
            dtype=self._precision or "auto",
            device_map=_device(),
            attn_implementation=attention_of(self._config, self._attention),
        )
        check_weights(info["missing_keys"], where=self._folder)
        check_vocabulary(model, self._tokenizer, where=self._folder)
        limit_threads(model.num_parameters())
        # A model's own defaults (Qwen3: top_k 20, temperature 0.7; others a repetition
        # penalty) would be mixed into every request.
        ends = self._ends(model.generation_config.eos_token_id)
        pad = self._tokenizer.pad_token_id
        pad = pad if pad is not None else next(iter(ends), 0)
        model.generation_config = GenerationConfig(eos_token_id=ends or None, pad_token_id=pad)
        return model.eval()

    def _load(self, loader: Any, **options: Any) -> Any:
        """Call a `from_pretrained` on the folder, offline, without running code from it."""
        quiet_in_pipe()
        try:
            return loader(self._folder, local_files_only=True, trust_remote_code=False, **options)
        except load_errors() as error:
            raise EngineError(
                f"the model cannot be loaded: {type(error).__name__} {error}",
                where=self._folder,
                tip="is the folder complete?",
            ) from error

    def _ends(self, configured: int | list[int] | None) -> list[int]:
        """List the tokens that end an answer: the model's own and the chat templates'."""
        own = configured if isinstance(configured, list) else [configured]
        known = self._tokenizer.get_vocab()
        turns = [known.get(token) for token in END_OF_TURN.values()]
        ends = {*own, *turns, self._tokenizer.eos_token_id}
        return sorted(end for end in ends if end is not None)

    def _encode(self, request: Request) -> list[int]:
        text, raw = self._text(request), isinstance(request.prompt, str)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=raw)["input_ids"]
        room = self._config.get_text_config().max_position_embeddings
        if not tokens:
            raise self._error(request, "the prompt is empty")
        if len(tokens) + request.sampling.max_tokens > room:
            raise self._error(
                request,
                f"{len(tokens)} prompt tokens and {request.sampling.max_tokens} to generate "
                f"do not fit into the context of {room}",
            )
        return tokens

    def _text(self, request: Request) -> str:
        from jinja2 import TemplateError

        if isinstance(request.prompt, str):
            return request.prompt
        if self._kind == "base":
            raise self._error(request, "a base model takes raw prompts, and this is a chat")
        tokenizer = self._tokenizer  # loaded before the time begins
        try:
            with _time_limit(_TEMPLATE):
                text: str = tokenizer.apply_chat_template(
                    request.messages, tokenize=False, add_generation_prompt=True
                )
        except TimeoutError as error:
            what = f"the chat template does not end, stopped after {_TEMPLATE:g} seconds"
            raise self._error(request, what) from error
        except Exception as error:  # a program that came with the model; it may raise anything
            why = error if isinstance(error, TemplateError) else f"{type(error).__name__} {error}"
            raise self._error(request, f"the chat template refuses it: {why}") from error
        return text

    def _error(self, request: Request, what: str) -> EngineError:
        return EngineError(
            f"item {request.item}, trial {request.trial}: {what}", where=self._folder
        )

    def _response(self, prompt: Prompt, tokens: list[int]) -> Response:
        """Cut an answer at its first stop string; the token that ends it counts as generated."""
        request, text = prompt.request, decode(self._tokenizer, tokens)
        cut = min((at for s in request.sampling.stop if (at := text.find(s)) >= 0), default=None)
        closed = tokens[-1] in (self._model.generation_config.eos_token_id or ())
        return Response(
            request.item,
            request.trial,
            text[:cut],
            "stop" if closed or cut is not None else "length",
            len(prompt.tokens),
            len(tokens),
        )


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in Python code that runs for longer, on whichever thread it runs."""
    end, before = monotonic() + seconds, sys.gettrace()

    def check(_frame: FrameType, _event: str, _argument: object) -> TraceFunction:
        if monotonic() > end:
            raise TimeoutError
        return check

    sys.settrace(check)
    try:
        yield
    finally:
        sys.settrace(before)


def _parameters(weights: Path) -> int:
    """Count the numbers in a weights file by its header alone."""
    with extra("train"):
        from safetensors import safe_open
    with safe_open(weights, framework="np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping


def load_errors() -> tuple[type[Exception], ...]:
    """Return what the library raises on damaged files, sizes that differ, a missing kernel."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    damaged = (OSError, ValueError, LookupError, TypeError, AttributeError)
    return (*damaged, SafetensorError, StrictDataclassError, RuntimeError, ImportError)


def check_weights(missing: Collection[str], *, where: object) -> None:
    """Refuse a model without some of its weights: the library goes on with random numbers."""
    if missing:
        raise EngineError(
            f"{len(missing)} weights are missing, the first is {min(missing)}", where=where
        )


def check_vocabulary(model: Any, tokenizer: Any, *, where: object) -> None:
    """Refuse a tokenizer with tokens that the model has no embedding for."""
    embedded = len(model.get_input_embeddings().weight)
    last = max(tokenizer.get_vocab().values())
    if last >= embedded:
        raise EngineError(
            f"the tokenizer counts to {last} and the model embeds {embedded} tokens",
            where=where,
            tip="are weights and tokenizer those of one model?",
        )


def quiet_in_pipe() -> None:
    """Let transformers draw its progress bars on a terminal only."""
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()


def _device() -> str:
    with extra("train"):
        import torch
    return "cuda" if torch.cuda.is_available() else "cpu"  # "cuda" is ROCm's name too


def attention_of(config: Any, attention: str | None) -> str | dict[str, str] | None:
    """Address the language model alone: the towers of a multimodal one may not support it."""
    composite = config.get_text_config() is not config
    return {"text_config": attention} if attention and composite else attention


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise EngineError(
            "no such model folder",
            where=folder,
            tip="give a folder with config.json; `hf download` fetches one",
        )
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise EngineError(
            "this is an adapter, not a model",
            where=folder,
            tip="merge it into its base model first",
        )
    if (folder / "merged" / "config.json").exists():
        tip = f"its model is {folder / 'merged'}"
        raise EngineError("this is a run folder, not a model", where=folder, tip=tip)
    # Without its file the library would make an empty tokenizer up.
    tokenizers = ("tokenizer.json", "tokenizer.model", "vocab.json")
    for names in (("config.json",), ("*.safetensors",), tokenizers):
        if not any(file for name in names for file in folder.glob(name)):
            raise EngineError(
                f"no {' or '.join(names)} in this folder",
                where=folder,
                tip="is the model complete? weights in another format need saving as safetensors",
            )
