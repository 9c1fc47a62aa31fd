"""Logs as lm-evaluation-harness and Inspect write them, of answers to items."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.records import Item


def lm_eval(path: Path, items: Sequence[Item], texts: Sequence[Any], **fields: Any) -> Path:
    """Write samples of a task that somebody made of the hub's dataset."""
    rows = [
        {
            "doc_id": n,
            "doc": {"URL": item.url, "Prompt": item.prompt, "GT": item.gold},
            "target": item.gold,
            "resps": [text if isinstance(text, list) else [text]],
            "filtered_resps": ["cut by a filter"],
            "filter": "none",
            **fields,
        }
        for n, (item, text) in enumerate(zip(items, texts, strict=False))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def inspect_samples(items: Sequence[Item], texts: Sequence[Any], *, epoch: int = 1) -> list[Any]:
    """Return samples that Inspect numbered itself, from 1."""
    return [
        {
            "id": n,
            "epoch": epoch,
            "input": item.prompt,
            "target": item.gold,
            "metadata": {},
            "output": {
                "choices": [{"message": {"content": text}, "stop_reason": "stop"}],
                "usage": {"input_tokens": 7, "output_tokens": 3},
            },
        }
        for n, (item, text) in enumerate(zip(items, texts, strict=False), start=1)
    ]


def inspect_json(path: Path, samples: Sequence[Any]) -> Path:
    """Write a log as JSON."""
    path.write_text(json.dumps({"version": 2, "eval": {}, "samples": samples}), encoding="utf-8")
    return path


def inspect_eval(path: Path, samples: Sequence[Any], *, zstd: bool) -> Path:
    """Write a packed log; Python's own zip does not know Zstandard, so its marks are set here."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED if zstd else zipfile.ZIP_DEFLATED) as file:
        file.writestr("header.json", "{}")
        for sample in samples:
            data = json.dumps(sample).encode()
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            file.writestr(name, _packed(data) if zstd else data)
    data = bytearray(buffer.getvalue())
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.find(signature)
        while zstd and place >= 0:
            data[place + at : place + at + 2] = (93).to_bytes(2, "little")
            place = data.find(signature, place + 1)
    path.write_bytes(data)
    return path


def _packed(data: bytes) -> bytes:
    import pyarrow

    packed = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return bytes(packed.getvalue())
