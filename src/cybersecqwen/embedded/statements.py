"""Say of one entry what a question asks for.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> question = understand(index, "how does FIN7 exfiltrate")
>>> said(question, "technique", index.position("G0046"))[0].partition(" T")[0]
'For Exfiltration, G0046 FIN7 uses'

Where the relations of an entry lead is in questions.toml, by its kind and by what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cybersecqwen.embedded import (
    deprecation,
    facts,
    hierarchy,
    mapping_advice,
    mitigations,
    situation,
)
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.malware_types import of_a_kind_of_software
from cybersecqwen.embedded.question import Question

_CLEAR = 0.8  # share of a description from which it tells techniques apart
_NEAR = 0.7  # of the best fit's score, from which others fit too
_CLOSEST = 6
_TELLING = 2  # words from which a question tells one technique from others


def said(question: Question, asked: str, position: int) -> list[str]:
    """Say of an entry what is asked for; [] where its kind has no such thing or none is known."""
    own = _OWN.get(asked)
    sentences = own(question, position) if own else []
    if not sentences:
        sentences = _followed(question, asked, position)
    if (
        not sentences
        and is_of(question.index, position, asked)
        and not paths(question.index, asked, position)
    ):
        sentences = facts.summary(question.index, position)
    return sentences


def paths(index: KnowledgeIndex, asked: str, position: int) -> list[tuple[str, str]]:
    """Return the paths that lead from an entry to what is asked for, and how they read."""
    kind = index.entries[position].kind
    own = question_lexicon()["paths"].get("malware" if kind == "tool" else kind, {})
    return [(path, says) for path, says in own.get(asked, ())]


def is_of(index: KnowledgeIndex, position: int, asked: str) -> bool:
    """Tell whether an entry is itself of the kind that is asked for."""
    return index.entries[position].kind in question_lexicon()["asked"][asked]["kinds"]


# By these words a question asks for what relates to an entry, not for the entry.
_RELATING = {"exploit", "exploits", "target", "targets", "against", "related", "relate", "with"}
_RELATING |= {"use", "uses", "used", "using", "employs", "deploys", "deployed"}


def preferred(question: Question, positions: Sequence[int]) -> list[int]:
    """Order the entries that one name has: first those in the tactic and the domain asked about."""
    index, tactics = question.index, question.tactics
    domain = next((sign for sign in ("mobile", "ics") if question.signs(sign)), "")

    def rank(position: int) -> tuple[bool, bool, bool, int]:
        own = is_of(index, position, question.request.asked)
        served = _names(index, index.related(position, "tactic"))
        return (
            own == bool(question.words & _RELATING),
            bool(tactics) and tactics.isdisjoint(served),
            situation.domain(index, position) != domain,
            -_in_use(index, position),
        )

    return sorted(positions, key=rank)


def _in_use(index: KnowledgeIndex, position: int) -> int:
    """Count how many use a technique; 0 for other entries."""
    if index.entries[position].kind != "technique":
        return 0
    return len(index.related(position, "uses", inverse=True))


def of_one_domain(index: KnowledgeIndex, positions: Sequence[int]) -> list[int]:
    """Leave out the techniques of another domain than the first's: they only share its name."""
    first = positions[0]
    if index.entries[first].kind != "technique":
        return list(positions)
    own = situation.domain(index, first)
    return [
        p
        for p in positions
        if index.entries[p].kind != "technique" or situation.domain(index, p) == own
    ]


def _followed(question: Question, asked: str, position: int) -> list[str]:
    index = question.index
    sentences: list[str] = []
    words = {token.base for token in question.cut}
    # Of several ways to tell it, that which the question names comes first, such as event ids.
    ways = sorted(paths(index, asked, position), key=lambda way: _last_word(way[0]) not in words)
    for path, says in ways:
        targets, lead = _reached(question, asked, position, path)
        kept, about = restricted(question, position, targets)
        every = kept = [target for target in kept if target not in question.excluded]
        kept, kind = of_a_kind_of_software(question, kept)
        lead = f"{about or lead}, " if about or lead else ""
        subject = "it" if sentences else index.label(position)
        if kept:
            named = f"{says} the {kind}" if kind else says
            text = f"{lead}{subject} {facts.reading(index, named, kept)}."
        elif targets:
            none = f"no {kind}" if kind else "nothing"
            text = f"{lead}{none} is on record for {index.label(position)}."
        else:
            continue
        if question.request.count and kept and not sentences:
            parts = asked == "child" and index.entries[position].kind == "technique"
            counted = facts.how_many(index, kept)
            sentences.append(counted.replace(" tech", " sub-tech") if parts else counted)
        sentences.append(text[0].upper() + text[1:])
        rest = [t for t in every if t not in kept] if kind not in ("", "ransomware") else []
        if rest:  # which some count as the same
            other = "tools" if kind == "malware" else "software"
            sentences.append(f"Besides, it {facts.reading(index, f'{says} the {other}', rest)}.")
    if sentences and asked in _RATED and not facts.follow(index, position, f">{asked}"):
        sentences.insert(0, f"No {asked} is recorded for {index.label(position)}.")
    others = _by_others(question, asked, position)
    if others and not sentences:
        sentences = [f"ATT&CK records no {asked} for {index.label(position)} itself."]
    return [*sentences, *others]


