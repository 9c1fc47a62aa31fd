"""The errors that a user can act on.

Each says what went wrong, where, and what to do about it, in one line:

    >>> str(InputError("label 'CWE-XSS' is not a CWE id", where="feed.json:3", tip="fix the label"))
    "feed.json:3: label 'CWE-XSS' is not a CWE id (fix the label)"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CyberSecQwenError(Exception):
    """An error with a cause the user can remove; the command line prints it and exits 1."""

    def __init__(self, what: str, *, where: object = None, tip: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.tip = tip

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where is not None else ""
        tip = f" ({self.tip})" if self.tip else ""
        # A server's or a library's message may hold line breaks; ours stay on one line.
        return " ".join(f"{where}{self.what}{tip}".split())


class InputError(CyberSecQwenError):
    """A file or a record that cannot be used as it is."""


class RecipeError(CyberSecQwenError):
    """A recipe that cannot be run as it is."""


class StageError(CyberSecQwenError):
    """A stage that refuses to run, for what it would mix or overwrite."""


class EngineError(CyberSecQwenError):
    """A model or server that gave no usable answer; never scored as a wrong one."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing optional dependency into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CyberSecQwenError(
            f"this needs the package {error.name!r}, which is not installed",
            tip=f"pip install 'cybersecqwen[{name}]'",
        ) from error
