"""Questions for records: their filters, and what is no such question."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cybersecqwen.analyst.vulnerabilities.queries import parse
from cybersecqwen.analyst.vulnerabilities.record_query import describe
from cybersecqwen.analyst.vulnerabilities.wording import corrected

YESTERDAY = (date.today() - timedelta(1)).isoformat()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("which F5 BIG-IP CVEs are in KEV?", {"words": ("f5", "big", "ip"), "exploited": True}),
        ("exploited foo data protection CVEs", {"words": ("foo", "data", "protection")}),
        ("List all CVEs of Foo Server", {"words": ("foo", "server"), "table": True}),
        ("foo cves in 2024", {"since": "2024-01-01", "until": "2024-12-31"}),
        ("foo cves since March 2024", {"since": "2024-03-01", "until": ""}),
        ("foo cves after 2024-02-28", {"since": "2024-02-29", "until": ""}),
        ("foo cves before 2024", {"since": "", "until": "2023-12-31"}),
        ("foo cves between 2020 and 2021-06", {"since": "2020-01-01", "until": "2021-06-30"}),
        ("foo cves with CWE-79", {"cwes": ("CWE-79",), "words": ("foo",)}),
        ("Which CVEs are assigned CWE-79?", {"cwes": ("CWE-79",), "words": ()}),
        ("the CVE with CWE-79 in Foo", {"cwes": ("CWE-79",), "words": ("foo",)}),
        (
            "path traversal CVEs in Foo",
            {"cwes": ("CWE-22", "CWE-23", "CWE-24", "CWE-35", "CWE-36")},
        ),
        ("RCE vulnerabilities in Foo", {"kind": "rce", "cwes": (), "words": ("foo",)}),
        ("critical foo vulnerabilities", {"severity": (9.0, 10.0), "words": ("foo",)}),
        ("foo cves with cvss >= 8", {"severity": (8.0, 10.0), "words": ("foo",)}),
        ("foo cves with a score above 9.5", {"severity": (9.6, 10.0)}),
        ("foo bugs used by ransomware gangs", {"ransomware": True, "exploited": True}),
        ("KEV entries added in August 2025", {"added": True, "since": "2025-08-01"}),
        ("which cve is the path traversal in foo's console", {"table": False}),
        ("how many Foo Server CVEs are there", {"table": True, "words": ("foo", "server")}),
        ("Is Foo Server in the CISA KEV?", {"exploited": True, "words": ("foo", "server")}),
        ("the worst foo vulnerabilities", {"order": "worst", "words": ("foo",)}),
        ("most severe CVE of foo", {"order": "worst", "table": True, "words": ("foo",)}),
    ],
)
def test_the_filters_of_a_question(text: str, wanted: dict[str, object]) -> None:
    query = parse(text)
    assert query
    assert {name: getattr(query, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "What is PowerShell?",
        "is it ok to map a CVE to CWE-119?",
        "may I assign CWE-20 to a CVE?",
        "Is CWE-79 allowed for a vulnerability?",
        "What is a CVE?",
        "How do I prevent SQL injection vulnerabilities?",
        "Which mitigations address exploitation of vulnerabilities?",
        "which groups exploit vulnerabilities in VPNs",
        "what are the most exploited CVEs of 2022?",
    ],
)
def test_what_is_no_question_for_records(text: str) -> None:
    assert parse(text) is None


def test_relative_dates_count_from_today() -> None:
    query = parse("foo cves of this year")
    assert query
    assert query.since == f"{date.today().year}-01-01"


def test_what_was_asked_is_said_as_it_was_written() -> None:
    query = parse("critical SQL injection CVEs in Foo-Server in 2024, used by ransomware")
    assert query
    assert describe(query, query.product) == (
        "of Foo-Server, with sql injection (CWE-89), with a CVSS score of 9 to 10, published from"
        " 2024-01-01 to 2024-12-31, known to be used in ransomware campaigns"
    )


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("foo cves from 2024", "2024-01-01", "2024-12-31"),
        ("foo cves from 2024 on", "2024-01-01", ""),
        ("foo cves from March 2024 onwards", "2024-03-01", ""),
        ("foo cves of July 30 2024", "2024-07-30", "2024-07-30"),
        ("foo cves since 1 Jan 2025", "2025-01-01", ""),
        ("foo cves before the 2nd of May, 2023", "", "2023-05-01"),
        ("foo cves in Q2 2023", "2023-04-01", "2023-06-30"),
        ("foo cves between 3 March 2024 and Mar 7, 2024", "2024-03-03", "2024-03-07"),
        ("foo cves between 1 and 14 Feb 2025", "2025-02-01", "2025-02-14"),
        ("foo cves between Jan 30 and Feb 14, 2025", "2025-01-30", "2025-02-14"),
        ("foo cves from January to March 2024", "2024-01-01", "2024-03-31"),
        ("foo cves published 2022 to 2024", "2022-01-01", "2024-12-31"),
        ("foo cves in the last quarter of 2024", "2024-10-01", "2024-12-31"),
    ],
)
def test_dates_as_people_write_them(text: str, since: str, until: str) -> None:
    query = parse(text)
    assert query
    assert (query.since, query.until, query.words) == (since, until, ("foo",))


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("crit foo bugs", (9.0, 10.0)),
        ("foo bugs rated high or critical", (7.0, 10.0)),
        ("high/critical foo bugs", (7.0, 10.0)),
        ("foo bugs, medium and up", (4.0, 10.0)),
        ("at most medium foo bugs", (0.0, 6.9)),
        ("foo bugs, severity medium at most", (0.0, 6.9)),
        ("foo bugs scoring 8 or higher", (8.0, 10.0)),
        ("foo bugs with CVSS below 7", (0.0, 6.9)),
        ("foo bugs with a base score of at most 5.5", (0.0, 5.5)),
        ("foo bugs that score between 7 and 8.9", (7.0, 8.9)),
        ("foo bugs with a cvss v3.1 score over 9", (9.1, 10.0)),
        ("9+ CVSS foo bugs", (9.0, 10.0)),
        ("foo bugs between 7 and 8.9", (7.0, 8.9)),
        ("foo bugs with high complexity", None),
    ],
)
def test_severities_and_scores(text: str, scores: tuple[float, float] | None) -> None:
    query = parse(text)
    assert query
    assert (query.severity, query.words) == (scores, ("foo",))


def test_conditions_on_the_vector() -> None:
    query = parse("foo vulns with network vector, no privs, no user interaction, critical")
    assert query
    assert set(query.metrics) == {("AV", "N"), ("PR", "N"), ("UI", "N")}
    assert (query.words, query.severity) == (("foo",), (9.0, 10.0))
    listed = parse("Foo issues: network, no auth, zero-click, high")
    assert listed
    assert set(listed.metrics) == {("AV", "N"), ("PR", "N"), ("UI", "N")}
    beside = parse("critical unauthenticated network Foo bugs")
    assert beside
    assert (set(beside.metrics), beside.words) == ({("AV", "N"), ("PR", "N")}, ("foo",))
    remote = parse("remote code execution vulns in Foo Network Manager")
    assert remote
    assert (remote.metrics, remote.words) == ((), ("foo", "network", "manager"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Foo stuff added to KEV since 2025", {"added": True, "exploited": True}),
        ("which Foo CVEs landed in KEV in January 2024?", {"added": True, "until": "2024-01-31"}),
        ("Foo in KEV w/ ransomware", {"ransomware": True}),
        ("Foo weaknesses CISA put on the KEV list in 2024 or later", {"since": "2024-01-01"}),
        ("earliest Foo CVE in your database", {"order": "oldest"}),
        ("How many Foo entries are in the known exploited list?", {"exploited": True}),
        ("Foo CVEs in KEV NOT linked to ransomware", {"exploited": True, "ransomware": False}),
        ("Foo CVEs that aren't in KEV from 2024", {"exploited": False, "added": False}),
        ("Foo CVEs from 2024 in KEV", {"exploited": True, "added": False}),
        ("list kev entries for Foo due by 2024-03-07", {"due": True, "until": "2024-03-07"}),
        ("Any SQL injections in Foo since 2020?", {"cwes": ("CWE-89",), "since": "2020-01-01"}),
        ("Foo holes rated critical", {"severity": (9.0, 10.0)}),
        ("what's the most recent Foo CVE you know of", {"order": "newest", "limit": 1}),
        ("oldest Foo CVE we have", {"order": "oldest", "limit": 1}),
        ("the 3 latest Foo CVEs", {"order": "newest", "limit": 3}),
        ("top 5 Foo vulns by cvss", {"order": "worst", "limit": 5}),
        ("Did Foo get more than 30 KEV additions in 2024?", {"count": ("more than", 30)}),
    ],
)
def test_lists_in_plain_words(text: str, wanted: dict[str, object]) -> None:
    query = parse(text)
    assert query
    assert query.table
    assert {name: getattr(query, name) for name in wanted} == wanted
    assert query.words == ("foo",)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("How many Foo bugs in KEV, and are they all ransomware related?", "all"),
        ("Foo: number of KEV entries, and is every one of them tied to ransomware?", "all"),
        ("Foo CVEs in KEV? Are any of them used by ransomware?", "any"),
        ("How many Foo CVEs are in KEV and how many of those have ransomware use?", ""),
    ],
)
def test_a_further_condition_on_what_is_counted(text: str, share: str) -> None:
    query = parse(text)
    assert query
    assert query.part
    assert (query.ransomware, query.part.ransomware, query.share) == (None, True, share)


@pytest.mark.parametrize(
    "text", ["What is KEV?", "SQL injection in Java", "What issues are there?"]
)
def test_a_list_needs_more_than_a_kind_or_kev(text: str) -> None:
    assert parse(text) is None


def test_a_period_of_any_length_begins_with_the_calendar_at_the_earliest() -> None:
    query = parse("foo cves of the past 8000 years")
    assert query
    assert (query.since, query.words) == ("0001-01-01", ("foo",))
    assert parse(f"foo cves of the past {'8' * 5000} years")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Foo CVEs with a CVSS under 4 in KEV", {"severity": (0.0, 3.9), "count": None}),
        ("Foo CVEs above 8", {"severity": (8.1, 10.0)}),
        ("did Foo get no more than 9 KEV additions in 2024?", {"count": ("at most", 9)}),
        ("Foo 12 oldest CVEs", {"limit": 0, "words": ("foo", "12"), "order": "oldest"}),
        ("2 oldest Foo CVEs", {"limit": 2, "order": "oldest"}),
        ("Foo CVEs of the past 72 hours", {"since": (date.today() - timedelta(3)).isoformat()}),
        ("Foo CVEs listed in KEV yesterday", {"added": True, "since": YESTERDAY}),
        ("how many CVEs has Foo today?", {"since": ""}),
        ("Foo CVEs of 2015, 2016 and 2017", {"since": "2015-01-01", "until": "2017-12-31"}),
        ("Foo CVEs since 2015 but before 2018", {"since": "2015-01-01", "until": "2017-12-31"}),
        ("Foo SQL Server 2017 bugs since 2022", {"since": "2022-01-01", "until": ""}),
        ("Foo ActiveSync CVEs", {"exploited": None, "words": ("foo", "activesync")}),
        ("Foo Active Users CVEs", {"exploited": None, "words": ("foo", "active", "users")}),
        ("Foo CVEs under active attack", {"exploited": True}),
        ("KEV-listed Foo CVEs that were disclosed in 2022", {"added": False, "exploited": True}),
        ("Foo CVEs published before they were added to KEV in 2022", {"added": True}),
        ("which Foo CVEs need to be fixed by now?", {"exploited": None, "due": False}),
        ("what Foo bugs should be remediated first", {"exploited": None, "order": "worst"}),
        ("which Foo CVEs have to be patched by agencies?", {"exploited": True, "words": ("foo",)}),
        ("Foo CVEs, where privileges are not needed", {"metrics": (("PR", "N"),)}),
        ("Foo CVEs for un-authenticated or non-authenticated users", {"metrics": (("PR", "N"),)}),
    ],
)
def test_what_is_near_to_a_condition_and_is_another(text: str, wanted: dict[str, object]) -> None:
    query = parse(text)
    assert query
    assert {name: getattr(query, name) for name in wanted} == wanted
    assert not query.unclear


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Foo CVEs that are never rated critical", {"severity": (0.0, 8.9)}),
        ("Foo CVEs which aren't low", {"severity": (4.0, 10.0)}),
        ("Foo CVEs, neither high nor critical", {"severity": (0.0, 6.9)}),
        ("Foo CVEs that do not score over 6", {"severity": (0.0, 6.0)}),
        ("Foo CVEs other than XSS", {"without_cwes": ("CWE-79", "CWE-80"), "cwes": ()}),
        ("Foo CVEs excluding CWE-20, with CWE-22", {"without_cwes": ("CWE-20",)}),
        ("Foo CVEs not exploitable over the network", {"metrics": (("AV", "ALP"),)}),
        ("Foo CVEs CISA has not listed in KEV", {"exploited": False}),
        ("Foo CVEs whose ransomware use is unknown", {"exploited": True, "ransomware": False}),
        ("Foo CVEs in KEV with no known ransomware use", {"exploited": True, "ransomware": False}),
        ("Foo XSS CVEs, not in KEV", {"exploited": False, "cwes": ("CWE-79", "CWE-80")}),
    ],
)
def test_what_is_denied_is_asked_not_to_be_so(text: str, wanted: dict[str, object]) -> None:
    query = parse(text)
    assert query
    assert {name: getattr(query, name) for name in wanted} == wanted
    assert (query.unclear, query.words) == ((), ("foo",))


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("Foo CVEs in KEV without a workaround", "without a workaround"),
        ("KEV entries, but not those of Foo", "not those of Foo"),
        ("Foo CVEs which weren't disclosed in 2021", "weren't disclosed in 2021"),
        ("Foo CVEs in KEV not from 2021", "not from 2021"),
        ("Foo CVEs in 2015 and 2019", "2019"),
        ("Foo CVEs with a CVSS 3.1 rating", "CVSS 3.1 rating"),
        ("which CVEs does the newest Foo update mend?", "newest Foo update"),
        ("Foo CVEs that are not medium", "not medium"),
    ],
)
def test_a_condition_that_is_not_understood_is_kept_for_the_answer(text: str, unclear: str) -> None:
    query = parse(text)
    assert query
    assert query.unclear == (unclear,)
    assert query.exploited is not False


def test_a_further_clause_without_a_condition_is_not_taken_for_one() -> None:
    query = parse("How many CVEs has Foo, and are they a nuisance?")
    assert query
    assert (query.part, query.ignored) == (None, ("and are they a nuisance",))
    query = parse("List the Foo CVEs, and which of them is the oldest?")
    assert query
    assert (query.part, query.order) == (None, "oldest")
    query = parse("List the Foo CVEs, and which of them is the oldest in KEV?")
    assert query
    assert query.part
    assert query.part.exploited


def test_words_that_are_near_to_telling_ones_are_kept() -> None:
    text = "foo attachments: a victor of interactive publishers, integrated by an authenticator"
    assert corrected(text) == text


def test_a_story_is_no_list_however_many_words_it_has() -> None:
    words = " ".join(f"word{number}" for number in range(40))
    assert parse(f"which critical CVEs have {words}?") is None
    assert parse("which critical CVEs have Foo Bar Server?") is not None


def test_words_that_stand_together_are_one_name() -> None:
    query = parse("Which Foo http server CVEs rattle Bar-Baz?")
    assert query
    assert query.names == (("foo", "http", "server"), ("rattle", "bar", "baz"))
