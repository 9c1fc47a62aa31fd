"""What was read of training files, and what was not.

    reading = Reading(path, allow_unreadable=True)
    rows = list(read_rows(path, reading))
    print(reading.columns, reading.unreadable.lines())

A part of the files may be read by another process. It has a `PartReading`, which the reading of
the whole takes over in the order of the input, as if it had read all itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.formats.rows import Problems

_MOST_COLUMNS = 1_000
_COUNTS = ("rows", "texts", "characters")


@dataclass
class Reading:
    """What was read of training files, column by column, and what was not."""

    root: Path = Path()
    allow_unreadable: bool = False
    columns: dict[str, dict[str, int]] = field(default_factory=dict)  # rows, texts, characters
    unreadable: Problems = field(default_factory=Problems)
    passed_over: Problems = field(default_factory=Problems)  # holds no text to train on
    notes: Problems = field(default_factory=Problems)
    ledger: Callable[[CyberSecQwenError], None] | None = None  # gets all that is unreadable
    _file: str = ""  # of the last row with a text
    _most_columns = _MOST_COLUMNS

    def report(self, error: CyberSecQwenError) -> None:
        """Put down what is wrong with a row or a file; raises it where that is not allowed."""
        if not self.allow_unreadable:
            raise error
        self.skip(error)

    def skip(self, error: CyberSecQwenError) -> None:
        """Put down what cannot be read, though nothing is wrong with it."""
        if self.ledger:
            self.ledger(error)
        self._put(self.unreadable, error)

    def pass_over(self, where: str, why: str = "is hidden") -> None:
        """Put down a file that holds nothing to train on."""
        self._put(self.passed_over, InputError(why, where=where))

    def note(self, where: str, what: str) -> None:
        """Put down how a file was read."""
        self._put(self.notes, InputError(what, where=where))

    def has_row(self, file: str) -> None:
        """Take down of which file the last row is that has a text."""
        self._file = file

    def has_no_text(self, file: str) -> None:
        """Put down what stands beside the rows of a file, unless it had a row before."""
        if file != self._file:
            self.pass_over(file, "holds no text to train on")
        self._file = file

    def _put(self, problems: Problems, error: CyberSecQwenError) -> None:
        where = self.within(error.where) if error.where else None
        problems(InputError(error.what, where=where, tip=error.tip))

    def within(self, where: object) -> str:
        """Name a place without the folder that the training file happens to lie in."""
        return str(where).removeprefix(f"{self.root.parent}/")

    def count(self, column: str, texts: list[str]) -> None:
        """Count the texts of a row's column."""
        self._add(column, (1, len(texts), sum(map(len, texts))))

    def _add(self, column: str, counts: Iterable[int]) -> None:
        sums = self.columns.get(column)
        if sums is None:
            column = column if len(self.columns) < self._most_columns else "(others)"
            sums = self.columns.setdefault(column, dict.fromkeys(_COUNTS, 0))
        for name, count in zip(_COUNTS, counts, strict=True):
            sums[name] += count

    def take_over(self, part: PartReading) -> None:
        """Put down what the reading of a part put down, in its order."""
        for column, counts in part.columns.items():
            self._add(column, counts.values())
        for event in part.events:
            self.repeat(event)

    def repeat(self, event: Event) -> None:
        """Do what a method of this class was asked to do elsewhere."""
        getattr(self, event.method)(*event.arguments)


class Event(NamedTuple):
    """What was put down, by the name of the method that does so."""

    method: str
    arguments: tuple[Any, ...]


class PartReading(Reading):
    """The reading of a part, which takes down what the reading of the whole is to be told."""

    _most_columns = sys.maxsize

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def take_events(self) -> list[Event]:
        """Return the events since this was last called."""
        events, self.events = self.events, []
        return events

    def report(self, error: CyberSecQwenError) -> None:
        """Take down what is wrong with a row or a file."""
        self.events.append(Event("report", (error,)))

    def skip(self, error: CyberSecQwenError) -> None:
        """Take down what cannot be read."""
        self.events.append(Event("skip", (error,)))

    def pass_over(self, where: str, why: str = "is hidden") -> None:
        """Take down a file that holds nothing to train on."""
        self.events.append(Event("pass_over", (where, why)))

    def note(self, where: str, what: str) -> None:
        """Take down how a file was read."""
        self.events.append(Event("note", (where, what)))

    def has_row(self, file: str) -> None:
        """Take down that a row of another file than the last one has a text."""
        if file != self._file:
            self._file = file
            self.events.append(Event("has_row", (file,)))

    def has_no_text(self, file: str) -> None:
        """Take down what stands beside the rows of a file."""
        self._file = file
        self.events.append(Event("has_no_text", (file,)))
