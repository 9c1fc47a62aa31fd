"""The streams of a command: records that cannot be read, and lines that go out."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from cybersecqwen.errors import InputError

_PATIENCE = 0.5  # seconds that a line may wait to be written
_Given = TypeVar("_Given")


class Bad:
    """Tells of the records that cannot be read, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, error: InputError) -> None:
        """Print one, in a line."""
        self.count += 1
        click.echo(f"cybersecqwen: {error}", err=True)


class Output:
    """Writes lines to stdout; none waits long, whether for input or for a slow engine."""

    def __init__(self) -> None:
        self._flushed = 0.0
        self._waiting = False
        # Data is UTF-8, whatever the locale.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")

    def write(self, lines: Iterable[str]) -> None:
        """Write all lines."""
        for line in lines:
            sys.stdout.write(line)
            self._waiting = True
            if time.monotonic() - self._flushed > _PATIENCE:
                self._flush()
        self._flush()

    def flushing(self, given: Iterable[_Given]) -> Iterator[_Given]:
        """Pass inputs on; what is written goes out before more of them is waited for."""
        inputs = iter(given)
        while (one := next(inputs, None)) is not None:
            yield one
            if self._waiting:
                self._flush()

    def _flush(self) -> None:
        sys.stdout.flush()
        self._waiting = False
        self._flushed = time.monotonic()
