"""A comparison holds models against a reference on the same items, and corrects for how many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.engines import open_model
from cybersecqwen.errors import InputError
from cybersecqwen.reports.comparison import ComparisonSettings, compare, write_comparison
from cybersecqwen.reports.comparison.result_tables import figure, render
from cybersecqwen.sample import BENCHMARK

ITEMS = read_items(BENCHMARK, "cti-rcm")
N = len(ITEMS)
Evaluated = Callable[..., Path]


@pytest.fixture
def evaluated(tmp_path: Path) -> Evaluated:
    """Evaluate answers that are right on the items of a range, into a run of that name."""

    def make(name: str, right: range, *, task: str = "cti-rcm", trials: int = 1) -> Path:
        items = read_items(BENCHMARK, task)
        path = tmp_path / f"{name}.jsonl"
        rows = [
            {"item": i.index, "trial": t, "text": i.gold if i.index in right else "CWE-1"}
            for t in range(trials)
            for i in items
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        protocol = find_protocol("model-card", trials=trials)
        model = open_model(path)
        evaluate(model, task, protocol, benchmark=BENCHMARK, out=tmp_path / f"run-{name}")
        return tmp_path / f"run-{name}"

    return make


def test_models_are_ranked_and_held_against_the_reference(evaluated: Evaluated) -> None:
    runs = [evaluated("a", range(N // 2)), evaluated("b", range(N)), evaluated("c", range(N // 2))]
    comparison = compare(runs, BENCHMARK, settings=ComparisonSettings())
    [table] = comparison["tables"]
    assert (comparison["reference"], table["reference"]) == ("a", "a")
    assert [row["model"] for row in table["rows"]] == ["b", "a", "c"]
    best, reference, same = table["rows"]
    assert reference["against"] is None
    against = best["against"]
    assert (against["only_first"], against["only_second"]) == (N - N // 2, 0)
    assert against["difference"] == pytest.approx(1 - (N // 2) / N)
    assert against["test"] == "exact McNemar"
    assert against["p_holm"] == min(1, 2 * against["p_value"])
    assert (against["verdict"], same["against"]["verdict"]) == ("better", "same")
    assert against["sentence"].startswith("b answers ")
    assert "a and" not in against["sentence"]
    assert same["against"]["sentence"].startswith("c and a cannot be told apart")


def test_several_trials_are_compared_by_the_bootstrap(evaluated: Evaluated) -> None:
    runs = [evaluated("a", range(N // 2), trials=2), evaluated("b", range(N), trials=3)]
    comparison = compare(runs, BENCHMARK, settings=ComparisonSettings(reference="b"))
    [_, worse] = comparison["tables"][0]["rows"]
    assert worse["against"]["test"] == "paired bootstrap over items"
    assert worse["against"]["verdict"] == "worse"
    assert worse["modified"] == ["trials=2"]
    low, high = worse["against"]["interval"]
    assert low < worse["against"]["difference"] < high < 0


def test_every_item_says_who_had_it_right(evaluated: Evaluated) -> None:
    runs = [evaluated("a", range(3)), evaluated("b", range(1, N))]
    [part] = compare(runs, BENCHMARK, settings=ComparisonSettings())["items"]
    assert part["models"] == ["a", "b"]
    right = [[answer["correct"][0] for answer in row["answers"]] for row in part["rows"]]
    assert right[0] == [True, False]
    assert right[1] == [True, True]
    assert right[-1] == [False, True]
    assert part["rows"][0]["answers"][0]["response"] == ITEMS[0].gold


def test_published_rows_stand_only_beside_the_published_items(evaluated: Evaluated) -> None:
    comparison = compare(
        [evaluated("a", range(3))], BENCHMARK, settings=ComparisonSettings(published=True)
    )
    assert comparison["published"] == []
    assert "Published figures are left out" in render(comparison, plots=())


@pytest.mark.shared
def test_published_rows_carry_source_protocol_and_an_unpaired_distance(
    shared: Path, tmp_path: Path
) -> None:
    folder = shared / "cti-bench"
    items = read_items(folder, "cti-rcm")
    path = tmp_path / "always-79.jsonl"
    rows = ({"item": i.index, "text": "CWE-79"} for i in items)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    protocol = find_protocol("model-card", trials=1)
    model = open_model(path)
    evaluate(model, "cti-rcm", protocol, benchmark=folder, out=tmp_path / "run")
    comparison = compare([tmp_path / "run"], folder, settings=ComparisonSettings(published=True))
    by_model = {row["model"]: row for row in comparison["published"]}
    card = by_model["CyberSecQwen-4B"]
    assert (card["status"], card["protocol"]) == ("published", "model-card")
    distance = card["reference_minus_this"]["cti-rcm"]
    assert distance["difference"] == pytest.approx(0.229 - 0.6664)
    low, high = distance["interval_95_unpaired"]
    assert low < distance["difference"] < high < 0
    assert by_model["Always CWE-79"]["reference_minus_this"]["cti-rcm"]["difference"] == (
        pytest.approx(0)
    )
    text = render(comparison, plots=())
    assert "0.6664" in text
    assert "unpaired" in text
    assert "1.31" in text  # GPT-4's deviation on cti-vsp


@pytest.mark.shared
def test_a_published_row_is_held_against_the_score_under_its_protocol(
    shared: Path, tmp_path: Path
) -> None:
    folder = shared / "cti-bench"
    items = read_items(folder, "cti-rcm")
    path = tmp_path / "doubtful.jsonl"
    rows = ({"item": i.index, "text": f"CWE-79 or {i.gold}"} for i in items)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("model-card", "faith"):
        model, protocol = open_model(path), find_protocol(name, trials=1)
        evaluate(model, "cti-rcm", protocol, benchmark=folder, out=tmp_path / "run")
    comparison = compare([tmp_path / "run"], folder, settings=ComparisonSettings(published=True))
    ours = {table["protocol"]: table["rows"][0]["value"]["mean"] for table in comparison["tables"]}
    assert ours["faith"] < ours["model-card"] == 1
    held = {
        row["model"]: ours_minus["cti-rcm"]["difference"] + row["cti_rcm"]
        for row in comparison["published"]
        if "cti_rcm" in row and (ours_minus := row["reference_minus_this"])
    }
    assert held["GPT-5"] == pytest.approx(ours["faith"])
    assert held["CyberSecQwen-4B"] == held["Sec-Gemini v1"] == pytest.approx(1)


def test_models_of_one_name_go_by_their_folders(evaluated: Evaluated, tmp_path: Path) -> None:
    first = evaluated("a", range(3))
    (tmp_path / "again").mkdir()
    second = tmp_path / "again" / "run-a"
    first.rename(second)
    first = evaluated("a", range(9))
    names = [
        m["name"]
        for m in compare([first, second], BENCHMARK, settings=ComparisonSettings())["models"]
    ]
    assert names == [f"a ({first})", f"a ({second})"]
    with pytest.raises(InputError, match="twice"):
        compare([first, first], BENCHMARK, settings=ComparisonSettings())


def test_an_unknown_reference_is_named(evaluated: Evaluated) -> None:
    with pytest.raises(InputError, match=r"'z' is none of the models .*there are a"):
        compare([evaluated("a", range(3))], BENCHMARK, settings=ComparisonSettings(reference="z"))


def test_what_is_written_says_the_same_and_the_json_holds_no_item(
    evaluated: Evaluated, tmp_path: Path
) -> None:
    comparison = compare(
        [evaluated("a", range(3)), evaluated("b", range(N))],
        BENCHMARK,
        settings=ComparisonSettings(),
    )
    markdown, machine, page = write_comparison(comparison, tmp_path / "out")
    assert "| ▲   | b" in markdown.read_text()
    stored = json.loads(machine.read_text())
    assert stored["tables"] == json.loads(json.dumps(comparison["tables"]))
    assert "items" not in stored
    assert page.name == "comparison.html"


def test_what_was_not_measured_is_null_and_no_verdict(tmp_path: Path) -> None:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    lines = ["URL\tDescription\tPrompt\tGT", *(f"u{i}\tt{i}\tp{i}\t{vector}" for i in range(4))]
    (tmp_path / "cti-vsp.tsv").write_text("\n".join(lines))
    items = read_items(tmp_path, "cti-vsp")
    runs = []
    for name, text in (("mute", "no idea"), ("right", None)):
        path = tmp_path / f"{name}.jsonl"
        rows = ({"item": i.index, "text": text or i.gold} for i in items)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        protocol, model = find_protocol("model-card", trials=1), open_model(path)
        runs.append(tmp_path / f"run-{name}")
        evaluate(model, "cti-vsp", protocol, benchmark=tmp_path, out=runs[-1])
    comparison = compare(runs, tmp_path, settings=ComparisonSettings())
    markdown, machine, page = write_comparison(comparison, tmp_path / "out")
    for path in (markdown, machine, page):
        assert not re.search(r"\bnan\b|\bNaN\b", path.read_text())
    [against] = [r["against"] for r in comparison["tables"][0]["rows"] if r["against"]]
    assert (against["verdict"], against["difference"], against["p_holm"]) == ("", None, None)
    assert "cannot be compared in mad" in markdown.read_text()


@pytest.mark.parametrize(
    ("task", "protocol"), [("cti-vsp", "model-card"), ("cti-rcm", "cti-bench")]
)
def test_who_leaves_hard_items_out_is_not_better(task: str, protocol: str, tmp_path: Path) -> None:
    right, wrong = {
        "cti-vsp": (
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L",
        ),
        "cti-rcm": ("CWE-79", "CWE-89"),
    }[task]
    lines = ["URL\tDescription\tPrompt\tGT", *(f"u{i}\tt{i}\tp{i}\t{right}" for i in range(20))]
    (tmp_path / f"{task}.tsv").write_text("\n".join(lines))
    runs = []
    for name, hard in (("whole", wrong), ("refuses", "I cannot say."), ("best", right)):
        path = tmp_path / f"{name}.jsonl"
        rows = ({"item": i, "text": right if i < 12 else hard} for i in range(20))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        runs.append(tmp_path / f"run-{name}")
        found = find_protocol(protocol, trials=1)
        evaluate(open_model(path), task, found, benchmark=tmp_path, out=runs[-1])
    comparison = compare(runs, tmp_path, settings=ComparisonSettings())
    [table] = comparison["tables"]
    assert [row["model"] for row in table["rows"]] == ["best", "whole", "refuses"]
    against = {row["model"]: row["against"] for row in table["rows"]}
    assert against["best"]["verdict"] == "better"
    refuses = against["refuses"]
    assert (refuses["verdict"], refuses["p_holm"]) == ("", None)
    assert (refuses["items"], refuses["asked"], refuses["difference"]) == (12, 20, 0)
    assert "refuses answered 60.0% and whole answered 100.0%" in refuses["sentence"]
    # It is no comparison that Holm counts.
    assert against["best"]["p_holm"] == against["best"]["p_value"]
    said = render(comparison, plots=())
    assert "no verdict: another share of the items was answered" in said
    assert "correction over 1 comparison at the 5 % level. No mark: the two cannot be" in said


def test_models_that_were_asked_other_rows_are_said_to_be(
    tmp_path: Path,
) -> None:
    items = read_items(BENCHMARK, "cti-rcm")
    path = tmp_path / "answers.jsonl"
    rows = ({"item": i.index, "text": i.gold} for i in items)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    protocol, runs = find_protocol("faith", trials=1), []
    for kind in ("instruct", "base"):
        runs.append(tmp_path / kind)
        model = replace(open_model(path, kind=kind), name=kind)
        evaluate(model, "cti-rcm", protocol, benchmark=BENCHMARK, out=runs[-1])
    comparison = compare(runs, BENCHMARK, settings=ComparisonSettings())
    [row] = [row for row in comparison["tables"][0]["rows"] if row["model"] == "base"]
    assert row["against"] is None
    assert row["items"] == N - protocol.base_shots
    assert "not held against the reference, which was asked other rows" in render(
        comparison, plots=()
    )


def test_a_line_break_in_a_name_begins_no_heading(evaluated: Evaluated) -> None:
    comparison = compare([evaluated("a", range(3))], BENCHMARK, settings=ComparisonSettings())
    text = render(comparison | {"reference": "a\n# b"}, plots=())
    assert "Reference: **a # b**" in text


def test_figures_keep_the_decimals_of_their_source() -> None:
    assert [figure(v) for v in (0.6664, 0.71, (0.71, 0.78), None)] == [
        "0.6664",
        "0.710",
        "0.710 to 0.780",
        "–",
    ]
