"""Read the rows of any training file, whatever its fields are called.

    for row in read_rows(Path("train.jsonl")):
        print(row.where, row.row.text, row.row.answer)

JSONL, JSON, CSV, Parquet and Arrow files, a folder of them as Hugging Face datasets are (saved to
disk, or as the hub keeps them), and vulnerability records in every format of `sources`. Each row
is read by its own fields, so a file may mix several forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.contamination import Row
from cybersecqwen.cwe.identifiers import cve_ids, normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.archives import readable
from cybersecqwen.formats.rows import (
    Report,
    Rows,
    arrow_rows,
    check_utf8,
    csv_rows,
    json_rows,
    jsonl_rows,
    parquet_rows,
)
from cybersecqwen.sources import FEEDS, read_vulnerabilities, recognise

_MOST_READERS = 2  # CVE ids in a text that it may be about; more is a list

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
# The fields whose text is one to learn.
_ANSWERS = {answered: bool(asked) for asked, answered in FORMS.values() if answered}
_OPTIONAL = {"input"}  # beside an instruction
_IDS = ("cve_id", "cve", "cveId", "cve-id", "id")
_LABELS = ("cwe", "cwe_id", "label", "cwe_nvd", "cwe_cna", "cwe_cisa_adp", "cvss3_vector")
_ABOUT = {"dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json"}


class TrainRow(NamedTuple):
    """One row of a training file: where it stands, its form, and what is judged of it."""

    number: int  # from 0, over all files
    where: str
    form: str
    row: Row


def read_rows(path: Path, *, unreadable: list[str] | None = None) -> Iterator[TrainRow]:
    """Yield the rows of a file or folder.

    A row without text is put down in `unreadable`, by its place and what is wrong; without that
    list it raises InputError. So does a file of no known format.
    """
    for number, (where, form, row) in enumerate(_read(path, unreadable)):
        yield TrainRow(number, where, form, row)


def _read(path: Path, unreadable: list[str] | None) -> Iterator[tuple[str, str, Row]]:
    def report(error: InputError) -> None:
        if unreadable is None:
            raise error
        unreadable.append(str(error))

    files = training_files(path)
    if not files:  # not a table of rows: a feed or an archive of records
        for record in read_vulnerabilities(path):
            labels = (*record.cwe_nvd, *record.cwe_cna, *record.cwe_cisa_adp)
            answer = " ".join((*labels[::-1], record.cvss3_vector or ""))
            yield record.where, "record", Row(record.description, (record.cve_id,), answer)
        return
    for file in files:
        for where, fields in _READERS[file.suffix](file, report):
            try:
                yield where, *_row(fields, where)
            except InputError as error:
                report(error)


def training_files(path: Path) -> list[Path]:
    """List the files of rows at a path, in the order they are read; none for a feed of records."""
    if path.is_dir():
        files = [
            file
            for file in sorted(path.rglob("*"))
            if file.suffix in _READERS
            and file.name not in _ABOUT
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        return files if _is_dataset(path, files) else []
    if not path.exists():
        raise InputError("no such file or folder", where=path, tip="check the path")
    return [path] if path.suffix in _READERS and not _is_feed(path) else []


def _is_dataset(folder: Path, files: list[Path]) -> bool:
    if not files:
        raise InputError(
            "no file of rows is in the folder",
            where=folder,
            tip="a dataset holds .parquet, .arrow, .jsonl, .json or .csv files",
        )
    return any(file.suffix != ".json" for file in files) or not _is_feed(files[0])


def _is_feed(path: Path) -> bool:
    """Tell a JSON file of a feed from one of rows."""
    return path.suffix == ".json" and recognise(path) not in (None, FEEDS["table"])


def _row(fields: Json, where: str) -> tuple[str, Row]:
    """Take what is asked and answered from a row; raises InputError where there is no text."""
    form, names = _form(fields, where)
    turns = _turns(fields, names, where)
    text = "\n".join(text for _, text in turns if text)
    if not text.strip():
        raise InputError("the row's text is empty", where=where, tip="fix or remove the row")
    answer = [text for is_answer, text in turns if is_answer]
    labels = [label for name in _LABELS for label in _strings(fields.get(name))]
    asked_text = " ".join(text for is_answer, text in turns if not is_answer)
    return form, Row(text, _ids(fields, asked_text), "\n".join((*labels[::-1], *answer)))


def _form(fields: Json, where: str) -> tuple[str, list[str]]:
    """Name the form of a row, and the fields that its text stands in."""
    for form, (asked, answered) in FORMS.items():
        names = [name for name in (*asked, answered) if name]
        if all(fields.get(name) is not None for name in names if name not in _OPTIONAL):
            return form, names
    raise InputError(
        f"no text to compare in a row of {', '.join(fields) or 'no fields'}",
        where=where,
        tip=f"a row has the fields of one of: {', '.join(FORMS)}",
    )


def _turns(fields: Json, names: list[str], where: str) -> list[tuple[bool, str]]:
    """Return each text of a row, and whether it is one to learn."""
    turns = []
    for name in names:
        value = fields.get(name)
        answers = _ANSWERS.get(name, False)
        if isinstance(value, str):
            turns.append((answers, value))
        elif isinstance(value, list):
            turns += [_turn(message, where, answers=answers) for message in value]
        elif value is not None:
            raise InputError(
                f"the field {name!r} is no text but {type(value).__name__}",
                where=where,
                tip="a text, or a list of messages, is expected",
            )
    return turns


def _turn(message: Any, where: str, *, answers: bool) -> tuple[bool, str]:
    if not isinstance(message, dict):
        raise InputError("a message is no object", where=where, tip="expected: role and content")
    role = str(message.get("role", message.get("from", "")))
    content = message.get("content", message.get("value"))
    return answers or role in ("assistant", "gpt", "model"), " ".join(_strings(content))


def _strings(value: Any) -> Iterator[str]:
    """Yield the texts of a value: itself, or those of a list, also of its parts' `text`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part.get("text") if isinstance(part, dict) else part)


def _ids(fields: Json, asked: str) -> tuple[str, ...]:
    """Return the CVE ids that a row is about: by a field, or else named in what is asked."""
    for name in _IDS:
        value = fields.get(name)
        cve_id = normalise_cve(value) if isinstance(value, str) else ""
        if cve_id:
            return (cve_id,)
    named = tuple(cve_ids(asked))
    return named if len(named) <= _MOST_READERS else ()


def _jsonl(path: Path, _: Report) -> Rows:
    with readable(path), path.open("rb") as file:
        yield from jsonl_rows(file, str(path))


def _csv(path: Path, report: Report) -> Rows:
    with readable(path), path.open("rb") as file:
        for where, row in csv_rows(file, str(path), report=report):
            check_utf8(where, *row.values())
            yield where, row


def _columns(schema: Any) -> list[str]:
    """List the columns that a row is read from: others may hold anything."""
    known = {name for asked, answered in FORMS.values() for name in (*asked, answered)}
    named = [name for name in schema.names if name in known | {*_IDS, *_LABELS}]
    return named or schema.names


_READERS: dict[str, Callable[[Path, Report], Rows]] = {
    ".jsonl": _jsonl,
    ".json": lambda path, _: json_rows(path),
    ".csv": _csv,
    ".parquet": lambda path, _: parquet_rows(path, _columns),
    ".arrow": lambda path, _: arrow_rows(path, _columns),
}
