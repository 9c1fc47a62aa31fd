"""Answer CTI questions from the knowledge base, and read questions from files and pipes.

>>> ask("Which tactic does T1059.001 serve?").evidence[0].id
'T1059.001'
>>> options = ("Execution Prevention", "Pre-compromise", "Encrypt Sensitive Information")
>>> ask("Which mitigation addresses PowerShell abuse (T1059.001)?", options).answer
'A'
>>> ask("What is the capital of France?").covered
False

The full knowledge base is used where it is installed, else the index that ships.
"""

from __future__ import annotations

import csv
import logging
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cybersecqwen.analyst.related import knowledge
from cybersecqwen.analyst.vulnerabilities.answers import answer_from_records
from cybersecqwen.analyst.vulnerabilities.nicknames import find_nicknames
from cybersecqwen.cwe.identifiers import (
    cve_ids,
    entry_ids,
    normalise_cve,
    normalise_ids,
    unread_ids,
)
from cybersecqwen.embedded.facts import replaced
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.linking import named
from cybersecqwen.embedded.option_ranker import MOST, answer_multiple_choice
from cybersecqwen.embedded.question_answering import NOT_COVERED, not_covered, reply
from cybersecqwen.embedded.refusal import is_harmful
from cybersecqwen.embedded.tokenizer import plain
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line, readable
from cybersecqwen.records import Answer, Grounding

if TYPE_CHECKING:
    from cybersecqwen.formats.rows import Report

_log = logging.getLogger(__name__)

_OPENING = re.compile(r"^(?:and|also|what about)\b", re.IGNORECASE)
_BACK = re.compile(
    r"\b(?:its?|they|their|them|those"
    r"|(?:this|that|these) (?:cves?|weakness(?:es)?|vulnerabilit(?:y|ies)|flaws?|bugs?))\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|they|them|this|that)\b", re.IGNORECASE)
# "and Mimikatz?": the same is asked of another; "which of them are Russian?": of what was listed.
_ANOTHER = re.compile(
    r"(?:and(?: also)?|also|(?:and )?(?:what|how) about|same for|the same for)(?: for| of| with)?"
    r"\s+(?P<name>[^?!]+?)\s*[?!.]*$",
    re.IGNORECASE,
)
_OF_THOSE = re.compile(
    r"(?:and |so )?(?:(?:which|what|(?P<count>how many))(?: ones)? of (?:them|those|these)"
    r"(?: \w+s\b)?(?: (?:are|is|were|was)\b)? ?(?P<rest>[^?]*)"
    r"|(?P<total>how many)(?: (?:are|were) (?:there|they|those)| is that| in total)?)\W*$",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"\b(?:cves|vulnerabilities)\b", re.IGNORECASE)
_SHORT = 4  # words of a question that names nothing
_PAIR = 2
_SUBJECTS = 2  # CVEs that a question may point back to
LONGEST = 20_000  # characters of a question, and of an option, that count

_BOM = b"\xef\xbb\xbf"


class Question(NamedTuple):
    """A question as it was given; without options it is a free one."""

    id: str | int
    text: str
    options: tuple[str, ...] = ()


