"""Answer questions about no entry in particular: how many, in which order, of which country.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> overview(understand(index, "What comes after discovery in the kill chain?")).sentences[0]
'In the order of the ATT&CK matrix, TA0008 Lateral Movement comes right after TA0007 Discovery.'
>>> overview(understand(index, "How many CAPECs are there?")).sentences
['CAPEC 3.9 has 559 attack patterns.']
>>> overview(understand(index, "Which groups are from Vietnam?")).sentences
['ATT&CK has 1 group linked to Vietnam: G0050 APT32.']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.embedded import facts, matrix, situation
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon, read_lexicon
from cybersecqwen.embedded.malware_types import (
    MALWARE_TYPES,
    of_a_kind_of_software,
    plural_of_type,
    types_of,
)
from cybersecqwen.embedded.phrases import Match, Phrases, Token, tokens
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.request import question_words
from cybersecqwen.embedded.statements import restricted

_DESCRIBING = 2  # words that tell, from which a question describes something


class Overview(NamedTuple):
    """What is said, the entries that it is about, and the words of the question left unread.

    Where nothing is said, `unrecorded` is what no knowledge base records, if it is that.
    """

    sentences: list[str]
    positions: list[int]
    rest: tuple[str, ...] = ()
    unrecorded: str = ""


def overview(question: Question) -> Overview | None:
    """Answer a question about the knowledge bases as a whole; None for any other."""
    if told := _of_a_cve(question):
        return told
    subjects = (
        {question.index.entries[position].kind for position in subject.positions}
        for subject in question.subjects
    )
    kinds = list(subjects)
    if not question.cut:
        return None
    if any("tactic" not in each for each in kinds):
        of_views = all(each <= {"view", "tactic"} for each in kinds)  # "named chain" is one, too
        by_id = any(subject.way == "id" for subject in question.subjects)
        return _term(question) if of_views and not by_id else None
    return next(filter(None, (way(question) for way in _WAYS)), None)


@cache
def _phrases(name: str) -> Phrases:
    lexicon = question_lexicon()
    return Phrases(lexicon["order"]["places"] if name == "places" else lexicon[name])


class _Field(NamedTuple):
    """The field's own terms, what they mean, and the words that may stand beside them."""

    names: Phrases
    texts: Sequence[str]
    plain: Phrases


@cache
def _field() -> _Field:
    table = read_lexicon("field.toml")
    names = Phrases({str(number): term["names"] for number, term in enumerate(table["term"])})
    return _Field(names, [term["text"] for term in table["term"]], Phrases({"": table["plain"]}))


def _term(question: Question) -> Overview | None:
    """Say what a term of the field means, or two of them: "what is a sub-technique?"."""
    cut, field = question.cut, _field()
    found = field.names.find(cut)
    named = found
    if len(found) > 1:  # "a tactic in ATT&CK" is one term, and so is "base on a CWE page"
        found = [match for match in found if not _is_where(cut, match)] or found
    beside = [*named, *field.plain.find(cut, {i for m in named for i in range(m.start, m.end)})]
    read = {place for match in beside for place in range(match.start, match.end)}
    meant = list(dict.fromkeys(match.value for match in found))
    # "what are the tactics" asks for them
    listed = any(m.start and cut[m.start - 1].word == "the" and _is_plural(cut, m) for m in found)
    opens = cut[0].word in _MEANING or question.request.asked == "difference"
    if not 0 < len(meant) <= _TERMS or len(read) < len(cut) or listed or not opens:
        return None
    return Overview([field.texts[int(value)] for value in meant], [])


def _is_where(cut: Sequence[Token], match: Match) -> bool:
    """Tell whether a term only says where another one is used."""
    behind = cut[match.end].word if match.end < len(cut) else ""
    in_it = any(token.word in _IN for token in cut[max(0, match.start - _REACH) : match.start])
    return in_it or behind in _PLACES


_IN = {"in", "of", "by", "within", "for", "on"}
_REACH = 3  # words between such a word and the term, as in "in the CWE mapping"
_TERMS = 5  # that are told together
_PLACES = {"page", "pages", "entry", "entries", "site", "website", "terms", "catalogue", "catalog"}
_MEANING = {
    "what",
    "whats",
    "define",
    "definition",
    "explain",
    "describe",
    "meaning",
    "how",
    "tell",
}


def _is_plural(cut: Sequence[Token], match: Match) -> bool:
    return cut[match.end - 1].word != cut[match.end - 1].base


