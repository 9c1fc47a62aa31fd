"""LoRA training of a causal language model: the trainer's settings beside a packed loop.

    python benchmarks/training.py encode --tokenizer FOLDER --out train.npz train.jsonl ...
    python benchmarks/training.py compare --model qwen3-4b --examples train.npz
    python benchmarks/training.py train --model FOLDER --examples train.npz \
        --validation validation.npz --out FOLDER

`encode` tokenises examples of `prompt` and `completion` once. `compare` prints a Markdown table:
TRL's SFTTrainer with the settings of `cybersecqwen.training.sft`, then the packed loop on the
very batches the trainer drew, from the same adapter; the losses of the last step stand side by
side. `train` fits an adapter with the packed loop and writes it in PEFT's format.

MODEL is a model folder, or `qwen3-4b`, `smollm2-135m` or `tiny` for random weights of that shape,
which is all that speed needs. On a GPU everything runs in bfloat16 and is compiled; on a CPU
nothing is compiled, and `tiny` takes seconds.

What the packed loop leaves out: the dense mask (attention runs over each example's own tokens),
padding between examples, activation checkpointing, and logits of tokens that carry no loss.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import itertools
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TURN = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>\n"
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Completion tokens whose logits exist at once: 4,096 of 151,936 float32 are 2.5 GB.
CHUNK = 4096 if DEVICE == "cuda" else 256
SEQUENCE = 4096  # tokens of a packed sequence, as the recipe of the model card has it
IGNORED = -100
# Heads that share keys: later versions of the kernel ask to be told, 2.11 sees it itself.
VARLEN = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
REPEAT_KEYS = False
UNTIMED = 10  # steps of a training that compile and warm up
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3-4b": (
        "qwen3",
        {
            "vocab_size": 151_936,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
        },
    ),
    "smollm2-135m": (
        "llama",
        {
            "vocab_size": 49_152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
        },
    ),
    "tiny": (
        "llama",
        {
            "vocab_size": 49_152,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
    ),
}


@dataclass(frozen=True)
class Examples:
    """Token ids of all examples end to end, and where each begins, answers and ends."""

    tokens: np.ndarray
    starts: np.ndarray
    completions: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def longest(self) -> int:
        """Return the power of two that no example is longer than."""
        return 1 << (int((self.ends - self.starts).max()) - 1).bit_length()

    def first(self, tokens: int) -> Examples:
        """Return as many of the first examples as have about this many tokens."""
        n = int(np.searchsorted(self.ends, tokens))
        return Examples(self.tokens, self.starts[:n], self.completions[:n], self.ends[:n])

    def no_longer_than(self, tokens: int) -> Examples:
        """Leave out the examples of more tokens: a few would set the kernel's length for all."""
        kept = np.flatnonzero(self.ends - self.starts <= tokens)
        return Examples(self.tokens, self.starts[kept], self.completions[kept], self.ends[kept])

    def save(self, path: Path) -> None:
        """Write the examples as a compressed .npz file."""
        kind = np.uint16 if self.tokens.max(initial=0) < 2**16 else np.uint32
        lengths = (self.ends - self.starts).astype(np.uint16)
        prompts = (self.completions - self.starts).astype(np.uint16)
        np.savez_compressed(path, tokens=self.tokens.astype(kind), lengths=lengths, prompts=prompts)

    @classmethod
    def of(cls, tokens: np.ndarray, lengths: np.ndarray, prompts: np.ndarray) -> Examples:
        """Lay out examples of these lengths, of which `prompts` tokens are the prompt's."""
        ends = np.cumsum(lengths.astype(np.int64))
        starts = ends - lengths
        return cls(tokens.astype(np.int64), starts, starts + prompts, ends)

    @classmethod
    def load(cls, *paths: Path) -> Examples:
        """Read examples that `encode` wrote, one file after another."""
        files = [np.load(path) for path in paths]
        parts = ([file[key] for file in files] for key in ("tokens", "lengths", "prompts"))
        return cls.of(*(np.concatenate(part) for part in parts))


FIELDS = ("tokens", "positions", "bounds", "predicting", "targets")


