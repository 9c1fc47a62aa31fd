"""The schema of an upstream format, against which a feed is validated, and its dates as ISO.

    record = parse(Record, member.read(), member.where)

What a schema does not name is ignored; a field that is missing or of another type is an
InputError that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from cybersecqwen.cwe.identifiers import CVE_SYNTAX, entry_ids, normalise_cve, normalise_ids
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import utf8
from cybersecqwen.formats.rows import Report, reported
from cybersecqwen.records import Cvss, is_placeholder

# The organisation id under which CISA adds its container to CVE records, in NVD too.
CISA_ADP = "134c704f-9b21-4f2e-91b3-4a467353bcc0"

CveId = Annotated[
    str,
    BeforeValidator(lambda text: (isinstance(text, str) and normalise_cve(text)) or text),
    Field(pattern=f"^{CVE_SYNTAX}$"),
]


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text[:10]).isoformat() if text else ""
    except ValueError as error:
        raise ValueError(f"{text!r} is not an ISO date") from error


@lru_cache(maxsize=1 << 14)
def is_day(text: object) -> bool:
    """Tell a date in ISO's form, of which the records of a day have the same."""
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text) if text else None
        if moment and moment.tzinfo:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not an ISO timestamp") from error
    return moment.isoformat(timespec="milliseconds") if moment else ""


# The date of an ISO timestamp, and one in UTC to the millisecond; "" stays.
IsoDate = Annotated[str, AfterValidator(_date)]
IsoTime = Annotated[str, AfterValidator(_time)]

# A vector names its version from 3.0 on.
_VECTOR = re.compile(r"(?:CVSS:(?P<version>\d\.\d)/|(?=AV:))[A-Za-z:/]+")
_ENGLISH = re.compile(r"en(g|glish)?([-_].*)?", re.IGNORECASE)
# Where a text states its label: at its start, in brackets, or at its end behind a sign.
_STATED = re.compile(
    r"\ACWE-[1-9]\d*\b|[(\[]CWE-[1-9]\d*[)\]]|[-\u2013\u2014:,;|/] ?CWE-[1-9]\d*\Z"
)


class Schema(BaseModel):
    """A part of an upstream format; what it does not name is ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


def inside(first: str, *path: str | int, default: Any = "") -> Any:
    """Take a field from inside the parts of an object, where they are there."""
    return Field(default=default, validation_alias=AliasPath(first, *path))


_Schema = TypeVar("_Schema", bound=Schema)
_Record = TypeVar("_Record")


class Text(Schema):
    """A text in some language."""

    lang: str
    value: str


def english(texts: Iterable[Text]) -> str:
    """Return the first English text that says something, "" where there is none."""
    named = (text.value for text in texts if _ENGLISH.fullmatch(text.lang.strip()))
    return next((value for value in named if not is_placeholder(value)), "")


def stated_label(text: str | None) -> str:
    """Return the CWE id that a text has as its label, and not in its prose; "" without one.

    >>> [stated_label(text) for text in ("cwe 79: XSS", "XSS (CWE-79)", "a case of CWE-79 in Foo")]
    ['CWE-79', 'CWE-79', '']
    """
    match = _STATED.search(normalise_ids(text or "").strip(" .\t\r\n"))
    return entry_ids(match[0])[0] if match else ""


def labels_of(texts: Iterable[str | None]) -> tuple[str, ...]:
    """List the CWE ids that labels state, each once; a label that states none stays as it is."""
    labels = (stated_label(text) or text or "" for text in texts)
    return tuple(dict.fromkeys(label for label in labels if not is_placeholder(label)))


def severities(vectors: Iterable[str | None]) -> tuple[Cvss, ...]:
    """List the CVSS vectors of an advisory, which count as a CNA's; any other text is left out."""
    given = [
        Cvss("cna", match["version"] or "2.0", match[0])
        for vector in vectors
        if vector and (match := _VECTOR.fullmatch(vector.strip()))
    ]
    return tuple(sorted(given, key=attrgetter("version"), reverse=True))


def cvss3(severities: Iterable[Cvss]) -> str | None:
    """Return the first vector of CVSS 3, None where there is none."""
    return next((one.vector for one in severities if one.version[0] == "3"), None)


def each(
    items: Iterable[Any], read: Callable[[Any, str], _Record], where: object, report: Report
) -> Iterator[_Record]:
    """Read the items of a file, each located by `where` and its position from 1."""
    for position, item in enumerate(items, start=1):
        with reported(report):
            yield read(item, f"{where}:{position}")


def parse(schema: type[_Schema], data: bytes, where: object) -> _Schema:
    """Parse JSON, with any byte order mark or none; raises InputError on the first wrong field."""
    try:
        return schema.model_validate_json(utf8(data))
    except ValidationError as error:
        raise invalid(error, where) from error


def validated(schema: type[_Schema], value: Any, where: object) -> _Schema:
    """Validate what was parsed already; raises InputError on the first wrong field."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise invalid(error, where) from error


def invalid(error: ValidationError, where: object) -> InputError:
    """Say in one line which field of an upstream record is wrong, and what was expected."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return InputError(
            f"not valid JSON: {first['ctx']['error']}",
            where=where,
            tip="the file may be truncated; download it again",
        )
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return InputError(
        f"{field}: {message}" if field else message,
        where=where,
        tip=f"{error.title} is expected",
    )


def iso_time(text: str, where: object) -> str:
    """Take an ISO timestamp as UTC to the millisecond, as `2024-01-31T09:00:00.000`.

    One without a zone is UTC already, as NVD's are. Raises InputError when it is none.
    """
    try:
        return _time(text)
    except ValueError as error:
        raise InputError(str(error), where=where, tip="fix the record") from error
