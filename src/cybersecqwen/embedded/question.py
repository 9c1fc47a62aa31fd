"""Understand a question: the entries that it names, and what it asks for.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> question = understand(KnowledgeIndex.load(), "Which mitigations does T1059.001 have?")
>>> [subject.said for subject in question.subjects], question.request.asked
(['T1059.001'], 'mitigation')
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise

from cybersecqwen.embedded import linking, refusal
from cybersecqwen.embedded.courtesy import without_courtesy
from cybersecqwen.embedded.gazetteer import PROPER, correct_spelling
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.linking import Subject
from cybersecqwen.embedded.phrases import Token, tokens
from cybersecqwen.embedded.request import (
    ACTING,
    Request,
    asked_kinds,
    platform_places,
    question_words,
    read_request,
)

_FEW = 2  # words that say what a question is about, below which a general one may
# What only an actor, software or a campaign is asked for.
_OF_NAMES = frozenset(
    {
        "technique",
        "group",
        "software",
        "campaign",
        "alias",
        "country",
        "attribution",
        "date",
        "platform",
        "vulnerability",
    }
)
_RANKING = frozenset({"most", "fewest", "least", "no", "without"})
# What CWE lists among the languages: "some other weakness" is about none.
_NO_LANGUAGE = frozenset({"Other", "Compiled", "Interpreted", "Not Language-Specific"})
_SHORT = 2  # letters of a programming language that may be another word, such as "Go"
_LONGEST = 2_000  # tokens of a question that count
_CLAUSE = re.compile(r"[,;:?!](?=\s)|\.(?=\s)")
# "according to CWE" asks for no weakness
_ACCORDING = re.compile(
    r",?\s*\b(?:according to|as per) (?:mitre(?:'s)? )?(?:att&ck|cwe|capec|mitre)\b", re.I
)
# Other ways to say that there is only one.
_ONLY = re.compile(
    r"\s+(?:(?:and|but) (?:(?:to|on|for) )?"
    r"(?:nothing else|nowhere else|no others?(?: platforms?| os)?)|exclusively|solely|alone)\b",
    re.I,
)
_NO = re.compile(r"\bno (?:longer|more|record|evidence)\b", re.I)
_DENIED = 5  # tokens before a platform in which "not" may stand
_RUNNING = frozenset(
    {"run", "runs", "running", "work", "works", "working", "apply", "applies", "exist", "available"}
    | {"meant", "usable", "in", "on", "for", "to"}
)
_ALIKE = ("weakness", "attack pattern")  # which often have one name
_AND = frozenset({"and", "plus", "und", "et", "y", "e", "en"})


@dataclass(frozen=True)
class Question:
    """A question as it is understood.

    `rest` are the stems of the words that neither name nor ask for anything.
    """

    index: KnowledgeIndex
    text: str
    cut: Sequence[Token]
    subjects: tuple[Subject, ...]  # one for each entry
    request: Request
    rest: tuple[str, ...] = ()
    names: tuple[Subject, ...] = ()  # all, also where two name one entry
    parts: tuple[str, ...] = ()  # what is asked for, where that is several things
    excluded: frozenset[int] = frozenset()  # entries that are not to be named

    @property
    def words(self) -> set[str]:
        """Return the words of the question in lower case."""
        return {token.word for token in self.cut}

    @property
    def first(self) -> str:
        """Return the first word of the question in lower case, "" where it has none."""
        return self.cut[0].word if self.cut else ""

    @property
    def tactics(self) -> set[str]:
        """Return the names of the tactics that the question names or means."""
        entries = self.index.entries
        named = {
            entries[position].name
            for subject in self.subjects
            for position in subject.positions
            if entries[position].kind == "tactic"
        }
        return named | set(self.request.tactics)

    @property
    def languages(self) -> list[str]:
        """List the programming languages that the question names, as CWE spells them."""
        return [name for name, one in _languages(self.index).items() if one.search(self.text)]

    @property
    def negated(self) -> bool:
        """Tell whether the question says "not" or the like; "don't" is cut into "don" and "t"."""
        return not self.words.isdisjoint(question_words("not")) or bool(_NO.search(self.text))

    @property
    def why(self) -> bool:
        """Tell whether the question takes something for true and asks for the reason."""
        return self.first in question_words("why")

    @property
    def leaves_out(self) -> bool:
        """Tell whether what has the platform named is not asked for: "do not run on Windows"."""
        if self.request.yes_no or len(self.request.platforms) != 1:
            return False
        place = min(platform_places(self.cut))
        before = [token.word for token in self.cut[max(0, place - _DENIED) : place]]
        denied = [i for i, word in enumerate(before) if word in ("not", "t", "never")]
        return bool(denied) and {*before[denied[-1] + 1 :]} <= _RUNNING

    @property
    def is_of_attackers(self) -> bool:
        """Tell whether the question speaks of attackers in general."""
        return not ACTING.isdisjoint(token.base for token in self.cut)

    @property
    def description(self) -> str:
        """Return the text without the words by which it asks."""
        asking = self.request.asking
        for name in self.names:
            if not self.excluded.isdisjoint(name.positions):
                asking |= {*range(name.start, name.end)}
        return " ".join(t.text for i, t in enumerate(self.cut) if i not in asking)

    def signs(self, of: str) -> int:
        """Count the words that are a sign of something, such as of "code"."""
        said = {word for token in self.cut for word in (token.word, token.base)}
        return len(said & set(question_lexicon()["signs"][of]))


@cache
def _languages(index: KnowledgeIndex) -> dict[str, re.Pattern[str]]:
    """Compile a pattern for each language; the tokens do not tell C from C++."""
    rows = index.facts[index.facts[:, 1] == index.relations.index("language")]
    names = sorted({index.label(int(target)) for target in rows[:, 2]} - _NO_LANGUAGE)
    return {
        name: re.compile(
            rf"(?<![\w.]){re.escape(name)}(?![\w+#])",
            re.IGNORECASE if len(name) > _SHORT else 0,  # "go" is a word
        )
        for name in names
    }


def understand(index: KnowledgeIndex, text: str, *, before: Sequence[int] = ()) -> Question:
    """Link the subjects of a question and read what it asks for.

    Where it names none and points back, its subjects are the entries in `before`.
    """
    text = without_courtesy(" ".join(text.split()))  # patterns take long on many blanks
    text = _ONLY.sub(" only", _ACCORDING.sub("", text))
    cut, _ = correct_spelling(index, tokens(text)[:_LONGEST])
    names = [name for name in _named(index, text, cut) if not _is_a_platform(index, cut, name)]
    taken = {
        place: {index.entries[p].kind for p in subject.positions}
        for subject in names
        for place in range(subject.start, subject.end)
    }
    request = read_request(cut, taken, text=text)
    subjects = linking.distinct(names)
    if not request.yes_no and request.asked not in ("parent", "child", "difference"):
        subjects = _most_specific(index, subjects)
    subjects = linking.without_views(index, subjects)
    excluded = _excluded(index, cut, subjects, request)
    subjects = [one for one in subjects if one not in excluded]
    rest = linking.content_terms(cut, {*taken, *request.used})
    if before and _points_back(cut, rest) and _are_tactics(index, subjects):
        subjects = [*subjects, *_meant_by(cut, before)]
    elif before and _compares_with_it(cut, subjects, request):
        subjects = sorted([*_meant_by(cut, before), *subjects], key=lambda one: one.start)
    general = not subjects and len(rest) < _FEW and not request.count
    # Not for "which ransomware do Russian groups use", nor for a name that nothing has.
    restricted = request.countries or request.platforms
    general = general and not restricted and not _has_a_name(cut, rest)
    # Nor for "which ransomware is used by the most groups".
    general = general and _RANKING.isdisjoint(token.word for token in cut)
    if general and (other := linking.meant_otherwise(index, cut)):
        subjects = [other]
        taken.update({place: set() for place in range(other.start, other.end)})
        if cut[0].word != "which" and request.asking <= {*range(other.start, other.end)}:
            request = read_request(cut, taken, text=text)  # "what is a botnet" asks for no software
        rest = linking.content_terms(cut, {*taken, *request.used})
    parts = _parts(text, cut, taken)
    question = Question(
        index,
        text,
        cut,
        tuple(subjects),
        request,
        tuple(rest),
        tuple(linking.without_views(index, names)),
        parts,
        frozenset(position for one in excluded for position in one.positions),
    )
    return replace(question, request=_of_a_tactic(question))


def _parts(
    text: str, cut: Sequence[Token], taken: Mapping[int, Collection[str]]
) -> tuple[str, ...]:
    """List what the clauses of a question ask for, where they ask for several things.

    A clause that tells more than it asks is part of a description.
    """
    lengths = accumulate(len(tokens(clause)) for clause in _CLAUSE.split(text))
    joins = (place + 1 for place, token in enumerate(cut) if token.word in _AND)
    bounds = sorted({0, *lengths, *joins, len(cut)})
    parts = []
    for start, end in pairwise(bounds):
        clause = cut[start:end]
        own = {place - start: kinds for place, kinds in taken.items() if start <= place < end}
        request = read_request(clause, own)
        rest = linking.content_terms(clause, {*own, *request.used})
        defined = bool(own) and bool(clause) and clause[0].word in ("what", "who", "explain")
        told = request.asked in ("software", "group") and _tells(clause, request)
        asks = (request.asking or defined) and not told
        if asks and len(rest) < _FEW and not request.yes_no:
            parts.append(request.asked)
    if _asks_what_it_does(cut, taken):
        parts = ["definition", "technique"]
    several = tuple(dict.fromkeys(parts))
    wanted = {match.value for match in asked_kinds(cut, taken)}
    if wanted >= {*_ALIKE} and "and" in {token.word for token in cut}:
        return _ALIKE
    return several if len(several) > 1 else ()


def _tells(clause: Sequence[Token], request: Request) -> bool:
    """Tell whether a clause says what somebody does: "ransomware deletes our backups"."""
    asks = question_words("which").union(("of", "used", "that", "for", "by", "who"))
    return 0 in request.asking and len(clause) > _FEW and asks.isdisjoint(t.word for t in clause)


def _asks_what_it_does(cut: Sequence[Token], taken: Mapping[int, Collection[str]]) -> bool:
    """Tell "what can Emotet do?", which asks for more than what it is."""
    words = [token.word for token in cut]
    opens = words[:1] == ["what"] and words[1:2] in (["can"], ["does"], ["do"], ["could"], ["did"])
    kinds = {kind for kinds in taken.values() for kind in kinds}
    what_was_done = "campaign" in kinds and "do" in words  # "what did they do in …"
    return opens and (words[-1] == "do" or what_was_done) and bool(kinds & PROPER)


def _named(index: KnowledgeIndex, text: str, cut: Sequence[Token]) -> list[Subject]:
    """List what a question names; an everyday word where it asks for what only names have."""
    names = linking.named(index, text)
    request = read_request(cut, text=text)
    how = bool(cut) and cut[0].word in question_words("how") and request.asked == "technique"
    asks = request.certain and request.asked in _OF_NAMES and not how
    if not (asks and not names) and not (request.yes_no and len(names) == 1):
        return names
    taken = {place for subject in names for place in range(subject.start, subject.end)}
    more = [
        subject
        for subject in linking.named(index, text, everyday=True)
        if index.entries[subject.positions[0]].kind in (*PROPER, "technique")
        and taken.isdisjoint(range(subject.start, subject.end))
    ]
    return sorted([*names, *more], key=lambda subject: subject.start)


def _has_a_name(cut: Sequence[Token], rest: Collection[str]) -> bool:
    """Tell whether a word that is left is written as a name: "DarkSide ransomware"."""
    first = 1  # letter of a sentence, which has a capital anyway
    return any(
        token.stem in rest and (token.text if place else token.text[first:]) not in token.word
        for place, token in enumerate(cut)
    )


def _excluded(
    index: KnowledgeIndex, cut: Sequence[Token], subjects: Sequence[Subject], request: Request
) -> list[Subject]:
    """Return the subjects that are not asked for: denied weaknesses, and those beside others.

    These are such as "which groups besides APT29", and all of "except APT28, APT29 and Turla".
    """
    excluded: list[Subject] = []
    for subject in subjects:
        kind = index.entries[subject.positions[0]].kind
        before = [token.word for token in cut[: subject.start]]
        listed = bool(excluded) and {*before[excluded[-1].end :]} <= _JOINING
        out = listed or before[-1:] in _BESIDES or before[-2:] in _BESIDES
        denied = kind == "weakness" and linking.is_denied(cut, subject)
        if (out and kind in request.kinds) or denied:
            excluded.append(subject)
    return excluded


_JOINING = frozenset({"and", "or", "nor", "the", "group"})
_BESIDES = (
    *(["besides"], ["beside"], ["except"], ["excluding"], ["excepting"], ["minus"], ["without"]),
    *(["other", "than"], ["apart", "from"], ["aside", "from"], ["except", "for"], ["but", "not"]),
)


def _most_specific(index: KnowledgeIndex, subjects: list[Subject]) -> list[Subject]:
    """Leave out what only says of what kind an id is: "phishing by attachment (T1566.001)"."""
    ids = [s.positions[0] for s in subjects if s.way == "id"]
    wholes = {whole for p in ids for whole in index.related(p, "part of")}
    return [s for s in subjects if s.way == "id" or s.positions[0] not in wholes]


def _is_a_platform(index: KnowledgeIndex, cut: Sequence[Token], name: Subject) -> bool:
    """Tell whether a technique's name is a platform: "techniques for network devices"."""
    request = read_request(cut[name.start : name.end])
    listed = read_request(cut)
    return (
        bool(request.platforms)
        and name.way != "id"
        and request.used >= {*range(name.end - name.start)}
        and index.entries[name.positions[0]].kind == "technique"
        and (listed.asked in ("technique", "software", "platform") or bool(listed.tactics))
    )


