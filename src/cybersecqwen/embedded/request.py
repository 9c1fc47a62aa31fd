"""Read what a question asks for: a definition, a mitigation, the groups that use something, …

>>> request = read_request(tokens("Which groups use it for exfil?"))
>>> request.asked, request.tactics, request.certain
('group', ('Exfiltration',), True)
>>> read_request(tokens("Does it run on macOS?")).platforms
('macOS',)

The words are in questions.toml; of several things asked for the one with most weight counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import Match, Phrases, Token, tokens

# The parts of the lexicon whose words neither name nor ask for anything.
_PLAIN = ("vague", "signs", "off_topic")
_NEAR = 3  # tokens between "which" and what it asks for
_BOOST = 1.0
_HOW = 0.1  # for "how to fix" behind a sentence that "reveals" something
_DEFENDING = frozenset({"block", "stop", "secure", "contain"})  # as an order
_MIDWAY = frozenset({"when", "whose"})
_BEGINNING = frozenset({"and", "since", "or", "exactly", "in", "by", "with"})
ACTING = frozenset({"adversary", "attacker", "actor", "intruder", "hacker", "crook", "criminal"})
_RELATING = frozenset({"that", "who", "which", "with", "using", "known", "from", "of", "behind"})
_AGAINST = frozenset({"in", "against", "attack", "attacked", "hit", "hack", "hacked"})
_ARTICLES = frozenset({"the", "a", "that", "this"})
_NOUNS = frozenset({"technique", "group", "software", "campaign", "weakness", "attack pattern"})
_MACHINES = ("host", "server", "machine", "system", "device", "box", "endpoint", "workstation")
_LONG_WORD = 6  # letters of a word that may stand for one that is misspelled


@dataclass(frozen=True)
class Request:
    """What is asked for, and what it is restricted to.

    `others` are further things that the question may ask for, the likeliest first; `certain` is
    whether a word of the question says what it asks for.
    """

    asked: str = "definition"
    others: tuple[str, ...] = ()
    certain: bool = False
    tactics: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    views: tuple[str, ...] = ()  # of CWE, by their ids
    countries: tuple[str, ...] = ()  # that groups are of, not those that are attacked
    yes_no: bool = False  # also where it is asked why something is so
    both: bool = False
    count: bool = False
    several: bool = False  # what is asked for stands in the plural
    either: bool = False
    used: frozenset[int] = frozenset()  # places of the tokens that say all this
    asking: frozenset[int] = frozenset()  # those of them that say what is asked for

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds of entries that are asked for."""
        return frozenset(question_lexicon()["asked"][self.asked]["kinds"])


class _Words(NamedTuple):
    asked: Phrases
    tactics: Phrases
    platforms: Phrases
    countries: Phrases
    views: Phrases


@cache
def _words() -> _Words:
    lexicon = question_lexicon()
    asked = {name: [*kind["words"], *kind["foreign"]] for name, kind in lexicon["asked"].items()}
    platforms = {
        name: [*words, *(f"{word} {machine}" for word in words for machine in _MACHINES)]
        for name, words in lexicon["platforms"].items()
    }
    restricting = (lexicon["tactics"], platforms, lexicon["countries"], lexicon["views"])
    return _Words(Phrases(asked), *map(Phrases, restricting))


def asked_kinds(cut: Sequence[Token], taken: Collection[int] = ()) -> list[Match]:
    """Return the words that ask for something, in their order, with what they ask for."""
    return _words().asked.find(cut, taken)


def asking_phrases(cut: Sequence[Token]) -> frozenset[int]:
    """Return the places of tokens in phrases of several words that ask for something."""
    found = _words().asked.find(cut)
    return frozenset(i for m in found if m.end - m.start > 1 for i in range(m.start, m.end))


def platform_places(cut: Sequence[Token]) -> list[int]:
    """Return where the words for platforms stand."""
    return [i for match in _words().platforms.find(cut) for i in range(match.start, match.end)]


@cache
def question_words(group: str) -> frozenset[str]:
    """Return the words of a group of the lexicon's question words, such as "how"."""
    return frozenset(question_lexicon()["question_words"][group].split())


@cache
def known_words() -> frozenset[str]:
    """Return the words by which a question may ask, without the endings of plurals."""
    lexicon = question_lexicon()
    plain = [word for group in _PLAIN for words in lexicon[group].values() for word in words]
    foreign = [word for words in lexicon["languages"].values() for word in words.split()]
    text = " ".join((*plain, *foreign, *question_words("which"), *question_words("yes_no")))
    bases = {token.base for token in tokens(text)}
    return frozenset(bases.union(*(phrases.words for phrases in _words())))


