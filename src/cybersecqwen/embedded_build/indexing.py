"""Build the knowledge index from upstream's files: to ship, or to install with the texts.

    certificate = build(KnowledgeFiles(attack=(...,), capec=...), benchmark=Path("cti-bench"))
    path = install(KnowledgeFiles(attack=(...,), capec=..., cwe=...))

The same files give the same bytes. What ships is decontaminated: a passage that overlaps
with a benchmark item is left out, and counted by rule and task in the certificate.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.artifacts import save
from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.embedded.knowledge import (
    CURRENT,
    FORMAT,
    GLOSS,
    SHIPPED,
    KnowledgeIndex,
    knowledge_folder,
)
from cybersecqwen.embedded.lexicon import LEXICON
from cybersecqwen.embedded.mentions import LONGEST_NAME
from cybersecqwen.embedded.terms import hashed, terms, words
from cybersecqwen.embedded_build.glossary import (
    Gloss,
    gloss_facts,
    gloss_passages,
    read_glossary,
)
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, exclusive, sha256_file, write_json
from cybersecqwen.records import Entry, Fact, Knowledge, Passage

if TYPE_CHECKING:
    from cybersecqwen.contamination import BenchmarkIndex, Decontaminated

_LONGEST_LIST = 60  # targets; a longer list of facts tells nothing about any of them
# Relations whose words a question may share. Others, such as an event's number, are looked up; as
# passages of a few numbers each they would only change what is rare.
_TOLD = {
    *("abstraction", "architecture", "attributed to", "can precede", "data for", "detects"),
    *("domain", "exploits", "impact", "language", "likelihood", "mitigates", "part of", "peer"),
    *("phase", "platform", "requires", "same as", "scope", "sector", "severity", "skill"),
    *("starts with", "tactic", "targets", "technology", "uses"),
}

_SECTION_WORDS: dict[str, str] = LEXICON["section_words"]
_RELATION_WORDS: dict[str, str] = LEXICON["relation_words"]


@dataclass(frozen=True, slots=True)
class KnowledgeFiles:
    """The files to build from, each as upstream serves it; any of them may be missing."""

    attack: tuple[Path, ...] = ()
    capec: Path | None = None
    cwe: Path | None = None


def read_sources(sources: KnowledgeFiles) -> list[tuple[Knowledge, str]]:
    """Read every file, in the order of the fields, with its sha256.

    Raises InputError when there is none, or one of them is not what it is given as.
    """
    from cybersecqwen.sources.attack import read_attack
    from cybersecqwen.sources.capec import read_capec
    from cybersecqwen.sources.cwe import read_weaknesses

    given = [(read_attack, path) for path in sources.attack]
    given += [(read_capec, sources.capec)] if sources.capec else []
    given += [(read_weaknesses, sources.cwe)] if sources.cwe else []
    if not given:
        raise InputError("no file is given", tip="give at least one of --attack, --capec, --cwe")
    return [(read(path), sha256_file(path)) for read, path in given]


def build(sources: KnowledgeFiles, *, benchmark: Path, target: Path = SHIPPED) -> Json:
    """Build what ships, without texts, and write it with its certificate, which it returns.

    `benchmark` is the folder of the task files that no passage may overlap with.
    """
    from cybersecqwen.benchmark.tasks import read_benchmark
    from cybersecqwen.config import Contamination
    from cybersecqwen.contamination import BenchmarkIndex, describe_rules

    settings = Contamination()
    items = read_benchmark(benchmark)
    read = read_sources(sources)
    index = BenchmarkIndex(items, settings)
    knowledge, glossary = [part for part, _ in read], read_glossary()
    glosses = list(gloss_passages(glossary, _entries(knowledge)))
    clean = clean_passages([*_passages(knowledge), *glosses], index)
    facts = clean_facts(_facts(knowledge, glossary), index)
    held = {passage.entry_id for passage in clean.kept if passage.section == GLOSS}
    data = pack(
        knowledge,
        clean.kept,
        _described(read),
        facts=facts.kept,
        glossary={entry_id: glossary[entry_id] for entry_id in sorted(held)},
    )
    KnowledgeIndex.from_bytes(data, where=target)
    return save(
        target.parent,
        target.name,
        data,
        {
            "sources": _described(read),
            "rules": describe_rules(settings),
            "benchmark_items": {task: len(rows) for task, rows in items.items()},
            "passages": len(clean.kept),
            "dropped": len(clean.dropped),
            "hits": clean.hit_counts(),
            "glossary": {"kept": len(held), "dropped": len(glosses) - len(held)},
            "facts": {
                "kept": len(facts.kept),
                "dropped": len(facts.dropped),
                "hits": facts.hit_counts(),
            },
        },
    )


def install(sources: KnowledgeFiles, *, folder: Path | None = None) -> Path:
    """Build an index with the texts from the user's own files; returns where it lies.

    `folder` is by default the one where `installed_index` looks. An older index is replaced
    when the new one is complete and loads; a run that fails leaves it as it was.
    """
    folder = folder or knowledge_folder()
    read, glossary = read_sources(sources), read_glossary()
    knowledge = [part for part, _ in read]
    passages = [*_passages(knowledge), *gloss_passages(glossary, _entries(knowledge))]
    facts = _facts(knowledge, glossary)
    data = pack(knowledge, passages, _described(read), facts=facts, glossary=glossary, texts=True)
    target = folder / f"knowledge-{hashlib.sha256(data).hexdigest()[:12]}.npz"
    about = {"command": "cybersecqwen knowledge install", "sources": _described(read)}
    KnowledgeIndex.from_bytes(data, where=target)  # what does not load replaces nothing
    with exclusive(folder):
        save(folder, target.name, data, {**about, "passages": len(passages)})
        write_json(folder / CURRENT, {"index": target.name})
        for path in folder.glob("knowledge-*"):
            if not path.name.startswith(target.name):
                path.unlink()
    return target


def clean_passages(
    passages: Sequence[Passage], benchmark: BenchmarkIndex
) -> Decontaminated[Passage]:
    """Leave out every passage that overlaps with a benchmark item."""
    from cybersecqwen.contamination import Row, decontaminate

    return decontaminate(passages, lambda p: Row(p.text, (p.entry_id,)), benchmark)


def clean_facts(facts: Iterable[Fact], benchmark: BenchmarkIndex) -> Decontaminated[Fact]:
    """Leave out every fact that names the CVE of a benchmark item."""
    from cybersecqwen.contamination import Row, decontaminate

    return decontaminate(facts, lambda f: Row("", tuple(cve_ids(f.target))), benchmark)


def pack(
    knowledge: Sequence[Knowledge],
    passages: Sequence[Passage],
    sources: Sequence[Json],
    *,
    facts: Sequence[Fact] | None = None,
    glossary: Mapping[str, Gloss] | None = None,
    texts: bool = False,
) -> bytes:
    """Make the bytes of an index file: the same passages give the same bytes.

    `facts` are by default those of the knowledge. Raises InputError when there is no passage.
    """
    entries = _entries(knowledge)
    place = {entry.entry_id: i for i, entry in enumerate(entries)}
    if facts is None:
        facts = [fact for part in knowledge for fact in part.facts]
    facts = [fact for fact in facts if fact.subject in place]
    ordered = _ordered([*passages, *_fact_passages(entries, facts)], place)
    if not ordered:
        raise InputError("the sources hold no passage", tip="give the files as upstream serves")
    sections = sorted({passage.section for passage in ordered})
    relations, fact_words, fact_rows = _fact_table(facts, place)
    meta = {
        "format": FORMAT,
        "sources": list(sources),
        "sections": sections,
        "relations": relations,
        "words": fact_words,
    }
    arrays: dict[str, Any] = {
        "meta": _json_bytes(meta),
        "entries": _json_bytes(
            [[e.entry_id, e.name, e.kind, e.url, list(e.aliases)] for e in entries]
        ),
        "facts": _columns(fact_rows),
        "procedures": _columns(_procedure_rows(knowledge, place)),
        "glossary": _json_bytes(
            [
                [place[one], gloss.text, gloss.fix, gloss.differs]
                for one, gloss in (glossary or {}).items()
                if one in place
            ]
        ),
        "passage_entry": np.array([place[p.entry_id] for p in ordered], dtype=np.uint16),
        # 0 is none, so that one array serves without a mask.
        "passage_other": np.array([place.get(p.other, -1) + 1 for p in ordered], dtype=np.uint16),
        "passage_section": np.array([sections.index(p.section) for p in ordered], dtype=np.uint8),
        **_name_table(entries),
        **_postings([_counted(p, entries, place) for p in ordered]),
    }
    if texts:
        # A quotation is always upstream's; our own words are in the glossary.
        arrays["texts"] = _json_bytes(["" if p.section == GLOSS else p.text for p in ordered])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _entries(knowledge: Sequence[Knowledge]) -> list[Entry]:
    """Join the entries of all sources: ATT&CK's bundles share groups and software."""
    entries: dict[str, Entry] = {}
    for part in knowledge:
        for entry in part.entries:
            known = entries.get(entry.entry_id)
            aliases = dict.fromkeys((*(known.aliases if known else ()), *entry.aliases))
            entries[entry.entry_id] = replace(known or entry, aliases=tuple(aliases))
    return list(entries.values())


