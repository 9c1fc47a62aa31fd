"""The judgement of cti-taa: the golds and the graphs of names, from the authors' repository.

    fetch_judgement(Path("cti-bench"), HOST, RetryPolicy())
    # [cti-bench/cti-taa-gold.tsv, cti-bench/threat-actors.json]

The dataset on the hub has neither. The golds are a column of the authors' responses, in
the order of the items. The graphs are pickles, which may run anything when they are
loaded: here one that asks for any class or function is refused, so that nothing but
plain containers, numbers and strings comes through. No pickle is written to disk.
"""

from __future__ import annotations

import csv
import io
import pickle
import pickletools
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import read_json, write_json, write_text
from cybersecqwen.formats.tsv import TsvRow, parse_rows, read_rows
from cybersecqwen.sources.download import RetryPolicy, get, open_client, with_retries

TASK_FILE = "cti-taa.tsv"
GOLD_FILE = "cti-taa-gold.tsv"
GRAPH_FILE = "threat-actors.json"

HOST = "https://raw.githubusercontent.com"
_REPOSITORY = "xashru/cti-bench/main/evaluation"
_GOLDS = "responses/cti-taa-responses.tsv"
_GRAPHS = {"aliases": "alias_dict.pickle", "related": "related_dict.pickle"}

# A damaged pickle is known to end in these; its documentation promises no shorter list.
_DAMAGE = (
    *(pickle.UnpicklingError, AttributeError, EOFError, LookupError),
    *(MemoryError, OverflowError, TypeError, ValueError),
)

_Graph = dict[str, list[str]]


@dataclass(frozen=True)
class ThreatActors:
    """Graphs of threat actors' names, lower case: other names of a group, and related groups."""

    aliases: dict[str, tuple[str, ...]]
    related: dict[str, tuple[str, ...]]


def fetch_judgement(folder: Path, host: str, retry: RetryPolicy) -> list[Path]:
    """Fetch golds and graphs into the folder that holds cti-taa.tsv, and list the two files.

    Those that are there and fit the items stay, whoever put them there. Raises
    CyberSecQwenError when the host does not give them or they are not what they should
    be; nothing is written then.
    """
    gold, graphs = folder / GOLD_FILE, folder / GRAPH_FILE
    if not _fits(folder):
        try:
            _fetch(folder, f"{host}/{_REPOSITORY}", retry)
        except CyberSecQwenError as error:
            raise CyberSecQwenError(
                f"{error.what}; without it cti-taa cannot be judged",
                where=error.where,
                tip="; ".join(filter(None, (error.tip, f"all other tasks are in {folder}"))),
            ) from error
    return [gold, graphs]


def read_threat_actors(folder: Path) -> ThreatActors:
    """Read the graphs by which cti-taa is judged; raises InputError where they are missing."""
    path = folder / GRAPH_FILE
    if not path.is_file():
        raise InputError(
            "cti-taa cannot be judged without the graphs of aliases and related groups",
            where=path,
            tip="get it with: cybersecqwen fetch cti-bench; or leave out cti-taa",
        )
    content = read_json(path)
    try:
        return ThreatActors(_lowered(content["aliases"]), _lowered(content["related"]))
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(
            "not the graphs of threat actors",
            where=path,
            tip="two objects are expected, aliases and related, each of lists by name",
        ) from error


def _lowered(graph: dict[str, list[Any]]) -> dict[str, tuple[str, ...]]:
    """Return a graph in lower case; raises TypeError where a name has no list."""
    if not all(isinstance(names, list) for names in graph.values()):
        raise TypeError
    return {
        name.strip().lower(): tuple(str(other).strip().lower() for other in names)
        for name, names in graph.items()
    }


