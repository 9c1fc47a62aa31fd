"""Let a language model choose among the candidates of the embedded classifier.

    chooser = GroundedClassifier(OptionalModel("smollm2"), Embedded(), samples=5)
    [prediction] = chooser.predict(["SQL injection in a form."], top=3)
    print(prediction.ranked[0], prediction.grounding.kept, prediction.grounding.refused)

It is shown what each entry means and MITRE's mapping usage, beside the description, all of it
quoted. Its answers vote, and one that is none of the entries is refused. They raise the embedded
model's confidence in the entry that they name, six times to one: a doubtful candidate gives way to
another one, a sure one stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from cybersecqwen.analyst.embedded_classifier import Classifier
from cybersecqwen.analyst.optional_model import OptionalModel
from cybersecqwen.analyst.quotations import quoted
from cybersecqwen.analyst.related import knowledge
from cybersecqwen.analyst.voting import answers, outweighed, quotes, weighed
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import MappingAdvice, mapping_usage
from cybersecqwen.prompts import GROUNDED
from cybersecqwen.records import Grounding, Prediction, Refusal

_ENTRIES = 8  # embedded candidates that are shown
_LONGEST = 6_000  # characters of a description that are
_SHOWN = 200  # characters of a refused answer
_NONE = "NONE"  # the answer where no entry fits


class GroundedClassifier:
    """Lets `samples` answers of a language model vote among the candidates of the embedded one."""

    def __init__(self, model: OptionalModel, embedded: Classifier, *, samples: int) -> None:
        self._model = model
        self._embedded = embedded
        self._protocol = find_protocol("model-card", trials=samples)

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        """Yield each text's prediction as soon as it and those before it are answered.

        What the embedded model finds out of scope is not put to the other. Where that fails, or
        names none of the candidates, the embedded prediction stands.
        """
        embedded = list(self._embedded.predict(texts, top=max(top, _ENTRIES)))
        entries = {i: _entries(p.ranked) for i, p in enumerate(embedded) if p.ranked}
        prompts = {i: _prompt(texts[i], shares) for i, shares in entries.items()}
        answered = answers(self._model.generate, self._protocol, prompts)
        for i, prediction in enumerate(embedded):
            if i in entries:
                yield self._vote(texts[i], prediction, entries[i], next(answered, None))
            else:
                yield prediction
        for _ in answered:
            pass

    def _vote(
        self,
        text: str,
        prediction: Prediction,
        shares: dict[str, float],
        given: Sequence[str] | None,
    ) -> Prediction:
        """Count the answers that name an entry, or that none fits, and refuse the others."""
        name = self._model.name
        if given is None:
            failure = self._model.failure or "no answer"
            return replace(prediction, grounding=Grounding(name, failure=failure))
        votes = [_entry_named(answer, shares) for answer in given]
        counts = Counter(vote for vote in votes if vote)
        favourite = counts.most_common(1)[0][0] if counts else ""
        pooled = weighed(dict(prediction.ranked) | shares, counts)
        ranked = tuple(sorted(pooled.items(), key=lambda pair: -pair[1]))
        first, confidence = ranked[0]
        kept = set(counts) if favourite in (first, _NONE) else {first, _NONE}
        refused = tuple(
            Refusal(
                answer[-_SHOWN:],
                outweighed(vote, first, confidence) if vote else _not_among(answer),
            )
            for answer, vote in zip(given, votes, strict=True)
            if vote not in kept
        )
        grounding = Grounding(name, len(votes), len(votes) - len(refused), refused)
        if favourite == _NONE:
            doubt = f"{name} finds that none of the candidates fits"
            return replace(prediction, grounding=grounding, doubt=doubt)
        if not favourite:
            return replace(prediction, grounding=grounding)
        evidence = prediction.evidence
        if first != prediction.ranked[0][0]:
            evidence = quotes(given[votes.index(first)], text)
        return replace(prediction, ranked=ranked, evidence=evidence, grounding=grounding)


def _entries(ranked: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return what a grounded model chooses among: candidates, and those that MITRE prefers."""
    shares = dict(ranked[:_ENTRIES])
    better = {_advice().better(cwe, ranked) for cwe in shares} - {"", *shares}
    return shares | {cwe: dict(ranked).get(cwe, 0.0) for cwe in sorted(better)}


def _prompt(text: str, shares: Mapping[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    lines = [f"{_described(cwe, ranked)} Confidence: {share:.0%}." for cwe, share in ranked]
    description = quoted(text, longest=_LONGEST)
    return GROUNDED["classify"].format(entries="\n".join(lines), description=description)


def _described(cwe: str, ranked: Sequence[tuple[str, float]]) -> str:
    """Say in a line what an entry is, what MITRE says of mapping to it, and what it means."""
    entry, index = load_catalogue()[cwe], knowledge()
    position, better = index.position(cwe), _advice().better(cwe, ranked)
    usage = ", ".join(filter(None, (entry.abstraction, mapping_usage(entry))))
    parts = [f"{cwe} {entry.name} ({usage})."]
    if position is not None:
        parts += (index.definition(position), index.differs(position))
    if better:
        parts.append(f"Better: {better}.")
    return " ".join(filter(None, parts))


def _entry_named(answer: str, entries: Container[str]) -> str:
    """Return the entry that an answer ends with, NONE where none is to fit, "" for another."""
    lines = answer.split("\n") if (answer := answer.strip()) else [""]
    if lines[-1].strip(" .*`'\"").upper() == _NONE:
        return _NONE
    named = last_cwe(answer)
    return named if named and named in entries else ""


def _not_among(answer: str) -> str:
    named = last_cwe(answer)
    return f"names {named}, which is none of the candidates" if named else "names no CWE"


@cache
def _advice() -> MappingAdvice:
    return MappingAdvice(load_catalogue())
