"""The readings of windows: each measure of a group of records, held against the reference.

    for reading in read_group("all", reference, watched):
        print(reading.window, reading.measure, reading.value, reading.deviation)

A window of the reference is read against its other windows, a watched one against them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cybersecqwen.analyst.drift.accuracy import Cusum, alike
from cybersecqwen.analyst.drift.class_mix import Distance, class_distance, count, moved
from cybersecqwen.analyst.drift.observation import Observation
from cybersecqwen.analyst.drift.rule import MEASURES, RULE, AlarmRule, Baseline, judge
from cybersecqwen.analyst.drift.vocabulary import Words, telling_apart, telling_words, words_of
from cybersecqwen.benchmark.statistics import mean, wilson

Sample = Sequence[Observation]
Windows = Mapping[str, Sample]  # by their names, in the order of time
Reader = Callable[[Sequence[Sample], Sample], Distance]

_TEXTS = 300  # of each side that words are learnt from
_Z95 = 1.96
_words = lru_cache(maxsize=100_000)(words_of)


class Reading(NamedTuple):
    """One measure of a group of records in a window.

    `value` is None where it was not computed, and `note` says why. `low` and `high` bound a share
    at 95 %. `deviation` is in spreads from the reference; a CUSUM has none.
    """

    window: str
    group: str  # all, nvd, cna, cisa_adp, none or reviewed
    measure: str  # one of MEASURES
    records: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    alarm: bool = False
    note: str = ""
    reference: bool = False  # whether the window is one of the reference


def _each(reference: Windows, watched: Windows) -> Iterator[tuple[str, Sample, bool]]:
    """Yield every window with whether it is of the reference, whose names may stand in both."""
    yield from ((name, window, True) for name, window in reference.items())
    yield from ((name, window, False) for name, window in watched.items())


def read_class_mix(reference: Sequence[Sample], current: Sample) -> Distance:
    """Return how far the classes answered lie from those of the reference."""
    return class_distance(*_class_counts(reference, current)[1:])


def _class_counts(
    reference: Sequence[Sample], current: Sample
) -> tuple[list[str], np.ndarray, np.ndarray]:
    before, now = [o.cwe for window in reference for o in window], [o.cwe for o in current]
    names = sorted({*before, *now})
    return names, count(before, names), count(now, names)


def read_vocabulary(reference: Sequence[Sample], current: Sample) -> Distance:
    """Return how well the texts are told from those of the reference."""
    return telling_apart(*_texts(reference, current))


def _texts(reference: Sequence[Sample], current: Sample) -> tuple[list[Words], list[Words]]:
    """Take equally many texts of each window of the reference, and as many of the current one."""
    share = -(-_TEXTS // len(reference))
    before = [_words(o.text) for window in reference for o in window[:share]]
    return before[:_TEXTS], [_words(o.text) for o in current[:_TEXTS]]


def read_confidence(_: Sequence[Sample], current: Sample) -> Distance:
    """Return the accuracy that the calibrated confidences expect (CBPE)."""
    return _mean([o.confidence for o in current])


def read_confidence_answered(_: Sequence[Sample], current: Sample) -> Distance:
    """Return the accuracy that is expected of the answers that do not abstain."""
    return _mean([o.confidence for o in current if not o.abstain])


def read_abstained(_: Sequence[Sample], current: Sample) -> Distance:
    """Return the share of records that the classifier leaves to a person."""
    return _mean([float(o.abstain) for o in current])


def _mean(values: Sequence[float]) -> Distance:
    if not values:
        return Distance(0.0, 1.0)
    return Distance(float(np.mean(values)), float(np.std(values) / np.sqrt(len(values))))


READERS: dict[str, Reader] = {
    "class_mix": read_class_mix,
    "vocabulary": read_vocabulary,
    "confidence": read_confidence,
    "confidence_answered": read_confidence_answered,
    "abstained": read_abstained,
}
_SHARES = ("confidence", "confidence_answered", "abstained")


def read_group(
    group: str,
    reference: Windows,
    watched: Windows,
    *,
    rule: AlarmRule = RULE,
    readers: Mapping[str, Reader] = READERS,
) -> Iterator[Reading]:
    """Yield the readings of a group's records; none of them is an alarm yet."""
    enough = {name: w for name, w in reference.items() if len(w) >= rule.least_records}
    for measure, reader in readers.items():
        if len(enough) < rule.least_windows:
            note = f"{len(enough)} windows of the reference have {rule.least_records} records"
            for name, window, own in _each(reference, watched):
                yield Reading(name, group, measure, len(window), note=note, reference=own)
            continue
        before = {
            name: reader([w for other, w in enough.items() if other != name], window)
            for name, window in enough.items()
        }
        baseline = Baseline.of([distance.value for distance in before.values()])
        for name, window, own in _each(reference, watched):
            if len(window) < rule.least_records:
                note = f"{len(window)} records, {rule.least_records} are needed"
                yield Reading(name, group, measure, len(window), note=note, reference=own)
                continue
            value, noise = before[name] if own else reader(list(enough.values()), window)
            margin = _Z95 * noise if measure in _SHARES else None
            yield Reading(
                name,
                group,
                measure,
                len(window),
                value,
                low=None if margin is None else value - margin,
                high=None if margin is None else value + margin,
                deviation=baseline.deviation(value, noise),
                reference=own,
            )


