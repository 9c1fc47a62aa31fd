"""A small classifier whose answers can be read off its texts, and the engines' own fixtures."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cybersecqwen.records import Prediction, Span

_spec = importlib.util.spec_from_file_location(
    "engines_conftest", Path(__file__).parents[1] / "engines" / "conftest.py"
)
assert _spec
assert _spec.loader
_engines = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_engines)
server, model_folder, recording = _engines.server, _engines.model_folder, _engines.recording

_ID = re.compile(r"CWE-\d+")


class Spelled:
    """Ranks the CWE ids that stand in a text, each half as likely as the one before."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(
        self, texts: Sequence[str], *, top: int, evidence: bool = True
    ) -> Iterator[Prediction]:
        self.batches.append(len(texts))
        for text in texts:
            found = list(_ID.finditer(text))[:top]
            if not found:
                yield Prediction((), out_of_scope="the text does not describe a vulnerability")
                continue
            ranked = tuple((m.group(), 0.8 / 2**i) for i, m in enumerate(found))
            first = found[0]
            yield Prediction(ranked, (Span(first.start(), first.end(), first.group(), 1.0),))


@pytest.fixture
def spelled() -> Spelled:
    return Spelled()
