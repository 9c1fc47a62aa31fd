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

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.question import Question
from cybersecqwen.records import Weakness

_CLEAR = 0.8  # share of a description from which it tells techniques apart
_NEAR = 0.7  # of the best fit's score, from which others fit too
_CLOSEST = 6
_TELLING = 2  # words from which a question tells one technique or weakness from others
_LIKELY = 0.6  # score from which a situation fits a weakness


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

    by_techniques = (">uses:technique >", ">uses:technique <", "<tactic <")
    if asked == "tactic" or not any(way in path for way in by_techniques):
        return facts.follow(index, position, path), ""
    return facts.follow(index, position, path, keep=keep), lead


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
        kept = _with(index, kept, "platform", platforms)
        about.append(f"on {facts.listed(platforms)}")
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


def of_a_kind_of_software(
    question: Question, targets: Sequence[int], *, tools: bool = False
) -> tuple[list[int], str]:
    """Keep the ransomware, the backdoors or the like, or the malware, where these are asked for.

    With `tools` the word tool is for tools alone; in "APT29's tools" it is for all software.
    """
    index, said = question.index, {token.base for token in question.cut}
    if not {index.entries[t].kind for t in targets if t < len(index.entries)} & {"malware", "tool"}:
        return list(targets), ""
    if "ransomware" in said:
        return [t for t in targets if _is_ransomware(index, t)], "ransomware"
    for sort, pattern in _SORTS.items():
        own = [t for t in targets if pattern.search(index.definition(t))] if sort in said else []
        if own:
            return own, plural_of_sort(sort)
    if said & _MALWARE and not said & _TOOLS:
        return [t for t in targets if index.entries[t].kind == "malware"], "malware"
    if tools and "tool" in said and not said & {"software", "malware"}:
        return [t for t in targets if index.entries[t].kind == "tool"], "tools"
    return list(targets), ""


def sorts(index: KnowledgeIndex, position: int) -> set[str]:
    """Return of which sorts malware or a tool is by its definition: "ransomware", "rat", …"""
    said = index.definition(position)
    own = {sort for sort, pattern in _SORTS.items() if pattern.search(said)}
    return own | ({"ransomware"} if _is_ransomware(index, position) else set())


def plural_of_sort(sort: str) -> str:
    """Name several pieces of a sort of malware: "RATs", "ransomware"."""
    same = sort.endswith("ware")
    return "RATs" if sort == "rat" else sort if same else f"{sort}s"


# Sorts of malware, by how definitions call them.
_SORTS = {
    sort: re.compile(rf"\b(?:{words})", re.IGNORECASE)
    for sort, words in {
        "backdoor": "backdoor",
        "wiper": "wiper",
        "loader": "loader|downloader|dropper",
        "stealer": "(?:info)?stealer",
        "worm": "worm",
        "rootkit": "rootkit",
        "rat": r"rat\b|remote access t",
    }.items()
}
SORTS = frozenset({"ransomware", *_SORTS})
_MALWARE = {"malware", "backdoor", "trojan", "implant", *_SORTS}
_TOOLS = {"tool", "software", "tooling", "toolset", "arsenal", "utility"}


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


def _is_ransomware(index: KnowledgeIndex, position: int) -> bool:
    if position >= len(index.entries) or index.entries[position].kind != "malware":
        return False
    entry, definition = index.entries[position], index.definition(position)
    if _BLACKMAIL.search(definition):
        return True
    encrypts = any(index.entries[t].entry_id == "T1486" for t in index.related(position, "uses"))
    return encrypts and "ransom" in " ".join((entry.name, *entry.aliases, definition)).lower()


# A loader that "brings ransomware" is none.
_BLACKMAIL = re.compile(r"\bransomware (?:that|of)\b")

# What no path leads to.


def _fixes(question: Question, position: int) -> list[str]:
    """Say what prevents a weakness, an attack pattern, or what is nearest to it."""
    index = question.index
    fix = index.fix(position)
    if fix:
        return [f"{index.label(position)} is prevented like this: {fix}"]
    if index.entries[position].kind not in ("weakness", "attack pattern"):
        return []
    for path in (">part of:weakness", ">exploits:weakness"):
        near = [p for p in facts.follow(index, position, path) if index.fix(p)][:2]
        if near:
            says = "is prevented as"
            return [
                f"{index.label(position)} {says} {index.label(p)} is: {index.fix(p)}" for p in near
            ]
    return []


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


def _usage(question: Question, position: int) -> list[str]:
    """Say whether MITRE lets a CVE be mapped to a CWE entry, and to which ones rather."""
    index = question.index
    entry = load_catalogue().get(index.entries[position].entry_id)
    label = index.label(position)
    if entry is not None and entry.kind != "weakness":
        return [f"No: {label} is a {entry.kind}, and mapping a CVE to one is prohibited."]
    if entry is None or not entry.usage:
        return []
    return [_USAGE[entry.usage].format(label), *_rather(index, entry)]


