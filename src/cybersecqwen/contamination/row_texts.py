"""Find every text in a row, whatever it is nested in.

>>> row = {"messages": [{"content": "Hi"}], "call": '{"city": "Ulm"}', "n": 1}
>>> sorted(column for column, _ in texts_of(row, print))
['call', 'call{}.city', 'messages[].content']

A column is named by its path: `[]` is an element of a list, `{}` is JSON inside of a text, and `*`
is a key that is a sentence itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from cybersecqwen.formats.rows import distinct

_DEEPEST = 100  # levels
_TRIES = 100  # places in a text where JSON may begin, and does not
_SHORTEST = 5  # words: no rule finds less
_WORD = re.compile(r"(?<!\S)\W*[^\W\d_]+\W*(?!\S)")
_JSON_BEGINS = re.compile(r"\A\s*[\[{]|\\")
_JSON = re.compile(r'[\[{]\s*[\[{"\]}]|\A\s*"')
_DECODE = json.JSONDecoder(object_pairs_hook=distinct).raw_decode
_TOKEN_IDS = re.compile(r"(^|[._])(input|token)_ids(\[\])*$")


def texts_of(row: Any, report: Callable[[str], object]) -> Iterator[tuple[str, str]]:
    """Yield each text with the name of its column, those of one column in their order.

    `report` is told what cannot be read: bytes, token ids, what is nested too deeply.
    """
    stack: list[tuple[Iterable[tuple[str, Any]], int]] = [([("", row)], 0)]
    while stack:
        parts, depth = stack.pop()
        inner: list[tuple[Iterable[tuple[str, Any]], int]] = []
        for column, part in parts:
            value = _text(part, column, report) if isinstance(part, bytes) else part
            if isinstance(value, str):
                yield column, value if value.isascii() else _whole(value)
                if _JSON_BEGINS.search(value):
                    inner.append((_decoded(column, value), depth + 1))
            elif isinstance(value, (dict, list, tuple)):
                if depth >= _DEEPEST:
                    report(f"nested deeper than {_DEEPEST} levels: the column {column[:200]!r}")
                    continue
                inner.append((_parts(column, value), depth + 1))
                if isinstance(value, list) and value and _TOKEN_IDS.search(column):
                    _report_tokens(value[0], column, report)
        stack += reversed(inner)


def _parts(column: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object or a list holds, with the name of its column."""
    if not isinstance(value, dict):
        name = f"{column}[]"
        yield from ((name, part) for part in value)
        return
    for key, part in value.items():
        name, text = _named(column, str(key))
        if text:
            yield name, text
        yield name, part


@lru_cache(maxsize=1024)
def _named(column: str, key: str) -> tuple[str, str]:
    """Name the column below a key; a key that is a sentence is a text of it."""
    text = key if is_readable(key) else ""
    name = "*" if text else key
    return f"{column}.{name}" if column else name, text


def _decoded(column: str, text: str) -> Iterator[tuple[str, Any]]:
    return ((f"{column}{{}}", value) for value in nested_json(text))


def _report_tokens(first: Any, column: str, report: Callable[[str], object]) -> None:
    if isinstance(first, int):
        report(f"no text: token ids in the column {column!r}")


def nested_json(text: str) -> Iterator[Any]:
    r"""Yield the objects and lists in a text that is JSON, or in which some is escaped.

    >>> list(nested_json('<call>{"q": "a \\"b\\" c"}</call>'))
    [{'q': 'a "b" c'}]
    """
    end = tries = 0
    for start in _JSON.finditer(text):
        if start.start() < end or tries == _TRIES:
            continue
        try:
            value, end = _DECODE(text, start.start() + start[0].index(start[0].lstrip()[0]))
        except (ValueError, RecursionError):
            tries += 1
        else:
            yield value


def is_readable(text: str) -> bool:
    """Tell a text that a rule can find something in from an id, an address or a date.

    >>> [is_readable(text) for text in ("2021-01-01 CVE-2021-1", "XSS in the search of Foo 1.2")]
    [False, True]
    """
    if len(text) < 2 * _SHORTEST - 1 or len(text.split(maxsplit=_SHORTEST)) < _SHORTEST:
        return False
    return len(list(islice(_WORD.finditer(text), 3))) == 3


def _text(data: bytes, column: str, report: Callable[[str], object]) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    report(f"no text: bytes in the column {column!r}")
    return None


def _whole(text: str) -> str:
    """Return a text that can be written: half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
