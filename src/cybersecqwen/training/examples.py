"""Examples as tokens: what a corpus file gives to learn from, and which of it the loss covers.

rows = encode(recipe, tokenizer, run / "corpus" / "train.jsonl")
rows = encode_once(recipe, tokenizer, files, kept=run / ".adapter.tokens")
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cybersecqwen import __version__
from cybersecqwen.config import Recipe
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, locked, read_jsonl, sha256_file, whole_folder


def encode_once(recipe: Recipe, tokenizer: Any, paths: Sequence[Path], *, kept: Path) -> Any:
    """Tokenize as `encode` does, once for all starts and processes that share the folder `kept`.

    The tokens lie there in a folder that is named after what they were made from.
    """
    folder = kept / _digest(recipe, tokenizer, paths)
    examples = _read(folder)
    if examples is None:
        with locked(folder):
            examples = _read(folder)  # another process may have made them meanwhile
            if examples is None:
                shutil.rmtree(folder, ignore_errors=True)
                made = encode(recipe, tokenizer, *paths)
                with whole_folder(folder) as partial:
                    made.save_to_disk(partial)
                examples = _read(folder)
    return examples


def _digest(recipe: Recipe, tokenizer: Any, paths: Sequence[Path]) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)  # only fast tokenizers have one
    parts = (
        __version__,
        *(sha256_file(path) if path.is_file() else "" for path in paths),
        backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items())),
        repr(tokenizer.special_tokens_map),
        tokenizer.chat_template,
        str(recipe.training.max_length),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _read(folder: Path) -> Any:
    """Read the tokens that are kept in a folder; None where there are none, or damaged ones."""
    with extra("train"):
        from datasets import load_from_disk
        from pyarrow import ArrowException
    try:
        return load_from_disk(folder) if folder.is_dir() else None
    except (ArrowException, OSError, ValueError, LookupError):
        return None


def encode(recipe: Recipe, tokenizer: Any, *paths: Path) -> Any:
    """Tokenize corpus files, one after another, to a Dataset of `input_ids` and `completion_mask`.

    The mask is 1 on what the loss covers: the completion, the token that ends the turn and
    the line break after it. Raises InputError for a row without prompt or completion, for
    one longer than the recipe's max_length (nothing is ever truncated), and where the
    tokens of the prompt are no prefix of the tokens of prompt and completion.
    """
    with extra("train"):
        from datasets import Dataset
    pairs = [pair for path in paths for pair in _tokenized(recipe, tokenizer, path)]
    masks = [[0] * len(prompt) + [1] * (len(whole) - len(prompt)) for prompt, whole in pairs]
    return Dataset.from_dict({"input_ids": [whole for _, whole in pairs], "completion_mask": masks})


def read_examples(path: Path, *keys: str) -> list[Json]:
    """Read the rows of a corpus file; raises InputError for one without a text under each key."""
    rows = list(read_jsonl(path))
    for number, row in enumerate(rows, start=1):
        for key in keys:
            if not isinstance(row.get(key), str):
                raise InputError(f"no text under {key!r}", where=f"{path}:{number}")
    return rows


def _tokenized(recipe: Recipe, tokenizer: Any, path: Path) -> list[tuple[list[int], list[int]]]:
    rows = read_examples(path, "prompt", "completion")
    if not rows:
        raise InputError("no examples", where=path, tip="build the corpus again")
    pairs = tokenize(tokenizer, [(row["prompt"], row["completion"]) for row in rows])
    for number, (prompt, whole) in enumerate(pairs, start=1):
        _check_example(prompt, whole, recipe.training.max_length, f"{path}:{number}")
    return pairs


def tokenize(tokenizer: Any, texts: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """Tokenize pairs of prompt and completion to the prompt's tokens and those of both."""
    prompts = render_prompts(tokenizer, [prompt for prompt, _ in texts])
    wholes = tokenizer.apply_chat_template(
        [
            [_user(prompt), {"role": "assistant", "content": completion}]
            for prompt, completion in texts
        ],
        tokenize=False,
    )
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    whole_ids = tokenizer(wholes, add_special_tokens=False)["input_ids"]
    return list(zip(prompt_ids, whole_ids, strict=True))


def render_prompts(tokenizer: Any, prompts: list[str]) -> list[str]:
    """Render each prompt as a user turn and the opening of the assistant's."""
    rendered: list[str] = tokenizer.apply_chat_template(
        [[_user(prompt)] for prompt in prompts], tokenize=False, add_generation_prompt=True
    )
    return rendered


def _user(prompt: str) -> dict[str, str]:
    return {"role": "user", "content": prompt}


def _check_example(prompt: list[int], whole: list[int], max_length: int, where: str) -> None:
    if whole[: len(prompt)] != prompt:
        raise InputError(
            "the tokens of the prompt are no prefix of the tokens of prompt and completion",
            where=where,
            tip="a completion may not begin with white space",
        )
    if len(whole) > max_length:
        raise InputError(
            f"{len(whole)} tokens, more than max_length {max_length}",
            where=where,
            tip=f"drop the example, or --set training.max_length={len(whole)}",
        )
