"""Read the rows of any training file, whatever its fields are called.

    reading = Reading()
    for row in read_rows(Path("train.jsonl"), reading):
        print(row.where, row.column, row.row.text, row.row.answer)
    print(reading.columns, reading.unreadable.lines())

Every text of a row is read, in whichever column, list or message it stands, also that of JSON in a
text. The known forms of rows decide only which texts belong together: what is asked and answered
by a form is one text, and any other column is one for itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.contamination import Row
from cybersecqwen.contamination.reading import Event, PartReading, Reading
from cybersecqwen.contamination.row_texts import is_readable, texts_of, whole
from cybersecqwen.contamination.training_files import FileRow, file_rows
from cybersecqwen.cwe.identifiers import cve_ids, normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line
from cybersecqwen.formats.rows import distinct
from cybersecqwen.records import Vulnerability

_MOST_BESIDE = 50  # columns of a row of which one may be the answer to another
_MOST_IDS = 2  # CVE ids in a text that it may be about; more is a list

# What is asked, and where the answer to learn stands; the first form whose fields are there.
FORMS: dict[str, tuple[tuple[str, ...], str]] = {
    "prompt/completion": (("prompt",), "completion"),
    "prompt/response": (("prompt",), "response"),
    "prompt/chosen": (("prompt",), "chosen"),
    "instruction/output": (("instruction", "input"), "output"),
    "instruction/response": (("instruction", "input"), "response"),
    "question/answer": (("question",), "answer"),
    "input/output": (("input",), "output"),
    "messages": ((), "messages"),
    "conversations": ((), "conversations"),
    "text": (("text",), ""),
    "description": (("description",), ""),
}
OTHER = "other"  # a row of none of these forms
_NAMES = {
    form: [name for name in (*asked, answered) if name] for form, (asked, answered) in FORMS.items()
}
_FIELDS = {name for names in _NAMES.values() for name in names}
# The fields whose text is one to learn.
_ANSWERS = {answered: bool(asked) for asked, answered in FORMS.values() if answered}
_OPTIONAL = {"input"}  # beside an instruction
# Where a form's field has its text: in itself, or in messages.
_PLACES = ("", "[].content", "[].content[]", "[].content[].text", "[].value")
_COLUMNS = {
    form: {f"{name}{place}" for name in names for place in _PLACES}
    for form, names in _NAMES.items()
}
_IDS = ("cve_id", "cve", "cveId", "cve-id", "id")
_LABELS = (
    "cwe",
    "cwe_id",
    "label",
    "cwe_nvd",
    "cwe_cna",
    "cwe_cisa_adp",
    "cvss3_vector",
    "cwe_reviewed",
)
_LABEL_COLUMNS = [f"{name}{place}" for name in _LABELS for place in ("", "[]", "[].text")]
# Columns whose text answers or thinks: the ids in it are not what the row is about.
_SAID = {*(name for name, said in _ANSWERS.items() if said), "rejected", "thinking"}
_SAID |= {"reasoning", "reasoning_content"}
_ABOUT = {*_IDS, *_LABELS}
_DEEP = 100  # levels of a row
_NUMBERED = re.compile(r":\d+$")  # the place of a row, not that of a whole file
_SHORT = "(short texts)"
_NAME = re.compile(r"[^.\[\]{}]+")


class TrainRow(NamedTuple):
    """A text of a training row: where the row stands, its form, and what is judged of it."""

    number: int  # of the row, from 0, over all files
    where: str
    form: str
    row: Row
    column: str = ""  # "" for the text of the form


def read_rows(path: Path, reading: Reading | None = None) -> Iterator[TrainRow]:
    """Yield the texts of the rows of a file or folder, those of one row one after another.

    `reading` takes down what was read and what was not. A row without text raises InputError
    unless `reading` allows it, and so does a file that is damaged.
    """
    reading = reading or Reading()
    return rows_of(file_rows(path, reading, whole=_FIELDS), reading)


Unread = FileRow | Event


def unread_rows(path: Path) -> Iterator[Unread]:
    """Yield rows as they stand in a file or folder, and among them what is to be said of others.

    That is for `rows_of`, which does most of the work of reading and may do so elsewhere.
    """
    reading = PartReading()
    for where, row in file_rows(path, reading, whole=_FIELDS):
        yield from reading.take_events()
        yield where, json.dumps(row) if _is_deep(row) else row  # pickle fails before json does
    yield from reading.take_events()


def _is_deep(value: object, levels: int = _DEEP) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return not levels or any(_is_deep(part, levels - 1) for part in parts)


def size_of(unread: object) -> int:
    """Count the characters of what `unread_rows` yields, however deep they are nested."""
    size, values = 0, [unread]
    while values:
        value = values.pop()
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, Vulnerability):
            size += len(value.description)
        elif isinstance(value, (dict, list, tuple)):
            values.extend(value.values() if isinstance(value, dict) else value)
    return size


def rows_of(unread: Iterable[Unread], reading: Reading) -> Iterator[TrainRow]:
    """Yield the texts of rows, numbered from 0, as `read_rows` does."""
    number = 0
    for item in unread:
        if isinstance(item, Event):
            reading.repeat(item)
            continue
        where, row = item
        try:
            fields = parse_line(row, where=where, pairs=distinct) if isinstance(row, str) else row
        except InputError as error:
            reading.report(error)
            continue
        texts = _texts(fields, where, reading)
        if not _NUMBERED.search(where) and all(column == _SHORT for _, _, column in texts):
            reading.has_no_text(where)
        elif texts:
            yield from (TrainRow(number, where, *text) for text in texts)
            number += 1
            reading.has_row(where.rpartition(":")[0])
        else:
            reading.report(_nothing(fields, where))


_Text = tuple[str, Row, str]  # the form of the row, what is judged, and its column


def _texts(fields: Json | Vulnerability, where: str, reading: Reading) -> list[_Text]:
    """List the texts of a row that are judged, and count what its columns hold."""
    if isinstance(fields, Vulnerability):
        reading.count("description", [fields.description])
        return [("record", _of_record(fields), "")]

    def unread(what: str) -> None:
        reading.skip(InputError(what, where=where))

    fields = {k: _messages(value) if k in _FIELDS else value for k, value in fields.items()}
    columns = texts_of(fields, unread)
    for column, texts in columns.items():
        reading.count(column, texts)
    return _judged(fields, columns)


def _of_record(record: Vulnerability) -> Row:
    labels = (*record.cwe_nvd, *record.cwe_cna, *record.cwe_cisa_adp, *record.cwe_reviewed)
    answer = " ".join((*labels[::-1], record.cvss3_vector or ""))
    return Row(record.description, (record.cve_id,), answer)


def _judged(fields: Json, columns: Mapping[str, list[str]]) -> list[_Text]:
    """Put the texts of a form together, and every other column that a rule can look at."""
    form = _form(fields)
    names = _NAMES.get(form, ())
    turns = [turn for name in names for turn in _turns(fields.get(name), name)]
    labels = [label for name in _LABEL_COLUMNS if name in columns for label in columns[name]]
    answer = "\n".join((*labels[::-1], *(text for is_answer, text in turns if is_answer)))
    judged = []
    text = whole("\n".join(text for _, text in turns if text))
    if text.strip():
        asked = " ".join(text for is_answer, text in turns if not is_answer)
        judged = [(form, Row(text, _ids(fields, asked), answer), "")]
    of_form = _COLUMNS.get(form, ())
    others = {name: "\n".join(texts) for name, texts in columns.items() if name not in of_form}
    long = {column: text for column, text in others.items() if is_readable(text)}
    short = [text for column, text in others.items() if column not in long]
    length = len(text) + sum(map(len, long.values()))
    for column, own in long.items():
        is_said = any(name in _SAID for name in _NAME.findall(column))
        ids = _ids(fields, "" if is_said else own)
        is_part = 2 * len(own) < length
        taught = answer
        if turns:  # the answer is to what the form asks
            taught = "" if is_part else answer
        elif len(others) <= _MOST_BESIDE:
            beside = (text for other, text in long.items() if other != column)
            taught = "\n".join((*beside, *short, answer))
        judged.append((form, Row(own, ids, taught, is_part), column))
    if not judged and any(own.strip() for name, own in others.items() if name not in _ABOUT):
        text = "\n".join(short)
        judged = [(form, Row(text, _ids(fields, text), text), _SHORT)]
    return judged


def _nothing(fields: Json | Vulnerability, where: str) -> InputError:
    if isinstance(fields, Vulnerability) or _form(fields) != OTHER:
        return InputError("the row's text is empty", where=where, tip="fix or remove the row")
    names = ", ".join(fields) or "no fields"
    return InputError(
        f"no text to compare in a row: {names[:200]}",
        where=where,
        tip="a row has a text beside its ids and labels",
    )


def _form(fields: Json) -> str:
    """Name the first form whose fields are there, and hold texts or messages."""
    for form, names in _NAMES.items():
        if names[0] not in fields or fields[names[0]] is None:
            continue
        values = {name: fields.get(name) for name in names}
        if all(v is not None or name in _OPTIONAL for name, v in values.items()) and all(
            map(_is_text, values.values())
        ):
            return form
    return OTHER


def _is_text(value: Any) -> bool:
    """Tell what a form's field can hold: a text, or messages."""
    if isinstance(value, list):
        return all(isinstance(message, dict) for message in value)
    return value is None or isinstance(value, str)