def _passages(knowledge: Sequence[Knowledge]) -> tuple[Passage, ...]:
    """List what all sources say, each once: bundles that share an entry repeat its texts."""
    passages = {(p.entry_id, p.other, p.text): p for part in knowledge for p in part.passages}
    return tuple(passages.values())


def _facts(knowledge: Sequence[Knowledge], glossary: Mapping[str, Gloss]) -> list[Fact]:
    """List what the sources state, and what the glossary adds to it."""
    stated = [fact for part in knowledge for fact in part.facts]
    return [*stated, *gloss_facts(glossary, _entries(knowledge))]


def _fact_passages(entries: Sequence[Entry], facts: Sequence[Fact]) -> Iterator[Passage]:
    """Yield the facts of each entry by relation, in words, so that a question can meet them."""
    by_id = {entry.entry_id: entry for entry in entries}
    lists: dict[tuple[str, str, bool], dict[str, None]] = defaultdict(dict)
    for subject, relation, target in facts:
        if relation not in _TOLD or by_id[subject].kind == "analytic":
            continue
        lists[subject, relation, False][target] = None
        if target in by_id:
            lists[target, relation, True][subject] = None
    for (entry_id, relation, _), targets in lists.items():
        if len(targets) <= _LONGEST_LIST:
            entry = by_id[entry_id]
            named = (f"{t} {by_id[t].name}" if t in by_id else t for t in targets)
            text = f"{_RELATION_WORDS.get(relation, relation)}: {', '.join(named)}"
            yield Passage(entry_id, entry.name, entry.kind, f"facts: {relation}", text, entry.url)


