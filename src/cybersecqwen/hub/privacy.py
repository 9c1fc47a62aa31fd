"""What may not leave this machine: keys, its paths, and what nobody expects in a model's folder.

>>> reason_against(Path("config.json"), b'{"cache": "/home/ann/models"}')
"names a path of a machine: '/home/ann/models'"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cybersecqwen.errors import redact

_TEXTS = {".json", ".jsonl", ".jinja", ".txt", ".md", ".toml", ".svg", ""}
_BINARIES = {".safetensors", ".gguf", ".png", ".model"}
_NAMES = {"LICENSE", "NOTICE", "Modelfile"}  # texts without an ending
_HEAD = 1 << 20  # bytes at the start of a binary file, where its metadata lies

_KEYS = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{20,}|\bAKIA[A-Z0-9]{16}\b|\bgh[oprsu]_[A-Za-z0-9]{36}"
    r"|\bgithub_pat_\w{22,}|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{35}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# A folder in which people or programs keep things, and something in it.
_ROOTS = "home|Users|root|tmp|var|mnt|media|opt|srv|data|workspace|scratch"
_PATH = re.compile(
    rf"(?<![\w.:/>~])(?:/(?:{_ROOTS})/[\w.@+-]|[A-Za-z]:\\(?:\w|\\)|~/\w|file:///)[^\s\"'`<>]*"
)
# A value of a configuration that is a path and nothing else.
_ABSOLUTE = re.compile(r"(?:/[\w.@+ -]+){2,}/?|[A-Za-z]:[\\/][^\n]*|~/[^\n]*|file:[^\n]*")


def reason_against(path: Path, content: bytes | None = None) -> str | None:
    """Return why a file may not be sent; None where nothing speaks against it.

    Of weights only the head is looked at. `content` is read from the file where it is not given.
    """
    if path.suffix in _BINARIES:
        return _in_text(_head(path, content).decode("latin-1"), own_paths_only=True)
    if path.suffix not in _TEXTS or (not path.suffix and path.name not in _NAMES):
        return "is no kind of file that belongs to a model"
    try:
        text = (path.read_bytes() if content is None else content).decode("utf-8")
    except UnicodeDecodeError:
        return "is no UTF-8 text"
    vocabulary = path.name in ("tokenizer.json", "vocab.json", "merges.txt")
    found = _in_text(text, own_paths_only=vocabulary)
    return found or (_in_configuration(text) if path.suffix == ".json" and not vocabulary else None)


def _head(path: Path, content: bytes | None) -> bytes:
    if content is not None:
        return content[:_HEAD]
    with path.open("rb") as file:
        return file.read(_HEAD)


def _in_text(text: str, *, own_paths_only: bool) -> str | None:
    if _KEYS.search(text) or redact(text) != text:
        return "holds a key"
    own = next((own for own in (str(Path.home()), str(Path.cwd())) if f"{own}/" in text), None)
    path = None if own_paths_only else _PATH.search(text)
    named = own if own and own.count("/") > 1 else path and path[0].rstrip("),.;:")
    return f"names a path of a machine: {named!r}" if named else None


def _in_configuration(text: str) -> str | None:
    try:
        values = list(_strings(json.loads(text)))
    except (ValueError, RecursionError):
        return "is no JSON"
    path = next((value for value in values if _ABSOLUTE.fullmatch(value)), None)
    return f"names a path of a machine: {path!r}" if path else None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