@dataclass(frozen=True)
class Batch:
    """Packed examples: one row of tokens, and which of its positions predict the completions."""

    tokens: Tensor  # (size,)
    positions: Tensor  # (size,), counted from the start of each example
    bounds: Tensor  # int32 starts of the examples, then the size until the tensor is full
    predicting: Tensor  # positions whose next token is learned, padded to a multiple of CHUNK
    targets: Tensor  # those next tokens; IGNORED where `predicting` is padding
    longest: int  # no example is longer; one number for all batches of a training
    used: int  # tokens that are no padding
    learned: int  # targets that are no padding


def encode(tokenizer: Any, paths: Iterable[Path]) -> Examples:
    """Tokenise files of examples; the completion's end of turn is learned too."""
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    prompts = [TURN.format(prompt=row["prompt"]) for row in rows]
    wholes = [a + row["completion"] + END for a, row in zip(prompts, rows, strict=True)]
    heads = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    ids = tokenizer(wholes, add_special_tokens=False)["input_ids"]
    if any(whole[: len(head)] != head for head, whole in zip(heads, ids, strict=True)):
        raise SystemExit("the tokens of a prompt are no prefix of its example's tokens")
    tokens = np.fromiter((token for whole in ids for token in whole), np.int64)
    return Examples.of(tokens, np.array([*map(len, ids)]), np.array([*map(len, heads)]))


def pack(examples: Examples, size: int, *, seed: int | None = None) -> Iterator[Batch]:
    """Fill batches of `size` tokens with whole examples, in the order of the seed's shuffle."""
    order = np.arange(len(examples))
    if seed is not None:
        np.random.default_rng(seed).shuffle(order)
    chosen: list[int] = []
    room = size
    for index, length in zip(order, (examples.ends - examples.starts)[order], strict=True):
        if length > room:
            yield batch_of(examples, chosen, size)
            chosen, room = [], size
        chosen.append(int(index))
        room -= int(length)
    if chosen:
        yield batch_of(examples, chosen, size)


