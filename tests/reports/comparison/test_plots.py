from __future__ import annotations

import re
import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from cybersecqwen.reports.comparison.label_placement import Box, PlotLabel, beside, place, short
from cybersecqwen.reports.comparison.score_plots import plots, scores_name
from cybersecqwen.reports.comparison.size_plot import against_size, size_panels

from .compared import CONFUSION, Found, compared, item, items, published, row, table, value

SVG = "{http://www.w3.org/2000/svg}"
ALL = {
    "accuracy-against-size",
    "scores-cti-mcq-model-card",
    "scores-cti-rcm-model-card",
    "confusion-cti-rcm-ours",
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return plots(compared())


def texts(svg: str) -> list[str]:
    elements = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return ["".join(text.itertext()).strip() for text in elements]


def only(*rows: Found, task: str = "cti-rcm", **changes: object) -> Found:
    """Compare models in one table, with nothing published."""
    models = [
        {"name": r["model"], "kind": "instruct", "engine": {}, "parameters": 4.0, "probe": {}}
        for r in rows
    ]
    shown = {"models": models, "tables": [table(task, list(rows))], "published": []}
    return compared(**{**shown, **changes})


def test_draws_size_scores_and_confusion_and_the_same_bytes_again(drawn: dict[str, str]) -> None:
    assert set(drawn) == ALL
    assert plots(compared()) == drawn


def test_every_plot_has_a_title_and_no_text_below_8_points(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        title = ElementTree.fromstring(svg).find(f"{SVG}title")
        assert title is not None and title.text
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ?(?:\w+ )*([\d.]+)px", svg)]
        assert sizes and min(sizes) >= 8


def test_scores_name_each_model_its_verdict_and_its_p_value(drawn: dict[str, str]) -> None:
    labels = texts(drawn["scores-cti-rcm-model-card"])
    assert {"ours", "theirs"} <= set(labels)
    assert any("reference" in text and "0.790" in text for text in labels)
    assert any("▼ worse, p <0.001" in text for text in labels)


def test_confusion_writes_shares_of_the_gold_in_per_cent_but_not_the_smallest() -> None:
    labels = texts(
        plots(only(row("a", 0.5, details={"confusion": CONFUSION})))["confusion-cti-rcm-a"]
    )
    assert "75" in labels and "23" in labels and "2" not in labels
    assert "CWE-79 (100)" in labels and "CWE-89 (0)" in labels


def test_labels_of_all_published_rows_are_there_and_lie_apart() -> None:
    panels = size_panels(compared())
    assert [task for task, _ in panels] == ["cti-mcq", "cti-rcm"]
    figure = against_size(panels)
    figure.canvas.draw()
    labels = [text for axes in figure.axes for text in axes.texts]
    assert len(labels) == sum(len(points) for _, points in panels)
    # An annotation's own extent has its line in it.
    boxes = [Text.get_window_extent(text) for text in labels]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_name_that_is_published_twice_says_its_protocol(drawn: dict[str, str]) -> None:
    labels = texts(drawn["accuracy-against-size"])
    assert "Foundation-Sec-8B (paper)" in labels and "Foundation-Sec-8B (model-card)" in labels
    assert "Foundation-Sec-8B-Reasoning" in labels


def test_a_baseline_far_below_every_model_is_named_at_the_edge(drawn: dict[str, str]) -> None:
    assert "Always CWE-79: 0.229 ↓" in texts(drawn["accuracy-against-size"])


def test_without_any_size_there_is_no_plot_against_it() -> None:
    found = only(row("a", 0.5))
    assert "accuracy-against-size" in plots(found)
    found["models"][0]["parameters"] = None
    assert set(plots(found)) == {"scores-cti-rcm-model-card"}


def test_published_rows_alone_are_no_panel() -> None:
    comparison = only(row("a", 0.5), published=published())
    assert [task for task, _ in size_panels(comparison)] == ["cti-rcm"]


def test_model_names_stay_text_and_file_names_stay_in_their_folder() -> None:
    names = ["../../etc/$x^2$", "../../ETC/$x^2$", "<script>alert(1)</script> & co", "x" * 300]
    details = {"confusion": CONFUSION}
    found = plots(only(*(row(name, 0.5, details=details) for name in names)))
    assert len({name.casefold() for name in found}) == 2 + len(names)
    for name, svg in found.items():
        assert re.fullmatch(r"\w[\w.-]{0,125}", name)
        assert ElementTree.fromstring(svg).find(f".//{SVG}script") is None
    assert {"../../etc/$x^2$", short("x" * 300)} <= set(texts(found["scores-cti-rcm-model-card"]))


def test_a_model_without_a_score_is_named_all_the_same() -> None:
    none = row("b", 0.5) | {"value": value(None, None, None)}
    labels = texts(plots(only(row("a", 0.5), none))["scores-cti-rcm-model-card"])
    assert "b" in labels and "no score" in labels


def test_a_score_without_an_interval_is_a_point() -> None:
    one = row("a", 0.5) | {"value": value(0.5, None, None)}
    assert "a" in texts(plots(only(one))["accuracy-against-size"])


def test_without_matplotlib_there_are_no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert plots(compared()) == {}


def test_scores_name_is_a_file_name() -> None:
    assert (
        scores_name({"task": "cti-mcq", "protocol": "model card/2"})
        == "scores-cti-mcq-model-card-2"
    )


def test_items_draw_nothing() -> None:
    assert set(plots(only(row("a", 0.5), items=[items("cti-rcm", ["a"], [item(1, None)])]))) == {
        "accuracy-against-size",
        "scores-cti-rcm-model-card",
    }


labels = st.builds(
    PlotLabel, st.integers(5, 295), st.integers(5, 195), st.integers(5, 60), st.just(10)
)


@given(st.lists(labels, max_size=12))
def test_placed_labels_never_overlap_each_other_or_a_marker(wanted: list[PlotLabel]) -> None:
    bounds = Box(0, 0, 300, 200)
    places = place(wanted, bounds=bounds)
    if places is None:
        return
    markers = [Box(x - 4, y - 4, x + 4, y + 4) for x, y, *_ in wanted]
    assert len(places) == len(wanted)
    assert all(box.inside(bounds) for box in places)
    assert not any(a.hits(b) for a, b in combinations(places, 2))
    assert not any(box.hits(marker) for box in places for marker in markers)


def test_a_lone_label_stands_beside_its_marker() -> None:
    label = PlotLabel(50, 50, 40, 10)
    assert place([label], bounds=Box(0, 0, 200, 100)) == [beside(label)]


def test_a_label_at_the_right_edge_goes_left_and_one_too_wide_has_no_place() -> None:
    bounds = Box(0, 0, 100, 100)
    assert place([PlotLabel(90, 50, 40, 10)], bounds=bounds) == [Box(42, 45, 82, 55)]
    assert place([PlotLabel(50, 50, 90, 10)], bounds=bounds) is None