def _of_a_cve(question: Question) -> Overview | None:
    """Name the groups, software and campaigns that are reported with a CVE."""
    index, ids = question.index, cve_ids(question.text)
    kinds = question.request.kinds & PROPER
    if not ids or not (kinds or question.request.asked == "detection"):
        return None
    if any(subject.way == "id" for subject in question.subjects):
        return None
    if not kinds:
        return Overview([], [], unrecorded="how the exploitation of a single CVE is detected")
    sentences, found = [], []
    for cve in ids:
        word = index.word(cve)
        with_it = index.related(word, "vulnerability", inverse=True) if word else []
        actors = sorted((p for p in with_it if index.entries[p].kind in PROPER), key=index.label)
        if actors:
            names = facts.listed([index.label(p) for p in actors])
            sentences.append(f"{cve} is reported with {names}.")
            found += actors
    unrecorded = "" if found else f"groups or software that exploit {facts.listed(ids)}"
    return Overview(sentences, found, unrecorded=unrecorded)


def _unread(question: Question, name: str) -> tuple[str, ...]:
    """Return the stems of the words that a part of the lexicon does not read."""
    matches = _phrases(name).find(question.cut)
    read = {question.cut[i].stem for match in matches for i in range(match.start, match.end)}
    return tuple(term for term in question.rest if term not in read)


def _meant(question: Question, name: str) -> set[str]:
    """Return what the words of a part of the lexicon mean; nothing if the question has others."""
    if _unread(question, name):
        return set()
    return {match.value for match in _phrases(name).find(question.cut)} - {"plain"}


def _release(question: Question) -> Overview | None:
    """Say of which releases the knowledge is."""
    if question.subjects or not _meant(question, "release"):
        return None
    names = [f"{source['name']} {source['version']}" for source in question.index.sources]
    return Overview([f"The knowledge here is that of {facts.listed(names)}."], [])


def _of_value(question: Question) -> Overview | None:
    """List the entries of a platform, a country or a programming language."""
    request, wanted = question.request, {question.request.asked, *question.request.others}
    if question.cut[0].word in question_words("how") and not request.count:
        return None
    ways = question_lexicon()["values"].items()
    if request.countries and request.platforms:  # the platform restricts what their groups use
        ways = [(name, way) for name, way in ways if name != "platforms"]
    for name, way in ways:
        asked = next((asked for asked in way["asked"] if asked in wanted), "")
        if "by" in way and request.asked in ("software", "technique"):
            asked = request.asked
        if name == "programming":
            values, own = question.languages, {t.stem for t in tokens(" ".join(question.languages))}
            rest = tuple(term for term in question.rest if term not in own)
        else:
            values = [match.value for match in _phrases(name).find(question.cut)]
            rest = _unread(question, name)
        if not values or not asked or len(rest) >= _DESCRIBING:
            continue
        if name == "countries" and "target" in wanted:
            continue  # a country that is attacked
        if question.negated and not question.excluded:
            return Overview([], [], unrecorded="what an entry is not or does not have")
        kinds = question_lexicon()["asked"][asked]["kinds"] or way["kinds"]
        listed = _having(question, way, list(dict.fromkeys(values)), kinds)
        if listed:
            return listed._replace(rest=rest)
    return None


def _having(
    question: Question, way: dict[str, str], values: Sequence[str], kinds: Sequence[str]
) -> Overview | None:
    """List the entries of some kinds that have a value as a fact, those with no other first.

    Of several countries or languages any will do; several platforms are all to be there.
    """
    index, relation, says = question.index, way["relation"], way["says"]
    path = f"<{relation}:{','.join(kinds)}"
    if "by" in way and set(kinds).isdisjoint(way["kinds"]):  # what groups of a country use
        path, says = f"<{relation}:group >uses:{','.join(kinds)}", way["by"]
    if relation == "platform":
        values = values[:1]  # the others restrict
    words = [word for value in values if (word := index.word(value))]
    found = (target for word in words for target in facts.follow(index, word, path))
    targets = sorted(dict.fromkeys(found), key=lambda t: len(index.related(t, relation)))
    own = replace(question, request=replace(question.request, countries=()))
    kept, about = restricted(own, words[0] if words else 0, targets)
    kept = [p for p in of_a_kind_of_software(question, kept)[0] if p not in question.excluded]
    if "only" in question.words:
        kept = [target for target in kept if len(index.related(target, relation)) == 1]
        says = says.replace("{}", "{} only")
    using = ""
    if set(kinds) == {"group"}:
        kept, using = _that_use(question, kept)
        if using and (not kept or "only" in question.words):
            return Overview([], [], unrecorded=f"groups {says.format(' or '.join(values))}{using}")
    if not kept:
        return None
    about = f"{about} and" if " on " in f" {about}" and says.startswith("on ") else about
    said = " ".join(filter(None, (about, says.format(" or ".join(values)) + using)))
    names = facts.listed([index.label(position) for position in kept])
    base = facts.base(index.entries[kept[0]].entry_id)
    return Overview([f"{base} has {facts.counted(index, kept)} {said}: {names}."], kept)


