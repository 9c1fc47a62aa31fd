"""Search the records of a Parquet table as those of a store, without an index of their words.

    for record in select(Path("cve.parquet"), Search(phrases=(("openssl",),), since="2022-01-01")):
        print(record.cve_id)

The conditions are tried on whole columns, and only the rows that meet them become records. Words
are told as SQLite's FTS5 tells them: letters and digits, without case and diacritics.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen.formats.rows import Report, refuse
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import record_table
from cybersecqwen.sources.recordstore.search import Search, narrowing, rarity
from cybersecqwen.sources.severity import has_score

if TYPE_CHECKING:
    import pyarrow

Mask = Any  # pyarrow's booleans, one a row

_BETWEEN = r"[^\pL\pN]"  # words
_SAMPLE = 5000  # descriptions whose mean length stands for that of all
_K1, _B = 1.2, 0.75  # BM25's, as in SQLite


def select(path: Path, search: Search, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records that are searched for, the newest first; a wrong row goes to `report`.

    Raises InputError for a table that cannot be read.
    """
    from pyarrow import compute

    chosen = _conditions(path, search)
    table, _ = record_table.load(path)
    if chosen:
        rows = compute.indices_nonzero(reduce(compute.and_, chosen)).to_pylist()
    else:
        rows = list(range(len(table)))
    records = record_table.take(path, rows, report)
    if search.score:
        records = (one for one in records if has_score(one, *search.score))
    yield from sorted(records, key=lambda one: (one.published, one.cve_id), reverse=True)


def best(
    path: Path, words: Sequence[str], *, limit: int, report: Report = refuse
) -> tuple[list[Vulnerability], float]:
    """Return the records whose descriptions hold most of the words, the best by BM25 first.

    The rule, and the share beside the records, are those of a store's `best`.
    """
    from pyarrow import compute

    masks = {word: _holds(path, [word]) for word in words}
    counts = {word: compute.sum(mask).as_py() or 0 for word, mask in masks.items()}
    valid = _valid(path)
    for kept, share in narrowing({word: rarity(count) for word, count in counts.items()}):
        holding = reduce(compute.and_, [*valid, *(masks[word] for word in kept)])
        rows = compute.indices_nonzero(holding).to_pylist()
        if rows:
            scores = _bm25(path, rows, {word: counts[word] for word in kept})
            order = sorted(range(len(rows)), key=lambda place: -scores[place])[:limit]
            return list(record_table.take(path, [rows[place] for place in order], report)), share
    return [], 0.0


def _conditions(path: Path, search: Search) -> list[Mask]:
    from pyarrow import array, compute

    table, ids = record_table.load(path)
    conditions = [] if search.rejected else _valid(path)
    if search.since or search.until:
        published = compute.utf8_slice_codeunits(_text(table["published"]), 0, 10)
        conditions.append(compute.greater_equal(published, search.since))
        conditions.append(compute.less_equal(published, search.until or "9999"))
    if search.ids is not None:
        conditions.append(compute.is_in(ids, value_set=array(list(search.ids), ids.type)))
    if search.phrases:
        named = reduce(compute.and_, [_holds(path, words) for words in search.phrases])
        if search.assigner:
            assigner = _text(table["assigner"])
            own = compute.match_substring(assigner, search.assigner, ignore_case=True)
            named = compute.or_(named, compute.and_(own, _holds(path, search.rest)))
        conditions.append(named)
    if search.cwes:
        labelled = _labelled(table, search.cwes)
        if search.described:
            labelled = compute.or_(labelled, _holds(path, search.described.split()))
        conditions.append(labelled)
    if search.score:
        conditions.append(_rated(table, *search.score))
    return conditions


def _valid(path: Path) -> list[Mask]:
    """Return the condition that a record is not rejected, of a table that says so."""
    from pyarrow import bool_, compute

    table, _ = record_table.load(path)
    if "rejected" not in table.column_names:
        return []
    rejected = table["rejected"].cast(bool_())
    return [compute.invert(compute.fill_null(rejected, False))]