# Beside these another rating is told, which is not what was asked for.
_RATED = ("severity", "likelihood")


def _by_others(question: Question, asked: str, position: int) -> list[str]:
    """Say who uses a technique by its parts or in campaigns, and what a group uses in campaigns."""
    index, kind = question.index, question.index.entries[position].kind
    told = {
        t for path, _ in paths(index, asked, position) for t in facts.follow(index, position, path)
    }
    sentences = []
    for path, says in question_lexicon()["others"].get(kind, {}).get(asked, ()):
        told |= question.excluded
        more = [t for t in facts.follow(index, position, path) if t not in told]
        told |= {*more}
        kept, _ = restricted(question, position, more)
        if kept:
            sentences.append(f"{says} {facts.listed([index.label(t) for t in kept])}.")
    return sentences


def _reached(question: Question, asked: str, position: int, path: str) -> tuple[list[int], str]:
    """Follow a path by the techniques that a question restricts itself to, and say which."""
    index, lead = question.index, ""

    def keep(targets: list[int]) -> list[int]:
        nonlocal lead
        kept, lead = restricted(question, position, targets)
        return kept

    if asked == "detection" and ">analytic >" in path and (platforms := question.request.platforms):
        return facts.follow(
            index, position, path, keep=lambda targets: _analytics_on(index, targets, platforms)
        ), f"on {facts.listed(platforms)}"
    by_techniques = (">uses:technique >", ">uses:technique <", "<tactic <")
    if asked == "tactic" or not any(way in path for way in by_techniques):
        return facts.follow(index, position, path), ""
    return facts.follow(index, position, path, keep=keep), lead


def _analytics_on(
    index: KnowledgeIndex, targets: Sequence[int], platforms: Sequence[str]
) -> list[int]:
    """Keep the analytics that are for one of some platforms, and whatever is no analytic."""
    kept = _with(index, targets, "platform", platforms)
    return [t for t in targets if index.entries[t].kind != "analytic" or t in kept]


def _last_word(path: str) -> str:
    """Return the word that a path's last relation begins with: "event" of "event id"."""
    return facts.relation_of(path).partition(" ")[0]


def restricted(question: Question, position: int, targets: Sequence[int]) -> tuple[list[int], str]:
    """Keep the targets that a question restricts itself to, with the words that say how.

    These are such as "for Persistence on macOS"; "" where it restricts nothing.
    """
    index, request, size = question.index, question.request, len(question.index.entries)
    kinds = {index.entries[t].kind for t in targets if t < size}
    own = index.entries[position].name if position < size else index.label(position)
    kept, about = list(targets), []
    if "technique" in kinds:
        kept = [t for t in targets if t < size and index.entries[t].kind == "technique"]
    countries = [one for one in request.countries if one != own]
    if kinds == {"group"} and countries:
        kept = _with(index, kept, "country", countries)
        about.append(f"of the groups linked to {facts.listed(countries)}")
    if not kinds & {"technique", "malware", "tool"}:
        return kept, " ".join(about)
    if tactics := question.tactics - {own}:
        served = ">tactic" if "technique" in kinds else ">uses:technique >tactic"
        kept = [t for t in kept if tactics & _names(index, facts.follow(index, t, served))]
        about.append(f"for {facts.listed(sorted(tactics))}")
    if platforms := [platform for platform in request.platforms if platform != own]:
        there = _with(index, kept, "platform", platforms)
        out = question.leaves_out
        kept = [t for t in kept if t not in there] if out else there
        about.append(f"{'leaving out what works ' if out else ''}on {facts.listed(platforms)}")
        kept.sort(key=lambda t: len(index.related(t, "platform")))  # those of no other first
    near = _fitting(question, kept) if "technique" in kinds else []
    return [*near, *(t for t in kept if t not in near)], " ".join(about)


def _with(
    index: KnowledgeIndex, targets: Iterable[int], relation: str, wanted: Sequence[str]
) -> list[int]:
    """Keep the entries of which a fact is one of the words wanted."""
    return [
        t
        for t in targets
        if {index.label(value) for value in index.related(t, relation)} & {*wanted}
    ]


