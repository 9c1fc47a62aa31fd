"""The nouns that cross module borders, as frozen dataclasses and named tuples.

>>> v = Vulnerability("CVE-2021-1", "2021-01-01", "A buffer overflow.", cwe_nvd=("CWE-787",))
>>> v.cwe_nvd[0]
'CWE-787'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple


class Cvss(NamedTuple):
    """A severity in CVSS, as one source gives it."""

    source: str  # nvd, cna or cisa_adp; "" where the record does not say
    version: str  # 2.0, 3.0, 3.1 or 4.0
    vector: str
    score: float | None = None  # 0 to 10


class AffectedProduct(NamedTuple):
    """A product that a source says is affected, in the source's own spelling.

    The vendor of a package is its ecosystem, such as PyPI.
    """

    vendor: str  # "" where the source names none
    product: str
    versions: str = ""  # such as ">= 2.0, < 2.15.0; 2.16", "" where none are told


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One CVE record, its weakness labels kept apart by who gave them.

    Labels stand in the order of the source, the first being the primary one. They are upstream's
    own strings, among them `NVD-CWE-noinfo` and categories such as `CWE-264`.
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
    status: str = ""  # upstream's own word: Analyzed, Deferred, PUBLISHED, …
    cvss: tuple[Cvss, ...] = ()  # the newest version of CVSS first
    # When upstream last changed it, UTC to the millisecond; "" where the record does not say.
    modified: str = field(default="", compare=False)
    where: str = field(default="", compare=False)  # file:position it was read from
    cwe_reviewed: tuple[str, ...] = ()  # by a verdict of our own, not upstream's
    affected: tuple[AffectedProduct, ...] = ()


class KnownExploitation(NamedTuple):
    """The entry of a CVE in CISA's catalogue of what is exploited in the wild; dates are ISO."""

    name: str
    date_added: str
    due_date: str  # by when US federal agencies must have acted
    action: str  # that they must take
    ransomware: bool  # known to be used in ransomware campaigns
    vendor: str = ""
    product: str = ""


class EpssScore(NamedTuple):
    """How likely a CVE is to be exploited within 30 days, by FIRST's EPSS."""

    score: float  # probability, 0 to 1
    percentile: float  # share of CVEs that score no higher, 0 to 1


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
    suggestions: tuple[str, ...] = ()  # what MITRE would rather have mapped to


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


# Whether a training row's answer, or the text that it stands in, gives away an item's gold.
GivesAnswer = Callable[[Item, str, str], bool]


