"""JSON a line, a safe spreadsheet, and text that a terminal survives."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from cybersecqwen.analyst.classification import Candidate, Classification, FeedLabel
from cybersecqwen.analyst.labels import RecordLabel
from cybersecqwen.cli.output import csv_lines, json_lines, text_lines
from cybersecqwen.records import Span

WRITE = Candidate("CWE-787", "Out-of-bounds Write", 0.91, "Allowed", "Base", "")
BROAD = Candidate("CWE-119", "Memory Buffer", 0.05, "Discouraged", "Class", "CWE-787")
SURE = Classification(
    "CVE-2021-0001",
    (WRITE, BROAD),
    False,
    "",
    'The description reports "writes".\n\nCWE-787',
    (Span(0, 6, "writes", 1.0),),
)
OUT = Classification("b", (), True, "the text is empty", "needs review: the text is empty", ())


def rows(*results: Classification) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(results)))))


def test_json_is_one_object_a_line_with_its_own_letters() -> None:
    lines = list(json_lines([SURE._replace(id="é\u2028\n"), OUT]))
    assert [line.count("\n") for line in lines] == [1, 1]
    assert json.loads(lines[0])["id"] == "é\u2028\n"
    assert '"é' in lines[0]


def test_csv_is_one_row_an_input() -> None:
    sure, out = rows(SURE, OUT)
    assert (sure["cwe"], sure["confidence"], sure["better"]) == ("CWE-787", "0.91", "")
    assert (sure["alternatives"], sure["evidence"]) == ("CWE-119 0.05", "writes")
    assert sure["rationale"] == 'The description reports "writes". CWE-787'
    assert (out["cwe"], out["confidence"], out["abstain"]) == ("", "", "true")
    assert out["reason"] == "the text is empty"


@pytest.mark.parametrize(
    "start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "＠A1"]
)
def test_no_cell_of_a_spreadsheet_begins_as_a_formula_does(start: str) -> None:
    evidence = (Span(0, 1, start, 1.0),)
    [row] = rows(SURE._replace(id=start, evidence=evidence, reason=start, rationale=start))
    for name in ("id", "evidence", "reason", "rationale"):
        assert row[name].startswith("'"), name


def test_no_cell_of_a_spreadsheet_steers_a_terminal() -> None:
    [row] = rows(SURE._replace(id="\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}CVE", rationale="a\tb"))
    assert row["id"] == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}CVE"
    assert row["rationale"] == "a b"


def test_an_empty_stream_is_a_header_alone() -> None:
    assert "".join(csv_lines([])).startswith("id,cwe,name,confidence")
    assert list(json_lines([])) == list(text_lines([], table=True)) == []


def test_one_result_is_a_paragraph_that_cautions_about_what_is_discouraged() -> None:
    [block] = text_lines([SURE], table=True)
    assert block.splitlines()[:4] == [
        "CVE-2021-0001",
        "  91.0%  CWE-787   Out-of-bounds Write (Base, Allowed)",
        "   5.0%  CWE-119   Memory Buffer (Class, Discouraged)",
        "                   Discouraged: better CWE-787 Out-of-bounds Write",
    ]
    assert '  evidence: "writes"' in block
    [block] = text_lines([SURE._replace(evidence=SURE.evidence * 2)], table=False)
    assert '  evidence: "writes"\n' in block
    assert block.splitlines()[-1] == "  CWE-787"


def test_the_labels_of_a_record_are_shown_with_why_the_answer_is_another() -> None:
    label = RecordLabel("cna", "CWE-119", "Memory Buffer", "weakness", "Class", "Discouraged")
    result = SURE._replace(labels=(label,), difference="CWE-787 is a child of CNA's CWE-119")
    [block] = text_lines([result], table=False)
    assert "  labels: CNA CWE-119 (Discouraged)\n  differs: CWE-787 is a child of" in block
    [row] = rows(result)
    assert (row["labels"], row["difference"]) == ("CNA CWE-119 (Discouraged)", result.difference)


def test_what_feeds_would_say_a_chain_and_what_is_not_told_stand_under_the_candidates() -> None:
    result = SURE._replace(
        feed_label=FeedLabel("CWE-119", "Memory Buffer", 0.62, "Discouraged"),
        chain=("CWE-190", "CWE-787"),
        missing=("component", "cause"),
    )
    [block] = text_lines([result], table=False)
    assert "  feeds would say: CWE-119 Memory Buffer (Discouraged) at 62%\n" in block
    assert "  chain: CWE-190 leads to CWE-787\n" in block
    assert "  description: poor, names no component or cause\n" in block
    [row] = rows(result)
    assert (row["feed_label"], row["chain"]) == ("CWE-119 0.62", "CWE-190 -> CWE-787")
    assert row["missing"] == "component; cause"
    same = result._replace(feed_label=FeedLabel("CWE-787", "Write", 0.9, "Allowed"))
    assert "feeds would say" not in "".join(text_lines([same], table=False))


def test_many_results_are_a_table_with_a_line_for_each() -> None:
    broad = SURE._replace(candidates=(BROAD,))
    low = SURE._replace(abstain=True, rationale="needs review: the confidence 0.05 is below 0.3")
    lines = list(text_lines([SURE, broad, OUT, low], table=True))
    assert len(lines) == 5
    assert all(line.count("\n") == 1 for line in lines)
    assert lines[1].split() == ["CVE-2021-0001", "CWE-787", "91%", "Out-of-bounds", "Write"]
    assert lines[2].endswith("Discouraged: better CWE-787 Out-of-bounds Write\n")
    assert "needs review: the text is empty" in lines[3]
    assert "CWE-787" in lines[4]
    assert "needs review: the confidence" in lines[4]


def test_a_name_that_ends_in_a_common_one_is_shown_by_it() -> None:
    name = "Improper Neutralization of Special Elements used in an SQL Command ('SQL Injection')"
    named = SURE._replace(candidates=(WRITE._replace(name=name),))
    assert "SQL Injection\n" in list(text_lines([named, named], table=True))[1]


def test_nothing_in_a_feed_steers_the_terminal() -> None:
    evil = "\x1b[2J\x9b2J\x07\u202e\u200b\r"
    (line,) = json_lines([SURE._replace(id=evil)])
    assert not set(evil) - set("[2J") & set(line)
    assert json.loads(line)["id"] == evil
    result = SURE._replace(id=evil, rationale=evil, evidence=(Span(0, 1, evil, 1.0),))
    for lines in (text_lines([result], table=False), text_lines([result, result], table=True)):
        text = "".join(lines)
        assert not set("\x1b\x9b\x07\u202e\u200b\r") & set(text)


@pytest.mark.parametrize(("terminal", "no_color"), [(True, ""), (True, "1"), (False, "")])
def test_a_terminal_shows_ids_bold_and_cautions_yellow(
    terminal: bool, no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(text_lines([SURE, OUT], table=False))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    shown = "".join(text_lines([SURE, OUT], table=False))
    if not terminal or no_color:
        assert shown == text
        return
    assert "\x1b[1mCWE-787\x1b[0m" in shown
    assert "\x1b[33mDiscouraged: better CWE-787 Out-of-bounds Write\x1b[0m" in shown
    assert "\x1b[33mneeds review: the text is empty\x1b[0m" in shown
    assert re.sub(r"\x1b\[\d+m", "", shown) == text
