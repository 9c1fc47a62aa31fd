"""Tables of tab-separated values, whichever way a file treats quotes.

for where, cells in read_rows(Path("cti-rcm.tsv"), ("URL", "GT")):
    print(where, cells["GT"])
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import readable

# A file in which every cell is either free of quotes or quoted as a whole, its own
# quotes doubled. In any other file a quote is a character like the rest.
_QUOTED = re.compile(r'(?:(?:"(?:[^"]|"")*+"|[^"\t\r\n]*+)(?:\t|\r?\n|\Z))*+')

TsvRow = tuple[str, dict[str, str]]  # file:line and the cells by column


def read_rows(path: Path, columns: tuple[str, ...], *, tip: str = "") -> list[TsvRow]:
    """Read a TSV file as `parse_rows` does; raises InputError with `tip` where it is missing."""
    return parse_rows(_data(path, tip), columns, path)


def parse_rows(data: bytes, columns: tuple[str, ...], where: object) -> list[TsvRow]:
    """Parse TSV into cells by column, at least one row; raises InputError on a missing column."""
    table = table_rows(_decoded(data, where))
    _, header = next(table, (0, [""]))
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(
            f"the column {missing[0]!r} is missing",
            where=f"{where}:1",
            tip=f"expected are {', '.join(columns)}",
        )
    rows = []
    for line, cells in table:
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} cells where the header has {len(header)}",
                where=f"{where}:{line}",
                tip="the file may be truncated; download it again",
            )
        rows.append((f"{where}:{line}", dict(zip(header, cells, strict=True))))
    if not rows:
        raise InputError("holds no item", where=where, tip="download it again")
    return rows


def read_table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row of a TSV file."""
    yield from table_rows(_decoded(_data(path, ""), path))


def table_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row of TSV, whichever way it treats quotes."""
    text = text.rstrip("\r\n")
    if _QUOTED.fullmatch(text):
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))
        reader = csv.reader(StringIO(text, newline=""), delimiter="\t")
        yield from ((reader.line_num, cells) for cells in reader)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r").split("\t")


def _data(path: Path, tip: str) -> bytes:
    if not path.exists():
        raise InputError("no such file", where=path, tip=tip or "check the path")
    with readable(path):
        return path.read_bytes()


def _decoded(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error}", where=where, tip="download it again") from error
