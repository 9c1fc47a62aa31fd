r"""Decode a file of text whatever its encoding, line by line.

>>> import io
>>> text = Text(io.BufferedReader(io.BytesIO("naïve\n".encode("cp1252"))), "x.txt")
>>> list(text.lines()), text.encoding, text.is_guessed
(['naïve\n'], 'utf-8', True)

A byte order mark decides; without one, zeros in every second place or in three of four tell UTF-16
and UTF-32. Any other text is UTF-8, and bytes that are not are read as Windows-1252, which is said.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import count

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import HEAD, marked_encoding
from cybersecqwen.formats.rows import Report, refuse

LINE = 64_000_000  # characters of a line, or of a value of JSON
_MOSTLY = 0.7  # of the characters are of ASCII
_ZEROS: dict[tuple[bool, ...], str] = {  # the bytes of four that are zero
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_GUESS = "cybersecqwen-guess"


class Text:
    """A stream of text, decoded; `is_guessed` once a byte of it was no UTF-8."""

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self.name = name
        head = stream.peek(HEAD)
        self.encoding = marked_encoding(head) or _unmarked_encoding(head) or "utf-8"
        self.head = head.decode(self.encoding, "replace")  # the beginning
        self.is_guessed = False
        codecs.register_error(_GUESS, self._guess)
        self._file = io.TextIOWrapper(stream, self.encoding, errors=_GUESS, newline="")

    def read(self, size: int) -> str:
        """Read on, at most `size` characters."""
        return self._file.read(size)

    def line(self) -> str:
        """Read a line with its end, or the beginning of one that is too long."""
        return self._file.readline(LINE)

    def lines(self, report: Report = refuse) -> Iterator[str]:
        """Yield the lines with their ends; one that is too long goes to `report`."""
        for number in count(1):
            line = self.line()
            if not line:
                return
            if len(line) < LINE or line.endswith("\n"):
                yield line
                continue
            while line and not line.endswith("\n"):
                line = self.line()
            yield "\n"  # the numbers of those below stay right
            report(too_long(f"{self.name}:{number}", "a line"))

    def _guess(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        self.is_guessed = True
        data = error.object[error.start : error.end]
        return data.decode("cp1252", "replace"), error.end


def _unmarked_encoding(head: bytes) -> str:
    """Name the encoding that the places of zeros tell, "" where they tell none."""
    fours = [head[place::4] for place in range(4)]
    mostly_zero = tuple(bool(part) and part.count(0) > _MOSTLY * len(part) for part in fours)
    return _ZEROS.get(mostly_zero, "")


def too_long(where: str, what: str) -> InputError:
    """Return the error of a line or a value that would not fit into memory with its copies."""
    return InputError(f"{what} of more than {LINE:,} characters", where=where, tip="split it")
