"""Read the rows of a JSON file of any layout, a piece at a time.

    for where, row in json_rows(text, "train.json"):
        ...

Each object in any list is a row, be it the list of a split, of a key or the file itself; so is
each line of JSONL under another name. What stands beside the lists of an object is a row of its
own, which stands for the file: its place has no number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container
from itertools import chain
from typing import Any

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, Pairs
from cybersecqwen.formats.encoding import LINE, Text, too_long
from cybersecqwen.formats.rows import Report, Rows, distinct, jsonl_rows, refuse

_CHUNK = 1 << 20
_DEEPEST = 50  # objects within objects that are looked into for lists
_AHEAD = 8
_INK = re.compile(r"\S")


def json_rows(text: Text, *, whole: Container[str] = (), report: Report = refuse) -> Rows:
    """Yield the rows of a JSON file; lists under the keys `whole` belong to a row."""
    first = text.line()
    while first.isspace():
        first = text.line()
    second = text.line() if _is_object(first) else ""
    if second.strip():
        lines = chain((first, second), text.lines(report))
        yield from jsonl_rows(lines, text.name, report, pairs=distinct)
        return
    try:
        yield from _Reader(text, first + second, whole, distinct).rows()
    except InputError as error:
        report(error)


def list_rows(text: Text) -> Rows:
    """Yield the elements of the lists in a JSON object, and at its end what stands beside them."""
    return _Reader(text).rows()


def _is_object(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


class _Reader:
    """A text that is decoded value by value, and read no further than each needs."""

    def __init__(
        self, text: Text, begun: str = "", whole: Container[str] = (), pairs: Pairs | None = None
    ) -> None:
        self._source, self._text, self._whole = text, begun, whole
        self._decode = json.JSONDecoder(object_pairs_hook=pairs).raw_decode
        self._place, self._line, self._row = 0, 1, 0

    def rows(self) -> Rows:
        while char := self._next():
            if char == "[":
                yield from self._list()
            elif char == "{":
                yield from self._object()
            else:
                yield self._numbered(self._value())

    def _list(self) -> Rows:
        self._take("[")
        while self._next() != "]":
            value = self._value()
            if isinstance(value, (dict, list, str)):
                yield self._numbered(value)
            if self._next() != "]":
                self._take(",")
        self._take("]")

    def _object(self, depth: int = 0) -> Rows:
        rest: Json = {}
        self._take("{")
        while self._next() != "}":
            key = self._value()
            self._take(":")
            kind = "" if key in self._whole else self._next()
            if kind == "[":
                yield from self._list()
            elif kind == "{" and depth < _DEEPEST:
                yield from self._object(depth + 1)
            else:
                rest[str(key)] = self._value()
            if self._next() != "}":
                self._take(",")
        self._take("}")
        if rest:
            yield self._source.name, rest

    def _numbered(self, value: Any) -> tuple[str, Json]:
        self._row += 1
        row = value if isinstance(value, dict) else {"text": value}
        return f"{self._source.name}:{self._row}", row

    def _next(self) -> str:
        """Return the next character that is not blank, which stays; "" at the end."""
        while True:
            if char := _INK.search(self._text, self._place):
                self._place = char.start()
                return char[0]
            self._place = len(self._text)
            if not self._more():
                return ""

    def _take(self, char: str) -> None:
        if self._next() != char:
            raise self._invalid(f"Expecting {char!r}")
        self._place += 1

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._invalid(error.msg) from error
            except (RecursionError, ValueError) as error:  # endless brackets, endless digits
                raise self._invalid(str(error)) from error
            else:
                # A number may go on behind the end of what was read: 1 as 1.5e7.
                if end + _AHEAD < len(self._text) or not self._more():
                    self._place = end
                    return value

    def _more(self) -> bool:
        """Read on, as much again as is held; say whether there was more."""
        held = len(self._text) - self._place
        if held > LINE:
            raise too_long(self._where(), "a value")
        more = self._source.read(max(_CHUNK, held))
        if more:
            self._line += self._text.count("\n", 0, self._place)
            self._text, self._place = self._text[self._place :] + more, 0
        return bool(more)

    def _where(self) -> str:
        line = self._line + self._text.count("\n", 0, self._place)
        return f"{self._source.name}:{line}"

    def _invalid(self, what: str) -> InputError:
        tip = "nothing below was read"
        return InputError(f"not valid JSON: {what}", where=self._where(), tip=tip)