def _fitting(question: Question, techniques: Sequence[int]) -> list[int]:
    """Return the techniques that fit what else a question says, where some do clearly, first."""
    if len(question.rest) < _TELLING or len(techniques) < 2:
        return []
    text = " ".join(question.rest)
    fits = situation.fitting(
        question.index, text, ["technique"], among=set(techniques), limit=_CLOSEST
    )
    if not fits or fits[0].score < _CLEAR:
        return []
    return [fit.position for fit in fits if fit.score >= _NEAR * fits[0].score]


def _names(index: KnowledgeIndex, positions: Iterable[int]) -> set[str]:
    return {index.entries[p].name for p in positions if p < len(index.entries)}


# What no path leads to.


def _attacks(question: Question, position: int) -> list[str]:
    """Say how a weakness is attacked: by which patterns, and what comes of it.

    A question for techniques by that word gets these too, where CAPEC leads to any.
    """
    index = question.index
    if index.entries[position].kind != "weakness":
        return []
    by_word = any(token.base in _TECHNIQUE for token in question.cut)
    techniques = _followed(question, "technique", position)
    if by_word and techniques:
        return techniques
    label = index.label(position)
    first = f"{label}: {index.definition(position)}"
    if by_word:
        first = f"No ATT&CK technique is recorded for {label}."
    patterns = _followed(question, "attack pattern", position)
    effects = [] if by_word else _followed(question, "consequence", position)
    told = (*patterns, *techniques, *effects)
    return [first, *(text.replace(f"{label} ", "It ", 1) for text in told)]


def _prerequisites(question: Question, position: int) -> list[str]:
    """Say what an attack pattern needs beforehand, where the texts of upstream are installed."""
    index = question.index
    passages = index.passages(position, "prerequisite") if index.has_texts else []
    texts = [index.evidence(passage, 0.0).passage for passage in passages]
    return [f"{index.label(position)} needs beforehand: {' '.join(texts)}"] if texts else []


_TECHNIQUE = frozenset({"technique", "ttp", "att", "sub-technique", "technik", "técnica"})


def _follows(question: Question, position: int) -> list[str]:
    """Say what can come before an entry, where that is what the question asks for."""
    index, named = question.index, {i for s in question.subjects for i in range(s.start, s.end)}
    words = {token.word for i, token in enumerate(question.cut) if i not in named}
    if "before" not in words or words & {"next", "after", "precede", "lead", "leads"}:
        return []
    before = facts.follow(index, position, "<can precede")
    return [facts.sentence(index, position, "can follow", before)] if before else []


def _victims(question: Question, position: int) -> list[str]:
    """Say of malware, a group or a campaign what it is, which tells whom it was against."""
    index = question.index
    if index.entries[position].kind not in PROPER:
        return []
    return [*facts.summary(index, position)[:1], *_followed(question, "target", position)]


def _aliases(question: Question, position: int) -> list[str]:
    index, entry = question.index, question.index.entries[position]
    if "terms" in question.words and set(question.request.others) - {"definition"}:
        return []  # "the capabilities of it in ATT&CK terms" asks for no name
    words = question.words
    by_id = next(
        (s.said for s in question.subjects if s.way == "id" and position in s.positions), ""
    )
    if by_id and words & _NAMING and not words & _OTHER:
        named = entry.name if by_id == entry.entry_id else index.label(position)
        return [f"{by_id} is {named}.", *facts.summary(index, position)[:1]]
    names = [name for name in entry.aliases if index.position(name) is None]
    also = f", also known as {facts.listed(names)}" if names else ""
    said_as = next((s.said for s in question.subjects if position in s.positions), "")
    other = said_as.lower() not in ("it", "", entry.name.lower(), entry.entry_id.lower())
    if not names and not other:
        return [f"{index.label(position)} has no other name on record."]
    if not other:
        also = f" is also known as {facts.listed(names)}"
    first = f"{said_as} is {index.label(position)}" if other else index.label(position)
    return [f"{first}{also}.", *facts.summary(index, position)[:1]]


# By these words a question asks for the name of an id, and by those for others of an entry.
_NAMING = {"name", "stand", "stands", "short", "called", "official"}
_OTHER = {"other", "another", "different", "alternative", "alternate", "also", "alias", "aliases"}


_OWN: dict[str, Callable[[Question, int], list[str]]] = {
    "mitigation": mitigations.fixes,
    "target": _victims,
    "alias": _aliases,
    "technique": _attacks,
    "follows": _follows,
    "parent": hierarchy.parents,
    "child": hierarchy.children,
    "ancestor": hierarchy.ancestors,
    "usage": mapping_advice.usage,
    "specific": mapping_advice.specific,
    "status": deprecation.status,
    "requires": _prerequisites,
}
