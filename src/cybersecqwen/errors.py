"""The errors that a user can act on, and the one place where text of others is made fit to show.

Each says what went wrong, where, and what to do about it, in one line:

    >>> str(InputError("label 'CWE-XSS' is not a CWE id", where="feed.json:3", tip="fix the label"))
    "feed.json:3: label 'CWE-XSS' is not a CWE id (fix the label)"

Every message passes through `clean`, and so does what the command line logs and prints: a server,
a feed or a file name may hold what steers a terminal, and a server may repeat a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

# What steers a terminal, or turns the direction of what is read; a line break is neither.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.]*")
SHOWN = 5  # lines of one kind of error; behind them comes a count
_SHORTEST_KEY = 8  # characters; servers without keys are given words such as "EMPTY"
_KEYS: dict[str, re.Pattern[str]] = {}


def kind_of(message: str) -> str:
    """Return what messages of one kind have in common: no numbers, and nothing that is quoted.

    >>> kind_of("3 cells below a header of 2")
    '… cells below a header of …'
    """
    return _VARIABLE.sub("…", message)


def keep_secret(key: str) -> None:
    """Have a key replaced by `redact` from now on, also as JSON may escape it."""
    if len(key) >= _SHORTEST_KEY:
        forms = (rf"(?:\\{re.escape(c)}|{re.escape(c)}|\\u(?i:{ord(c):04x}))" for c in key)
        _KEYS[key] = re.compile("".join(forms))


def redact(text: str) -> str:
    """Replace every key that is in use."""
    for key, escaped in _KEYS.items():
        text = text.replace(key, "[key]")
        text = escaped.sub("[key]", text) if "\\" in text else text
    return text


def clean(text: str) -> str:
    """Replace what steers a terminal, and every key that is in use."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", redact(text))


def escape(text: str) -> str:
    r"""Write what steers a terminal as JSON may, which leaves the values of JSON as they are.

    >>> escape('{"id": "a\u009b2J"}')
    '{"id": "a\\u009b2J"}'
    """
    if text.isprintable():  # as nearly every line is
        return text
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class CyberSecQwenError(Exception):
    """An error with a cause the user can remove; the command line prints it and exits `status`."""

    status = 1

    def __init__(self, what: str, *, where: object = None, tip: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.tip = tip

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where is not None else ""
        tip = f" ({self.tip})" if self.tip else ""
        # A server's or a library's message may hold line breaks; ours stay on one line.
        return clean(" ".join(f"{where}{self.what}{tip}".split()))


class InputError(CyberSecQwenError):
    """A file or a record that cannot be used as it is."""


class RecipeError(CyberSecQwenError):
    """A recipe that cannot be run as it is."""


class StageError(CyberSecQwenError):
    """A stage that refuses to run, for what it would mix or overwrite."""


class EngineError(CyberSecQwenError):
    """A model or server that gave no usable answer; never scored as a wrong one."""


class PartitionError(CyberSecQwenError):
    """Parts of an input that could not be worked on; all others are done."""

    status = 5


@contextmanager
def extra(name: str, *, where: object = None) -> Iterator[None]:
    """Turn a missing optional dependency into the command that installs it.

    `where` is the file that needs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CyberSecQwenError(
            f"this needs the package {error.name!r}, which is not installed",
            where=where,
            tip=f"pip install 'cybersecqwen[{name}]'",
        ) from error
