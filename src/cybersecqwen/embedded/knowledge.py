"""The knowledge index: which passage of ATT&CK, CWE and CAPEC holds which words.

It holds counts of hashed words, names, ids and facts, and no sentence of upstream, so it
can ship. One that was installed from upstream's own files holds their texts as well.

>>> index = KnowledgeIndex.load()
>>> index.entry("T1059.001").name
'PowerShell'
>>> index.search("deserialization of untrusted data", limit=1)[0].id
'CWE-502'

`open_knowledge` opens the one that `cybersecqwen knowledge install` made, else the one that ships.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.artifacts import FOLDER, verified
from cybersecqwen.cwe.identifiers import entry_ids
from cybersecqwen.embedded.mentions import Mention, Names
from cybersecqwen.embedded.postings import Numbers, Posting, Postings
from cybersecqwen.embedded.terms import terms
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_json
from cybersecqwen.records import Entry, Evidence, is_placeholder

FORMAT = 2
SHIPPED = FOLDER / "knowledge.npz"
GLOSS = "definition"  # the section of our own words on an entry; its passages are the last
CURRENT = "current.json"  # names the installed index in its folder
_NO_GLOSS = ("", "", "")
_DAMAGE = (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class KnowledgeIndex:
    """Passages, entries and facts, ready to be asked; made by `load`."""

    def __init__(self, arrays: Any, *, where: object = None) -> None:
        """Take the arrays of an index file; raises InputError when they are no such file."""
        self._where = where
        self._arrays = arrays
        meta = json.loads(arrays["meta"].tobytes())
        if meta["format"] != FORMAT:
            raise InputError(
                f"the index has format {meta['format']}, not {FORMAT}", where=where, tip=_TIP
            )
        self.sources: tuple[Json, ...] = tuple(meta["sources"])
        self.sections: tuple[str, ...] = tuple(meta["sections"])
        self.relations: tuple[str, ...] = tuple(meta["relations"])
        self.facts_words: tuple[str, ...] = tuple(meta["words"])
        self.passage_entry: NDArray[np.uint16] = arrays["passage_entry"]
        self.passage_other: NDArray[np.uint16] = arrays["passage_other"]
        self.passage_section: NDArray[np.uint8] = arrays["passage_section"]
        # Rows: subject, relation, target; sorted.
        self.facts: NDArray[np.uint16] = np.ascontiguousarray(arrays["facts"].T)
        # What is rare, and how long a passage is, is judged by upstream's passages alone.
        self._postings = Postings(arrays, self._size_of_sources)
        self._names = Names(arrays["names"], arrays["name_entries"], self.rarity)

    @classmethod
    def load(cls, path: Path | None = None) -> KnowledgeIndex:
        """Load the shipped index, or the one at `path`, checked against its certificate.

        Raises InputError when the file is missing, damaged or of another format.
        """
        path = path or SHIPPED
        return cls.from_bytes(verified(path.parent, path.name), where=path)

    @classmethod
    def from_bytes(cls, data: bytes, *, where: object = None) -> KnowledgeIndex:
        """Open the bytes of an index file; raises InputError when they are none."""
        try:
            index = cls(np.load(io.BytesIO(data), allow_pickle=False), where=where)
            len(index.entries)  # decoded here, where damage is told
        except _DAMAGE as error:
            raise InputError(f"no knowledge index: {error}", where=where, tip=_TIP) from error
        return index

    def __len__(self) -> int:
        return len(self.passage_entry)

    @cached_property
    def _size_of_sources(self) -> int:
        own = self.sections.index(GLOSS) if GLOSS in self.sections else len(self.sections)
        return int((self.passage_section != own).sum()) or len(self)

    def of_sources(self) -> KnowledgeIndex:
        """Return the index without the passages of our own glossary, which stand last."""
        index = copy(self)
        size = self._size_of_sources
        index.passage_entry = self.passage_entry[:size]
        index.passage_other = self.passage_other[:size]
        index.passage_section = self.passage_section[:size]
        return index

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry, in the order that positions refer to."""
        rows = json.loads(self._arrays["entries"].tobytes())
        return tuple(
            Entry(entry_id, name, kind, url, tuple(aliases))
            for entry_id, name, kind, url, aliases in rows
        )

    @cached_property
    def _by_id(self) -> dict[str, int]:
        aliases = {
            a.upper(): i
            for i, e in enumerate(self.entries)
            for a in e.aliases
            if entry_ids(a) == [a.upper()]
        }
        return aliases | {e.entry_id: i for i, e in enumerate(self.entries)}

    def entry(self, entry_id: str) -> Entry | None:
        """Return the entry with this id, or the one that replaced it, or None."""
        position = self.position(entry_id)
        return None if position is None else self.entries[position]

    def position(self, entry_id: str) -> int | None:
        """Return the position of an entry by its id in any case."""
        return self._by_id.get(entry_id.upper())

    def ids_in(self, text: str) -> list[int]:
        """List the positions of the entries whose id stands in the text."""
        positions = map(self.position, entry_ids(text))
        return list(dict.fromkeys(position for position in positions if position is not None))

    def names_in(self, text: str, *, strict: bool = False) -> list[int]:
        """List the positions of the entries whose name or alias stands in the text."""
        mentions = self.mentions(text, strict=strict)
        return list(
            dict.fromkeys(position for mention in mentions for position in mention.positions)
        )

    def mentions(self, text: str, *, strict: bool = False) -> list[Mention]:
        """List the names in a text, each with the positions of all entries that have it.

        Of names that overlap the longest counts. With `strict` a name of one word has to be
        a rare word or to be written with a capital inside a sentence: some tools are
        called "at" and "net".
        """
        return self._names.mentions(text, strict=strict)

    def related(
        self, position: int, relation: str | None = None, *, inverse: bool = False
    ) -> list[int]:
        """List the targets of an entry's facts, or with `inverse` the subjects of those about it.

        A target from `len(entries)` on is a word; see `label`. Upstream's placeholders are none.
        """
        if relation is not None and relation not in self.relations:
            return []
        rows = self._rows(position, inverse=inverse)
        if relation is not None:
            rows = rows[rows[:, 1] == self.relations.index(relation)]
        others = rows[:, 0 if inverse else 2].tolist()
        if inverse:
            return others if position not in self._placeholders else []
        return [other for other in others if other not in self._placeholders]

    def follow(self, position: int, *path: str) -> list[int]:
        """List what several relations in a row lead to, each once; `^` turns one round.

        The event ids of the analytics of what detects a technique:
        `index.follow(technique, "^detects", "analytic", "event id")`.
        """
        reached = [position]
        for step in path:
            relation, inverse = step.removeprefix("^"), step.startswith("^")
            nexts = (self.related(one, relation, inverse=inverse) for one in reached)
            reached = list(dict.fromkeys(chain.from_iterable(nexts)))
        return reached

    def word(self, text: str) -> int | None:
        """Return the number of a word that facts have as a target, in any case, or None."""
        return self._words.get(text.lower())

    @cached_property
    def _words(self) -> dict[str, int]:
        size = len(self.entries)
        return {word.lower(): size + i for i, word in enumerate(self.facts_words)}

    def procedures(self, position: int) -> list[tuple[int, int, int]]:
        """List by which software who carried out what, where an entry is any of the three.

        The positions of a group or campaign, of a technique, and of the software.
        """
        rows = self._procedures[(self._procedures == position).any(axis=1)]
        return [(actor, technique, software) for actor, technique, software in rows.tolist()]

    @cached_property
    def _procedures(self) -> NDArray[np.uint16]:
        empty = np.zeros((0, 3), dtype=np.uint16)
        return self._arrays["procedures"].T if "procedures" in self._arrays else empty

    def _rows(self, position: int, *, inverse: bool) -> NDArray[np.uint16]:
        """Return the facts of an entry, or with `inverse` those about it."""
        if inverse:
            order, targets = self._by_target
            return self.facts[order[slice(*np.searchsorted(targets, [position, position + 1]))]]
        return self.facts[slice(*np.searchsorted(self.facts[:, 0], [position, position + 1]))]

    @cached_property
    def _by_target(self) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        order = np.argsort(self.facts[:, 2], kind="stable")
        return order, self.facts[order, 2]

    def is_unstated(self, position: int, relations: Collection[str]) -> bool:
        """Tell whether upstream has a placeholder for one of an entry's relations."""
        return any(
            target in self._placeholders and self.relations[relation] in relations
            for _, relation, target in self._rows(position, inverse=False).tolist()
        )

    @cached_property
    def _placeholders(self) -> frozenset[int]:
        """Collect the targets that are words with which upstream says nothing, such as "None"."""
        size = len(self.entries)
        return frozenset(
            size + i for i, word in enumerate(self.facts_words) if is_placeholder(word)
        )

    def label(self, target: int) -> str:
        """Name the target of a fact: "T1059 Command and Scripting Interpreter", or the word."""
        if target < len(self.entries):
            entry = self.entries[target]  # some campaigns are called by their id
            return entry.entry_id + (f" {entry.name}" if entry.name != entry.entry_id else "")
        return self.facts_words[target - len(self.entries)]

    def definition(self, position: int) -> str:
        """Return our own sentence on what an entry is, or "" where the glossary has none."""
        return self._glossary.get(position, _NO_GLOSS)[0]

    def fix(self, position: int) -> str:
        """Return our own words on what prevents a weakness, or "" where the glossary has none."""
        return self._glossary.get(position, _NO_GLOSS)[1]

    def differs(self, position: int) -> str:
        """Return our own words on how an entry differs from its neighbours, or ""."""
        return self._glossary.get(position, _NO_GLOSS)[2]

    @cached_property
    def _glossary(self) -> dict[int, tuple[str, str, str]]:
        if "glossary" not in self._arrays:
            return {}
        rows = json.loads(self._arrays["glossary"].tobytes())
        return {position: (text, fix, differs) for position, text, fix, differs in rows}

    def postings(self, text_terms: Sequence[str]) -> list[Posting | None]:
        """Return for each term the passages that hold it and its BM25 weight in them, or None."""
        return self._postings.of(text_terms, before=len(self))

    def rarity(self, text_terms: Sequence[str]) -> float:
        """Sum the inverse document frequencies of terms; an unknown one is as rare as can be."""
        return float(sum(self.rarities(text_terms)))

    def rarities(self, text_terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term."""
        return self._postings.rarities(text_terms)

    def scores(self, text_terms: Iterable[str]) -> Numbers:
        """Score every passage by BM25 for the terms, each counted once; shape (passages,)."""
        total = np.zeros(len(self), dtype=np.float32)
        for posting in self.postings(list(dict.fromkeys(text_terms))):
            if posting is not None:
                total[posting[0]] += posting[1]
        return total

    def search(self, text: str, *, limit: int = 5) -> list[Evidence]:
        """Return the passages that score best for a text, best first; none that shares no word."""
        return self.best(self.scores(terms(text)), limit)

    def best(self, scores: Numbers, limit: int, *, most: float | None = None) -> list[Evidence]:
        """Return the passages with the highest positive scores, best first.

        With `most`, the rarity of all that was asked, a score is a share of it, 0 to 1.
        """
        limit = min(limit, len(scores))
        if limit < 1:
            return []
        top = np.argpartition(-scores, limit - 1)[:limit]
        # Equal scores keep the order of the file, so that an answer is the same every time.
        order = sorted((int(i) for i in top if scores[i] > 0), key=lambda i: (-scores[i], i))
        scored = [(i, float(scores[i])) for i in order]
        if most is not None:
            scored = [(i, min(score / most, 1.0)) for i, score in scored]
        return [self.evidence(i, score) for i, score in scored]

    def evidence(self, passage: int, score: float) -> Evidence:
        """Describe one passage; `score` is the caller's."""
        entry = self.entries[self.passage_entry[passage]]
        other = int(self.passage_other[passage])
        second = self.entries[other - 1] if other else Entry("", "", "", "")
        return Evidence(
            entry.entry_id,
            entry.name,
            entry.kind,
            self.sections[self.passage_section[passage]],
            entry.url,
            round(score, 4),
            self._texts[passage] if self._texts else "",
            second.entry_id,
            second.name,
            second.url,
        )

    def about(self, positions: Sequence[int]) -> NDArray[np.bool_]:
        """Mark the passages about any of the entries; shape (passages,)."""
        marked = np.zeros(len(self.entries) + 1, dtype=np.bool_)
        marked[[position + 1 for position in positions]] = True
        return np.asarray(marked[self.passage_entry + 1] | marked[self.passage_other])

    def passages(self, position: int, section: str) -> list[int]:
        """List the passages of a section of an entry, in the order of its page."""
        if section not in self.sections:
            return []
        of_section = self.passage_section == self.sections.index(section)
        return [int(i) for i in np.flatnonzero((self.passage_entry == position) & of_section)]

    def best_entry(self, scores: Numbers) -> int:
        """Return the position of the entry with the best passage."""
        return int(self.passage_entry[int(scores.argmax())])

    @property
    def has_texts(self) -> bool:
        """Whether the passages' texts are installed."""
        return "texts" in self._arrays

    @cached_property
    def _texts(self) -> list[str]:
        try:
            return list(json.loads(self._arrays["texts"].tobytes())) if self.has_texts else []
        except _DAMAGE as error:
            raise InputError(f"damaged texts: {error}", where=self._where, tip=_TIP) from error


def knowledge_folder() -> Path:
    """Return the folder of the installed index: $CYBERSECQWEN_KNOWLEDGE, or the platform's own."""
    import platformdirs

    chosen = os.environ.get("CYBERSECQWEN_KNOWLEDGE")
    return Path(chosen) if chosen else platformdirs.user_data_path("cybersecqwen") / "knowledge"


def installed_index(folder: Path | None = None) -> Path | None:
    """Return the path of the index that was installed with its texts, or None.

    Raises InputError when the file that names it is damaged.
    """
    current = (folder or knowledge_folder()) / CURRENT
    if not current.is_file():
        return None
    try:
        row = read_json(current)
    except InputError as error:
        raise InputError(error.what, where=error.where, tip=_INSTALL) from error
    name = row.get("index") if isinstance(row, dict) else None
    if not isinstance(name, str) or Path(name).name != name:
        raise InputError("names no index", where=current, tip=_INSTALL)
    return current.parent / name


def open_knowledge(folder: Path | None = None) -> KnowledgeIndex:
    """Load the installed index, or where there is none the one that ships.

    Raises InputError when it is missing or damaged, or of another version's format.
    """
    path = installed_index(folder)
    if path is None:
        return KnowledgeIndex.load()
    try:
        return KnowledgeIndex.load(path)
    except InputError as error:  # what was installed is not mended by installing the package
        raise InputError(error.what, where=error.where, tip=_INSTALL) from error


_INSTALL = "make it again with: cybersecqwen knowledge install"
_TIP = "reinstall the package, or run: cybersecqwen knowledge install"
