"""Vulnerability records in a table of our own: Parquet or JSONL, one row a record.

    for vulnerability in read(Path("cve.parquet")):
        print(vulnerability.cve_id)

Columns: cve_id, published, description, cwe_nvd, cwe_cna, cwe_cisa_adp (lists),
cvss3_vector, assigner, description_source, and where the table has them rejected, modified (an
ISO timestamp), status, cvss (a list of source, version, vector and score), affected (a list of
vendor, product and versions), and cwe_reviewed (what a reviewer here decided, in a list).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.archives import Head, first_bytes, readable, unpacked
from cybersecqwen.formats.rows import (
    Report,
    is_jsonl,
    jsonl_rows,
    parquet_rows,
    parquet_table,
    refuse,
    reported,
)
from cybersecqwen.records import AffectedProduct, Cvss, Vulnerability
from cybersecqwen.sources.feed import Feed
from cybersecqwen.sources.schema import IsoDate, IsoTime, Schema, is_day, validated

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"
_TEXT = ("cve_id", "published", "description", "cvss3_vector", "assigner", "description_source")
LABELS = ("cwe_nvd", "cwe_cna", "cwe_cisa_adp")
KEPT = 4  # tables that are kept in memory
COLUMNS = (*_TEXT, *LABELS)  # that every table has


class _Columns(Schema, title="a row of Vulnerability columns"):
    cve_id: str
    published: IsoDate | None
    description: str | None
    cwe_nvd: list[str] | None
    cwe_cna: list[str] | None
    cwe_cisa_adp: list[str] | None
    cwe_reviewed: list[str] | None = None
    cvss3_vector: str | None
    assigner: str | None
    description_source: str | None
    rejected: bool | None = None
    modified: IsoTime | None = None
    status: str | None = None
    cvss: list[Cvss] | None = None
    affected: list[AffectedProduct] | None = None


def recognise(head: Head) -> bool:
    """Tell a table by its name, by Parquet's signature, or by the columns of its first row."""
    named = head.name.endswith(".parquet")
    return named or head.data.startswith(MAGIC) or is_jsonl(head)


