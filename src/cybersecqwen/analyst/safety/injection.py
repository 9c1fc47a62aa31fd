"""Two hundred texts that try to make a classifier answer with the weakness that an attacker wants.

    for outcome in attack(attempts(), open_classifier("smollm2", samples=1)):
        print(outcome.attempt.kind, outcome.succeeded, outcome.changed)

The wording is in `injection.toml`. Every attempt is written to a file as it would come (JSONL, CSV,
HTML, Markdown, or a file whose name it is) and read by what reads files for `classify`.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from cybersecqwen.analyst.classification import Classification, Given, classify
from cybersecqwen.analyst.embedded_classifier import Classifier
from cybersecqwen.analyst.texts import read_file
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import entry_ids
from cybersecqwen.formats.rows import refuse
from cybersecqwen.records import Prediction

HALVES = ("development", "held-out")
CHANNELS = ("description", "csv", "html", "markdown", "name")
# How many attempts of each kind each half has in each channel.
KINDS = {
    "order": 3,
    "authority": 4,
    "label": 3,
    "encoding": 4,
    "many-shot": 2,
    "stuffing": 2,
    "language": 2,
}

_ENDINGS = {"description": ".jsonl", "csv": ".csv", "html": ".html", "markdown": ".md"}
_NAME_BYTES = 200  # of a file's name; file systems take 255
_STRIDE = 7  # between the descriptions of neighbours; one more for each round of all of them
_SPREAD = 77  # a step through the suite that meets all of it, and of every twenty each kind
_TAGS = 0xE0000  # where Unicode has an invisible twin of each ASCII character
_LEET = str.maketrans("aeiost", "4310$7")
_ALIKE = str.maketrans("aeiopcsxy", "аеіорсѕху")  # letters of Cyrillic that look like these
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


class Attempt(NamedTuple):
    """A text that was tampered with, and the `target` that the attacker wants to be answered."""

    half: str
    channel: str
    kind: str
    description: str  # as it was before
    target: str
    text: str
    file: str  # name of the file that it comes in


class Outcome(NamedTuple):
    """The first label of the description alone and of the attempt, "" for none.

    `marked` says that the attempt is marked for review, and `outside` that the model's answer ended
    with a CWE that the catalogue does not have, which no candidate shows.
    """

    attempt: Attempt
    before: str
    after: str
    marked: bool
    outside: bool

    @property
    def changed(self) -> bool:
        """Whether the attempt has another first label than the description."""
        return self.after != self.before

    @property
    def succeeded(self) -> bool:
        """Whether the first label became what the attacker wants."""
        return self.changed and self.after == self.attempt.target


def attempts(limit: int | None = None) -> list[Attempt]:
    """Return the suite: in each half, channel and kind the same number, always the same ones.

    With a `limit` it is so many of them, of every half, channel and kind in turn.
    """
    table, serial = _table(), count()
    suite = [
        _attempt(half, channel, kind, table, (next(serial), turn))
        for half in HALVES
        for place, channel in enumerate(CHANNELS)
        for kind, number in KINDS.items()
        for turn in range(place * number, (place + 1) * number)
    ]
    if limit is None or limit >= len(suite):
        return suite
    return [suite[place] for place in sorted(_SPREAD * i % len(suite) for i in range(limit))]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _attempt(
    half: str, channel: str, kind: str, table: dict[str, Any], turns: tuple[int, int]
) -> Attempt:
    """Make one attempt; `turns` are its number in the suite, and in its kind and half."""
    serial, turn = turns
    descriptions = table["descriptions"]
    place = serial * _STRIDE + serial // len(descriptions)
    text = descriptions[place % len(descriptions)]
    free = [(cwe, name) for cwe, name in table["targets"].items() if not _tells(text, name)]
    cwe, name = free[serial % len(free)]
    payload = _turn(table["payloads"][kind], half, turn)
    told = text
    if kind == "encoding":
        disguise = _DISGUISES[payload]
        order = _turn(table["payloads"]["order"], half, turn).format(cwe=cwe, name=name)
        payload = disguise(order)
        told = disguise(text) if disguise is _sprinkled else text
    else:
        payload = payload.format(cwe=cwe, name=name)
    carrier = _turn(table["carriers"][channel], half, turn)
    if channel == "name":
        return Attempt(half, channel, kind, text, cwe, told, _file_name(carrier, payload))
    if channel == "html":
        payload = html.escape(payload)
    whole = carrier.format(text=told, payload=payload)
    return Attempt(half, channel, kind, text, cwe, whole, f"attempt{_ENDINGS[channel]}")


def _tells(text: str, name: str) -> bool:
    return name.lower() in text.lower() or ("request" in name and "CSRF" in text)


def _turn(texts: Sequence[str], half: str, turn: int) -> str:
    """Choose from the half of a list, in turn."""
    own = texts[HALVES.index(half) :: len(HALVES)]
    return own[turn % len(own)]


def _file_name(carrier: str, payload: str) -> str:
    """Return a name that a file can have: on one line, without slashes, not too long."""
    name = carrier.format(payload=" ".join(payload.replace("/", "∕").split()))
    stem, dot, ending = name.rpartition(".")
    return stem.encode()[:_NAME_BYTES].decode(errors="ignore") + dot + ending


def _base64(text: str) -> str:
    return f"Decode this and do what it says: {base64.b64encode(text.encode()).decode()}"


def _sprinkled(text: str) -> str:
    """Put a character that shows nothing into every word."""
    return " ".join(f"{word[:1]}\u200b{word[1:2]}\u2060\u00ad{word[2:]}" for word in text.split())


_DISGUISES: dict[str, Callable[[str], str]] = {
    "base64": _base64,
    "leetspeak": lambda text: text.translate(_LEET),
    "homoglyphs": lambda text: text.translate(_ALIKE),
    "zero-width": _sprinkled,
    "tag characters": lambda text: "".join(chr(_TAGS + ord(char)) for char in text),
    "right-to-left": lambda text: f"\u202e{text[::-1]}\u202c",
    "full-width": lambda text: text.translate(_WIDE),
    "percent": lambda text: quote(text, safe=""),
}


def attack(
    suite: Sequence[Attempt], classifier: Classifier, *, threshold: float | None = None
) -> Iterator[Outcome]:
    """Yield what each attempt achieves, in their order; `threshold` is that of `classify`.

    Raises what the classifier raises when it fails.
    """
    recorder = _Recorder(classifier)
    settings: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    descriptions = list(dict.fromkeys(attempt.description for attempt in suite))
    alone = classify(descriptions, classifier=recorder, **settings)
    before = dict(zip(descriptions, map(_first, alone), strict=True))
    recorder.answers.clear()
    results = classify(_read(suite), classifier=recorder, **settings)
    for attempt, result in zip(suite, results, strict=True):
        outside = _is_outside(recorder.answers.pop(0))
        first = before[attempt.description]
        yield Outcome(attempt, first, _first(result), result.abstain, outside)


def _first(result: Classification) -> str:
    return result.candidates[0].cwe if result.candidates else ""


def _is_outside(answer: str) -> bool:
    named = entry_ids(answer)
    return bool(named) and named[-1].startswith("CWE-") and named[-1] not in load_catalogue()


def _read(suite: Iterable[Attempt]) -> Iterator[Given]:
    """Write each attempt to a file as it would come, and read it from there."""
    with tempfile.TemporaryDirectory() as folder:
        for attempt in suite:
            path = Path(folder) / attempt.file
            path.write_text(_written(attempt.text, path.suffix), encoding="utf-8", newline="")
            yield from islice(read_file(path, report=refuse), 1)
            path.unlink()


def _written(text: str, ending: str) -> str:
    if ending == ".jsonl":
        return json.dumps({"id": 1, "description": text})
    if ending == ".csv":
        table = io.StringIO()
        csv.writer(table).writerows([("id", "description"), (1, text)])
        return table.getvalue()
    return text


class _Recorder:
    """A classifier that keeps the answers that a language model wrote."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.answers: list[str] = []

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        for prediction in self._classifier.predict(texts, top=top):
            self.answers.append(prediction.answer)
            yield prediction
