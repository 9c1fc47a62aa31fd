"""Accuracy by overlap says something of contamination only beside a control."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cybersecqwen.benchmark.paired import compare
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import ResponseSet, rescore
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.errors import InputError
from cybersecqwen.records import Response
from cybersecqwen.reports.overlap_accuracy import overlap_report, overlap_text
from cybersecqwen.sample import BENCHMARK

ITEMS = read_items(BENCHMARK, "cti-rcm")
HALF = len(ITEMS) // 2
SHARES = [0.0 if i < HALF else 0.9 for i in range(len(ITEMS))]


def answers(name: str, right: set[int]) -> ResponseSet:
    """Make answers that are right on these items."""
    found = [Response(i.index, 0, i.gold if i.index in right else "CWE-1") for i in ITEMS]
    return ResponseSet(name, "cti-rcm", Path(name), {0: found}, _card())


def _card() -> object:
    return find_protocol("model-card", trials=1)


def test_a_model_that_gains_on_overlap_alone_is_found_out() -> None:
    control = answers("control", set(range(0, len(ITEMS), 2)))
    cheat = answers("cheat", set(range(0, HALF, 2)) | set(range(HALF, len(ITEMS))))
    report = overlap_report(cheat, control, SHARES, BENCHMARK, corpus="train.jsonl")
    none, much = report["bins"]
    assert (none["overlap"], much["overlap"]) == ("none", "more than half")
    assert none["gain"] == 0
    assert much["accuracy"] == 1
    assert much["gain"] == pytest.approx(0.5, abs=0.02)
    assert report["extra"] == pytest.approx(0.5, abs=0.02)
    assert report["extra_interval_95"] is not None
    assert report["extra_interval_95"].low > 0
    assert overlap_text(report).endswith("overlap helped.")


def test_a_model_that_gains_everywhere_is_not() -> None:
    control = answers("control", set(range(0, len(ITEMS), 2)))
    better = answers("better", set(range(len(ITEMS))))
    report = overlap_report(better, control, SHARES, BENCHMARK)
    assert report["extra"] == pytest.approx(0, abs=0.05)
    assert "no sign that overlap helped" in overlap_text(report)


def test_trials_that_differ_by_their_seed_alone_do_not_widen_the_verdict() -> None:
    flips = {i for i in range(len(ITEMS)) if i % 5 == 0}
    protocol = find_protocol("model-card")

    def trials(name: str, right: set[int]) -> ResponseSet:
        found = {
            t: [
                Response(i.index, t, i.gold if (i.index in right) ^ (t == i.index % 7) else "CWE-1")
                for i in ITEMS
            ]
            for t in range(5)
        }
        return ResponseSet(name, "cti-rcm", Path(name), found, protocol)

    control, model = trials("control", flips), trials("model", flips | set(range(HALF, HALF + 5)))
    report = overlap_report(model, control, SHARES, BENCHMARK)
    ours, theirs = (
        rescore(a, protocol, BENCHMARK).ratio("strict_accuracy") for a in (model, control)
    )
    kept = [i for i in range(len(ITEMS)) if i >= HALF]
    pair = [(n[kept], d[kept]) for n, d in (ours, theirs)]
    assert report["bins"][-1]["gain_interval_95"] == compare(*pair, trials=False).interval
    assert report["bins"][-1]["gain_interval_95"] != compare(*pair).interval


def test_a_bin_of_which_nothing_can_be_read_has_an_accuracy_of_0() -> None:
    mute = {0: [Response(i.index, 0, "I cannot tell.") for i in ITEMS]}
    model = ResponseSet("mute", "cti-rcm", Path("mute"), mute, find_protocol("cti-bench"))
    report = overlap_report(model, model, SHARES, BENCHMARK)
    assert [(found["accuracy"], found["gain"]) for found in report["bins"]] == [(0, 0), (0, 0)]
    assert report["extra"] == 0
    json.dumps(report, allow_nan=False)


def test_without_a_control_nothing_is_concluded() -> None:
    shares = [*SHARES[:-1], None]
    report = overlap_report(answers("x", {0}), None, shares, BENCHMARK)
    assert report["bins"][0]["overlap"] == "too short to tell"
    assert report["extra"] is None
    assert "Without a control this says nothing" in overlap_text(report)


def test_a_control_of_another_task_is_refused() -> None:
    other = ResponseSet("y", "cti-mcq", Path("y"), {0: []}, None)
    with pytest.raises(InputError, match="y: answers cti-mcq, not cti-rcm"):
        overlap_report(answers("x", {0}), other, SHARES, BENCHMARK)