def read(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of a `.parquet` or `.jsonl` table in the order of its rows.

    `where` is the file and the row, from 1. A null is "" for a text and () for labels. A row
    that is wrong goes to `report`. Raises InputError that names a missing or wrongly typed column.
    """
    if path.suffix == ".parquet" or first_bytes(path).startswith(MAGIC):
        for where, row in parquet_rows(path, partial(_columns, path)):
            with reported(report):
                yield record(row, where)
        return
    with readable(path), path.open("rb") as file:
        yield from read_lines(unpacked(file, path), str(path), report)


def find(path: Path, cve_ids: Collection[str], report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of some ids in a `.parquet` table; a row that is wrong goes to `report`."""
    from pyarrow import array, compute

    _, ids = load(path)
    wanted = compute.is_in(ids, value_set=array(list(cve_ids), ids.type))
    yield from take(path, compute.indices_nonzero(wanted).to_pylist(), report)


def take(path: Path, rows: Sequence[int], report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of some rows of a `.parquet` table, counted from 0 as `load` has them."""
    from pyarrow import array, int64

    table, _ = load(path)
    for row in table.take(array(rows, int64())).to_pylist():
        with reported(report):
            yield record(row, f"{path}:{row['cve_id']}")


def newest(path: Path) -> str:
    """Return the date of the record of a `.parquet` table that was published last, or ""."""
    from pyarrow import compute

    table, _ = load(path)
    return str(compute.max(table["published"]).as_py() or "")[:10]


def load(path: Path) -> tuple[pyarrow.Table, pyarrow.ChunkedArray]:
    """Return a `.parquet` table and its ids in upper case, each once: of two rows the first.

    It is read once and kept as long as the file does not change.
    """
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=KEPT)
def _load(path: Path, _modified: int) -> tuple[pyarrow.Table, pyarrow.ChunkedArray]:
    import pyarrow
    from pyarrow import compute

    table = parquet_table(path, partial(_columns, path))
    ids = compute.utf8_upper(table["cve_id"].cast(pyarrow.large_string()))
    if compute.count_distinct(ids, "all").as_py() < len(ids):
        rows = pyarrow.table({"id": ids, "row": range(len(ids))})
        first = rows.group_by("id").aggregate([("row", "min")])["row_min"].sort()
        table, ids = table.take(first), ids.take(first)
    return table, ids


def read_lines(lines: Iterable[bytes], name: str, report: Report) -> Iterator[Vulnerability]:
    """Yield the records of a table in JSONL, line by line; `name` is what errors call it."""
    for where, row in jsonl_rows(lines, name, report):
        with reported(report):
            yield _record(row, where)


def record(row: Json, where: str) -> Vulnerability:
    """Return the record of a row whose columns have the right types; its values are not checked."""
    plain = is_day(row["published"]) and row["cve_id"]
    if not plain or any(row.get(name) for name in ("cvss", "modified", "affected")):
        return _record(row, where)
    nvd, cna, cisa_adp = (tuple(row[name] or ()) for name in LABELS)
    return Vulnerability(
        normalise_cve(row["cve_id"]) or row["cve_id"],
        row["published"],
        row["description"] or "",
        nvd,
        cna,
        cisa_adp,
        row["cvss3_vector"],
        row["assigner"],
        row["description_source"],
        bool(row.get("rejected")),
        row.get("status") or "",
        cwe_reviewed=tuple(row.get("cwe_reviewed") or ()),
        where=where,
    )


def _record(row: Json, where: str) -> Vulnerability:
    dates = {name: value.isoformat() for name, value in row.items() if isinstance(value, date)}
    one = validated(_Columns, row | dates, where)
    if not one.cve_id:
        raise InputError("the cve_id is empty", where=where, tip="fix or remove the row")
    return Vulnerability(
        cve_id=normalise_cve(one.cve_id) or one.cve_id,
        published=one.published or "",
        description=one.description or "",
        cwe_nvd=tuple(one.cwe_nvd or ()),
        cwe_cna=tuple(one.cwe_cna or ()),
        cwe_cisa_adp=tuple(one.cwe_cisa_adp or ()),
        cwe_reviewed=tuple(one.cwe_reviewed or ()),
        cvss3_vector=one.cvss3_vector,
        assigner=one.assigner,
        description_source=one.description_source,
        rejected=bool(one.rejected),
        modified=one.modified or "",
        status=one.status or "",
        cvss=tuple(one.cvss or ()),
        affected=tuple(dict.fromkeys(one.affected or ())),  # documents list each once
        where=where,
    )


def _columns(path: Path, schema: pyarrow.Schema) -> list[str]:
    """Check the columns and their types and list those to read."""
    for name in COLUMNS:
        if name not in schema.names:
            raise InputError(
                f"the column {name!r} is missing",
                where=path,
                tip=f"expected are {', '.join(COLUMNS)}",
            )
    names = [name for name in schema.names if name in _Columns.model_fields]
    for name in names:
        wanted = _wanted_type(name, schema.field(name).type)
        if wanted:
            raise InputError(
                f"the column {name!r} is {schema.field(name).type}, not {wanted}",
                where=path,
                tip="convert the column",
            )
    return names


def _wanted_type(name: str, kind: Any) -> str:
    """Name the type that the column should have, or nothing when it has it."""
    from pyarrow import types

    if name in (*LABELS, "cwe_reviewed"):
        listed = types.is_list(kind) or types.is_large_list(kind)
        listed = types.is_null(kind) or (listed and _is_text(kind.value_type))
        return "" if listed else "a list of text"
    if name in ("cvss", "affected"):
        return "" if types.is_list(kind) or types.is_null(kind) else "a list"
    if name == "rejected":
        return "" if types.is_boolean(kind) else "boolean"
    if name in ("published", "modified") and (types.is_date(kind) or types.is_timestamp(kind)):
        return ""
    return "" if _is_text(kind) else "text"


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    # A column that holds nothing but nulls has the type null.
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


FEED = Feed("table", "a table of records", recognise=recognise, read=read)
