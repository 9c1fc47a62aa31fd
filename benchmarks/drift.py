"""Measure the drift alarms: how often they are wrong, and how soon they are right.

    python benchmarks/drift.py --records cve.parquet --classifier before-2019.npz

Trains a classifier on the records before 2019 (and keeps it in the file of --classifier), so that
it has seen none of those that it is watched on, and classifies a sample of each month from January
2019 to May 2025, the last one with more than a few dated records. Then it counts alarms

- in the months as they came, each year held against the one before,
- in quiet months: 24 months on end in a random order, the first twelve of which are the reference,
  so that they differ as months do and nothing else has changed,
- in quiet months with a shift from the fourth watched month on.

Prints Markdown tables. The same sample, runs and seed give the same ones.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cybersecqwen.analyst.drift import (
    MEASURES,
    AlarmRule,
    DriftSettings,
    Observation,
    Selection,
    report,
)
from cybersecqwen.analyst.drift.observation import observe
from cybersecqwen.analyst.drift.readings import (
    READERS,
    Reading,
    judged,
    read_accuracy,
    read_group,
    read_labels,
)
from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.embedded.classifier import CweClassifier, Parameters
from cybersecqwen.embedded_build.build import fit
from cybersecqwen.embedded_build.classifier_training import Hyperparameters, labelled
from cybersecqwen.records import Prediction, Vulnerability
from cybersecqwen.reports.markdown import table
from cybersecqwen.sources import read_vulnerabilities

FIRST, LAST = "2019-01", "2025-05"
REFERENCE, WATCHED = 12, 12  # months
SHIFT = 3  # watched months before a shift
NVD_MONTHS = 33  # from the first one on, in which NVD labels most records
CUT = 12  # words that are left of a description that is cut
SHARES = (0.05, 0.1, 0.2)  # of records that a shift puts in the place of others
CUT_SHARES = (0.25, 0.5, 1.0)
POINTS = (5, 10, 20)  # of accuracy that changed labels cost
NEW_DOMAIN = (
    "A malicious {} in a retrieved {} makes the {} of the autonomous agent call the {} tool and "
    "forward its {} to an outside endpoint.",
    "The {} of the language model gateway trusts the {} of a delegated {}, so that a poisoned {} "
    "survives into the {} of later sessions.",
    "The charging station's {} accepts an unsigned {} over the vehicle bus, and the {} of the "
    "inverter then follows the {} and disconnects the {}.",
    "Through the satellite's {} a ground terminal replays the {} and the {} of the payload drifts "
    "from its {} until the {} is lost.",
)
NEW_WORDS = (
    *("prompt", "embedding", "planner", "memory", "context window", "system message", "persona"),
    *("telemetry frame", "attitude", "transponder", "ephemeris", "torque", "firmware manifest"),
    *("tool schema", "retriever", "orchestrator", "skill", "workspace", "inverter", "relay"),
)

Months = list[list[Observation]]
Shift = Callable[[list[Observation], np.random.Generator], list[Observation]]


class _Earlier:
    """The classifier of before 2019, ranked by what feeds would label."""

    def __init__(self, classifier: CweClassifier) -> None:
        self._classifier = classifier

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        return self._classifier.predict(texts, top=top, ranking="labels")


def earlier_classifier(records: Path, kept: Path) -> _Earlier:
    if not kept.exists():
        examples = labelled(read_vulnerabilities(records))
        parameters, _ = fit([e for e in examples if e.date < FIRST], Hyperparameters())
        kept.write_bytes(parameters.to_bytes())
    return _Earlier(CweClassifier(Parameters.from_bytes(kept.read_bytes())))


def sampled(records: Path, size: int) -> list[Vulnerability]:
    selection = Selection("month", size=size)
    for record in read_vulnerabilities(records):
        if FIRST <= record.published[:7] <= LAST:
            selection.add(record)
    return list(selection.records())


def by_month(observations: Sequence[Observation]) -> Months:
    months: dict[str, list[Observation]] = defaultdict(list)
    for one in observations:
        months[f"{one.day:%Y-%m}"].append(one)
    return [months[name] for name in sorted(months)]


def as_they_came(months: Months) -> None:
    """Print the alarms of each year against the one before."""
    rows, watched = [], 0
    for first in range(0, len(months) - REFERENCE, 12):
        own = months[first : first + REFERENCE + WATCHED]
        end = own[REFERENCE - 1][0].day.replace(day=28)
        until = end.replace(day=31)  # a reference ends in December
        settings = DriftSettings(reference_until=until, size=10**6)
        outcome = report((o for month in own for o in month), settings=settings)
        watched += len(own) - REFERENCE
        for alarm in outcome.alarms:
            when = f"{alarm.window} to {alarm.until}"
            rows.append((when, alarm.group, MEASURES[alarm.measure].title, alarm.what))
    print(f"\n{len(rows)} alarms in {watched} months as they came\n")
    print(table(("months", "group", "measure", "what"), rows))


def quiet_run(months: Months, source: np.random.Generator) -> Months:
    """Take 24 months on end in a random order."""
    first = source.integers(len(months) - REFERENCE - WATCHED + 1)
    chosen = months[first : first + REFERENCE + WATCHED]
    return [chosen[i] for i in source.permutation(len(chosen))]


def _sides(run: Months) -> tuple[dict[str, list[Observation]], dict[str, list[Observation]]]:
    """Name the months of a run, those of the reference and those that are watched."""
    named = [(f"{number:02}", month) for number, month in enumerate(run)]
    return dict(named[:REFERENCE]), dict(named[REFERENCE:])


def alarms(run: Months, measures: Sequence[str]) -> dict[str, list[int]]:
    """Return the watched months, from 0, in which each measure raises an alarm."""
    before, after = _sides(run)
    raised: dict[str, list[int]] = {}
    readers = {name: READERS[name] for name in measures if name in READERS}
    readings = list(judged(list(read_group("all", before, after, readers=readers))))
    for measure in readers:
        raised[measure] = _places([r for r in readings if r.measure == measure])
    for source in LABEL_SOURCES if "labels" in measures else ():
        labels = list(judged(list(read_labels(source, before, after))))
        moved = {reading.window for reading in labels if reading.alarm}
        accuracy = list(read_accuracy(source, before, after, unjudged=moved))
        raised[f"labels {source}"] = _places(labels)
        raised[f"accuracy {source}"] = _places(accuracy)
    return raised


def _places(readings: Sequence[Reading]) -> list[int]:
    watched = [reading for reading in readings if not reading.reference]
    return [place for place, reading in enumerate(watched) if reading.alarm]


def false_alarms(months: Months, measures: Sequence[str], *, runs: int, seed: int) -> None:
    """Print how many alarms begin in 100 quiet months, and in how many of them one stands."""
    source = np.random.default_rng(seed)
    begun: dict[str, int] = defaultdict(int)
    stood: dict[str, int] = defaultdict(int)
    together = 0
    for _ in range(runs):
        raised = alarms(quiet_run(months, source), measures)
        together += len({place for places in raised.values() for place in places})
        for name, places in raised.items():
            begun[name] += sum(place - 1 not in places for place in places)
            stood[name] += len(places)
    each = 100 / (runs * WATCHED)
    rows = [(n, f"{begun[n] * each:.2f}", f"{stood[n] * each:.2f}") for n in begun]
    rows.append(("any of these", f"{sum(begun.values()) * each:.2f}", f"{together * each:.2f}"))
    print(f"\n{runs} runs of {WATCHED} quiet months\n")
    print(table(("measure", "alarms per 100 months", "months in alarm"), rows, right=(1, 2)))


def other_rules(months: Months, shift: Shift, *, runs: int, seed: int) -> None:
    """Print what other rules make of the same quiet and shifted months, by class mix."""
    source = np.random.default_rng(seed)
    begun: dict[AlarmRule, int] = defaultdict(int)
    waits: dict[AlarmRule, list[int]] = defaultdict(list)
    never = 1e9
    readers = {"class_mix": READERS["class_mix"]}
    rules = {
        "3 once": AlarmRule(far=3, near=never),
        "3.5 once": AlarmRule(near=never),
        "2 twice": AlarmRule(far=never),
        "3.5 once or 2 twice": AlarmRule(),
    }
    for _ in range(runs):
        run = quiet_run(months, source)
        begin = REFERENCE + SHIFT
        shifted = run[:begin] + [shift(month, source) for month in run[begin:]]
        readings = [
            list(read_group("all", *_sides(own), readers=readers)) for own in (run, shifted)
        ]
        for rule in rules.values():
            quiet, moved = (_places(list(judged(own, rule))) for own in readings)
            begun[rule] += sum(place - 1 not in quiet for place in quiet)
            after = [place for place in moved if place >= SHIFT]
            waits[rule] += [after[0] - SHIFT + 1] if after else []
    rows = [
        (
            f"{name} beyond",
            f"{begun[rule] * 100 / (runs * WATCHED):.2f}",
            f"{sum(wait == 1 for wait in waits[rule]) / runs:.0%}",
            f"{sum(wait <= 3 for wait in waits[rule]) / runs:.0%}",
        )
        for name, rule in rules.items()
    ]
    header = ("spreads", "false alarms per 100 months", "shift seen at once", "in 3 months")
    print(table(header, rows, right=(1, 2, 3)))


def delays(
    months: Months,
    shifts: dict[str, Shift],
    own: str,
    measures: Sequence[str],
    *,
    runs: int,
    seed: int,
) -> list[tuple[str, ...]]:
    """Return a row for each shift: how often and how soon its `own` alarm comes, and others."""
    rows = []
    for name, shift in shifts.items():
        source = np.random.default_rng(seed)
        waits: list[int] = []
        records: list[int] = []
        others: dict[str, int] = defaultdict(int)
        for _ in range(runs):
            run = quiet_run(months, source)
            begin = REFERENCE + SHIFT
            run[begin:] = [shift(month, source) for month in run[begin:]]
            raised = alarms(run, measures)
            after = [place for place in raised[own] if place >= SHIFT]
            if after:
                waits.append(after[0] - SHIFT + 1)
                records.append(sum(map(len, run[begin : REFERENCE + after[0] + 1])))
            for other, places in raised.items():
                others[other] += other != own and any(p >= SHIFT for p in places)
        share = {n: count / runs for n, count in others.items() if count}
        told = ", ".join(f"{n} {s:.0%}" for n, s in sorted(share.items(), key=lambda x: -x[1]))
        rows.append(
            (
                name,
                f"{sum(wait == 1 for wait in waits) / runs:.0%}",
                f"{sum(wait <= 3 for wait in waits) / runs:.0%}",
                f"{len(waits) / runs:.0%}",
                f"{np.median(waits):g}" if waits else "-",
                f"{np.median(records):,.0f}" if records else "-",
                told or "none",
            )
        )
    return rows


def more_of(pool: Sequence[Observation], share: float) -> Shift:
    """Replace a share of the records by some of a pool."""

    def shift(month: list[Observation], source: np.random.Generator) -> list[Observation]:
        return [
            pool[source.integers(len(pool))] if source.random() < share else one for one in month
        ]

    return shift


def corrupted(points: int) -> Shift:
    """Change so many of NVD's labels that accuracy by them falls by some points."""

    def shift(month: list[Observation], source: np.random.Generator) -> list[Observation]:
        judged = [one for one in month if "nvd" in one.labels]
        right = [one for one in judged if one.labels["nvd"] == one.cwe]
        share = points / 100 * len(judged) / max(len(right), 1)
        wrong = {one.id for one in right if source.random() < share}
        return [
            replace(one, labels={**one.labels, "nvd": "CWE-0"}) if one.id in wrong else one
            for one in month
        ]

    return shift


