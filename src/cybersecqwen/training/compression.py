"""A merged model in fewer bits for vLLM, as compressed-tensors stores it.

    compress(run / "merged", folder, scheme="int4", examples=prompts_and_completions)

int8 rounds weights and activations (W8A8), which an integer matrix product is made of; int4 rounds
the weights alone, in groups (W4A16). Of the roundings of a group the one is taken that moves the
layer's output least on the calibration texts; embeddings and the output layer stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from cybersecqwen.engines.transformers import quiet_in_pipe
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import disk_errors
from cybersecqwen.training.examples import tokenize

Scheme = Literal["int8", "int4"]
Examples = Sequence[tuple[str, str]]

_PRESETS = {"int8": "W8A8", "int4": "W4A16"}
_GROUP = 128  # weights that share a scale, or the largest power of two below that fits the rows
_SMALLEST_GROUP = 32  # of what vLLM's kernels run
_SHRINK = 20  # scales that are tried for a group, from the whole range down to half of it


def compress(merged: Path, folder: Path, *, scheme: Scheme, examples: Examples) -> None:
    """Write a merged model folder's weights in 8 or 4 bits into another folder, with its config.

    `examples` are prompts and completions of the corpus. Raises InputError where a matrix does not
    divide into groups.
    """
    with extra("export"):
        from compressed_tensors import ModelCompressor
        from compressed_tensors.quantization import apply_quantization_config
    with extra("train"):
        from transformers import AutoModelForCausalLM, AutoTokenizer
    quiet_in_pipe()
    model = AutoModelForCausalLM.from_pretrained(merged, local_files_only=True, dtype="auto")
    precision = model.dtype
    tokenizer = AutoTokenizer.from_pretrained(merged, local_files_only=True)
    layers = dict(_linear_layers(model))
    with _squared_inputs(layers) as squares:
        if examples:
            _read(model.eval().float(), tokenizer, examples)  # few CPUs compute in bfloat16 as fast
            model.to(precision)
    apply_quantization_config(model, _config(scheme, layers, merged), show_progress=False)
    for name, layer in layers.items():
        _set_scales(layer, squares.get(name))
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    with disk_errors(folder):
        model.save_pretrained(folder)
        compressor.update_config(str(folder))


def _linear_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the matrices of the transformer's blocks, by their names."""
    import torch

    output = model.get_output_embeddings()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not output:
            yield name, module


def _config(scheme: Scheme, layers: dict[str, Any], where: Path) -> Any:
    from compressed_tensors.quantization import QuantizationConfig, preset_name_to_scheme

    preset = preset_name_to_scheme(_PRESETS[scheme], ["Linear"])
    if preset.weights.group_size:
        preset.weights.group_size = _group_size([layer.in_features for layer in layers.values()])
        if preset.weights.group_size < _SMALLEST_GROUP:
            what = f"its matrices have rows that do not divide into groups of {_SMALLEST_GROUP}"
            raise InputError(what, where=where, tip="export int8")
    return QuantizationConfig(config_groups={"group_0": preset}, ignore=["lm_head"])


def _group_size(widths: Sequence[int]) -> int:
    return math.gcd(_GROUP, *widths)


@contextmanager
def _squared_inputs(layers: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Sum the squares of what each layer reads inside of the block, by channel."""
    squares: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def add(_layer: Any, inputs: tuple[Any, ...]) -> None:
            squared = inputs[0].float().flatten(0, -2).square().sum(0)
            squares[name] = squares.get(name, 0) + squared

        return add

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield squares
    finally:
        for hook in hooks:
            hook.remove()


def _read(model: Any, tokenizer: Any, examples: Examples) -> None:
    import torch

    with torch.inference_mode():
        for _, tokens in tokenize(tokenizer, examples):
            model(input_ids=torch.tensor([tokens], device=model.device))


def _set_scales(layer: Any, squares: Any | None) -> None:
    """Give a layer the scale of each group of its weights, or of each row where it has no groups.

    Each of the scales tried leaves an error of every weight; that of a channel counts by the square
    of what is read there. Without calibration all channels count alike.
    """
    import torch
    from compressed_tensors.quantization.utils import calculate_qparams

    arguments = layer.quantization_scheme.weights
    weights = layer.weight.detach().float()
    groups = weights.unflatten(1, (-1, arguments.group_size or weights.shape[1]))
    counts = torch.ones(weights.shape[1]) if squares is None else squares
    counts = counts.unflatten(0, groups.shape[1:])
    low, high = groups.amin(-1), groups.amax(-1)
    best = torch.full(low.shape, math.inf)
    scales = torch.empty_like(low)
    for step in range(_SHRINK):
        share = 1 - step / (2 * _SHRINK)
        scale, _ = calculate_qparams(low * share, high * share, arguments)
        limit = 2 ** (arguments.num_bits - 1)
        rounded = (groups / scale[..., None]).round().clamp(-limit, limit - 1) * scale[..., None]
        error = ((rounded - groups).square() * counts).sum(-1)
        better = error < best
        best, scales = torch.where(better, error, best), torch.where(better, scale, scales)
    layer.weight_scale.data = scales.to(layer.weight_scale.dtype).view_as(layer.weight_scale)
