"""The rule by which a reading raises an alarm, and what to do about it.

A reading is held against those of the reference, each of which was taken against the others. It
raises an alarm where it lies `far` spreads beyond them, or `near` spreads in two windows on end.
Accuracy is summed up instead, by a CUSUM with the limit ln(`between`): where answers are
independent and the share before is known, at least that many windows pass on average between two
false alarms (Lorden 1971).

>>> baseline = Baseline.of([0.60, 0.62, 0.64])
>>> round(baseline.deviation(0.70, noise=0.0), 2)
3.46
>>> judge([0.4, 2.1, 2.3, -2.5, 3.6], "above")
[False, False, True, False, True]

How often it is wrong and how soon it is right is measured by benchmarks/drift.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Side = Literal["above", "below", "either", ""]


class AlarmRule(NamedTuple):
    """Every threshold of an alarm."""

    far: float = 3.5  # spreads beyond the reference that are an alarm at once
    near: float = 2.0  # spreads that are one in two windows on end
    drop: float = 0.05  # of accuracy that the CUSUM looks for
    between: float = 200.0  # windows between two false alarms of the CUSUM
    least_records: int = 100  # of a window, fewer are not judged
    least_answers: int = 10  # of a window that an accuracy is told of
    least_windows: int = 6  # of a reference

    @property
    def limit(self) -> float:
        """The sum at which the CUSUM raises its alarm."""
        return math.log(self.between)


RULE = AlarmRule()


class Measure(NamedTuple):
    """What is measured, on which side of the reference it is an alarm, and what to do then."""

    title: str
    side: Side
    action: str = ""


MEASURES: dict[str, Measure] = {
    "class_mix": Measure(
        "class mix",
        "above",
        "see which classes moved and review some of their records; where the answers hold, the "
        "records have changed and not the model: move the reference",
    ),
    "vocabulary": Measure(
        "vocabulary",
        "above",
        "review 50 records with these words; where the answers hold, move the reference, "
        "where they do not, train on records up to now",
    ),
    "confidence": Measure(
        "expected accuracy",
        "below",
        "review the least sure answers first and a larger share of all; train on records up to "
        "now where reviewers agree less often, too",
    ),
    "confidence_answered": Measure("expected accuracy without abstentions", ""),
    "abstained": Measure("abstained", ""),
    "labels": Measure(
        "share labelled",
        "either",
        "nothing about the model: its accuracy by this source is not judged meanwhile; go by "
        "the other sources and by reviewers, and let the reference begin after the change",
    ),
    "accuracy": Measure(
        "accuracy",
        "",
        "see whether the other sources and reviewers tell the same; if so, train on records up "
        "to now, if not, this source labels in another way than before",
    ),
}


class Baseline(NamedTuple):
    """The readings of the reference: their mean, spread and number."""

    mean: float
    spread: float
    windows: int

    @classmethod
    def of(cls, readings: Sequence[float]) -> Baseline:
        """Sum up two readings or more."""
        number = len(readings)
        mean = math.fsum(readings) / number
        squares = math.fsum((one - mean) ** 2 for one in readings)
        return cls(mean, math.sqrt(squares / (number - 1)), number)

    def deviation(self, value: float, noise: float) -> float:
        """Return how many spreads a reading lies from the mean, below it as a negative number.

        The spread is that between windows, or the `noise` of this one where that is larger. It is
        widened by what so few windows leave open about the mean.
        """
        spread = max(self.spread, noise) * math.sqrt(1 + 1 / self.windows)
        return (value - self.mean) / spread if spread else 0.0


def judge(deviations: Sequence[float | None], side: Side, rule: AlarmRule = RULE) -> list[bool]:
    """Tell which of the deviations of successive windows raise an alarm; None is no reading."""
    alarms, before = [], 0.0
    for deviation in deviations:
        if deviation is None:
            alarms.append(False)
            continue
        beyond = {"above": deviation, "below": -deviation, "either": abs(deviation), "": 0.0}[side]
        again = min(beyond, abs(before)) >= rule.near and deviation * before > 0
        alarms.append(beyond >= rule.far or again)
        before = deviation
    return alarms
