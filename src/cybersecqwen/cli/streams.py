"""The streams of a command: warnings and records that cannot be read, and lines that go out."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING

import click

from cybersecqwen.cli.group import say
from cybersecqwen.errors import SHOWN, kind_of

if TYPE_CHECKING:
    from cybersecqwen.errors import CyberSecQwenError


class Repeats(logging.Filter):
    """Lets the first warnings of each kind through and counts the others, for `tell`."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: Counter[str] = Counter()

    def is_shown(self, kind: str) -> bool:
        """Count one of a kind, and tell whether there were not enough of it yet."""
        self._kinds[kind] += 1
        return self._kinds[kind] <= SHOWN

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line of the log is written; progress always is."""
        kind = re.sub("%[a-z]", "…", str(record.msg))
        kind = kind if any(map(str.isalpha, kind)) else kind_of(record.getMessage())
        return record.levelno < logging.WARNING or self.is_shown(kind)

    def tell(self) -> int:
        """Print how many more there were of each kind, and return how many there were in all."""
        for kind, count in self._kinds.items():
            if count > SHOWN:
                say(f"cybersecqwen: {count - SHOWN:,} more: {kind}", err=True)
        return self._kinds.total()


class Bad(Repeats):
    """Tells of the records that cannot be read, and puts all into a ledger where it has one."""

    ledger: Callable[[CyberSecQwenError], None] | None = None

    def report(self, error: CyberSecQwenError) -> None:
        """Print one in a line, or count it where there were enough of its kind."""
        if self.ledger:
            self.ledger(error)
        if self.is_shown(kind_of(error.what)):
            click.echo(f"cybersecqwen: {error}", err=True)

    def finish(self) -> None:
        """Say how many more there were, and end the command with exit status 1 if any."""
        if self.tell():
            click.get_current_context().exit(1)


def write_lines(lines: Iterable[str], stream: IO[str] | None = None) -> None:
    """Write lines to stdout, each as soon as it is there; data are UTF-8, whatever the locale.

    `stream` is stdout where that is redirected now.
    """
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    stream.writelines(lines)