def _are_tactics(index: KnowledgeIndex, subjects: Sequence[Subject]) -> bool:
    return all(index.entries[s.positions[0]].kind == "tactic" for s in subjects)


def _of_a_tactic(question: Question) -> Request:
    """Read "Emotet's persistence" as the techniques that Emotet uses for it."""
    kinds = {question.index.entries[s.positions[0]].kind for s in question.subjects}
    uses = kinds & {"group", "malware", "tool", "campaign"}
    request = question.request
    if request.asked == "definition" and uses and question.tactics:
        return replace(request, asked="technique", others=("definition",), certain=True)
    return request


def _points_back(cut: Sequence[Token], rest: Sequence[str]) -> bool:
    return not rest or any(token.word in refusal.back_words() for token in cut)


def _meant_by(cut: Sequence[Token], before: Sequence[int]) -> list[Subject]:
    """Return what "it" means: of two entries each, of more the first of which something is told."""
    place = next((i for i, token in enumerate(cut) if token.word in _PRONOUNS), -1)
    start, end = (place, place + 1) if place >= 0 else (0, 0)
    each = [(position,) for position in before] if len(before) == _PAIR else [tuple(before)]
    return [Subject("it", positions, "name", start, end) for positions in each]


def _compares_with_it(cut: Sequence[Token], subjects: Sequence[Subject], request: Request) -> bool:
    """Tell "do they use PowerShell?": a pronoun and a name, of which neither is the other."""
    place = next((i for i, token in enumerate(cut) if token.word in _PRONOUNS), -1)
    if place < 0 or len(subjects) != 1:
        return False
    first = place < subjects[0].start
    relates = request.yes_no or request.asked == "difference" or cut[0].word == "which"
    return relates and (first or request.yes_no)


_PRONOUNS = frozenset({"it", "they", "them", "these", "those", "he", "she", "both"})
_PAIR = 2
