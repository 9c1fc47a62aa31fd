"""Merge an adapter into its base model, and prove that the merge is the same model.

    parity = merge(recipe, run / "adapter", prompts, run / "merged", base=base)

The sum is done in float32, where it costs nothing (in bfloat16 it moves logits by 1e-2),
and only then cast to the recipe's precision. parity.json beside the model holds what was
measured on the prompts: the merge, the cast, and what was read back from the disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cybersecqwen.config import Recipe
from cybersecqwen.errors import InputError, StageError, extra
from cybersecqwen.files import disk_errors, open_to_all, read_json, write_json
from cybersecqwen.training.base import (
    end_of_turn_ids,
    keep_revision,
    load_model,
    load_tokenizer,
)
from cybersecqwen.training.examples import render_prompts

# The largest difference of a logit that rounding in float32 explains, with room: 1e-6 is
# seen on small models, 1e-4 can be expected of 36 layers.
TOLERANCE = 1e-3

# transformers 5 writes names that older runtimes do not know.
_TOKENIZER_CLASSES = {
    "Qwen2Tokenizer": "Qwen2TokenizerFast",
    "GemmaTokenizer": "GemmaTokenizerFast",
}


def merge(
    recipe: Recipe, adapter: Path, prompts: list[str], out: Path, *, base: str | Path
) -> dict[str, Any]:
    """Write the merged model folder to `out`, replacing an older one, and return its parity.

    `prompts` are user turns (a handful: the logits of all are held in memory, positions x
    vocabulary x 4 bytes). A base of a hub is taken at the revision that the adapter
    records. Raises, with nothing left at `out`, StageError when the merged model differs
    from base and adapter by more than TOLERANCE or in a likeliest token, or when what was
    written does not read back identical; CyberSecQwenError when the disk is full.
    """
    if not prompts:
        raise InputError("no prompts to compare the models on", where=out, tip="give at least one")
    recipe = keep_revision(recipe, adapter)
    partial = out.parent / f".{out.name}.partial"  # hidden: nothing that a later stage trusts
    for stale in (partial, out):
        shutil.rmtree(stale, ignore_errors=True)
    with disk_errors(out):
        partial.mkdir(parents=True)
    try:
        parity = _merge_into(recipe, adapter, prompts, partial, base, out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return parity


def _merge_into(
    recipe: Recipe, adapter: Path, prompts: list[str], folder: Path, base: str | Path, out: Path
) -> dict[str, Any]:
    with extra("train"):
        import torch
    tokenizer = load_tokenizer(recipe, adapter)
    texts = render_prompts(tokenizer, prompts)
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    with_adapter = load_adapted(recipe, adapter, base)
    expected = _logits(with_adapter, ids)
    model = _merged(with_adapter, adapter)
    merged = _logits(model, ids)
    in_float32 = _compare(expected, merged)
    _refuse_difference(in_float32, adapter)
    _cast(model, getattr(torch, recipe.model.precision))
    cast = _logits(model, ids)
    parity = {
        "prompts": len(prompts),
        "tolerance": TOLERANCE,
        "merge": in_float32,
        "cast": {"precision": recipe.model.precision, **_compare(merged, cast)},
    }
    processor = _processor_files(recipe, base)
    with disk_errors(out):
        _save(recipe, model, tokenizer, folder)
        for file in processor:
            shutil.copyfile(file, folder / file.name)
    _refuse_unfaithful(recipe, model, cast, ids, folder)
    _refuse_other_tokens(tokenizer, texts, folder)
    write_json(folder / "parity.json", {**parity, "reloaded": "identical"})
    open_to_all(folder)
    return parity


def load_adapted(recipe: Recipe, adapter: Path, base: str | Path) -> Any:
    """Load base and adapter in float32, which FlashAttention does not run.

    Of a quantised base these are the rounded weights that the adapter was trained on.
    """
    import torch
    from peft import PeftModel

    attention = "eager" if recipe.model.attention == "eager" else "sdpa"
    if recipe.model.quantization:
        model = load_model(recipe, base, attention=attention, quantized=True).dequantize()
        _cast(model, torch.float32)
    else:
        model = load_model(recipe, base, precision="float32", attention=attention)
    model = PeftModel.from_pretrained(model, str(adapter))
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def _merged(model: Any, adapter: Path) -> Any:
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # how PEFT refuses weights that are not finite
        raise StageError(
            f"the adapter cannot be merged: {error}", where=adapter, tip="train it again"
        ) from error


def _cast(model: Any, dtype: Any) -> None:
    """Cast what is written to the disk; Module.to() would coarsen the rotary tables too."""
    for weight in model.state_dict(keep_vars=True).values():
        if weight.is_floating_point():
            weight.data = weight.data.to(dtype)


def _logits(model: Any, ids: list[list[int]]) -> list[Any]:
    """Compute the logits at every position of every prompt, in float32 on the CPU."""
    import torch

    model.eval()
    with torch.inference_mode():
        return [
            model(input_ids=torch.tensor([one], device=model.device)).logits[0].float().cpu()
            for one in ids
        ]


def _compare(reference: list[Any], other: list[Any]) -> dict[str, Any]:
    """Measure how far one model's logits are from a reference's, over all positions.

    `flips` counts the positions whose likeliest token differs, ties within TOLERANCE
    apart; `mean_kl` is the mean divergence of the distributions, in nats.
    """
    import torch

    difference, likeliest, flips, kl = [], [], [], []
    for expected, given in zip(reference, other, strict=True):
        choice = given.argmax(-1)
        agree = expected.argmax(-1) == choice
        lead = expected.max(-1).values - expected.gather(-1, choice[:, None])[:, 0]
        log_p, log_q = (logits.double().log_softmax(-1) for logits in (expected, given))
        difference.append((expected - given).abs().amax(-1))
        likeliest.append(agree)
        flips.append(~agree & (lead > TOLERANCE))
        kl.append((log_p.exp() * (log_p - log_q)).sum(-1))
    return {
        "positions": sum(map(len, kl)),
        "max_abs_difference": torch.cat(difference).max().item(),
        "argmax_agreement": torch.cat(likeliest).double().mean().item(),
        "flips": int(torch.cat(flips).sum()),
        "mean_kl": torch.cat(kl).mean().item(),
    }


def _refuse_difference(measured: dict[str, Any], adapter: Path) -> None:
    difference = measured["max_abs_difference"]
    if not difference <= TOLERANCE or measured["flips"]:  # a difference that is no number too
        raise StageError(
            f"the merged model is not the model that was trained: logits differ by up to "
            f"{difference:.3g} (at most {TOLERANCE:g}) and {measured['flips']} of "
            f"{measured['positions']} likeliest tokens changed",
            where=adapter,
            tip="train the adapter again; its weights are damaged or far out of range",
        )


def _save(recipe: Recipe, model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the model, its generation settings and its tokenizer as any runtime reads them."""
    stops = model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else stops
    # A base model's own settings do not stop at the end of a turn.
    new = [token for token in end_of_turn_ids(recipe, tokenizer) if token not in stops]
    model.generation_config.eos_token_id = [*stops, *new]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "tokenizer_config.json")
    config["tokenizer_class"] = _TOKENIZER_CLASSES.get(
        type(tokenizer).__name__, "PreTrainedTokenizerFast"
    )
    config["model_input_names"] = ["input_ids", "attention_mask"]
    for key in ("is_local", "local_files_only"):  # how it was loaded here
        config.pop(key, None)
    if "extra_special_tokens" in config:  # a list under this name breaks transformers 4
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    write_json(folder / "tokenizer_config.json", config)


