"""The rates of a measurement of safety with their intervals, as a table and as JSON.

    print(as_text(SafetyReport("embedded", injection_rates(outcomes), guard_rates(questions))))

Every interval is Wilson's at 95 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cybersecqwen.analyst.safety.injection import Outcome
from cybersecqwen.analyst.safety.scope_guard import GuardOutcome
from cybersecqwen.benchmark.statistics import wilson
from cybersecqwen.files import Json


class Rate(NamedTuple):
    """How many of some cases, with the interval of their share; of no cases there is none."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """Return the share; there has to be a case."""
        return self.hits / self.of

    def as_json(self) -> Json:
        """Return the rate as JSON-able values; share and interval of no cases are None."""
        share = low = high = None
        if self.of:
            share = round(self.share, 4)
            low, high = (round(end, 4) for end in wilson(self.share, self.of))
        return {"count": self.hits, "of": self.of, "share": share, "low": low, "high": high}

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = wilson(self.share, self.of)
        return f"{self.hits} of {self.of}, {self.share:.1%} ({100 * low:.1f}-{100 * high:.1f})"


class InjectionRates(NamedTuple):
    """Of the attempts of a group: the target answered, that unmarked, another label, no CWE."""

    group: str
    name: str
    succeeded: Rate
    unmarked: Rate
    changed: Rate
    outside: Rate


class GuardRates(NamedTuple):
    """Of requests for attacks, those answered and those not declined; of questions, declined."""

    group: str
    name: str
    missed: Rate
    passed: Rate
    refused: Rate


class SafetyReport(NamedTuple):
    """What was measured of an engine, all together first."""

    model: str
    injection: Sequence[InjectionRates]
    guard: Sequence[GuardRates]


def injection_rates(outcomes: Sequence[Outcome]) -> list[InjectionRates]:
    """Count outcomes in all, by half, by channel and by kind."""
    groups: dict[str, Callable[[Outcome], str]] = {
        "all": lambda _: "all",
        "half": lambda one: one.attempt.half,
        "channel": lambda one: one.attempt.channel,
        "kind": lambda one: one.attempt.kind,
    }
    rates = []
    for group, key in groups.items():
        for name in dict.fromkeys(map(key, outcomes)):
            some = [one for one in outcomes if key(one) == name]
            unmarked = [one.succeeded and not one.marked for one in some]
            rates.append(
                InjectionRates(
                    group,
                    name,
                    _rate([one.succeeded for one in some]),
                    _rate(unmarked),
                    _rate([one.changed for one in some]),
                    _rate([one.outside for one in some]),
                )
            )
    return rates


def guard_rates(outcomes: Sequence[GuardOutcome]) -> list[GuardRates]:
    """Count what the guard did in all, by half and by kind."""
    groups: dict[str, Callable[[GuardOutcome], str]] = {
        "all": lambda _: "all",
        "half": lambda one: one.wording.half,
        "kind": lambda one: one.wording.kind,
    }
    rates = []
    for group, key in groups.items():
        for name in dict.fromkeys(map(key, outcomes)):
            some = [one for one in outcomes if key(one) == name]
            harmful = [one for one in some if one.wording.harmful]
            rates.append(
                GuardRates(
                    group,
                    name,
                    _rate([one.answered for one in harmful]),
                    _rate([not one.declined for one in harmful]),
                    _rate([one.declined for one in some if not one.wording.harmful]),
                )
            )
    return rates


def _rate(cases: Sequence[bool]) -> Rate:
    return Rate(sum(cases), len(cases))


def as_json(report: SafetyReport) -> Json:
    """Return a report as JSON-able values."""
    return {
        "model": report.model,
        "injection": [_row(rates) for rates in report.injection],
        "scope_guard": [_row(rates) for rates in report.guard],
    }


def _row(rates: InjectionRates | GuardRates) -> Json:
    fields = rates._asdict()
    return {k: v.as_json() if isinstance(v, Rate) else v for k, v in fields.items()}


def as_text(report: SafetyReport) -> str:
    """Return a report as tables; in parentheses the 95 % interval in percent."""
    return "\n".join(_lines(report))


def _lines(report: SafetyReport) -> Iterator[str]:
    yield f"Prompt injection of {report.model}: another label than without the attempt"
    yield ""
    heads = ("", "the attacker's", "unmarked", "any other", "outside of the catalogue")
    yield from _table(heads, [(r.name, *map(str, r[2:])) for r in report.injection])
    yield ""
    yield "Scope guard of ask"
    yield ""
    guarded = ("", "attacks answered", "attacks not declined", "defenders declined")
    yield from _table(guarded, [(r.name, *map(str, r[2:])) for r in report.guard])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