@dataclass(frozen=True, eq=False)  # equal as mappings are
class Benchmark(Mapping[str, tuple[Item, ...]]):
    """The items of a benchmark by task, and what decontamination needs to know of each task.

    `gives_answer` is by task; without it nothing gives an answer away. `files` are those of the
    tasks, `gold_files` those that hold golds apart from them.
    """

    tasks: Mapping[str, tuple[Item, ...]]
    gives_answer: Mapping[str, GivesAnswer] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    gold_files: tuple[Path, ...] = ()

    def __getitem__(self, task: str) -> tuple[Item, ...]:
        """Return the items of one task."""
        return self.tasks[task]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the tasks."""
        return iter(self.tasks)

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.tasks)


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
        """Return the chat in the form that chat templates and servers take."""
        if isinstance(self.prompt, str):
            raise TypeError("a raw completion request has no messages")
        return [{"role": role, "content": content} for role, content in self.prompt]


@dataclass(frozen=True, slots=True)
class Response:
    """The text that an engine made of a request, whole and unparsed; "" where it made none.

    What a server gives apart from the answer stands apart from it: `reasoning`, which is also what
    a model says before it calls a tool, and the words of a `refusal`.
    """

    item: int
    trial: int
    text: str
    finish_reason: str = ""  # stop, length, content_filter, refusal, tool_calls; "" for not stated
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning: str = ""
    refusal: str = ""


class Span(NamedTuple):
    """Words of a text that carried a decision: where they stand, and how much they weigh."""

    start: int  # characters from the beginning of the text
    end: int
    text: str
    weight: float  # share of the evidence, 0 to 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """A classifier's ranking for one text, before any threshold.

    `ranked` are (CWE id, confidence) pairs, best first, of confidences from 0 to 1. Where
    `out_of_scope` says why the text is none to classify, `ranked` is empty. `doubt` says why the
    first is not to be relied on, whatever its confidence. `answer` is the raw text of a language
    model, `grounding` what became of its answers where it was to choose among given entries.
    `others` are the best by another measure, where a classifier has two: by what feeds would label
    beside what MITRE would map to, or the other way round. `words` are those of the text as the
    classifier read it, where it says.
    """

    ranked: tuple[tuple[str, float], ...]
    evidence: tuple[Span, ...] = ()
    out_of_scope: str = ""
    answer: str = ""
    doubt: str = ""
    grounding: Grounding | None = None
    others: tuple[tuple[str, float], ...] = ()
    words: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a knowledge base: a technique, group, weakness, attack pattern or the like.

    `aliases` are other names it goes by, ids that it replaced included.
    """

    entry_id: str  # T1059.001, G0016, S0154, M1038, CWE-79, CAPEC-66
    name: str
    kind: str
    url: str
    aliases: tuple[str, ...] = ()

    def passage(self, section: str, text: str, *, other: str = "") -> Passage:
        """Return a paragraph about this entry."""
        return Passage(self.entry_id, self.name, self.kind, section, text, self.url, other)


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph that a knowledge base says about an entry.

    `other` is the id of the second entry it is about, where there is one: the
    group whose use of a technique it tells, the mitigation that it applies.
    """

    entry_id: str
    name: str
    kind: str
    section: str
    text: str
    url: str
    other: str = ""


_PLACEHOLDERS = frozenset({"", "-", "none", "null", "nil", "n/a", "nan", "unknown", "undefined"})


def is_placeholder(text: str) -> bool:
    """Tell what upstream writes where it has nothing to say: None, null, N/A, unknown, or nothing.

    >>> [word for word in ("Windows", "None", " n/a.", "") if is_placeholder(word)]
    ['None', ' n/a.', '']
    """
    return text.strip(" .\t\r\n").lower() in _PLACEHOLDERS


class Fact(NamedTuple):
    """One relation of an entry to another entry's id, or to a word such as a platform."""

    subject: str
    relation: str
    target: str


class Procedure(NamedTuple):
    """By which software a group or campaign carried out a technique; all three are ids."""

    actor: str
    technique: str
    software: str


class Knowledge(NamedTuple):
    """The entries and relations of one release of a knowledge base, in the order of its file."""

    source: str
    version: str
    entries: tuple[Entry, ...]
    passages: tuple[Passage, ...]
    facts: tuple[Fact, ...]
    procedures: tuple[Procedure, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage that supports an answer; `passage` is its text, "" where none is installed."""

    id: str
    name: str
    kind: str
    section: str
    url: str
    score: float
    passage: str = ""
    other: str = ""  # the second entry that the passage is about, such as a mitigation
    other_name: str = ""
    other_url: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, and what it rests on.

    `covered` is false where nothing known supports an answer; that of a multiple choice is
    then the best guess. `choice` is the position of the chosen option and `scores` are
    the options' probabilities; None and () for a free question. `grounding` says what became of
    what a language model wrote, None where none was asked. `listing` says that the evidence is a
    list that was asked for, all of which counts.
    """

    answer: str
    confidence: float  # 0 to 1
    covered: bool
    evidence: tuple[Evidence, ...] = ()
    choice: int | None = None
    scores: tuple[float, ...] = ()
    grounding: Grounding | None = None
    listing: bool = False


class Quotation(NamedTuple):
    """A passage as a language model is given it, by the number that it is to be cited by.

    `id` and `url` are those of its entry, "" where it is what the embedded model answered.
    """

    number: int
    id: str
    name: str
    url: str
    text: str


class Refusal(NamedTuple):
    """A sentence or an answer of a language model that was not taken, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What became of what a language model wrote from quoted passages.

    `written` counts its sentences, or its answers where it was to choose. Where none was `kept` the
    embedded answer stands; `failure` says so of a model that gave no text. With `leads` the answer
    begins with the model's words, else with the embedded ones.
    """

    model: str
    written: int = 0
    kept: int = 0
    refused: tuple[Refusal, ...] = ()
    passages: tuple[Quotation, ...] = ()
    failure: str = ""
    leads: bool = False
