"""CTI-Bench (arXiv:2406.07599): the task files as the dataset AI4Sec/cti-bench serves them.

    items = read_items(Path("cti-bench"), "cti-rcm")
    items[0].text, items[0].gold        # a CVE description, its CWE id

Licence of the data: CC BY-NC-SA 4.0. It is downloaded or pointed at, never shipped.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json
from cybersecqwen.records import Item
from cybersecqwen.sources.archives import readable

_OPTIONS = ("Option A", "Option B", "Option C", "Option D")

# The columns each task needs; the second is the text that its prompt is about.
TASKS: dict[str, tuple[str, ...]] = {
    "cti-mcq": ("URL", "Question", *_OPTIONS, "Prompt", "GT"),
    "cti-rcm": ("URL", "Description", "Prompt", "GT"),
    "cti-rcm-2021": ("URL", "Description", "Prompt", "GT"),
    "cti-vsp": ("URL", "Description", "Prompt", "GT"),
    "cti-taa": ("URL", "Text", "Prompt"),  # upstream keeps the gold out of the task file
    "cti-ate": ("URL", "Description", "Prompt", "GT"),
}
TAA_GOLD = "cti-taa-gold.tsv"
TAA_GRAPHS = "threat-actors.json"
_CWE = re.compile(r"CWE-[1-9]\d*")
_GOLD = {"cti-mcq": re.compile("[ABCD]"), "cti-rcm": _CWE, "cti-rcm-2021": _CWE}

# A file in which every cell is either free of quotes or quoted as a whole, its own
# quotes doubled. In any other file a quote is a character like the rest.
_QUOTED = re.compile(r'(?:(?:"(?:[^"]|"")*+"|[^"\t\r\n]*+)(?:\t|\r?\n|\Z))*+')

Row = tuple[str, dict[str, str]]  # file:line and the cells by column


@dataclass(frozen=True)
class ThreatActors:
    """What connects names of threat actors, lower case: other names, and related groups."""

    aliases: dict[str, tuple[str, ...]]
    related: dict[str, tuple[str, ...]]


def read_items(folder: Path, task: str) -> tuple[Item, ...]:
    """Read the items of one task; `index` is the 0-based row.

    The gold is stripped, and upper case for cti-mcq; that of cti-taa is "" where its
    file is absent. Raises InputError with file and line on anything missing or empty.
    """
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}", tip=f"known are {', '.join(TASKS)}")
    rows = read_rows(folder / f"{task}.tsv", TASKS[task])
    golds = _taa_golds(folder, rows) if task == "cti-taa" else [_gold(row) for row in rows]
    items = zip(rows, golds, strict=True)
    return tuple(_item(task, index, row, gold) for index, (row, gold) in enumerate(items))


def read_benchmark(folder: Path, *, complete: bool = False) -> dict[str, tuple[Item, ...]]:
    """Read every task whose file is in the folder, in the order of TASKS; at least one.

    Raises InputError that names the tasks which a `complete` benchmark has and this one lacks.
    """
    present = tasks_in(folder)
    missing = [task for task in TASKS if task not in present]
    if complete and missing:
        raise InputError(
            f"the benchmark lacks {', '.join(missing)}",
            where=folder,
            tip="get it with: cybersecqwen fetch cti-bench; or accept it with --allow-missing",
        )
    return {task: read_items(folder, task) for task in present}


def tasks_in(folder: Path) -> list[str]:
    """Name the tasks whose files are in the folder, in the order of TASKS; at least one."""
    present = [task for task in TASKS if (folder / f"{task}.tsv").is_file()]
    if not present:
        raise InputError(
            "holds no CTI-Bench task" if folder.is_dir() else "no such folder of CTI-Bench tasks",
            where=folder,
            tip="get it with: cybersecqwen fetch cti-bench",
        )
    return present


def read_threat_actors(folder: Path) -> ThreatActors:
    """Read the graphs by which cti-taa is judged; raises InputError where they are missing."""
    path = folder / TAA_GRAPHS
    if not path.is_file():
        raise InputError(
            "cti-taa cannot be judged without the graphs of aliases and related groups",
            where=path,
            tip="get it with: cybersecqwen fetch cti-bench; or leave out cti-taa",
        )
    content = read_json(path)
    graphs = [
        content.get(name) if isinstance(content, dict) else None for name in ("aliases", "related")
    ]
    for graph in graphs:
        if not isinstance(graph, dict) or not all(isinstance(v, list) for v in graph.values()):
            raise InputError(
                "not the graphs of threat actors",
                where=path,
                tip="two objects are expected, aliases and related, each of lists by name",
            )
    aliases, related = (
        {
            name.strip().lower(): tuple(str(v).strip().lower() for v in values)
            for name, values in graph.items()
        }
        for graph in graphs
        if graph is not None
    )
    return ThreatActors(aliases, related)


def _item(task: str, index: int, row: Row, gold: str) -> Item:
    where, cells = row
    if task in _GOLD:
        gold = gold.upper()  # one upstream gold of cti-mcq is a lower-case b
        if not _GOLD[task].fullmatch(gold):
            raise InputError(
                f"gold {gold!r} is no answer to {task}", where=where, tip="fix the row"
            )
    return Item(
        task=task,
        index=index,
        prompt=cells["Prompt"],
        gold=gold,
        url=cells["URL"],
        text=cells[TASKS[task][1]],
        options=tuple(cells[name] for name in _OPTIONS if name in TASKS[task]),
    )


def _gold(row: Row) -> str:
    where, cells = row
    gold = cells["GT"].strip()
    if not gold:
        raise InputError("the gold answer is empty", where=where, tip="fill or remove the row")
    return gold


def _taa_golds(folder: Path, rows: list[Row]) -> list[str]:
    path = folder / TAA_GOLD
    if not path.exists():
        return [""] * len(rows)
    golds = read_rows(path, ("URL", "GT"))
    if len(golds) != len(rows):
        raise InputError(
            f"{len(golds)} golds for {len(rows)} items", where=path, tip="use the file's own pair"
        )
    for (where, gold), (_, item) in zip(golds, rows, strict=True):
        if gold["URL"].strip() != item["URL"].strip():
            raise InputError(
                f"the URL {gold['URL']!r} is not that of the item, {item['URL']!r}",
                where=where,
                tip="both files list the items in one order",
            )
    return [_gold(row) for row in golds]


def read_rows(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """Read a TSV file as `parse_rows` does; raises InputError where there is none."""
    return parse_rows(_data(path), columns, path)


def parse_rows(data: bytes, columns: tuple[str, ...], where: object) -> list[Row]:
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
    yield from table_rows(_decoded(_data(path), path))


def table_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row of TSV, whichever way it treats quotes."""
    text = text.rstrip("\r\n")
    if _QUOTED.fullmatch(text):
        reader = csv.reader(StringIO(text, newline=""), delimiter="\t")
        yield from ((reader.line_num, cells) for cells in reader)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r").split("\t")


def _data(path: Path) -> bytes:
    if not path.exists():
        raise InputError(
            "no such file", where=path, tip="get it with: cybersecqwen fetch cti-bench"
        )
    with readable(path):
        return path.read_bytes()


def _decoded(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error}", where=where, tip="download it again") from error
