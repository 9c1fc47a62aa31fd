"""Of what MITRE advises against, the better neighbour is named, and it may be mapped to."""

from __future__ import annotations

import pytest

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import ADVISED_AGAINST, MappingAdvice, mapping_usage
from cybersecqwen.records import Weakness

CATALOGUE = load_catalogue()
ADVICE = MappingAdvice(CATALOGUE)


def ranked(*cwes: str) -> list[tuple[str, float]]:
    return [(cwe, 1 / (2 + i)) for i, cwe in enumerate(cwes)]


@pytest.mark.parametrize(
    ("cwe", "order", "better"),
    [
        ("CWE-119", ["CWE-119", "CWE-79", "CWE-787", "CWE-125"], "CWE-787"),  # a descendant
        ("CWE-119", ["CWE-119", "CWE-125", "CWE-787"], "CWE-125"),  # the classifier's own order
        ("CWE-200", ["CWE-200", "CWE-22", "CWE-209"], "CWE-22"),  # a peer below CWE-668
        ("CWE-74", ["CWE-89", "CWE-74", "CWE-79"], "CWE-89"),  # ranked above it, and below in CWE
        ("CWE-264", ["CWE-264", "CWE-284", "CWE-306"], "CWE-306"),  # a category has no family
        ("CWE-787", ["CWE-787", "CWE-119"], ""),
        ("CWE-400", ["CWE-400"], "CWE-770"),  # the nearest Allowed descendant
        ("CWE-680", ["CWE-680"], "CWE-190"),  # nothing below it: the parent
    ],
)
def test_the_highest_ranked_of_the_family_is_named(cwe: str, order: list[str], better: str) -> None:
    assert ADVICE.better(cwe, ranked(*order)) == better


def test_every_entry_advised_against_has_a_neighbour_that_is_not() -> None:
    against = [w.cwe_id for w in CATALOGUE.values() if mapping_usage(w) in ADVISED_AGAINST]
    assert len(against) > 500
    for cwe in against:
        named = ADVICE.better(cwe, ranked(cwe, "CWE-79"))
        assert CATALOGUE[named].usage in ("Allowed", "Allowed-with-Review"), cwe


def test_what_states_no_usage_is_prohibited() -> None:
    assert mapping_usage(CATALOGUE["CWE-264"]) == "Prohibited"
    assert mapping_usage(CATALOGUE["CWE-1003"]) == "Prohibited"
    assert mapping_usage(CATALOGUE["CWE-79"]) == "Allowed"


def test_a_ring_of_parents_ends() -> None:
    ring = {
        cwe: Weakness(cwe, cwe, "weakness", usage="Discouraged", parents={"1000": (parent,)})
        for cwe, parent in (("CWE-1", "CWE-2"), ("CWE-2", "CWE-1"))
    }
    assert MappingAdvice(ring).better("CWE-1", ranked("CWE-1")) == ""
