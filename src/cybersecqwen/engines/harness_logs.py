r"""Answers in the logs of lm-evaluation-harness and Inspect, as rows of a recording.

    samples_TASK_DATE.jsonl     a line for each document, with --log_samples
    DATE_TASK_ID.eval, .json    a sample for each item and epoch

Whoever wrote the task, a log says which document a text answers: its place in the dataset, and
mostly its url and gold, by which the place is checked.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, readable

_ZSTD = 93  # how Inspect packs a sample; Python unpacks it from 3.14 on
_LARGEST = 256 << 20  # bytes of a sample, which may hold the transcript of an agent
# OverflowError: 1e999; RecursionError: brackets nested without end.
_DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError),
    *(NotImplementedError, zipfile.BadZipFile, struct.error),
)
_STOP = {"max_tokens": "length", "model_length": "length", "unknown": ""}


def is_lm_eval(row: Json) -> bool:
    """Tell a sample of lm-evaluation-harness by its keys."""
    return {"doc_id", "doc", "resps"} <= row.keys()


def lm_eval_rows(row: Json, where: str) -> list[Json]:
    """Return the answers to one document, one for each repeat."""
    doc = row["doc"] if isinstance(row["doc"], dict) else {}
    known = {name.lower(): value for name, value in doc.items()}
    texts = row["resps"][0] if isinstance(row["resps"], list) and row["resps"] else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(
            "holds likelihoods and no text", where=where, tip="run the task as generate_until"
        )
    gold = known.get("gt", known.get("gold", row.get("target")))
    shared = {"item": known.get("index", row["doc_id"]), "url": known.get("url")}
    shared |= {"gold": gold if isinstance(gold, str) else None, "task": known.get("task")}
    first = known.get("trial")
    first = first if isinstance(first, int) else 0
    rows = ({"trial": first + n, "text": text} for n, text in enumerate(texts))
    return [_stated(shared | row) for row in rows]


def inspect_rows(path: Path) -> list[tuple[str, Json]]:
    """Return the place and the answer of each sample of a log, packed (.eval) or as JSON."""
    with readable(path, damage=_DAMAGE):
        samples = _packed(path) if path.suffix.lower() == ".eval" else _plain(path)
        rows = [(where, _inspect_row(sample)) for where, sample in samples]
    numbers = {row["number"] for _, row in rows}
    offset = int(1 in numbers and 0 not in numbers)  # Inspect numbers samples without an id from 1
    for _, row in rows:
        number = row.pop("number")
        if row["item"] is None and number is not None:
            row["item"] = number - offset
    return [(where, _stated(row)) for where, row in rows]


def _stated(row: Json) -> Json:
    return {name: value for name, value in row.items() if value is not None or name == "text"}


def _plain(path: Path) -> Iterator[tuple[str, Json]]:
    samples = json.loads(path.read_bytes())["samples"]
    yield from ((f"{path}, sample {n}", sample) for n, sample in enumerate(samples))


def _packed(path: Path) -> Iterator[tuple[str, Json]]:
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                yield f"{path}/{info.filename}", json.loads(_member(archive, info, file))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: IO[bytes]) -> bytes:
    if info.file_size > _LARGEST:
        raise InputError(f"a sample of more than {_LARGEST >> 20} MB", where=info.filename)
    if info.compress_type != _ZSTD:
        return archive.read(info)
    with extra("parquet"):
        import pyarrow
    file.seek(info.header_offset + 26)  # the lengths of name and extra field, then both
    file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
    packed = pyarrow.BufferReader(file.read(info.compress_size))
    return bytes(pyarrow.CompressedInputStream(packed, "zstd").read(_LARGEST))


def _inspect_row(sample: Json) -> Json:
    known = {name.lower(): value for name, value in (sample.get("metadata") or {}).items()}
    number, target = str(sample.get("id", "")), sample.get("target")
    output = sample.get("output") or {}
    choice = (output.get("choices") or [{}])[0]
    text, reasoning = _content((choice.get("message") or {}).get("content"))
    usage, stop = output.get("usage") or {}, choice.get("stop_reason") or ""
    error = sample.get("error") or output.get("error")
    return {
        "item": known.get("index"),
        "number": int(number) if number.isdecimal() else None,
        "trial": sample.get("epoch", 1) - 1,
        "url": known.get("url"),
        "gold": target if isinstance(target, str) else None,
        "task": known.get("task"),
        "text": None if error else text,
        "reasoning": reasoning,
        "finish_reason": _STOP.get(stop, stop),
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "error": error.get("message", "error") if isinstance(error, dict) else error,
    }


def _content(content: Any) -> tuple[str | None, str]:
    """Return the text and the reasoning of a message, which may come in parts."""
    if not isinstance(content, list):
        return content, ""
    parts = {kind: "".join(p.get(kind) or "" for p in content) for kind in ("text", "reasoning")}
    return parts["text"], parts["reasoning"]