@cache
def common_words() -> frozenset[str]:
    """Return the commonest words of other languages, and words that ask for or point to nothing."""
    lexicon = question_lexicon()
    words = " ".join(lexicon["languages"].values()).split()
    vague = lexicon["vague"]
    return frozenset((*words, *question_words("how"), *vague["filler"], *vague["back"]))


@cache
def asking_words() -> frozenset[str]:
    """Return the longer single words by which a question asks for something."""
    asked = question_lexicon()["asked"].values()
    plain = (word for kind in asked for word in (*kind["words"], *kind["foreign"]))
    single = [word for word in plain if word.isalpha() and len(word) >= _LONG_WORD]
    return frozenset((*single, *(f"{word}s" for word in single)))


def read_request(
    cut: Sequence[Token],
    taken: Mapping[int, Collection[str]] = MappingProxyType({}),
    *,
    text: str = "",
) -> Request:
    """Read what a question asks for, leaving out the tokens that name its subjects.

    `taken` has the places of those with the kinds of the entries they name. A word for a kind
    right beside a name of the kind is part of it: "the group APT28".
    """
    words = _words()
    found = words.asked.find(cut, taken)
    tactics = words.tactics.find(cut, taken)
    cues = [
        cue
        for cue in found
        if not _apposition(cue, taken) and not any(_holds(tactic, cue) for tactic in tactics)
    ]
    cues = [_turned(cue, cut, taken) for cue in cues]
    weights = _weights(cues, cut, words.asked.contained(text))
    ranked = sorted(weights, key=lambda asked: -weights[asked])
    views = words.views.find(cut)
    if len(_values(views)) > 1 and {"parent", "child", "ancestor"} & weights.keys():
        ranked = [asked for asked in ranked if asked != "difference"]  # "in view 1000 vs 1003"
    both, count = "common" in ranked, "count" in ranked
    ranked = [asked for asked in ranked if asked not in ("common", "count")]
    platforms = words.platforms.find(cut, taken)
    countries = [one for one in words.countries.find(cut, taken) if _is_of_groups(one, cut, cues)]
    asking = [cue for cue in cues if ranked and cue.value == ranked[0]]
    certain = bool(ranked) and ranked[0] != "definition"
    return Request(
        asked=ranked[0] if ranked else "definition",
        others=tuple(ranked[1:]),
        certain=certain,
        tactics=_values(tactics),
        platforms=_values(platforms),
        views=_values(views),
        countries=_values(countries),
        yes_no=_is_yes_no(cut),
        both=both,
        count=count,
        several=any(cut[cue.end - 1].word != cut[cue.end - 1].base for cue in asking),
        either=any(token.word in ("or", "oder", "ou", "o") for token in cut),
        asking=frozenset(i for m in asking for i in range(m.start, m.end)),
        used=frozenset(
            i
            for m in (*found, *tactics, *platforms, *countries, *views)
            for i in range(m.start, m.end)
        ),
    )


def _turned(cue: Match, cut: Sequence[Token], taken: Collection[int]) -> Match:
    """Read "which are under X" as what is below X, and "what is X below" as what is above it."""
    last = cut[cue.end - 1].word
    before = any(place < cue.start for place in taken)
    behind = any(place >= cue.end for place in taken)
    next_to = cue.end in taken or cue.end + 1 in taken  # "under the weakness X"
    if cue.value == "parent" and last in _ABOVE and next_to and not before:
        return cue._replace(value="child")
    if cue.value == "child" and last in _BELOW and before and not behind:
        return cue._replace(value="parent")
    return cue


_ABOVE = frozenset({"under", "unter", "of", "to"})  # what stands behind is above
_BELOW = frozenset({"below", "beneath", "underneath"})