def cut(shortened: dict[str, Observation], share: float) -> Shift:
    """Leave of some descriptions the first words alone."""

    def shift(month: list[Observation], source: np.random.Generator) -> list[Observation]:
        return [shortened[one.id] if source.random() < share else one for one in month]

    return shift


def halted(month: list[Observation], _: np.random.Generator) -> list[Observation]:
    """Take NVD's labels away."""
    return [
        replace(one, labels={k: v for k, v in one.labels.items() if k != "nvd"}) for one in month
    ]


def new_domain(number: int, classifier: _Earlier, seed: int) -> list[Observation]:
    """Make texts of a domain that no record is about, and classify them."""
    source = np.random.default_rng(seed)
    records = []
    for place in range(number):
        words = source.choice(NEW_WORDS, size=5, replace=False)
        text = NEW_DOMAIN[place % len(NEW_DOMAIN)].format(*words)
        records.append(Vulnerability(f"NEW-{place}", "2024-01-01", text))
    return list(observe(records, classifier))


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=300, help="records of a month")
    parser.add_argument("--runs", type=int, default=100, help="of quiet months, and of labels")
    parser.add_argument("--shifts", type=int, default=20, help="runs of each other shift")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("cybersecqwen").setLevel(logging.ERROR)
    classifier = earlier_classifier(options.records, options.classifier)
    records = sampled(options.records, options.sample)
    observations = list(observe(records, classifier))
    shorter = [replace(r, description=" ".join(r.description.split()[:CUT])) for r in records]
    shortened = {one.id: one for one in observe(shorter, classifier)}
    months = by_month(observations)
    print(f"{len(observations):,} records of {len(months)} months, up to {options.sample} of each")
    as_they_came(months)
    every = {"runs": options.runs, "seed": options.seed}
    inputs = ("class_mix", "vocabulary", "confidence")
    print("\n## Quiet months")
    false_alarms(months, inputs, **every)
    false_alarms(months, ("labels",), **every)
    print(f"\nThe same of the first {NVD_MONTHS} months, in which NVD labels most records:")
    false_alarms(months[:NVD_MONTHS], ("labels",), **every)
    pool = [one for one in observations if one.cwe == "CWE-416"]
    print("\n## Other rules, by class mix, with 20 % more of CWE-416\n")
    other_rules(months, more_of(pool, 0.2), **every)
    print("\n## Shifts\n")
    new = new_domain(400, classifier, options.seed)
    few = {"runs": options.shifts, "seed": options.seed}
    mixed = {f"{s:.0%} more of CWE-416": more_of(pool, s) for s in SHARES}
    spoken = {f"{s:.0%} of a new domain": more_of(new, s) for s in SHARES}
    short = {f"{s:.0%} cut to {CUT} words": cut(shortened, s) for s in CUT_SHARES}
    worse = {f"NVD's labels worse by {p} points": corrupted(p) for p in POINTS}
    rows = [
        *delays(months, mixed, "class_mix", ("class_mix", "confidence"), **few),
        *delays(months, spoken, "vocabulary", inputs, **few),
        *delays(months, short, "confidence", ("class_mix", "confidence"), **few),
        # Texts and answers, and so what is read of them, stay as they are in these.
        *delays(months[:NVD_MONTHS], worse, "accuracy nvd", ("labels",), **every),
        *delays(
            months[:NVD_MONTHS], {"NVD stops labelling": halted}, "labels nvd", ("labels",), **every
        ),
    ]
    header = (
        *("shift", "at once", "in 3 months", f"in {WATCHED - SHIFT}", "median months"),
        *("median records", "other alarms, share of runs"),
    )
    print(table(header, rows, right=(1, 2, 3, 4, 5)))


if __name__ == "__main__":
    main()