def read_golds(folder: Path, rows: list[TsvRow]) -> list[str] | None:
    """Read the golds of cti-taa, one for each row of the task file; None where there are none.

    Raises InputError, with file and line, for golds of other items.
    """
    path = folder / GOLD_FILE
    if not path.exists():
        return None
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
        if not gold["GT"].strip():
            raise InputError("the gold answer is empty", where=where, tip="fill or remove the row")
    return [gold["GT"].strip() for _, gold in golds]


def _fits(folder: Path) -> bool:
    try:
        read_threat_actors(folder)
        return bool(read_golds(folder, read_rows(folder / TASK_FILE, ("URL",))))
    except InputError:
        return False


def _fetch(folder: Path, base: str, retry: RetryPolicy) -> None:
    with open_client(follow_redirects=True) as client:

        def get_file(name: str) -> tuple[bytes, str]:
            url = f"{base}/{name}"
            return with_retries(lambda: get(client, url), url, retry), url

        golds = _golds(*get_file(_GOLDS), folder)
        graphs = {kind: read_graph(*get_file(name)) for kind, name in _GRAPHS.items()}
    write_text(folder / GOLD_FILE, golds)
    write_json(folder / GRAPH_FILE, graphs)


def _golds(data: bytes, where: str, folder: Path) -> str:
    """Return the golds beside the URLs of the items, as TSV."""
    rows = parse_rows(data, ("GT",), where)
    items = read_rows(folder / TASK_FILE, ("URL",))
    if len(rows) != len(items):
        raise InputError(
            f"{len(rows)} golds for the {len(items)} items of cti-taa",
            where=where,
            tip="hub and repository may be of different dates; try again later",
        )
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(("URL", "GT"))
    for (line, row), (_, item) in zip(rows, items, strict=True):
        if not row["GT"].strip():
            raise InputError("the gold answer is empty", where=line, tip="try again later")
        table.writerow((item["URL"], row["GT"].strip()))
    return text.getvalue()


def read_graph(data: bytes, where: object) -> _Graph:
    """Read a pickled graph: lists of names by name, lower case, the last of one name winning.

    Raises InputError on a pickle that asks for a class or function, and on anything else
    in it than names.
    """
    graph = _unpickled(data, where)
    if not isinstance(graph, dict) or not graph:
        raise _no_graph(f"a {type(graph).__name__} of {reprlib.repr(graph)}", where)
    # Lowered here, in the authors' order: a name in two spellings must not depend on a sort.
    return {_name(name, where): _names(names, where) for name, names in graph.items()}


def _names(names: object, where: object) -> list[str]:
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise _no_graph(f"{reprlib.repr(names)} in place of a list of names", where)
    cleaned = [_name(name, where) for name in names]
    return sorted(cleaned) if isinstance(names, (set, frozenset)) else cleaned


def _name(name: object, where: object) -> str:
    if not isinstance(name, str):
        raise _no_graph(f"{reprlib.repr(name)} in place of a name", where)
    return name.strip().lower()


def _no_graph(what: str, where: object) -> InputError:
    return InputError(
        f"not a graph of threat actors: {what}",
        where=where,
        tip="lists of names by name are expected; upstream may have changed",
    )


class _Plain(pickle.Unpickler):
    """Loads what pickle itself knows, and nothing that it would have to import."""

    def __init__(self, data: bytes, where: object) -> None:
        super().__init__(io.BytesIO(data))
        self._where = where

    def find_class(self, module: str, name: str) -> NoReturn:
        raise InputError(
            f"refused: the pickle asks for '{module}.{name}'",
            where=self._where,
            tip="only lists of names are expected in it; do not load the file by other means",
        )


def _unpickled(data: bytes, where: object) -> Any:
    try:
        for operation, argument, _ in pickletools.genops(data):
            # Space for as many objects would be taken before any of them is read.
            if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(data):
                raise ValueError(f"object {argument} of {len(data)} bytes")
        return _Plain(data, where).load()
    except _DAMAGE as error:
        raise InputError(
            f"no readable pickle: {error}", where=where, tip="try again later"
        ) from error