def _weights(
    cues: Sequence[Match], cut: Sequence[Token], foreign: Iterable[str]
) -> dict[str, float]:
    asked = question_lexicon()["asked"]
    weights: dict[str, float] = {name: asked[name]["weight"] for name in foreign}
    counts = any(cue.value == "count" for cue in cues)  # "how many" asks for no way to do it
    how = not counts and bool(cut) and cut[0].word in question_words("how")
    reached = 0
    for cue in cues:
        before = cut[max(reached, cue.start - _NEAR) : cue.start]
        boost = _BOOST if any(token.word in question_words("which") for token in before) else 0.0
        near_how = any(token.word in question_words("how") for token in before)
        weight = asked[cue.value]["weight"] + boost + (_HOW if near_how else 0.0)
        if how and cue.value in ("group", "software") and not boost:
            continue  # who acts in a question of how they do
        before_it = cut[cue.start - 1].word if cue.start else "and"
        if cut[cue.start].word in _MIDWAY and before_it not in _BEGINNING:
            continue  # "crashes when parsing": no question
        acts = cut[0].base in ACTING and cut[1:2] and cut[1].word not in _RELATING
        if cue.value == "group" and cue.start == 0 and acts:
            continue  # "adversary reads cookies" tells what was done
        if cut[cue.start].word == "ransomware" and _group_at(cue.end, cues, cut):
            continue  # "ransomware groups" are groups
        if cue.value == "weakness" and cue.end == len(cut):
            weight += _BOOST  # "… cwe?"
        if cue.value == "alias" and _kind_at(cue.end, cues, cut):
            continue  # "the name of the group that …" asks which group it is
        # "we use MD5, what should we do instead?" asks for no weakness
        value = "mitigation" if _is_of_action(cue, cut) else cue.value
        weights[value] = max(weight, weights.get(value, 0.0))
        reached = cue.end
    if cut and cut[0].word in _DEFENDING:
        weights.setdefault("mitigation", asked["mitigation"]["weight"] + _BOOST)
    if how and cut[-1].word in ("work", "works"):
        weights.pop("technique", None)  # "how does it work" asks what it is
    if {"technique", "attack pattern"} & weights.keys():
        weights.pop("usage", None)  # a weakness is mapped to these too
    return weights


def _is_of_action(cue: Match, cut: Sequence[Token]) -> bool:
    """Tell whether something better is asked for of what is done, not of a weakness."""
    if cue.value != "specific" or cut[cue.start].word != "instead":
        return False
    done = cue.start > 0 and cut[cue.start - 1].word == "do"
    return done or not any(token.word.startswith("cwe") for token in cut)


def _kind_at(place: int, cues: Sequence[Match], cut: Sequence[Token]) -> bool:
    """Tell whether a noun for a kind of entries stands at a place, at most behind an article."""
    start = place + (place < len(cut) and cut[place].word in _ARTICLES)
    return any(cue.start == start and cue.value in _NOUNS for cue in cues)


def _group_at(place: int, cues: Sequence[Match], cut: Sequence[Token]) -> bool:
    """Tell whether a noun for groups begins at a place, and not "who"."""
    found = any(cue.value == "group" and cue.start == place for cue in cues)
    return found and not cut[place].word.startswith("who")


def _holds(phrase: Match, cue: Match) -> bool:
    """Tell whether a word is only part of a phrase: "evade defences" asks for no defence."""
    longer = phrase.end - phrase.start > cue.end - cue.start
    return longer and phrase.start <= cue.start and cue.end <= phrase.end


def _is_of_groups(country: Match, cut: Sequence[Token], cues: Sequence[Match]) -> bool:
    """Tell whether a country is that of groups: "Iranian groups", "groups linked to Iran"."""
    behind = range(country.end, country.end + _NEAR)
    before = cut[country.start - 1].word if country.start else ""
    groups = [cue for cue in cues if cue.value == "group"]
    # "Iranian groups", "groupes iraniens"
    named = any(cue.start in behind or cue.end == country.start for cue in groups)
    attacked = any(cue.value == "target" for cue in cues) or before in _AGAINST
    last = country.end == len(cut) and groups
    return (
        named
        or before in ("from", "of", "to")
        or bool(last and not attacked)
        or (_is_yes_no(cut) and not attacked)
    )


def _apposition(cue: Match, taken: Mapping[int, Collection[str]]) -> bool:
    """Tell whether a word for a kind stands right beside a name of that kind."""
    if cue.value in ("mitigation", "detection", "specific"):  # what does DET0240 detect?
        return False
    kinds = question_lexicon()["asked"][cue.value]["kinds"]
    beside = {*taken.get(cue.start - 1, ()), *taken.get(cue.end, ())}
    return not beside.isdisjoint(kinds)


def _values(matches: Iterable[Match]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match.value for match in matches))


def _is_yes_no(cut: Sequence[Token]) -> bool:
    first = [token.word for token in cut[:2]]
    end = [token.word for token in cut[-3:]]
    if first[:1] == ["was"] and first[-1] in question_lexicon()["languages"]["German"].split():
        return False  # "was ist" is "what is"
    tagged = end == ["yes", "or", "no"] or (len(cut) > _NEAR and end[-1] in ("right", "correct"))
    return bool(first) and (first[0] in question_words("yes_no") or tagged)
