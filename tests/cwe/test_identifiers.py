"""Ids as people write them: dashes, case, spaces, zeros, addresses."""

import pytest

from cybersecqwen.cwe.identifiers import (
    CVE_SYNTAX,
    CWE_ID,
    cve_ids,
    cve_year,
    normalise_cve,
    normalise_ids,
)

DASHES = ["-", "_", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\uff0d"]


def cwe_ids(text: str) -> list[str]:
    return list(dict.fromkeys(f"CWE-{match[1]}" for match in CWE_ID.finditer(text)))


@pytest.mark.parametrize("dash", DASHES)
def test_ids_with_any_dash(dash: str) -> None:
    assert cve_ids(f"see CVE{dash}2021{dash}44228.") == ["CVE-2021-44228"]
    assert cwe_ids(f"see CWE{dash}79.") == ["CWE-79"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cve-2014-0160", ["CVE-2014-0160"]),
        ("CVE 2014-0160", ["CVE-2014-0160"]),
        ("CVE-2014-00160", ["CVE-2014-0160"]),
        ("https://nvd.nist.gov/vuln/detail/CVE-2021-44228", ["CVE-2021-44228"]),
        ("poc_CVE-2021-44228.py", ["CVE-2021-44228"]),
        ("CVE-2021-1, CVE-2021-2 and CVE-2021-1 again", ["CVE-2021-1", "CVE-2021-2"]),
        ("CVE of 2021", []),
        ("MYCVE-2021-44228", []),
        ("", []),
    ],
)
def test_cve_ids(text: str, expected: list[str]) -> None:
    assert cve_ids(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cwe-79", ["CWE-79"]),
        ("CWE 79", ["CWE-79"]),
        ("CWE79", ["CWE-79"]),
        ("CWE-079", ["CWE-79"]),
        ("CWE-89 or CWE-79, so CWE-89", ["CWE-89", "CWE-79"]),
        ("https://cwe.mitre.org/data/definitions/502.html", ["CWE-502"]),
        ("CWE-0", []),
        ("NVD-CWE-noinfo", []),
        ("the CWE Top 25", []),
    ],
)
def test_cwe_ids(text: str, expected: list[str]) -> None:
    assert cwe_ids(text) == expected


def test_normalise_takes_an_id_alone() -> None:
    assert normalise_cve(" cve\u20132021\u201344228\n") == "CVE-2021-44228"
    assert normalise_cve("CVE-2021-44228 and more") == ""


def test_ids_in_a_text_are_normalised_and_the_rest_stays() -> None:
    assert (
        normalise_ids("Is cwe 079 in cve\u20132021\u201344228?") == "Is CWE-79 in CVE-2021-44228?"
    )
    assert normalise_ids("the CWE Top 25, NVD-CWE-noinfo") == "the CWE Top 25, NVD-CWE-noinfo"


def test_year_of_a_cve_id() -> None:
    assert cve_year("CVE-2021-44228") == "2021"
    assert cve_year("GHSA-jfh8-c2jp-5v3q") == ""


def test_syntax_of_the_program() -> None:
    import re

    assert re.fullmatch(CVE_SYNTAX, "CVE-2021-44228")
    assert not re.fullmatch(CVE_SYNTAX, "CVE-2021-1")