def _messages(value: Any) -> Any:
    """Decode messages that are stored as JSON in a text."""
    if isinstance(value, str) and value[:1] in "[ \n" and value.lstrip().startswith("["):
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if decoded and isinstance(decoded, list) and _is_text(decoded):
            return decoded
    return value


def _turns(value: Any, name: str) -> Iterator[tuple[bool, str]]:
    """Yield each text of a form's field, and whether it is one to learn."""
    answers = _ANSWERS.get(name, False)
    if isinstance(value, str):
        yield answers, value
    for message in value if isinstance(value, list) else ():
        role = str(message.get("role", message.get("from", "")))
        contents = [message.get("content"), message.get("value")]
        text = " ".join(text for content in contents for text in _strings(content))
        yield answers or role in ("assistant", "gpt", "model"), text


def _strings(value: Any) -> Iterator[str]:
    """Yield the texts of a message's content: itself, or those of its parts."""
    if isinstance(value, str):
        yield value
    for part in value if isinstance(value, list) else ():
        yield from _strings(part.get("text") if isinstance(part, dict) else part)


def _ids(fields: Json, asked: str) -> tuple[str, ...]:
    """Return the CVE ids that a row is about: by a field, or else named in what is asked."""
    for name in _IDS:
        value = fields.get(name)
        cve_id = normalise_cve(value) if isinstance(value, str) else ""
        if cve_id:
            return (cve_id,)
    named = tuple(cve_ids(asked))
    return named if len(named) <= _MOST_IDS else ()