def _ordered(passages: Iterable[Passage], place: dict[str, int]) -> list[Passage]:
    # By entry, so that the passages that share a name's words lie side by side and pack well.
    return sorted(
        (p for p in passages if p.entry_id in place),
        key=lambda p: (p.section == GLOSS, place[p.entry_id], p.section, p.other, p.text),
    )


def _fact_table(
    facts: Sequence[Fact], place: dict[str, int]
) -> tuple[list[str], list[str], list[tuple[int, int, int]]]:
    """Return the relations, the words, and the facts as numbers; an entry's is its position."""
    relations = sorted({fact.relation for fact in facts})
    literal = sorted({fact.target for fact in facts if fact.target not in place})
    number = place | {word: len(place) + i for i, word in enumerate(literal)}
    rows = {(place[f.subject], relations.index(f.relation), number[f.target]) for f in facts}
    return relations, literal, sorted(rows)


def _procedure_rows(
    knowledge: Sequence[Knowledge], place: dict[str, int]
) -> list[tuple[int, int, int]]:
    rows = {
        (place[actor], place[technique], place[software])
        for part in knowledge
        for actor, technique, software in part.procedures
    }
    return sorted(rows)


def _columns(rows: Sequence[tuple[int, int, int]]) -> NDArray[np.uint16]:
    """Lay rows out column by column: equal numbers lie side by side then, and pack well."""
    if rows and max(map(max, rows)) > np.iinfo(np.uint16).max:
        raise InputError("more entries and words than 16 bits can number")
    return np.ascontiguousarray(np.array(rows, dtype=np.uint16).reshape(-1, 3).T)


def _name_table(entries: Sequence[Entry]) -> dict[str, Any]:
    """Hash every name and alias, with and without what stands in parentheses, for look-up."""
    known = {
        (" ".join(cut), position)
        for position, entry in enumerate(entries)
        for name in (entry.name, *entry.aliases)
        for cut in (words(name), words(name.partition(" (")[0]))
        if 0 < len(cut) <= LONGEST_NAME
    }
    names, positions = zip(*sorted(known), strict=True) if known else ((), ())
    codes = hashed(names)
    order = np.argsort(codes, kind="stable")
    return {"names": codes[order], "name_entries": np.array(positions, dtype=np.uint16)[order]}


def _counted(passage: Passage, entries: list[Entry], place: dict[str, int]) -> Counter[str]:
    """Count the terms of a passage and of what it is about."""
    other = entries[place[passage.other]] if passage.other in place else None
    head = terms(passage.name) + terms(_SECTION_WORDS.get(passage.section, passage.section))
    head += terms(other.name) if other else []
    ids = [passage.entry_id.lower(), *([other.entry_id.lower()] if other else [])]
    return Counter(terms(passage.text) + head + ids)


def _postings(counted: Sequence[Counter[str]]) -> dict[str, Any]:
    """Turn counts by passage into passages by term, sorted by the terms' hashes."""
    vocabulary = sorted({term for counts in counted for term in counts})
    code = dict(zip(vocabulary, hashed(vocabulary).tolist(), strict=True))
    lists: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for passage, counts in enumerate(counted):
        for term, count in sorted(counts.items()):
            lists[code[term]].append((passage, min(count, 255)))
    codes = sorted(lists)
    gaps = [np.diff([p for p, _ in lists[c]], prepend=0) for c in codes]
    joined = np.concatenate(gaps) if gaps else np.zeros(0, dtype=np.int64)
    return {
        "terms": np.array(codes, dtype=np.uint32),
        "frequencies": np.array([len(lists[c]) for c in codes], dtype=np.uint32),
        "gaps": joined.astype(np.min_scalar_type(int(joined.max(initial=0)))),
        "counts": np.array([n for c in codes for _, n in lists[c]], dtype=np.uint8),
        "passage_length": np.array([c.total() for c in counted], dtype=np.uint16),
    }


def _json_bytes(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _described(read: Sequence[tuple[Knowledge, str]]) -> list[Json]:
    return [
        {"name": knowledge.source, "version": knowledge.version, "sha256": sha256}
        for knowledge, sha256 in read
    ]