def _processor_files(recipe: Recipe, base: str | Path) -> list[Path]:
    """Find what a multimodal base says about its images and sound: servers ask for it."""
    from transformers.utils import cached_file

    files = [
        cached_file(
            str(base),
            name,
            revision=recipe.model.revision,
            _raise_exceptions_for_missing_entries=False,
        )
        for name in ("preprocessor_config.json", "processor_config.json")
    ]
    return [Path(file) for file in files if file is not None]


def _refuse_unfaithful(
    recipe: Recipe, model: Any, cast: list[Any], ids: list[list[int]], folder: Path
) -> None:
    """Refuse a folder that does not give back the model it was written from, to the bit."""
    import torch

    attention = model.config.get_text_config()._attn_implementation
    reloaded = load_model(recipe, folder, precision="auto", attention=attention).to(model.device)
    before, after = model.state_dict(), reloaded.state_dict()
    other = [name for name in before if name not in after or not _same(before[name], after[name])]
    logits = _logits(reloaded, ids)
    if other or not all(torch.equal(a, b) for a, b in zip(cast, logits, strict=True)):
        raise StageError(
            f"the written model does not read back identical: {', '.join(other[:3]) or 'logits'}",
            where=folder,
            tip="check the disk and the version of transformers",
        )


def _same(one: Any, other: Any) -> bool:
    import torch

    return one.dtype == other.dtype and bool(torch.equal(one, other))


def _refuse_other_tokens(tokenizer: Any, texts: list[str], folder: Path) -> None:
    """Refuse a written tokenizer that does not cut the prompts as the one trained with."""
    from transformers import AutoTokenizer

    reloaded = AutoTokenizer.from_pretrained(folder)
    same_ids = (
        reloaded(texts, add_special_tokens=False)["input_ids"]
        == tokenizer(texts, add_special_tokens=False)["input_ids"]
    )
    if not same_ids or reloaded.chat_template != tokenizer.chat_template:
        raise StageError(
            "the written tokenizer does not read back identical",
            where=folder,
            tip="check the version of transformers",
        )