def _rather(index: KnowledgeIndex, entry: Weakness) -> list[str]:
    """Name what a CVE is rather mapped to: what MITRE suggests, and what is allowed below."""
    if entry.usage == _ALLOWED:
        return []
    catalogue = load_catalogue()
    below = (e for e in _graph().descendants(entry.cwe_id) if catalogue[e].usage == _ALLOWED)
    nearest = [cwe for cwe in islice(below, _BELOW) if cwe not in entry.suggestions]
    sentences = []
    if suggested := _labels(index, entry.suggestions):
        sentences.append(f"MITRE suggests {facts.listed(suggested)} rather.")
    if allowed := _labels(index, nearest):
        verb = "are" if len(allowed) > 1 else "is"
        sentences.append(f"Allowed below it {verb} {facts.listed(allowed)}.")
    return sentences


def _labels(index: KnowledgeIndex, cwe_ids: Iterable[str]) -> list[str]:
    return [index.label(p) for cwe in cwe_ids if (p := index.position(cwe)) is not None]


_ALLOWED = "Allowed"
_BELOW = 8  # allowed weaknesses that are named below one that is not
_USAGE = {
    "Allowed": "Yes: mapping a CVE to {} is allowed.",
    "Allowed-with-Review": "Only with care: mapping a CVE to {} is allowed after a review.",
    "Discouraged": "No: mapping a CVE to {} is discouraged, a more specific weakness is better.",
    "Prohibited": "No: mapping a CVE to {} is prohibited.",
}


def _specific(question: Question, position: int) -> list[str]:
    """Name weaknesses better than the one named: for a situation, or for any."""
    return [*_for_situation(question, position), *rather(question.index, position)]


def rather(index: KnowledgeIndex, position: int) -> list[str]:
    """Say what a CVE is mapped to rather than to a weakness that MITRE advises against."""
    entry = load_catalogue().get(index.entries[position].entry_id)
    told = _rather(index, entry) if entry is not None and entry.kind == "weakness" else []
    if entry is None or not told or entry.usage not in ("Discouraged", "Prohibited"):
        return told
    return [f"Mapping a CVE to {index.label(position)} is {entry.usage.lower()}.", *told]


def is_narrower(index: KnowledgeIndex, position: int, other: int) -> bool:
    """Tell whether a weakness is below another, or allowed for mapping where that is not."""
    one, two = (index.entries[p].entry_id for p in (position, other))
    if one in _graph().descendants(two):
        return True
    usages = [entry.usage if (entry := load_catalogue().get(e)) else None for e in (one, two)]
    return usages[0] == _ALLOWED and usages[1] in ("Discouraged", "Prohibited")


def _for_situation(question: Question, position: int) -> list[str]:
    """Name the weakness that fits a described situation better than the one named."""
    index = question.index
    if len(question.rest) < _TELLING:
        return []
    own = {f.position: f.score for f in _below(question, position)}
    fits = situation.fitting(index, question.description, ["weakness"], limit=_CLOSEST)
    ranked = {f.position: f.score for f in fits if f.position != position}
    for below, score in own.items():
        ranked[below] = max(ranked.get(below, 0.0), score * 1.5)
    best = sorted(ranked, key=lambda p: -ranked[p])[:3]
    if not best or ranked[best[0]] < _LIKELY:
        return []
    more = facts.listed([index.label(p) for p in best[1:]])
    return [
        f"{index.label(best[0])} fits better than {index.label(position)}.",
        index.definition(best[0]),
        f"Next come {more}." if more else "",
    ]


def _below(question: Question, position: int) -> list[situation.Fit]:
    index = question.index
    numbers = (
        index.position(cwe) for cwe in _graph().descendants(index.entries[position].entry_id)
    )
    among = {number for number in numbers if number is not None}
    return situation.fitting(index, question.description, ["weakness"], among=among)


@cache
def _graph() -> CweGraph:
    return CweGraph(load_catalogue())


def _status(question: Question, position: int) -> list[str]:
    """Say whether an entry is in force, retired, or has replaced the id by which it is named."""
    index, entry = question.index, question.index.entries[position]
    label, base = index.label(position), facts.base(entry.entry_id)
    said = next((s.said for s in question.subjects if position in s.positions), "").upper()
    if said in entry.aliases and facts.is_former_id(said):
        return [f"{said} was replaced by {label}.", *facts.summary(index, position)[:1]]
    status = [index.label(target) for target in index.related(position, "status")]
    retired = [word.lower() for word in status if word in ("Deprecated", "Obsolete")]
    if retired:
        return [f"{label} is {retired[0]} in {base}, and is not to be used any more."]
    draft = f", with the status {status[0]}" if status else ""
    return [f"{label} is in force in {base}{draft}: it is not deprecated."]


_OWN: dict[str, Callable[[Question, int], list[str]]] = {
    "mitigation": _fixes,
    "alias": _aliases,
    "usage": _usage,
    "specific": _specific,
    "status": _status,
}