def read_labels(
    source: str, reference: Windows, watched: Windows, *, rule: AlarmRule = RULE
) -> Iterator[Reading]:
    """Yield the share of all records that a source labels."""
    shares = [_share(source, window) for window in reference.values() if window]
    baseline = Baseline.of([share.value for share in shares]) if len(shares) > 1 else None
    for name, window, own in _each(reference, watched):
        if baseline is None or len(window) < rule.least_records:
            note = f"{len(window)} records, {rule.least_records} are needed"
            yield Reading(name, source, "labels", len(window), note=note, reference=own)
            continue
        labelled = sum(source in o.labels for o in window)
        value = labelled / len(window)
        deviation = baseline.deviation(value, _share(source, window).noise)
        bounds = wilson(value, len(window))
        yield Reading(
            *(name, source, "labels", len(window), value, *bounds),
            deviation=deviation,
            reference=own,
        )


def _share(source: str, window: Sample) -> Distance:
    """Return the share of labelled records; one that is 0 or 1 has noise, too."""
    labelled = sum(source in o.labels for o in window)
    smoothed = (labelled + 1) / (len(window) + 2)
    noise = float(np.sqrt(smoothed * (1 - smoothed) / len(window)))
    return Distance(labelled / len(window), noise)


def read_accuracy(
    source: str,
    reference: Windows,
    watched: Windows,
    *,
    unjudged: Collection[str] = (),
    rule: AlarmRule = RULE,
) -> Iterator[Reading]:
    """Yield the share of answers that equal a source's labels, with the alarms of a CUSUM.

    `unjudged` are the windows in which the share that the source labels has moved, which are shown
    and not judged: what it still labels may be other records than before.
    """
    counts = {name: _right(source, window) for name, window in reference.items()}
    answers = sum(n for _, n in counts.values())
    chart = None
    if answers >= rule.least_records:
        before = sum(right for right, _ in counts.values()) / answers
        chart = Cusum(
            before=before, drop=rule.drop, limit=rule.limit, alike=alike(list(counts.values()))
        )
    for name, window, own in _each(reference, watched):
        right, n = _right(source, window)
        if n < rule.least_answers:
            note = f"{n} answers to hold against, {rule.least_answers} are needed"
            yield Reading(name, source, "accuracy", n, note=note, reference=own)
            continue
        note, alarm = "", False
        if not own:
            if chart is None:
                note = f"not judged: the reference has {answers} answers to hold against"
            elif name in unjudged:
                note = "not judged: the share that this source labels has moved"
            else:
                alarm = chart.add(right, n)
        share = right / n
        yield Reading(
            *(name, source, "accuracy", n, share, *wilson(share, n)),
            alarm=alarm,
            note=note,
            reference=own,
        )


def _right(source: str, window: Sample) -> tuple[int, int]:
    held = [o.cwe == o.labels[source] for o in window if source in o.labels]
    return sum(held), len(held)


def judged(readings: Sequence[Reading], rule: AlarmRule = RULE) -> Iterator[Reading]:
    """Yield the readings of a group with their alarms, each measure by itself."""
    for measure in dict.fromkeys(reading.measure for reading in readings):
        own = [reading for reading in readings if reading.measure == measure]
        yield from (reading for reading in own if reading.reference)
        watched = [reading for reading in own if not reading.reference]
        alarms = judge([r.deviation for r in watched], MEASURES[measure].side, rule)
        for reading, alarm in zip(watched, alarms, strict=True):
            yield reading._replace(alarm=alarm)


def explain(reading: Reading, reference: Sequence[Sample], current: Sample) -> str:
    """Say what an alarm is about: what has moved from where to where."""
    value = reading.value or 0.0
    if reading.measure == "class_mix":
        names, before, now = _class_counts(reference, current)
        shares = "; ".join(
            f"{cwe or 'none'} {old:.0%} → {new:.0%}" for cwe, old, new in moved(before, now, names)
        )
        return f"the classes answered have moved: {shares}"
    if reading.measure == "vocabulary":
        telling = ", ".join(telling_words(*_texts(reference, current)))
        return f"the texts speak otherwise, with an area of {value:.2f}: {telling}"
    if reading.measure == "labels":
        usual = mean([_share(reading.group, window).value for window in reference])
        return f"{value:.0%} of the records are labelled, usual are {usual:.0%}"
    if reading.measure == "accuracy":
        counts = [_right(reading.group, window) for window in reference]
        usual = sum(right for right, _ in counts) / sum(n for _, n in counts)
        return (
            f"{value:.0%} of {reading.records} answers are right, usual are {usual:.0%}; "
            "summed up with the windows before"
        )
    usual = mean([READERS[reading.measure]((), window).value for window in reference])
    return f"{MEASURES[reading.measure].title} is {value:.0%}, usual is {usual:.0%}"