def _labelled(table: pyarrow.Table, cwes: Sequence[str]) -> Mask:
    """Tell the rows that have one of the labels, from any source."""
    from pyarrow import array, compute, int64, large_list, large_string

    rows: set[int] = set()
    for name in record_table.LABELS:
        labels = table[name].cast(large_list(large_string())).combine_chunks()
        same = compute.is_in(compute.list_flatten(labels), array(cwes, large_string()))
        rows.update(compute.list_parent_indices(labels).filter(same).to_pylist())
    return compute.is_in(array(range(len(table)), int64()), array(sorted(rows), int64()))


def _rated(table: pyarrow.Table, least: float, most: float) -> Mask:
    """Tell the rows whose vector has a score in a range, and those whose scores stand beside it."""
    from pyarrow import array, compute, large_string

    vectors = _text(table["cvss3_vector"])
    records = (Vulnerability("", "", "", cvss3_vector=v) for v in vectors.unique().to_pylist())
    fitting = [one.cvss3_vector for one in records if has_score(one, least, most)]
    rated = compute.is_in(vectors, array(fitting, large_string()))
    if "cvss" in table.column_names:
        rated = compute.or_(rated, compute.is_valid(table["cvss"]))
    return rated


def _holds(path: Path, words: Iterable[str]) -> Mask:
    """Tell the descriptions in which words follow each other."""
    from pyarrow import compute

    text = _descriptions(path)
    parts = re.findall(r"[^\W_]+", _bare(" ".join(words)))
    if not parts:
        return compute.is_null(text)  # nowhere
    phrase = rf"{_BETWEEN}+".join(map(re.escape, parts))
    pattern = rf"(?:^|{_BETWEEN}){phrase}(?:$|{_BETWEEN})"
    longest = max(parts, key=len)  # found faster than a pattern
    there = compute.match_substring(text, longest, ignore_case=True)
    exact = compute.match_substring_regex(text.filter(there), pattern, ignore_case=True)
    return compute.replace_with_mask(there, there, exact)


def _descriptions(path: Path) -> pyarrow.Array:
    return _read_descriptions(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=record_table.KEPT)
def _read_descriptions(path: Path, _modified: int) -> pyarrow.Array:
    """Return the descriptions of a table without diacritics, which few of them have."""
    from pyarrow import compute

    table, _ = record_table.load(path)
    text = _text(table["description"]).combine_chunks()
    foreign = compute.invert(compute.string_is_ascii(text))
    bare = compute.utf8_normalize(text.filter(foreign), "NFD")
    bare = compute.replace_substring_regex(bare, r"\pM", "")
    return compute.replace_with_mask(text, foreign, bare)


def _text(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Return a column as text, "" for a null."""
    from pyarrow import compute, large_string

    return compute.fill_null(column.cast(large_string()), "")


def _bare(text: str) -> str:
    """Return a text in lower case and without diacritics."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _bm25(path: Path, rows: Sequence[int], counts: dict[str, int]) -> list[float]:
    """Score rows by words, of which `counts` are the rows that hold them."""
    texts = _descriptions(path)
    step = math.ceil(len(texts) / _SAMPLE)
    sample = _words(texts.take(list(range(0, len(texts), step))))
    mean = sum(map(len, sample)) / len(sample)
    rare = {
        _bare(word): max(math.log((len(texts) - count + 0.5) / (count + 0.5)), 1e-6)
        for word, count in counts.items()
    }
    scores = []
    for words in _words(texts.take(rows)):
        length = _K1 * (1 - _B + _B * len(words) / mean)
        often = {word: words.count(word) for word in rare}
        scores.append(sum(rare[w] * n * (_K1 + 1) / (n + length) for w, n in often.items()))
    return scores


def _words(texts: pyarrow.Array) -> list[list[str]]:
    return [re.findall(r"[^\W_]+", text.lower()) for text in texts.to_pylist()]