class Conversation:
    """Questions one after the other, of which each may point back to what the one before was about.

    >>> talk = Conversation()
    >>> talk.ask("What is T1110.003?").evidence[0].id
    'T1110.003'
    >>> talk.ask("and its mitigations?").answer.partition(" M1")[0]
    'T1110.003 Password Spraying is mitigated by'
    """

    def __init__(self, *, records: Sequence[Path] = (), about: Sequence[str] = ()) -> None:
        """Begin with no subject, or go on about ids; `records` are those of `ask`.

        Raises InputError for an id of which nothing is known.
        """
        _check_files(records)
        self._records = records
        self._asked = ""
        self._cves = (*filter(None, map(normalise_cve, about)),)
        self._about = (*(_position(one) for one in about if not normalise_cve(one)),)

    @property
    def about(self) -> tuple[str, ...]:
        """The ids that the last question was about, for a conversation that goes on elsewhere."""
        entries = knowledge().entries
        return (*self._cves, *(entries[position].entry_id for position in self._about))

    def ask(self, question: str) -> Answer:
        """Answer a free question as `ask` does."""
        self._asked = question = self._in_full(question)
        if self._cves and _points_back(question):
            question = f"{question} ({', '.join(self._cves)})"
        answer, about = _answered(question, self._records, self._about)
        if answer.covered:  # about CVEs or about entries, never both
            cves = [one.id for one in answer.evidence if one.kind == "vulnerability"]
            self._cves, self._about = (*cves[:_SUBJECTS],), about
        return answer

    def _in_full(self, question: str) -> str:
        """Complete a question that only says of what else, or of which, the one before is asked."""
        kinds = [knowledge().entries[position].kind for position in self._about]
        if not self._asked:
            return question
        # Of a pair "which of them" asks without more.
        if (match := _OF_THOSE.match(question)) and len(kinds) != _PAIR:
            count = "how many " if match["count"] or match["total"] else ""
            rest = f" and {match['rest']}" if match["rest"] else ""
            return f"{count}{self._asked.rstrip(' ?!.')}{rest}".rstrip() + "?"
        match = _ANOTHER.match(question)
        before = "vulnerability" if self._cves else _like(kinds[0]) if kinds else ""
        if not match or not before or _kind(match["name"]) != before:
            return question
        return _with_another(self._asked, match["name"]) or question


def _with_another(before: str, other: str) -> str:
    """Ask of another what a question asks of the one thing it names; "" where it names more.

    >>> _with_another("Which groups use Cobalt Strike?", "Mimikatz")
    'Which groups use Mimikatz?'
    """
    said = [*cve_ids(before), *(name.name for name in find_nicknames(before))]
    said = said or [one.said for one in named(knowledge(), before)]
    said = said or _PRONOUN.findall(before)[:1]
    if len(said) != 1:
        return ""
    found = re.search(rf"(?<!\w){re.escape(said[0])}(?!\w)", before, re.IGNORECASE)
    return before[: found.start()] + other + before[found.end() :] if found else ""


def _kind(text: str) -> str:
    """Return the kind of the one thing that a text names and is nothing but."""
    if cve_ids(text) or find_nicknames(text):
        return "vulnerability"
    names = named(knowledge(), text)
    if len(names) != 1 or len(names[0].said) < len(text.strip()) - 1:
        return ""
    return _like(knowledge().entries[names[0].positions[0]].kind)


def _like(kind: str) -> str:
    return "software" if kind in ("malware", "tool") else kind


def _position(entry_id: str) -> int:
    position = knowledge().position(entry_id)
    if position is None:
        raise InputError(f"{entry_id!r} is not in the knowledge base", tip="give an id of an entry")
    return position


def _points_back(question: str) -> bool:
    """Tell whether a question is about the CVEs before it: "its", "and", or a few words only."""
    if cve_ids(question):
        return False
    if _BACK.search(question):
        return True
    names = find_nicknames(question) or named(knowledge(), question)
    short = len(question.split()) <= _SHORT and not _PLURAL.search(question)
    return not names and (short or bool(_OPENING.search(question)))


def ask(
    question: str,
    options: Sequence[str] = (),
    *,
    guess: bool = False,
    records: Sequence[Path] = (),
) -> Answer:
    """Answer a free question, or with `options` (2 to 26) choose one of them by its letter.

    A question about CVEs is answered from `records` (files of records, KEV or EPSS), by default
    from what `fetch` left in its cache.

    Where nothing known supports an answer it is "not covered", and so it is, with a warning, where
    the question names an id that is none or that nothing is known of; with `guess` a choice is
    made all the same, and `covered` says that it is one. Raises InputError for an empty question,
    for too few or too many options and for a file of `records` that is missing.
    """
    _check_files(records)
    if not options:
        return _answered(question, records)[0]
    index, text, unread = _read(question)
    answer = answer_multiple_choice(index, text, [o[:LONGEST] for o in options])
    if answer.covered and not unread:
        return answer
    if guess:
        return replace(answer, covered=False, evidence=())
    return replace(
        answer, answer=NOT_COVERED, covered=False, confidence=0.0, choice=None, evidence=()
    )


