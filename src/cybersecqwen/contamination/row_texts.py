"""Find every text in a row, whatever it is nested in.

>>> row = {"messages": [{"content": "Hi"}], "call": '{"city": "Ulm"}', "n": 1}
>>> texts_of(row, print)
{'messages[].content': ['Hi'], 'call': ['{"city": "Ulm"}'], 'call{}.city': ['Ulm']}

A column is named by its path: `[]` is an element of a list, `{}` is JSON inside of a text, and `*`
is a key that is a sentence itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from cybersecqwen.formats.rows import distinct

_DEEPEST = 100  # levels
_TRIES = 5_000  # places in a text where JSON may begin, and does not
_ENDLESS_BRACKETS = 50  # tries that one place takes as long as
_TOO_MANY = "too much that looks like JSON and is none, in the column "
_SHORTEST = 5  # words: no rule finds less
_WORD = re.compile(r"(?<!\S)\W*[^\W\d_]+\W*(?!\S)")
_JSON = re.compile(r'[\[{]\s*[\[{"\]}]|\A\s*"')
_DECODE = json.JSONDecoder(object_pairs_hook=distinct).raw_decode
_HOLDS_TEXT = (str, dict, list, tuple, bytes)
_TOKEN_IDS = re.compile(r"(^|[._])(input|token)_ids(\[\])*$")


def texts_of(row: Any, report: Callable[[str], object]) -> dict[str, list[str]]:
    """Return the texts of a row by the name of their column, each column's in their order.

    `report` is told what cannot be read: bytes, token ids, what is nested too deeply.
    """
    columns: dict[str, list[str]] = {}
    _collect(row, "", columns, report, depth=0)
    return columns


def _collect(
    value: Any,
    column: str,
    columns: dict[str, list[str]],
    report: Callable[[str], object],
    *,
    depth: int,
) -> None:
    if isinstance(value, bytes):
        value = _text(value, column, report)
    if isinstance(value, str):
        columns.setdefault(column, []).append(whole(value))
        if "\\" not in value and not value.lstrip().startswith(("{", "[")):
            return
        inner = f"{column}{{}}"
        parts = [
            (inner, part) for part in nested_json(value, lambda: report(_TOO_MANY + repr(column)))
        ]
    elif isinstance(value, dict):
        parts = []
        for key, part in value.items():
            name, text = _named(column, str(key))
            parts += [(name, text), (name, part)] if text else [(name, part)]
    elif isinstance(value, (list, tuple)):
        inner = f"{column}[]"
        parts = [(inner, part) for part in value]
        if value and isinstance(value[0], int) and _TOKEN_IDS.search(column):
            report(f"no text: token ids in the column {column!r}")
    else:
        return
    if depth >= _DEEPEST and parts:
        report(f"nested deeper than {_DEEPEST} levels: the column {column[:200]!r}")
        return
    for name, part in parts:
        if isinstance(part, _HOLDS_TEXT):
            _collect(part, name, columns, report, depth=depth + 1)


@lru_cache(maxsize=1024)
def _named(column: str, key: str) -> tuple[str, str]:
    """Name the column below a key; a key that is a sentence is a text of it."""
    text = key if is_readable(key) else ""
    name = "*" if text else key
    return f"{column}.{name}" if column else name, text


def nested_json(text: str, give_up: Callable[[], object] = lambda: None) -> Iterator[Any]:
    r"""Yield the objects and lists in a text that is JSON, or in which some is escaped.

    >>> list(nested_json('<call>{"q": "a \\"b\\" c"}</call>'))
    [{'q': 'a "b" c'}]

    Where too many places only look as if JSON began there, it calls `give_up` and stops.
    """
    end = tries = 0
    for start in _JSON.finditer(text):
        if start.start() < end:
            continue
        if tries >= _TRIES:
            give_up()
            return
        try:
            value, end = _DECODE(text, start.start() + start[0].index(start[0].lstrip()[0]))
        except ValueError:
            tries += 1
        except RecursionError:
            tries += _ENDLESS_BRACKETS
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


def whole(text: str) -> str:
    """Return a text that can be written: half of a surrogate pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
