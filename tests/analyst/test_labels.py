"""What is said of labels that disagree, and of an answer that is none of them."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.labels import RecordLabel, conflict, difference, record_labels
from cybersecqwen.records import Vulnerability


def labels(nvd: str, cna: str, cisa: str) -> tuple[RecordLabel, ...]:
    given = (tuple(text.split()) for text in (nvd, cna, cisa))
    return record_labels(Vulnerability("CVE-2021-0001", "", "", *given))


def test_labels_have_what_the_catalogue_says_of_them() -> None:
    placeholder, category, unknown, weakness = labels(
        "NVD-CWE-noinfo CWE-310", "CWE-9999", "CWE-79"
    )
    assert placeholder[1:] == ("NVD-CWE-noinfo", "Insufficient Information", "placeholder", "", "")
    assert (category.kind, category.usage, category.giver) == ("category", "Prohibited", "NVD")
    assert (unknown.kind, unknown.name, unknown.giver) == ("not in the catalogue", "", "CNA")
    assert (weakness.abstraction, weakness.usage, weakness.giver) == ("Base", "Allowed", "CISA-ADP")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("CWE-79", "CWE-79 CWE-20", ""), ""),
        (("NVD-CWE-Other", "CWE-79", ""), ""),
        (("", "", ""), ""),
        (("CWE-787", "CWE-119", ""), "CNA's CWE-119 is the parent of NVD's CWE-787"),
        (("CWE-119", "", "CWE-122"), "CISA-ADP's CWE-122 lies below NVD's CWE-119"),
        (
            ("CWE-119", "CWE-124", "CWE-124"),
            "CNA's and CISA-ADP's CWE-124 lies below NVD's CWE-119",
        ),
        (("CWE-122", "", "CWE-119"), "CISA-ADP's CWE-119 lies above NVD's CWE-122"),
        (
            ("CWE-502 CWE-20", "CWE-20 CWE-502", ""),
            "CNA's labels are the same as NVD's, but",
        ),
        (
            ("CWE-79", "CWE-310", ""),
            "CWE-79; CWE-310 is a category",
        ),
        (("CWE-310", "CWE-79", ""), "NVD's CWE-310 is a category"),
        (("CWE-79", "CWE-9999", ""), "CWE-9999 is not in the catalogue"),
        (("", "CWE-79", "CWE-352"), "CISA-ADP's CWE-352 is unrelated to CNA's CWE-79"),
    ],
)
def test_a_conflict_is_said_in_words(given: tuple[str, str, str], said: str) -> None:
    words = conflict(labels(*given))
    assert (said in words) if said else words == ""


RANKED = [("CWE-79", 0.8), ("CWE-80", 0.1), ("CWE-20", 0.05)]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (("CWE-79", "", ""), []),
        (("NVD-CWE-noinfo", "CWE-79", ""), []),
        (("NVD-CWE-noinfo", "", ""), []),
        (
            ("CWE-80", "", ""),
            ["CWE-79 is the parent of NVD's CWE-80", "CWE-80 is the second candidate, at 10%"],
        ),
        (
            ("CWE-20", "CWE-79", "CWE-79"),
            ["NVD's CWE-20, to which mapping is Discouraged", "CNA and CISA-ADP give CWE-79, too"],
        ),
        (
            ("CWE-352", "", ""),
            ["CWE-79 is unrelated to NVD's CWE-352", 'decided in the text: "script", "page"'],
        ),
        (("CWE-310", "", ""), ["NVD's CWE-310 is a category"]),
    ],
)
def test_an_answer_that_is_not_the_label_is_explained(
    given: tuple[str, str, str], parts: list[str]
) -> None:
    words = difference(labels(*given), RANKED, ["script", "page", "third"])
    assert bool(words) == bool(parts)
    assert all(part in words for part in parts), words
    assert difference(labels(*given), [], []) == ""