def batch_of(
    examples: Examples, chosen: Sequence[int], size: int, longest: int | None = None
) -> Batch:
    """Pack the chosen examples into one batch of `size` tokens."""
    starts, ends = examples.starts[chosen], examples.ends[chosen]
    lengths = ends - starts
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    used = int(bounds[-1])
    source = np.arange(used) + np.repeat(starts - bounds[:-1], lengths)
    tokens = np.zeros(size, np.int64)
    tokens[:used] = examples.tokens[source]
    positions = np.zeros(size, np.int64)
    positions[:used] = np.arange(used) - np.repeat(bounds[:-1], lengths)
    learned = np.flatnonzero(source >= np.repeat(examples.completions[chosen], lengths))
    padded = CHUNK * math.ceil(len(learned) / CHUNK)
    predicting, targets = np.zeros(padded, np.int64), np.full(padded, IGNORED, np.int64)
    predicting[: len(learned)] = learned - 1
    targets[: len(learned)] = tokens[learned]
    longest = longest or examples.longest
    # Padding is more examples, none too long; the empty ones after it keep the tensor's shape.
    bounds = np.concatenate([bounds, np.arange(used + longest, size, longest)])
    limits = np.full(max(size // 64 + 2, len(bounds) + 1), size, np.int32)
    limits[: len(bounds)] = bounds
    on_device = map(_on_device, (tokens, positions, limits, predicting, targets))
    return Batch(*on_device, longest=longest, used=used, learned=len(learned))


def _on_device(array: np.ndarray) -> Tensor:
    """Copy an array to the device, without waiting for what the device still does."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(DEVICE, non_blocking=True) if DEVICE == "cuda" else tensor


def _tensors(batch: Batch) -> tuple[Tensor, ...]:
    return tuple(getattr(batch, name) for name in FIELDS)


def packed_attention() -> Callable[..., tuple[Tensor, None]]:
    """Choose the attention over packed examples: a varlen kernel on a GPU, a loop on a CPU."""
    return _varlen if DEVICE == "cuda" else _one_by_one


def _varlen(
    _module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: None, **options: Any
) -> tuple[Tensor, None]:
    """Attend by PyTorch's variable-length kernel; shapes as transformers has them."""
    if REPEAT_KEYS:
        copies = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(copies, dim=1) for x in (key, value))
    rows = [x[0].transpose(0, 1).contiguous() for x in (query, key, value)]
    bounds, longest = options["bounds"], options["longest"]
    out = varlen_attn(*rows, bounds, bounds, longest, longest, window_size=(-1, 0), **VARLEN)
    return out[None], None


def _one_by_one(
    _module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: None, **options: Any
) -> tuple[Tensor, None]:
    """Attend example by example, which is also what the kernel is held against."""
    parts = [
        functional.scaled_dot_product_attention(
            *(x[:, :, start:end] for x in (query, key, value)), is_causal=True, enable_gqa=True
        )
        for start, end in itertools.pairwise(options["bounds"].unique_consecutive().tolist())
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def hidden_states(model: Any, batch: Batch) -> Tensor:
    """Run the decoder over a packed batch to its last states, (size, hidden)."""
    decoder = model.get_base_model().model
    states = decoder.embed_tokens(batch.tokens)[None]
    # All layers then look alike to the compiler: the first one's input needs gradients too.
    states = states.requires_grad_(torch.is_grad_enabled())
    positions = batch.positions[None]
    rotations = decoder.rotary_emb(states, positions)
    for layer in decoder.layers:
        states = layer(
            states,
            attention_mask=None,
            position_ids=positions,
            position_embeddings=rotations,
            bounds=batch.bounds,
            longest=batch.longest,
        )
    last: Tensor = decoder.norm(states)[0]
    return last


def _chunk_loss(states: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the losses of some tokens, count the right ones, and give the states' gradient."""
    logits = (states @ weight.T).float()
    counted = targets != IGNORED
    normaliser = logits.logsumexp(dim=-1, keepdim=True)
    at_target = torch.arange(logits.shape[-1], device=logits.device) == targets[:, None]
    losses = normaliser[:, 0] - torch.where(at_target, logits, 0).sum(dim=-1)
    right = (logits.argmax(dim=-1) == targets).sum()
    slopes = ((logits - normaliser).exp() - at_target.float()) * counted[:, None]
    return torch.where(counted, losses, 0).sum(), right, slopes.to(weight.dtype) @ weight


class TokenLoss(torch.autograd.Function):
    """Cross-entropy summed over tokens; never more than CHUNK rows of logits exist."""

    compiled: Callable[..., tuple[Tensor, Tensor, Tensor]] | None = None

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed loss and the number of tokens predicted right."""
        if TokenLoss.compiled is None:
            TokenLoss.compiled = (
                torch.compile(_chunk_loss, dynamic=False) if DEVICE == "cuda" else _chunk_loss
            )
        with torch.autocast(DEVICE, enabled=False):
            parts = [
                TokenLoss.compiled(some, weight, wanted)
                for some, wanted in zip(states.split(CHUNK), targets.split(CHUNK), strict=True)
            ]
        losses, right, slopes = zip(*parts, strict=True)
        ctx.save_for_backward(torch.cat(slopes))
        ctx.mark_non_differentiable(count := torch.stack(right).sum())
        return torch.stack(losses).sum(), count

    @staticmethod
    def backward(ctx: Any, slope: Tensor, _count: Tensor) -> tuple[Tensor, None, None]:
        """Scale the gradient that the forward pass has made."""
        return (ctx.saved_tensors[0] * slope).to(ctx.saved_tensors[0].dtype), None, None


def batch_loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return a batch's summed loss (nats) and how many of its learned tokens are right."""
    with precision():
        states = hidden_states(model, batch)[batch.predicting]
    result: tuple[Tensor, Tensor] = TokenLoss.apply(
        states, model.get_base_model().lm_head.weight, batch.targets
    )
    return result


def precision() -> AbstractContextManager[Any]:
    """Use bfloat16 products on a GPU: the base is stored so, the adapter in float32."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda", cache_enabled=False)


def held_out(model: Any, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure loss and token accuracy over batches that are not trained on."""
    model.eval()
    with torch.no_grad():
        measured = [(*batch_loss(model, batch), batch.learned) for batch in batches]
    model.train()
    learned = sum(count for *_, count in measured)
    return {
        "validation_loss": float(sum(loss for loss, *_ in measured)) / learned,
        "validation_token_accuracy": float(sum(right for _, right, _ in measured)) / learned,
    }


class Fit:
    """AdamW on the adapter, cosine schedule after a warm-up, one step a batch.

    On a GPU a step's forward and backward pass is captured once for each shape of batch and
    then replayed: launched one by one, the kernels of a small model are over sooner than the
    next is launched.
    """

    def __init__(self, model: Any, *, rate: float, steps: int, warmup: float = 0.05) -> None:
        self.model, self.rate, self.steps, self.warmup = model, rate, steps, warmup
        self.done = 0
        self.capture = DEVICE == "cuda"
        self.captured: dict[tuple[int, ...], tuple[Any, Batch, Tensor, Tensor]] = {}
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=rate, weight_decay=0.01, fused=DEVICE == "cuda"
        )

    def learning_rate(self) -> float:
        """Return the rate of the next step, as transformers' cosine schedule has it."""
        warm = math.ceil(self.warmup * self.steps)
        if self.done < warm:
            return self.rate * self.done / max(1, warm)
        progress = (self.done - warm) / max(1, self.steps - warm)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def step(self, batch: Batch) -> Tensor:
        """Learn from one batch; return the mean loss of its learned tokens."""
        learned = _on_device(np.array(batch.learned, np.float32))
        loss = self._replay(batch, learned) if self.capture else self._gradients(batch, learned)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.step()
        self.done += 1
        return loss

    def _gradients(self, batch: Batch, learned: Tensor) -> Tensor:
        """Set the gradients to those of one batch, and return its mean loss."""
        torch._foreach_zero_([p.grad for p in self.parameters])
        loss = batch_loss(self.model, batch)[0] / learned
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _replay(self, batch: Batch, learned: Tensor) -> Tensor:
        key = tuple(len(x) for x in _tensors(batch))
        if key not in self.captured:
            copy = replace(
                batch, **{name: x.clone() for name, x in zip(FIELDS, _tensors(batch), strict=True)}
            )
            count = learned.clone()
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(2):  # compiles, and shows the allocator what is needed
                    self._gradients(copy, count)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self.captured.values()))[0].pool() if self.captured else None
            with torch.cuda.graph(graph, pool=pool):
                loss = self._gradients(copy, count)
            self.captured[key] = (graph, copy, count, loss)
        graph, copy, count, loss = self.captured[key]
        for old, new in zip((*_tensors(copy), count), (*_tensors(batch), learned), strict=True):
            old.copy_(new)
        graph.replay()
        return loss.clone()