def _check_files(paths: Iterable[Path]) -> None:
    """Refuse a file that is missing, which a question for something else would never notice."""
    for path in paths:
        if not path.exists():
            raise InputError("no such file or folder", where=path, tip="check the path")


def _answered(
    question: str, records: Sequence[Path], before: Sequence[int] = ()
) -> tuple[Answer, tuple[int, ...]]:
    """Answer a free question, and say which entries the answer is about."""
    index, text, unread = _read(question)
    if unread:
        return not_covered(unread), ()
    of_cves = None if is_harmful(text) else answer_from_records(text, records)
    if of_cves is not None and (of_cves.covered or of_cves.listing or cve_ids(text)):
        return of_cves, ()
    cves = [cve for name in find_nicknames(text) for cve in name.cves]
    told = f"{text} ({', '.join(cves)})" if cves and of_cves is None else text
    answered = reply(index, told, before=before)
    if of_cves is not None and not answered.answer.covered:
        return of_cves, ()
    return answered.answer, answered.about


def _read(question: str) -> tuple[KnowledgeIndex, str, str]:
    """Return the index, the text that counts, and which ids in it are not understood."""
    if not question.strip():
        raise InputError("the question is empty", tip="ask something")
    if len(question) > LONGEST:
        _log.warning("the first %d of %d characters count", LONGEST, len(question))
    index, text = knowledge(), normalise_ids(plain(question[:LONGEST]))
    return index, text, _unread(index, text)


def _unread(index: KnowledgeIndex, text: str) -> str:
    """Say, and warn, which ids are none and of which nothing is known; "" without any."""
    unread = unread_ids(text)
    retired = replaced()  # what stands in the place of these answers
    ids = [entry_id for entry_id in entry_ids(text) if entry_id not in retired]
    unknown = [entry_id for entry_id in ids if index.position(entry_id) is None]
    reasons = [
        f"{what}: {', '.join(ids)}"
        for what, ids in (
            ("not understood as an id", unread),
            ("not in the knowledge base", unknown),
        )
        if ids
    ]
    for reason in reasons:
        _log.warning("%s", reason)
    return "; ".join(reasons)


def as_answer(question: Question, answer: Answer, *, top: int = 3) -> Json:
    """Return an answer as JSON-able values.

    `passage` is null where no text is installed, `other` (a second entry that a passage is
    about, such as the mitigation of a technique) where there is none. Of a table of records all
    rows are evidence, whatever `top` says. `grounding` is there where a language model was asked.
    """
    row: Json = {
        "id": question.id,
        "answer": answer.answer,
        "confidence": round(answer.confidence, 4),
        "covered": answer.covered,
        "evidence": [
            {
                "id": e.id,
                "name": e.name,
                "kind": e.kind,
                "section": e.section,
                "url": e.url,
                "score": e.score,
                "passage": e.passage or None,
                "other": {"id": e.other, "name": e.other_name, "url": e.other_url}
                if e.other
                else None,
            }
            for e in answer.evidence[: None if answer.listing else top]
        ],
    }
    return row | ({"grounding": _grounding(answer.grounding)} if answer.grounding else {})


def _grounding(grounding: Grounding) -> Json:
    return {
        "model": grounding.model,
        "answer_of": "model" if grounding.leads else "both" if grounding.kept else "embedded",
        "sentences": grounding.written,
        "kept": grounding.kept,
        "refused": [{"sentence": r.text, "reason": r.reason} for r in grounding.refused],
        "passages": [passage._asdict() for passage in grounding.passages],
        "failure": grounding.failure or None,
    }


