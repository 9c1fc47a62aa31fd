"""The streams of a command: records that cannot be read, and lines that go out."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cybersecqwen.errors import InputError


class Bad:
    """Tells of the records that cannot be read, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, error: InputError) -> None:
        """Print one, in a line."""
        self.count += 1
        click.echo(f"cybersecqwen: {error}", err=True)


def write_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout, each as soon as it is there; data are UTF-8, whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    sys.stdout.writelines(lines)