def _that_use(question: Question, groups: Sequence[int]) -> tuple[list[int], str]:
    """Keep the groups that use the sorts of malware that a question names, and say so.

    Of a sort that definitions do not tell, such as trojans, no group is kept.
    """
    bases = dict.fromkeys(token.base for token in question.cut)
    named = [base for base in bases if base in MALWARE_TYPES | _UNTOLD]
    if not named:
        return list(groups), ""
    enough, joined = (any, " or ") if question.request.either else (all, " and ")
    used = {group: _sorts_used(question, group) for group in groups}
    kept = [group for group in groups if enough(sort in used[group] for sort in named)]
    use = "uses" if len(kept) == 1 else "use"
    platforms = facts.listed(question.request.platforms)
    on = f" on {platforms}" if platforms else ""
    return kept, f" that {use} {joined.join(map(plural_of_type, named))}{on}"


_UNTOLD = frozenset({"trojan", "spyware", "botnet", "bootkit", "keylogger"})


def _sorts_used(question: Question, group: int) -> set[str]:
    """Return of which sorts the software is that a group uses, by itself or in its campaigns."""
    index = question.index
    ways = (">uses:malware,tool", "<attributed to:campaign >uses:malware,tool")
    used = {software for way in ways for software in facts.follow(index, group, way)}
    kept, _ = restricted(question, group, sorted(used))
    return set().union(*(types_of(index, software) for software in kept))


def _count(question: Question) -> Overview | None:
    """Count the entries of a kind that are in force."""
    index, request = question.index, question.request
    if not request.count or question.tactics or len(_unread(question, "whole")) > 1:
        return None
    positions, using = _in_force(question), ""
    if positions and index.entries[positions[0]].kind == "group":
        positions, using = _that_use(question, positions)
    if not positions:
        return None
    base = facts.base(index.entries[positions[0]].entry_id)
    release = next(one for one in index.sources if one["name"].startswith(base))["version"]
    has = f"{base} {release}" if base != "ATT&CK" else f"ATT&CK (as of {release})"
    return Overview([f"{has} has {_counted(question, positions)}{using}."], [], question.rest)


def _in_force(question: Question) -> list[int]:
    """List the entries in force of the kind that is asked for."""
    index, asked = question.index, question.request.asked
    kinds = question_lexicon()["asked"][asked]["kinds"]
    kinds = kinds or (["technique"] if asked == "child" else [])
    positions = [
        position
        for position, entry in enumerate(index.entries)
        if entry.kind in kinds and facts.in_force(index, position)
    ]
    named = [domain for domain, name in situation.DOMAINS.items() if name.lower() in question.words]
    if named and asked in ("technique", "child", "tactic", "mitigation"):
        positions = [p for p in positions if named[0] in domains(index, p)]
    return sorted(of_a_kind_of_software(question, positions, tools=True)[0], key=index.label)


def domains(index: KnowledgeIndex, position: int) -> set[str]:
    """Return the domains of a technique or tactic, or of what a mitigation is against."""
    against = index.related(position, "mitigates")
    return {situation.domain(index, p) for p in against or [position]}


def _counted(question: Question, positions: Sequence[int]) -> str:
    """Count entries: of ATT&CK by the matrix, of software by what is asked for."""
    index = question.index
    _, kind = of_a_kind_of_software(question, positions)
    if kind in ("malware", "ransomware"):
        return f"{len(positions)} pieces of {kind}"
    if kind:
        return f"{len(positions)} {kind}, by our own definitions"
    base = facts.base(index.entries[positions[0]].entry_id)
    return _by_domain(index, positions) if base == "ATT&CK" else facts.counted(index, positions)


def _by_domain(index: KnowledgeIndex, positions: Sequence[int]) -> str:
    """Count techniques and tactics by the matrix that they are in, and other entries together."""
    if index.entries[positions[0]].kind not in ("technique", "tactic"):
        return facts.counted(index, positions)
    each = []
    for domain, name in situation.DOMAINS.items():
        own = [p for p in positions if situation.domain(index, p) == domain]
        if not own:
            continue
        parts = sum("." in index.entries[p].entry_id for p in own)
        below = f" and {parts} sub-techniques" if parts else ""
        each.append(f"{facts.counted(index, own[parts:])}{below} for {name}")
    return facts.listed(each)


def _order(question: Question) -> Overview | None:
    """Say which of ATT&CK's tactics come before, after or between others."""
    places = _meant(question, "places")
    told = matrix.order(question, places) if places else None
    return Overview(*told) if told else None


def _all(question: Question) -> Overview | None:
    """List all entries of a kind: "list all campaigns"."""
    index, request = question.index, question.request
    whole = _meant(question, "whole")
    if (
        not (whole & {"all", "domain"})
        or not request.certain
        or request.tactics
        or request.platforms
    ):
        return None
    positions = _in_force(question)
    if not positions:
        return None
    names = facts.listed([index.label(position) for position in positions])
    base = facts.base(index.entries[positions[0]].entry_id)
    return Overview([f"{base} has {_counted(question, positions)}: {names}."], [])


_WAYS: tuple[Callable[[Question], Overview | None], ...] = (
    _term,
    _release,
    _order,
    _of_value,
    _count,
    _all,
)