def read_items(path: Path, report: Report) -> Iterator[Question]:
    """Yield the questions of a TSV or CSV with CTI-Bench's columns, or of a JSONL file.

    The columns `Question`, `Option A`, `Option B` and so on are needed, all others are ignored. The
    id is the 0-based position. A row that is wrong goes to `report`. Raises InputError, at once,
    for a missing file and for another header.
    """
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        with readable(path), path.open("rb") as lines:
            yield from read_lines(lines, str(path), report)
        return
    rows = _rows(path)
    _, header = next(rows, (0, []))
    question, options = _columns(header, path)
    position = -1
    for position, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            what = f"{len(cells)} cells where the header has {len(header)}"
            report(InputError(what, where=f"{path}:{line}", tip="fix the row"))
        elif not cells[question].strip():
            report(InputError("the question is empty", where=f"{path}:{line}", tip="fix the row"))
        else:
            yield Question(position, cells[question], tuple(cells[i] for i in options))
    if position < 0:
        raise _nothing(path)


def _nothing(where: object) -> InputError:
    return InputError("holds no question", where=where, tip="ask something")


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    from cybersecqwen.formats.tsv import read_table

    if path.suffix.lower() != ".csv":
        yield from read_table(path)
        return
    with readable(path), path.open(encoding="utf-8-sig", newline="") as file:
        # Strict, for a quotation mark that is never closed would swallow rows without a word.
        reader = csv.reader(file, strict=True)
        try:
            yield from ((reader.line_num, cells) for cells in reader)
        except csv.Error as error:
            where = f"{path}:{reader.line_num}"
            raise InputError(
                f"not valid CSV: {error}", where=where, tip="fix the quotes"
            ) from error


def _columns(header: Sequence[str], path: Path) -> tuple[int, list[int]]:
    names = [name.strip().lower() for name in header]
    wanted = [f"option {letter}" for letter in string.ascii_lowercase]
    options = [names.index(name) for name in wanted if name in names]
    # A letter left out would give those after it the wrong ones.
    whole = all(name in names for name in wanted[: len(options)])
    if "question" not in names or len(options) < 2 or not whole:
        raise InputError(
            f"the header is {', '.join(map(repr, header))[:200] or 'empty'}",
            where=f"{path}:1",
            tip="expected are the columns Question, Option A, Option B, …",
        )
    return names.index("question"), options


def read_lines(lines: Iterable[bytes], name: str, report: Report) -> Iterator[Question]:
    """Yield a question for each line: JSON with question, options and id, or the bare text.

    A line that is wrong goes to `report`. Raises InputError, at the end, where there was none.
    """
    empty = True
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        try:
            bare = line.removeprefix(_BOM).strip()
            empty = empty and not bare
            if bare.startswith(b"{"):
                yield _of_row(parse_line(bare, where=where), number - 1, where)
            elif bare:
                yield Question(number - 1, bare.decode())
        except UnicodeDecodeError as error:
            report(InputError(f"is not UTF-8: {error.reason}", where=where))
        except InputError as error:
            report(error)
    if empty:
        raise _nothing(name)


def _of_row(row: Json, position: int, where: str) -> Question:
    text, options = row.get("question"), row.get("options") or ()
    if not isinstance(text, str) or not text.strip():
        raise InputError("no question", where=where, tip="a row has a question, a string")
    if not isinstance(options, (list, tuple)) or not all(isinstance(o, str) for o in options):
        raise InputError("the options are no list of strings", where=where, tip="fix the row")
    if options and not 2 <= len(options) <= MOST:
        raise InputError(f"{len(options)} options", where=where, tip=f"give 2 to {MOST}")
    identity: Any = row.get("id", position)
    return Question(identity if isinstance(identity, (str, int)) else position, text, (*options,))