def load_base(source: str, attention: str) -> Any:
    """Load a model folder, or make random weights of a known shape, frozen."""
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    if source not in SHAPES:
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, attn_implementation=attention
        ).to(DEVICE)
        return model.requires_grad_(False)
    architecture, sizes = SHAPES[source]
    config = AutoConfig.for_model(architecture, tie_word_embeddings=True, **sizes)
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    return model.requires_grad_(False)


def add_adapter(base: Any, *, rank: int, dropout: float, seed: int = 42) -> Any:
    """Put a fresh LoRA adapter on every linear layer of the decoder."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    return get_peft_model(
        base,
        LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=dropout,
            target_modules=PROJECTIONS,
            task_type="CAUSAL_LM",
        ),
    )


def prepare(model: Any) -> Any:
    """Give a model the packed attention and, on a GPU, compile its layers once for all."""
    from transformers import AttentionInterface

    AttentionInterface.register("packed", packed_attention())
    base = model.get_base_model()
    base.config._attn_implementation = "packed"
    if DEVICE == "cuda":
        torch._dynamo.config.recompile_limit = 64  # a graph for each size of batch
        for layer in base.model.layers:
            layer.compile(dynamic=False)
    return model.train()


# --- beside TRL's trainer ----------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    """What one way of training took on one set of batches."""

    name: str
    losses: list[float]
    tokens_per_second: float
    peak_bytes: int


def by_trainer(
    model: Any, examples: Examples, given: argparse.Namespace, *, checkpointing: bool
) -> tuple[Measurement, list[Examples]]:
    """Train by TRL's trainer as `cybersecqwen.training.sft` sets it; keep the batches it drew."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    # The option's name in transformers before 5.20 and after it.
    names = ("activation_checkpointing", "gradient_checkpointing")
    option = next(name for name in names if name in SFTConfig.__dataclass_fields__)
    drawn: list[dict[str, Tensor]] = []
    moments: list[float] = []

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: dict[str, Tensor], *rest: Any) -> Tensor:
            drawn.append({k: v.cpu() for k, v in inputs.items() if isinstance(v, Tensor)})
            loss: Tensor = super().training_step(model, inputs, *rest)
            return loss

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            moments.append(now())

    spans = list(zip(examples.starts, examples.completions, examples.ends, strict=True))
    rows = {
        "input_ids": [examples.tokens[a:c].tolist() for a, _, c in spans],
        "completion_mask": [[0] * (b - a) + [1] * (c - b) for a, b, c in spans],
    }
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                learning_rate=5e-5,
                lr_scheduler_type="cosine",
                warmup_steps=0.05,
                weight_decay=0.01,
                per_device_train_batch_size=given.batch,
                gradient_accumulation_steps=1,
                max_steps=given.steps,
                max_length=SEQUENCE,
                packing=True,
                packing_strategy="bfd",
                completion_only_loss=True,
                bf16=DEVICE == "cuda",
                use_cpu=DEVICE == "cpu",
                **{option: checkpointing},
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(rows),
            processing_class=_tokenizer(),
            callbacks=[Clock()],
        )
        forget_peak()
        trainer.train()
    losses = [float(row["loss"]) for row in trainer.state.log_history if "loss" in row]
    name = "SFTTrainer" + (", activation checkpointing" if checkpointing else "")
    examples_drawn = [examples_of(inputs) for inputs in drawn]
    tokens = [int(some.ends[-1]) for some in examples_drawn]
    return _measurement(name, losses, tokens, moments), examples_drawn


