"""Say where a weakness or an attack pattern stands: its parents, children and pillar, and views.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> def names(text):
...     return understand(index, text), index.position("CWE-125")
>>> children(*names("descendants of CWE-125"))[0].partition(": ")[2]
'CWE-126 Buffer Over-read and CWE-127 Buffer Under-read.'
>>> children(*names("kids of CWE-125 in view 1003"))
['In view CWE-1003, CWE-125 Out-of-bounds Read has no more specific weakness.']

CWE arranges its weaknesses in several views. The trees of CWE-1000, which has all of them, and of
CWE-1003, which has those that NVD labels with, are recorded: "parent in CWE-1000" and its like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cybersecqwen.embedded import facts
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.question import Question

RESEARCH, SIMPLIFIED = "CWE-1000", "CWE-1003"
_KINDS = ("weakness", "attack pattern")
_WAYS = 4  # ways up that are told
_VIEW = re.compile(r"\bviews?\W+(?:CWE-)?(\d+)", re.IGNORECASE)
_DEEP = frozenset({"descendant", "grandchildren", "depth", "recursively", "transitively"})


def parents(question: Question, position: int) -> list[str]:
    """Name what a weakness is a kind of in the views that the question names; [] for no view."""
    return _each_view(question, position, above=True)


def children(question: Question, position: int) -> list[str]:
    """Name what is more specific than an entry, in the views that the question names.

    These are the direct children, or with a word such as "descendants" all that is below; where
    neither that nor a view is named, the facts say it and this is [].
    """
    if deep := _descendants(question, position):
        return deep
    return _each_view(question, position, above=False)


def _each_view(question: Question, position: int, *, above: bool) -> list[str]:
    index, sentences = question.index, list[str]()
    if index.entries[position].kind != "weakness":
        return []
    for view in question.request.views:
        label = "it" if sentences else index.label(position)
        found = facts.follow(index, position, f"{'>' if above else '<'}parent in {view}")
        if above:
            has, none = "is a kind of", "has no parent"
        else:
            has, none = "has the more specific weaknesses", "has no more specific weakness"
            has = has if len(found) > 1 else "has the more specific weakness"
        if question.request.count:
            sentences.append(facts.how_many(index, found) if found else "There is none.")
        said = f"{has} {_names(index, found)}" if found else none
        if not is_in_view(index, position, view):
            said = f"{none}: it is no member of this view"
        sentences.append(f"In view {view}, {label} {said}.")
    return sentences


def _names(index: KnowledgeIndex, positions: Sequence[int]) -> str:
    return facts.listed([index.label(position) for position in positions])


def _descendants(question: Question, position: int) -> list[str]:
    """List what is below an entry at any depth, where a word asks for that."""
    index = question.index
    if index.entries[position].kind not in _KINDS:
        return []
    if _DEEP.isdisjoint(token.base for token in question.cut):
        return []
    relation = _above(index, position, question.request.views)
    seen, level, below = {position}, [position], list[int]()
    while level:
        level = [
            child
            for one in level
            for child in facts.follow(index, one, f"<{relation}")
            if child not in seen
        ]
        level = list(dict.fromkeys(level))
        below += level
        seen.update(level)
    label = index.label(position)
    if not below:
        return [f"{label} has nothing below it."]
    verb = "is" if len(below) == 1 else "are"
    names, count = _names(index, below), facts.counted(index, below)
    return [f"Below {label} at any depth {verb} {count}, the nearest first: {names}."]


def ancestors(question: Question, position: int) -> list[str]:
    """Tell the ways from an entry up to the top: of a weakness to its pillar in view CWE-1000."""
    index, entry = question.index, question.index.entries[position]
    if entry.kind not in _KINDS:
        return []
    outside = [v for v in question.request.views[:1] if not is_in_view(index, position, v)]
    if entry.kind == "weakness" and outside:
        return _each_view(question, position, above=True)
    relation = _above(index, position, question.request.views)
    lead = f"In view {relation.rpartition(' ')[2]}, " if entry.kind == "weakness" else ""
    label = index.label(position)
    sentences: list[str] = []
    for way in [way for way in _ways_up(index, position, relation) if way][:_WAYS]:
        subject = f"{lead}{label} is" if not sentences else "It is also"
        names = ", which is a kind of ".join(index.label(target) for target in way)
        top = [index.label(t) for t in index.related(way[-1], "abstraction")]
        pillar = ", a pillar" if "Pillar" in top else ""
        sentences.append(f"{subject} a kind of {names}{pillar}.")
    if not sentences:
        own = [index.label(t) for t in index.related(position, "abstraction")]
        what = "itself a pillar, with" if "Pillar" in own else "at the top, with"
        sentences = [f"{lead}{label} is {what} nothing above it."]
    return sentences


def _above(index: KnowledgeIndex, position: int, views: Sequence[str]) -> str:
    """Return the relation that leads up from an entry."""
    if index.entries[position].kind == "weakness":
        return f"parent in {views[0] if views else RESEARCH}"
    return "part of"


def _ways_up(index: KnowledgeIndex, position: int, relation: str) -> Iterator[list[int]]:
    """Yield the entries on each way from one to the top, without itself."""
    above = index.related(position, relation)
    if not above:
        yield []
    for one in above:
        for rest in _ways_up(index, one, relation):
            yield [one, *rest]


def is_in_view(index: KnowledgeIndex, position: int, view: str) -> bool:
    """Tell whether a weakness is in a view: all in force are in CWE-1000, below a pillar or one."""
    if view == RESEARCH:
        return index.entries[position].kind == "weakness"
    return index.position(view) in index.related(position, "part of")


def in_view(question: Question) -> list[str]:
    """Say whether a weakness is in the views that a question of yes or no names."""
    index, views = question.index, question.request.views
    positions = [subject.positions[0] for subject in question.subjects]
    if not views or len(positions) != 1 or index.entries[positions[0]].kind != "weakness":
        return []
    held = [view for view in views if is_in_view(index, positions[0], view)]
    lacks = [view for view in views if view not in held]
    label = index.label(positions[0])
    sentences = [f"{label} is in view {facts.listed(held)}."] if held else []
    sentences += [f"{label} is not in view {facts.listed(lacks)}."] if lacks else []
    above = _members_above(index, positions[0]) if SIMPLIFIED in lacks else []
    if above:
        sentences.append(f"The nearest above it that is there is {_names(index, above)}.")
    verdict = "" if question.negated else "No: " if lacks else "Yes: "
    return [f"{verdict}{sentences[0]}", *sentences[1:]]


def _members_above(index: KnowledgeIndex, position: int) -> list[int]:
    """Return the nearest entries above one that are in view CWE-1003."""
    level = [position]
    while level:
        level = [p for one in level for p in index.related(one, f"parent in {RESEARCH}")]
        if members := [p for p in level if is_in_view(index, p, SIMPLIFIED)]:
            return list(dict.fromkeys(members))
    return []


def unknown_view(question: Question) -> str:
    """Return the view or category whose members are asked for and not recorded; "" for none."""
    index = question.index
    known = question_lexicon()["views"]
    named = [f"CWE-{number}" for number in _VIEW.findall(question.text)]
    for subject in question.subjects:
        entry = index.entries[subject.positions[0]]
        if entry.kind in ("category", "view"):
            named.append(entry.entry_id)
    request = question.request
    asked = request.asked in ("parent", "child", "ancestor")
    asked = asked or (request.asked == "weakness" and request.several)
    others = any(index.entries[s.positions[0]].kind == "weakness" for s in question.subjects)
    for entry_id in named if asked or (others and request.yes_no) else []:
        position = index.position(entry_id)
        recorded = position is not None and index.related(position, "part of", inverse=True)
        if entry_id not in known and not recorded:
            return entry_id if position is None else index.label(position)
    return ""
