"""Near misses by hand on a small graph, and what the real catalogue and gold are known to hold.

The graph of view 1000; what is written CWE- is a member of view 1003 too:

    pillar 1      pillar 2
      |    \\      /   |
      10    CWE-20    21
     /  \\     |
  110    CWE-111   (111 is below 10 and 20)
   |
  210
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cybersecqwen.benchmark.hierarchy import RELATIONS, hierarchy, relation
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.records import Weakness
from cybersecqwen.sources.cwe import read_weaknesses


def weakness(
    number: int, *above: int, abstraction: str = "Base", usage: str = "Allowed"
) -> Weakness:
    parents = {"1000": tuple(f"CWE-{n}" for n in above)} if above else {}
    return Weakness(f"CWE-{number}", "", "weakness", abstraction, "", usage, parents)


ENTRIES = [
    weakness(1, abstraction="Pillar", usage="Discouraged"),
    weakness(2, abstraction="Pillar", usage="Discouraged"),
    weakness(10, 1, abstraction="Class", usage="Allowed-with-Review"),
    weakness(20, 1, 2, abstraction="Class", usage="Discouraged"),
    weakness(21, 2),
    weakness(110, 10),
    Weakness(
        "CWE-111",
        "",
        "weakness",
        "Base",
        usage="Allowed",
        parents={"1000": ("CWE-10", "CWE-20"), "1003": ("CWE-20",)},
    ),
    weakness(210, 110),
    Weakness("CWE-7", "", "weakness", "Base", status="Deprecated"),
    Weakness("CWE-264", "", "category"),
    Weakness("CWE-1000", "", "view"),
]
CATALOGUE = {entry.cwe_id: entry for entry in ENTRIES}
GRAPH = CweGraph(CATALOGUE)


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        ("CWE-110", "CWE-110", "exact"),
        ("CWE-10", "CWE-110", "parent"),
        ("CWE-20", "CWE-111", "parent"),  # either of two parents
        ("CWE-110", "CWE-10", "child"),
        ("CWE-10", "CWE-210", "same_pillar"),  # two steps
        ("CWE-110", "CWE-111", "same_pillar"),  # siblings
        ("CWE-1", "CWE-210", "same_pillar"),  # the pillar itself
        ("CWE-21", "CWE-111", "same_pillar"),  # the second of two pillars
        ("CWE-1", "CWE-2", "other"),
        ("CWE-21", "CWE-110", "other"),
        ("CWE-7", "CWE-110", "other"),  # deprecated, above and below nothing
        ("CWE-264", "CWE-110", "not_a_weakness"),
        ("CWE-1000", "CWE-110", "not_a_weakness"),
        ("CWE-264", "CWE-264", "exact"),
        ("CWE-9999", "CWE-110", "not_in_catalogue"),
        ("CWE-110", "CWE-9999", "other"),
        (None, "CWE-110", "unparseable"),
    ],
)
def test_a_prediction_stands_in_one_relation_to_the_gold(
    predicted: str | None, gold: str, expected: str
) -> None:
    assert relation(predicted, gold, graph=GRAPH, catalogue=CATALOGUE) == expected


def test_an_entry_is_mapped_to_its_nearest_ancestors_in_view_1003() -> None:
    assert GRAPH.view_1003 == {"CWE-20", "CWE-111"}
    alone = {"CWE-269": weakness(269, 20), "CWE-5": weakness(5, 20, 269), "CWE-6": weakness(6, 5)}
    graph = CweGraph(CATALOGUE | alone)
    assert graph.view_1003 == {"CWE-20", "CWE-111", "CWE-269"}
    assert graph.in_view_1003("CWE-111") == {"CWE-111"}  # itself, not its parent
    assert graph.in_view_1003("CWE-6") == {"CWE-20", "CWE-269"}  # a tie
    assert graph.in_view_1003("CWE-210") == {"CWE-210"}  # none above: stands for itself


def test_a_circle_in_a_catalogue_ends() -> None:
    graph = CweGraph({"CWE-1": weakness(1, 2), "CWE-2": weakness(2, 1, 3)})
    assert graph.pillars("CWE-1") == frozenset()
    assert graph.in_view_1003("CWE-2") == {"CWE-2"}


def test_every_answer_is_counted_once_and_the_credit_adds_up() -> None:
    golds = ["CWE-110", "CWE-111"]
    predictions = [
        ["CWE-110", "CWE-10", "CWE-210", "CWE-9999", "CWE-264"],
        ["CWE-20", "CWE-110", "CWE-9999", "CWE-7", None],
    ]
    found = hierarchy(predictions, golds, CATALOGUE)
    counts = {name: row["count"] for name, row in found["relations"].items()}
    assert counts == {
        "exact": 1,
        "parent": 2,
        "child": 1,
        "same_pillar": 1,
        "other": 1,
        "not_a_weakness": 1,
        "not_in_catalogue": 2,
        "unparseable": 1,
    }
    assert tuple(counts) == RELATIONS
    assert sum(row["share"] for row in found["relations"].values()) == pytest.approx(1)
    assert [row["count"] for row in found["credit"].values()] == [1, 4, 5]
    assert found["credit"]["or_parent_or_child"]["share"] == 0.4
    assert json.loads(json.dumps(found)) == found
    assert found["ids"] == {"not_in_catalogue": {"CWE-9999": 2}, "not_a_weakness": {"CWE-264": 1}}


def test_agreement_in_view_1003_holds_for_every_exact_answer() -> None:
    below = CATALOGUE | {"CWE-8": weakness(8, 20), "CWE-9": weakness(9, 20)}
    golds = ["CWE-8", "CWE-210"]
    predictions = [["CWE-9", "CWE-20", "CWE-111", None], ["CWE-210", "CWE-110", "CWE-9999", None]]
    view = hierarchy(predictions, golds, below)["view_1003"]
    assert view["agreement"] == {"count": 3, "share": 3 / 8}  # 9 and 20 for 8; 210 for 210
    assert view["predicted_inside"] == {"count": 2, "share": 2 / 8}
    assert view["gold_inside"] == {"count": 0, "share": 0}


def test_discouraged_and_prohibited_mappings_are_counted_beside_golds() -> None:
    golds = ["CWE-20", "CWE-110"]
    predictions = [["CWE-20", "CWE-1", "CWE-264"], ["CWE-7", "CWE-10", None]]
    usage = hierarchy(predictions, golds, CATALOGUE)["usage"]
    assert usage["predicted"]["discouraged"] == {"count": 2, "share": 2 / 6}
    assert usage["predicted"]["prohibited"] == {"count": 2, "share": 2 / 6}
    assert usage["gold"]["discouraged"] == {"count": 1, "share": 1 / 2}
    assert usage["gold"]["prohibited"] == {"count": 0, "share": 0}


def test_an_entry_that_the_file_calls_prohibited_is() -> None:
    catalogue = {"CWE-3": weakness(3, usage="Prohibited")}
    usage = hierarchy([["CWE-3"], ["CWE-4"]], ["CWE-3", "CWE-4"], catalogue)["usage"]
    assert usage["predicted"]["prohibited"]["count"] == 1


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        ("CWE-74", "CWE-79", "parent"),
        ("CWE-121", "CWE-787", "child"),
        ("CWE-707", "CWE-79", "same_pillar"),
        ("CWE-89", "CWE-79", "same_pillar"),
        ("CWE-352", "CWE-79", "other"),
        ("CWE-399", "CWE-79", "not_a_weakness"),
    ],
)
def test_relations_in_the_catalogue_that_ships(predicted: str, gold: str, expected: str) -> None:
    catalogue = load_catalogue()
    graph = CweGraph(catalogue)
    assert relation(predicted, gold, graph=graph, catalogue=catalogue) == expected


def test_every_weakness_in_use_lies_below_a_pillar() -> None:
    catalogue = load_catalogue()
    graph = CweGraph(catalogue)
    used = [w for w in catalogue.values() if w.kind == "weakness" and w.status != "Deprecated"]
    assert [w.cwe_id for w in used if not graph.pillars(w.cwe_id)] == []
    assert len(set().union(*(graph.pillars(w.cwe_id) for w in used))) == 10


@pytest.mark.shared
def test_the_members_of_view_1003_are_those_that_its_list_states(shared: Path) -> None:
    facts = read_weaknesses(shared / "cwec_v4.16.xml.gz").facts
    listed = {f.subject for f in facts if (f.relation, f.target) == ("part of", "CWE-1003")}
    assert CweGraph(load_catalogue()).view_1003 == listed


@pytest.mark.shared
def test_what_the_benchmarks_gold_is_known_to_hold(shared: Path) -> None:
    golds = [item.gold for item in read_items(shared / "cti-bench", "cti-rcm")]
    found = hierarchy([[gold] for gold in golds], golds, load_catalogue())
    assert found["view_1003"]["gold_inside"] == {"count": 957, "share": 0.957}
    assert found["usage"]["gold"]["discouraged"] == {"count": 72, "share": 0.072}
    assert found["usage"]["gold"]["prohibited"]["count"] == 0
    assert found["view_1003"]["agreement"]["share"] == 1