def _tokenizer() -> Any:
    """Make the least tokenizer that TRL's collator takes: the examples are tokenised already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<|endoftext|>": 0, "<|im_end|>": 2}, "<|endoftext|>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )


def examples_of(inputs: dict[str, Tensor]) -> Examples:
    """Take the examples out of the rows that the trainer packed them into."""
    keys = ("input_ids", "position_ids", "labels")
    rows: list[np.ndarray] = []
    prompts: list[int] = []
    for ids, places, wanted in zip(*(inputs[key].numpy() for key in keys), strict=True):
        edges = [*np.flatnonzero(places == 0), len(ids)]
        for start, end in itertools.pairwise(edges):
            learned = np.flatnonzero(wanted[start:end] != IGNORED)
            if len(learned):  # else it is the row's padding
                rows.append(ids[start : start + learned[-1] + 1])
                prompts.append(int(learned[0]))
    return Examples.of(np.concatenate(rows), np.array([*map(len, rows)]), np.array(prompts))


def by_loop(model: Any, batches: list[Batch], name: str) -> Measurement:
    """Train by the packed loop, a batch a step."""
    fit = Fit(model, rate=5e-5, steps=len(batches))
    forget_peak()
    losses, moments = [], []
    for batch in batches:
        losses.append(fit.step(batch))
        moments.append(now())
    return _measurement(name, [float(x) for x in losses], [b.used for b in batches], moments)


def _measurement(
    name: str, losses: list[float], tokens: list[int], moments: list[float]
) -> Measurement:
    """Time the second half of the steps: the first ones compile, allocate and warm up."""
    half = len(moments) // 2
    seconds = moments[-1] - moments[half - 1]
    return Measurement(name, losses, sum(tokens[half:]) / seconds, peak())


def now() -> float:
    """Read the clock once the device has done what it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def forget_peak() -> None:
    """Begin to measure the highest use of memory anew, where that can be done."""
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak() -> int:
    """Return the highest use of memory: the GPU's, else the process's since it began."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def matrix_rate() -> float:
    """Measure the floating-point operations a second of a square matrix product."""
    size, dtype = (8192, torch.bfloat16) if DEVICE == "cuda" else (1024, torch.float32)
    a, b = (torch.randn(size, size, device=DEVICE, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    started = now()
    for _ in range(10):
        a @ b
    return 10 * 2 * size**3 / (now() - started)


def table(measurements: list[Measurement], *, parameters: int, rate: float) -> str:
    """Lay the measurements out in Markdown; 6N counts the operations of full training."""
    lines = [
        "| | tokens/s | of the matrix rate (6N) | peak GB | loss at the first step | at the last |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for m in measurements:
        share = 6 * parameters * m.tokens_per_second / rate
        lines.append(
            f"| {m.name} | {m.tokens_per_second:,.0f} | {share:.3f} | {m.peak_bytes / 1e9:.1f} "
            f"| {m.losses[0]:.4f} | {m.losses[-1]:.4f} |"
        )
    return "\n".join(lines)


def compare(given: argparse.Namespace) -> None:
    """Print the table of the trainer and the packed loop, anew with each row measured."""
    examples = Examples.load(*given.examples)
    rate = matrix_rate()
    rows: list[Measurement] = []
    batches: list[Batch] = []

    def adapted() -> Any:
        gc.collect()  # the last model, which its trainer keeps in a circle
        base = load_base(given.model, "sdpa")
        return add_adapter(base, rank=given.rank, dropout=given.dropout)

    def show(row: Measurement, model: Any) -> None:
        rows.append(row)
        parameters = model.get_base_model().num_parameters()
        print(table(rows, parameters=parameters, rate=rate), row.losses, sep="\n", flush=True)

    def drawn_by_trainer(checkpointing: bool) -> list[Batch]:
        model, size = adapted(), given.batch * SEQUENCE
        some = examples.first((given.steps + 2) * size)
        try:
            row, drawn = by_trainer(model, some, given, checkpointing=checkpointing)
        except (ImportError, torch.OutOfMemoryError) as error:
            print(f"no row of the trainer: {error}", flush=True)
            return []
        show(row, model)
        longest = max(batch.longest for batch in drawn)
        return [batch_of(batch, range(len(batch)), size, longest) for batch in drawn]

    if given.checkpointing:
        batches = drawn_by_trainer(True)
    batches = drawn_by_trainer(False) or batches
    for sequences in (given.batch, *given.also):
        size = sequences * SEQUENCE
        own = [*pack(examples.first((given.steps + 1) * size), size)][: given.steps]
        model = prepare(adapted())
        same = sequences == given.batch and batches
        show(by_loop(model, same or own, f"packed loop, {size:,} tokens a step"), model)
        del model


def train(given: argparse.Namespace) -> None:
    """Fit an adapter with the packed loop and write it as PEFT does."""
    given.out.mkdir(parents=True, exist_ok=True)
    base = load_base(given.model, "sdpa")
    model = prepare(add_adapter(base, rank=given.rank, dropout=given.dropout))
    examples = Examples.load(*given.examples).no_longer_than(given.longest)
    validation = Examples.load(given.validation).no_longer_than(given.longest)
    summary = fit(
        model,
        examples,
        [*pack(validation, given.tokens)],
        Plan(given.epochs, given.tokens, given.learning_rate, given.seconds),
        log=given.out / "training_log.jsonl",
    )
    save(model, given.out, base=given.model)
    print(json.dumps(summary, indent=2))


@dataclass(frozen=True)
class Plan:
    """How long to train, in batches of how many tokens, at which rate."""

    epochs: float
    size: int
    rate: float
    seconds: float = math.inf


def fit(
    model: Any, examples: Examples, validation: list[Batch], plan: Plan, *, log: Path
) -> dict[str, Any]:
    """Train on packed batches, for fewer epochs than planned where the seconds ask for that.

    The length of the schedule is settled once the steps after the first few have shown their
    speed. Returns the losses, counts and rates that the log ends with.
    """
    total = int(examples.ends[-1])
    run = Fit(model, rate=plan.rate, steps=max(1, round(plan.epochs * total / plan.size)))
    started = now()
    tokens, losses, timed = 0, [], (0, started)
    with log.open("w") as journal:

        def note(row: dict[str, Any]) -> dict[str, Any]:
            row = {"step": run.done, "epoch": round(tokens / total, 4)} | row
            journal.write(json.dumps(row) + "\n")
            journal.flush()
            return row

        for batch in _endless(examples, plan.size):
            losses.append(run.step(batch))
            tokens += batch.used
            if run.done == UNTIMED:
                timed = (tokens, now())
            if run.done == 2 * UNTIMED:
                each = (now() - timed[1]) / UNTIMED
                possible = int((plan.seconds - (now() - started)) / each)
                run.steps = min(run.steps, run.done + max(1, possible))
            if run.done % 10 == 0 or run.done >= run.steps:
                loss = float(torch.stack(losses).mean())
                losses = []
                note({"loss": round(loss, 4), "learning_rate": run.learning_rate()})
                if not math.isfinite(loss):
                    raise SystemExit(f"the loss became {loss} at step {run.done}")
            if run.done >= run.steps:
                break
        ended = now()
        speed = (tokens - timed[0]) / (ended - timed[1])
        return note(
            held_out(model, validation)
            | {"tokens": tokens, "tokens_per_second": round(speed)}
            | {"seconds": round(ended - started, 1), "peak_gb": round(peak() / 1e9, 2)}
            | {"batch_tokens": plan.size, "rate": plan.rate}
        )


def _endless(examples: Examples, size: int) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from pack(examples, size, seed=42 + epoch)


def save(model: Any, out: Path, *, base: str) -> None:
    """Write the adapter in bfloat16, in PEFT's format."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model)
    weights = {name: x.detach().to("cpu", torch.bfloat16).contiguous() for name, x in state.items()}
    save_file(weights, out / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"].to_dict() | {"base_model_name_or_path": base}
    config |= {"inference_mode": True}
    plain = {key: sorted(x) if isinstance(x, set) else x for key, x in config.items()}
    text = json.dumps(plain, indent=2, sort_keys=True, default=str)
    (out / "adapter_config.json").write_text(text + "\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("encode", help="tokenise files of examples once")
    one.add_argument("files", nargs="+", type=Path)
    one.add_argument("--tokenizer", required=True)
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=write_encoded)
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--model", required=True, help=f"a folder, or {', '.join(SHAPES)}")
    both.add_argument("--examples", type=Path, nargs="+", required=True, help="from encode")
    both.add_argument("--dropout", type=float, default=0.05)
    two = commands.add_parser("compare", parents=[both], help="print the table")
    two.add_argument("--rank", type=int, default=64)
    two.add_argument("--batch", type=int, default=2, help="packed sequences of 4,096 a step")
    two.add_argument("--steps", type=int, default=6)
    two.add_argument("--also", type=int, nargs="*", default=[], help="more batches of the loop")
    two.add_argument("--checkpointing", action="store_true", help="today's for a billion and more")
    two.set_defaults(run=compare)
    three = commands.add_parser("train", parents=[both], help="fit an adapter")
    three.add_argument("--rank", type=int, default=16)
    three.add_argument("--validation", type=Path, required=True, help="from encode")
    three.add_argument("--out", type=Path, required=True)
    three.add_argument("--epochs", type=float, default=3)
    three.add_argument("--tokens", type=int, default=32_768, help="of a step")
    three.add_argument("--longest", type=int, default=SEQUENCE, help="tokens of an example")
    three.add_argument("--seconds", type=float, default=math.inf, help="end after about as many")
    three.add_argument("--learning-rate", type=float, default=1e-3)
    three.set_defaults(run=train)
    given = parser.parse_args()
    given.run(given)


def write_encoded(given: argparse.Namespace) -> None:
    """Tokenise and keep."""
    from transformers import AutoTokenizer

    examples = encode(AutoTokenizer.from_pretrained(given.tokenizer), given.files)
    examples.save(given.out)
    print(f"{len(examples):,} examples, {len(examples.tokens):,} tokens")


if __name__ == "__main__":
    main()
