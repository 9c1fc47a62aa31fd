"""Ids as people write them: dashes, case, spaces, zeros, addresses."""

import pytest

from cybersecqwen.cwe.identifiers import (
    CVE_SYNTAX,
    cve_ids,
    cve_year,
    entry_ids,
    normalise_cve,
    normalise_ids,
    unread_ids,
)

LOG4J, HEARTBLEED = ["CVE-2021-44228", "CVE-2021-45046"], "CVE-2014-0160"
DASHES = ["-", "_", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\uff0d"]


@pytest.mark.parametrize("dash", DASHES)
def test_ids_with_any_dash(dash: str) -> None:
    assert cve_ids(f"see CVE{dash}2021{dash}44228.") == ["CVE-2021-44228"]
    assert entry_ids(f"see CWE{dash}79.") == ["CWE-79"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cve-2014-0160", ["CVE-2014-0160"]),
        ("CVE 2014-0160", ["CVE-2014-0160"]),
        ("CVE 2014 0160 and CVE\u00a02021\u00a044228", ["CVE-2014-0160", "CVE-2021-44228"]),
        ("CVE 2021 100 times", []),
        (
            "CVE: 2021-44228, CVE ID 2014-0160 and CVE#2021-45046",
            [*LOG4J[:1], HEARTBLEED, LOG4J[1]],
        ),
        ("CVE - 2021 - 44228 and CVE-2021-\n45046", LOG4J),
        ("CVE\u00ad-2021-44228 and CVE-\u200b2021-\u200b45046", LOG4J),
        ("CVE 2021 - 2022 in numbers", []),
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
        ("\uff23\uff37\uff25\uff0d\uff17\uff19", ["CWE-79"]),
        ("capec 66 and CAPEC\u201362", ["CAPEC-66", "CAPEC-62"]),
        ("https://capec.mitre.org/data/definitions/66.html.", ["CAPEC-66"]),
        ("t1059/001, T1059.003 and T1110.", ["T1059.001", "T1059.003", "T1110"]),
        ("T1059\u2011001 T1059/T1110", ["T1059.001", "T1059", "T1110"]),
        ("https://attack.mitre.org/techniques/T1059/001/", ["T1059.001"]),
        ("https://attack.mitre.org/groups/G0016", ["G0016"]),
        (
            "M1038, s0154, TA0002, DS0009, DET0001",
            ["M1038", "S0154", "TA0002", "DS0009", "DET0001"],
        ),
        ("CVE-2021-44228", []),
        ("T10599, T1059.0011, T1059.1, CWE-79x, CAPEC-66.2, ABC1059", []),
    ],
)
def test_entry_ids(text: str, expected: list[str]) -> None:
    assert entry_ids(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CVE-2024-12", ["CVE-2024-12"]),
        ("CVE-20240-1234 or cve 2024-12", ["CVE-20240-1234", "cve 2024-12"]),
        ("CVE\u20112021\u201144228v2", ["CVE-2021-44228v2"]),
        ("T10599, T1059.0011, T1059/1", ["T10599", "T1059.0011", "T1059/1"]),
        ("CWE-79x, CAPEC-66b and cwe 79/80", ["CWE-79x", "CAPEC-66b", "cwe 79/80"]),
        ("CVE-2014-0160 is CWE-125. T1059.001, T1110. See CAPEC-66, in 2021.", []),
        ("all CVE 2021 had, the CWE Top 25, T105, 10599, x86", []),
    ],
)
def test_what_is_understood_in_part_is_named(text: str, expected: list[str]) -> None:
    assert unread_ids(text) == expected


def test_normalise_takes_an_id_alone() -> None:
    assert normalise_cve(" cve\u20132021\u201344228\n") == "CVE-2021-44228"
    assert normalise_cve("https://nvd.nist.gov/vuln/detail/CVE-2021-44228") == "CVE-2021-44228"
    assert normalise_cve("https://www.cve.org/CVERecord?id=cve-2021-44228") == "CVE-2021-44228"
    assert normalise_cve("CVE-2021-44228 and more") == ""
    assert normalise_cve("CVE-2021-44228v2") == ""


def test_ids_in_a_text_are_normalised_and_the_rest_stays() -> None:
    assert (
        normalise_ids("Is cwe 079 in cve\u20132021\u201344228?") == "Is CWE-79 in CVE-2021-44228?"
    )
    text = "Is \u201ct1059/001\u201d \u2013 https://attack.mitre.org/techniques/T1059/ \u2013 new?"
    assert normalise_ids(text) == "Is \u201cT1059.001\u201d \u2013 T1059/ \u2013 new?"
    assert normalise_ids("the CWE Top 25, NVD-CWE-noinfo") == "the CWE Top 25, NVD-CWE-noinfo"


def test_year_of_a_cve_id() -> None:
    assert cve_year("CVE-2021-44228") == "2021"
    assert cve_year("GHSA-jfh8-c2jp-5v3q") == ""


def test_syntax_of_the_program() -> None:
    import re

    assert re.fullmatch(CVE_SYNTAX, "CVE-2021-44228")
    assert not re.fullmatch(CVE_SYNTAX, "CVE-2021-1")
