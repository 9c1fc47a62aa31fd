"""Say how near a wrong CWE came: its place in the CWE hierarchy against that of the gold.

>>> from cybersecqwen.cwe.catalogue import load_catalogue
>>> report = hierarchy([["CWE-74"], ["CWE-787"]], ["CWE-79", "CWE-787"], load_catalogue())
>>> report["credit"]["exact"], report["credit"]["or_parent_or_child"]
({'count': 1, 'share': 0.5}, {'count': 2, 'share': 1.0})
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cybersecqwen.benchmark.breakdown import Pairs, count_pairs, count_predicted, part
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.cwe.mapping import ADVISED_AGAINST, mapping_usage
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness

RELATIONS = (
    "exact",
    "parent",
    "child",
    "same_pillar",
    "other",
    "not_a_weakness",
    "not_in_catalogue",
    "unparseable",
)
_RELATION = {
    "equal": "exact",
    "parent": "parent",
    "child": "child",
    "sibling": "same_pillar",
    "same pillar": "same_pillar",
    "unrelated": "other",
}


def relation(
    predicted: str | None, gold: str, *, graph: CweGraph, catalogue: Mapping[str, Weakness]
) -> str:
    """Return which of RELATIONS a prediction has to the gold.

    "parent" and "child" are one step in view 1000 from the gold, so a parent is too general. A
    prediction that is "not_a_weakness" is a category or a view.
    """
    if predicted is None:
        return "unparseable"
    if predicted != gold and predicted not in catalogue:
        return "not_in_catalogue"
    if predicted != gold and catalogue[predicted].kind != "weakness":
        return "not_a_weakness"
    return _RELATION[graph.kinship(predicted, gold)]


def hierarchy(
    predictions: Sequence[Sequence[str | None]],
    golds: Sequence[str],
    catalogue: Mapping[str, Weakness],
) -> Json:
    """Count how near predictions come to the gold in the CWE hierarchy.

    `relations` counts every answer once (see `relation`), `credit` adds up the near
    ones, and `ids` lists the ids that are no weakness or no entry. `view_1003.agreement` is
    the share of answers that view 1003 puts with the gold: both are mapped to their nearest
    ancestors-or-self there, any of equally near ones counts, and an entry without any stands
    for itself, so that an exact answer always agrees. `usage` is the share of mappings
    that MITRE discourages or prohibits, of all answers beside that of the items' golds.
    """
    pairs = count_pairs(predictions, golds)
    graph, n = CweGraph(catalogue), pairs.total()
    relations: Counter[str] = Counter()
    ids: dict[str, Counter[str]] = {"not_in_catalogue": Counter(), "not_a_weakness": Counter()}
    for (predicted, gold), count in pairs.items():
        name = relation(predicted, gold, graph=graph, catalogue=catalogue)
        relations[name] += count
        if predicted is not None and name in ids:
            ids[name][predicted] += count
    exact, near = relations["exact"], relations["parent"] + relations["child"]
    predicted_ids, gold_ids = count_predicted(pairs), Counter(golds)
    return {
        "answers": n,
        "relations": {name: part(relations[name], n) for name in RELATIONS},
        "ids": {name: dict(counts.most_common()) for name, counts in ids.items()},
        "credit": {
            "exact": part(exact, n),
            "or_parent_or_child": part(exact + near, n),
            "or_same_pillar": part(exact + near + relations["same_pillar"], n),
        },
        "view_1003": {
            "agreement": part(_agreeing(graph, pairs), n),
            "predicted_inside": part(_inside(graph, predicted_ids), n),
            "gold_inside": part(_inside(graph, gold_ids), len(golds)),
        },
        "usage": {
            "predicted": _usage(catalogue, predicted_ids, n),
            "gold": _usage(catalogue, gold_ids, len(golds)),
        },
    }


def _agreeing(graph: CweGraph, pairs: Pairs) -> int:
    return sum(
        n
        for (predicted, gold), n in pairs.items()
        if predicted is not None and graph.same_in_view_1003(predicted, gold)
    )


def _inside(graph: CweGraph, ids: Counter[str]) -> int:
    return sum(n for cwe_id, n in ids.items() if cwe_id in graph.view_1003)


def _usage(catalogue: Mapping[str, Weakness], ids: Counter[str], whole: int) -> Json:
    counts: Counter[str] = Counter()
    for entry, n in ((catalogue[c], n) for c, n in ids.items() if c in catalogue):
        counts[mapping_usage(entry, unstated="")] += n
    return {usage.lower(): part(counts[usage], whole) for usage in ADVISED_AGAINST}
