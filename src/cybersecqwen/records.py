"""The nouns that cross module borders, as frozen dataclasses without behaviour.

>>> v = Vulnerability("CVE-2021-1", "2021-01-01", "A buffer overflow.", cwe_nvd=("CWE-787",))
>>> v.cwe_nvd[0]
'CWE-787'
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One CVE record, its weakness labels kept apart by who gave them.

    Labels stand in the order of the source, the first one is primary, and are
    upstream's strings: `NVD-CWE-noinfo` and categories such as `CWE-264` too.
    """

    cve_id: str
    published: str  # ISO date, "" where the record states none
    description: str  # English text, "" where there is none
    cwe_nvd: tuple[str, ...] = ()
    cwe_cna: tuple[str, ...] = ()
    cwe_cisa_adp: tuple[str, ...] = ()
    cvss3_vector: str | None = None
    assigner: str | None = None
    description_source: str | None = None
    rejected: bool = False
    where: str = field(default="", compare=False)  # file:position it was read from


@dataclass(frozen=True, slots=True)
class Weakness:
    """One entry of the CWE catalogue: a weakness, a category or a view.

    `parents` maps a view id ("1000", "1003") to the ids of the parents in that view.
    """

    cwe_id: str
    name: str
    kind: Literal["weakness", "category", "view"]
    abstraction: str = ""  # Pillar, Class, Base, Variant, Compound; "" for category and view
    status: str = ""
    usage: str = ""  # Allowed, Allowed-with-Review, Discouraged, Prohibited
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark task; `index` is its 0-based position in the task file."""

    task: str
    index: int
    prompt: str
    gold: str
    url: str = ""
    text: str = ""  # the description, question or report inside the prompt
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One supervised record: the prompt, the completion to learn, and where it comes from."""

    cve_id: str
    prompt: str
    completion: str
    cwe: str
    label_source: str
    published: str
    description: str


class Dropped(NamedTuple):
    """A record that did not become an example: why, and which benchmark item it hit."""

    cve_id: str
    reason: str
    detail: str = ""
    item: str = ""  # "cti-rcm/17" for contamination
    where: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one answer is drawn; `temperature` 0 means greedy."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One generation to make: `prompt` is a chat (role, content) or a raw text to complete."""

    item: int
    trial: int
    prompt: tuple[tuple[str, str], ...] | str
    sampling: Sampling

    @property
    def messages(self) -> list[dict[str, str]]:
        """Give the chat in the form that chat templates and servers take."""
        if isinstance(self.prompt, str):
            raise TypeError("a raw completion request has no messages")
        return [{"role": role, "content": content} for role, content in self.prompt]


@dataclass(frozen=True, slots=True)
class Response:
    """What an engine made of a request, whole and unparsed."""

    item: int
    trial: int
    text: str
    finish_reason: str = ""  # stop, length
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """One trial of one task under one protocol."""

    task: str
    protocol: str
    trial: int
    n: int
    correct: int
    parseable: int

    @property
    def strict_accuracy(self) -> float:
        """Correct answers over all items; an unparseable answer is wrong."""
        return self.correct / self.n

    @property
    def parseable_rate(self) -> float:
        """Items with an extractable answer over all items."""
        return self.parseable / self.n
