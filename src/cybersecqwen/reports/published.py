"""Published results of other models on CTI-Bench, and baselines that cost nothing.

The rows stand in published.toml. Protocols differ (prompt, shots, extractor), and the same outputs
can score many points apart under two of them, so each row names its protocol.

>>> next(row.cti_rcm for row in PUBLISHED if row.model == "CyberSecQwen-4B")
0.6664
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cybersecqwen.files import Json

Accuracy = float | tuple[float, float] | None  # one figure, the lowest and highest of several, none
Book = Literal["open", "closed", "not stated"]  # open: what it answers is looked up

PUBLISHED_COLUMNS = {"cti-mcq": "cti_mcq", "cti-rcm": "cti_rcm"}  # of Published, by task


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A comparator: its scores, their source, and the protocol they were made under."""

    model: str
    size: str = ""
    parameters: float | None = None  # billions
    cti_mcq: Accuracy = None
    cti_rcm: Accuracy = None
    spread: tuple[float, float] | None = None  # standard deviation over trials: (cti_mcq, cti_rcm)
    shots: int | None = None
    source: str
    protocol: str
    note: str = ""
    mcq_book: Book = "closed"
    rcm_book: Book = "closed"

    @property
    def books(self) -> dict[str, Book]:
        """The book of each task that there is a score for."""
        rcm = {} if self.cti_rcm is None else {"cti-rcm": self.rcm_book}
        return rcm if self.cti_mcq is None else rcm | {"cti-mcq": self.mcq_book}


def _published(table: Json) -> Published:
    pairs = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Published(**table | pairs)


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PUBLISHED = tuple(map(_published, _TABLES["published"]))
BASELINES = tuple(map(_published, _TABLES["baseline"]))
ELSEWHERE: list[Json] = _TABLES["elsewhere"]  # figures on other items than cti-mcq and cti-rcm
