"""Drift: whether records, answers and labels still are what the model was measured on.

    from cybersecqwen.analyst import drift

    outcome = drift.report(drift.observe(records))
    outcome.alarms            # what has moved, since when, and what to do
    drift.drift_svg(outcome)  # a chart of all readings

Pure functions on classified records and verdicts. `class_mix`, `vocabulary` and `accuracy` measure
one thing each, `readings` hold them against a reference, `rule` says when that is an alarm.
"""

from __future__ import annotations

from cybersecqwen.analyst.drift.chart import drift_svg
from cybersecqwen.analyst.drift.drift_report import (
    GROUPS,
    SAMPLE,
    Alarm,
    DriftReport,
    DriftSettings,
    WindowSummary,
    report,
)
from cybersecqwen.analyst.drift.observation import (
    Observation,
    Selection,
    first_labels,
    observe,
    read_verdicts,
)
from cybersecqwen.analyst.drift.readings import Reading
from cybersecqwen.analyst.drift.rule import MEASURES, RULE, AlarmRule
from cybersecqwen.analyst.drift.windows import REFERENCE_WINDOWS

__all__ = [
    "GROUPS",
    "MEASURES",
    "REFERENCE_WINDOWS",
    "RULE",
    "SAMPLE",
    "Alarm",
    "AlarmRule",
    "DriftReport",
    "DriftSettings",
    "Observation",
    "Reading",
    "Selection",
    "WindowSummary",
    "drift_svg",
    "first_labels",
    "observe",
    "read_verdicts",
    "report",
]
