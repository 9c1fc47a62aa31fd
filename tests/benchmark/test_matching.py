"""Recorded answers of others find their items, or are refused by file and line."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.harness_logs import inspect_eval, inspect_json, inspect_samples, lm_eval
from cybersecqwen.benchmark.matching import match_recordings
from cybersecqwen.errors import InputError
from cybersecqwen.records import Item, Response

ITEMS = tuple(
    Item("cti-rcm", i, "", gold, url=f"https://example.org/{i if i < 3 else 2}", text=str(i))
    for i, gold in enumerate(["CWE-79", "CWE-89", "CWE-20", "CWE-22"])
)


def jsonl(path: Path, rows: list[Any]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def sheet(path: Path, rows: list[list[str]], **style: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, **style).writerows(rows)
    return path


def texts(path: Path, **how: Any) -> dict[int, list[tuple[int, str]]]:
    [recording] = match_recordings(path, ITEMS, **how)
    return {t: [(r.item, r.text) for r in found] for t, found in recording.responses.items()}


def test_jsonl_by_item_and_by_url_comes_in_in_the_order_of_the_items(tmp_path: Path) -> None:
    rows = [
        {"item": 3, "text": "d"},
        {"url": "https://example.org/0", "text": "a\u2028 "},
        {"item": 2, "url": "https://example.org/2", "text": ""},
        {"url": "https://example.org/1", "text": "b", "model": "x", "trial": 0},
    ]
    expected = {0: [(0, "a\u2028 "), (1, "b"), (2, ""), (3, "d")]}
    assert texts(jsonl(tmp_path / "a.jsonl", rows)) == expected
    array = tmp_path / "a.json"
    array.write_text(json.dumps(rows))
    assert texts(array) == expected
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    assert texts(packed) == expected
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.jsonl").read_bytes())
    assert texts(tmp_path / "bom.jsonl") == expected


def test_sheets_and_lines_are_read_as_programs_write_them(tmp_path: Path) -> None:
    table = "item;text\r\n0;A|B|C\r\n1;CWE-79\r\n"
    written = {
        "excel.csv": f"sep=;\r\n{table}".encode(),
        "unicode.csv": table.encode("utf-16"),
        "blank.csv": table.replace("\r\n", "\r\r\n").encode(),
        "bars.csv": b"item|text\n0|A;B;C\n1|CWE-79\n",
        "joined.jsonl": b'{"item": 0, "text": "A"}\n\xef\xbb\xbf{"item": 1, "text": "CWE-79"}\n',
        "unicode.jsonl": '{"item": 0, "text": "A"}\n{"item": 1, "text": "CWE-79"}'.encode("utf-16"),
    }
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
        [(_, (_, last))] = texts(tmp_path / name).items()
        assert last == (1, "CWE-79"), name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_text_comes_in_to_the_character(
    tmp_path_factory: pytest.TempPathFactory, answers: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [["item", "text"], *([str(i), text] for i, text in enumerate(answers))]
    expected = {0: list(enumerate(answers))}
    objects = [{"item": i, "text": text} for i, text in enumerate(answers)]
    assert texts(jsonl(folder / "a.jsonl", objects)) == expected
    assert texts(sheet(folder / "a.csv", rows)) == expected
    assert texts(sheet(folder / "a.tsv", rows, delimiter="\t")) == expected


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_cell_may_be_longer_than_the_csv_module_allows(name: str, tmp_path: Path) -> None:
    long = "It is so.\n" * 20_000
    style = {"delimiter": "\t"} if name == "a.tsv" else {}
    path = sheet(tmp_path / name, [["item", "text"], ["0", long]], **style)
    assert texts(path) == {0: [(0, long)]}


def test_what_a_response_knows_is_kept(tmp_path: Path) -> None:
    row = {"item": 0, "trial": 0, "text": "x", "finish_reason": "length"}
    path = jsonl(tmp_path / "a.jsonl", [row | {"prompt_tokens": 7, "completion_tokens": 9}])
    [recording] = match_recordings(path, ITEMS)
    assert recording.responses[0] == (Response(0, 0, "x", "length", 7, 9),)
    assert (recording.name, recording.paths) == ("a", (path,))
    jsonl(path, [row | {"prompt_tokens": None, "completion_tokens": None, "error": None}])
    [recording] = match_recordings(path, ITEMS)
    assert recording.responses[0] == (Response(0, 0, "x", "length"),)
    header = ["item", "text", "finish_reason", "prompt_tokens", "completion_tokens", "error"]
    rows = [header, ["0", "x", "length", "7", "", ""]]
    [recording] = match_recordings(sheet(tmp_path / "a.csv", rows), ITEMS)
    assert recording.responses[0] == (Response(0, 0, "x", "length", 7, 0),)


def test_a_sheet_in_the_order_of_the_task_is_held_against_its_gold(tmp_path: Path) -> None:
    header = ["GT", "gpt-4", "llama"]
    rows = [[item.gold.lower() + " ", f"CWE-{i}", ""] for i, item in enumerate(ITEMS)]
    path = sheet(tmp_path / "cti-rcm-responses.tsv", [header, *rows], delimiter="\t")
    assert texts(path, column="gpt-4") == {0: [(i, f"CWE-{i}") for i in range(4)]}
    assert texts(path, column="llama") == {0: [(i, "") for i in range(4)]}  # empty is an answer
    [recording] = match_recordings(path, ITEMS, column="gpt-4")
    assert recording.name == "gpt-4"
    with pytest.raises(InputError, match=r"tsv:1: which column .*one of GT, gpt-4, llama"):
        texts(path)
    rows[2][0] = "CWE-1"
    sheet(path, [header, *rows], delimiter="\t")
    with pytest.raises(InputError, match=r"tsv:4: its gold 'CWE-1' is not that of item 2"):
        texts(path, column="gpt-4")


def test_without_a_gold_to_compare_with_a_sheet_is_taken_as_it_is(tmp_path: Path) -> None:
    items = [Item("cti-taa", i, "", "", url=f"https://example.org/{i}") for i in range(2)]
    path = sheet(tmp_path / "a.csv", [["GT", "gpt"], ["APT28", "APT28"], ["Turla", "FIN7"]])
    [recording] = match_recordings(path, items)
    assert [r.text for r in recording.responses[0]] == ["APT28", "FIN7"]


def test_the_text_of_a_task_file_is_not_taken_for_answers(tmp_path: Path) -> None:
    rows = [["URL", "Text", "Prompt", "model a"], ["https://example.org/0", "report", "who?", "A"]]
    assert texts(sheet(tmp_path / "a.csv", rows)) == {0: [(0, "A")]}
    task_file = sheet(tmp_path / "b.csv", [row[:3] for row in rows])
    with pytest.raises(InputError, match="which column holds the answers"):
        texts(task_file)
    rows = [["prompt", "item", "text"], ["who?", "0", "A"]]
    assert texts(sheet(tmp_path / "c.csv", rows)) == {0: [(0, "A")]}


def test_csv_by_item_holds_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    rows = [["item", "trial", "answer"], ["1", "0", 'So, "b"\nCWE-89'], ["0", "0", "a"]]
    expected = {0: [(0, "a"), (1, 'So, "b"\nCWE-89')]}
    assert texts(sheet(tmp_path / "a.csv", rows)) == expected
    rows[0][2] = "text"
    path = sheet(tmp_path / "b.csv", rows)
    assert texts(path) == expected
    path.write_text(path.read_text() + "\n\n")
    assert texts(path) == expected


def test_a_folder_holds_recordings_and_the_trials_of_runs(tmp_path: Path) -> None:
    for trial in range(2):
        row = {"item": 0, "trial": trial, "text": f"t{trial}"}
        jsonl(tmp_path / "run" / f"trial-{trial}" / "responses.jsonl", [row])
        (tmp_path / "run" / f"trial-{trial}" / "scores.json").write_text("{}")
    jsonl(tmp_path / "other.jsonl", [{"item": 1, "text": "x"}])
    jsonl(tmp_path / ".hidden.jsonl", ["no JSON"])
    found = {r.name: r.responses for r in match_recordings(tmp_path, ITEMS)}
    assert found.keys() == {"run", "other"}
    assert [r.text for t in (0, 1) for r in found["run"][t]] == ["t0", "t1"]
    [alone] = match_recordings(tmp_path / "run" / "trial-0", ITEMS)
    assert (alone.name, alone.responses[0][0].text) == ("run", "t0")
    jsonl(tmp_path / "run" / "trial-0" / "run.jsonl", [{"item": 1, "text": "x"}])
    found = {r.name: r.responses for r in match_recordings(tmp_path / "run" / "trial-0", ITEMS)}
    assert found.keys() == {"run", "run.jsonl"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no recording"):
        match_recordings(tmp_path / "empty", ITEMS)


def test_each_file_is_a_recording_of_its_own(tmp_path: Path) -> None:
    sheet(tmp_path / "a.csv", [["item", "text"], ["0", "x"]])
    jsonl(tmp_path / "a.jsonl", [{"item": 1, "text": "y"}])
    jsonl(tmp_path / "trial-0" / "other.jsonl", [{"item": 2, "text": "z"}])
    packed = gzip.compress(b'{"item": 3, "text": "w"}')
    (tmp_path / "qwen2.5-7b.JSONL.gz").write_bytes(packed)
    found = {r.name: r.responses[0][0].item for r in match_recordings(tmp_path, ITEMS)}
    assert found == {"a.csv": 0, "a.jsonl": 1, "trial-0/other": 2, "qwen2.5-7b": 3}
    jsonl(tmp_path / "a.csv.jsonl", [{"item": 3, "text": "v"}])
    assert len(match_recordings(tmp_path, ITEMS)) == 5


GOOD = {"item": 0, "text": "x"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, "says neither item nor url"),
        ({"item": 4, "text": "x"}, "item 4, which is none: cti-rcm has 4"),
        ({"item": -1, "text": "x"}, "item is -1, no whole number"),
        ({"item": True, "text": "x"}, "item is True, no whole number"),
        ({"item": 1.0, "text": "x"}, "item is 1.0, no whole number"),
        ({"item": "1", "text": "x"}, "item is '1', no whole number"),
        ({"url": "https://example.org/9", "text": "x"}, "is that of no item of cti-rcm"),
        ({"url": "https://example.org/2", "text": "x"}, "names 2 items of cti-rcm"),
        ({"item": 1, "url": "https://example.org/2", "text": "x"}, "item 1 has another url"),
        ({"item": 1, "text": None}, "item 1, trial 0: text is null: a failed request"),
        ({"item": 1}, "item 1, trial 0: text is missing"),
        ({"item": 1, "text": None, "tool_calls": [{"id": 1}]}, "a tool was called"),
        ({"item": 1, "error": "timed out"}, "the request failed: timed out"),
        ({"item": 1, "text": "", "error": "timed out"}, "the request failed: timed out"),
        ({"item": 1, "text": "", "tool_calls": [{"id": 1}]}, "a tool was called"),
        ({"url": "https://example.org/1", "text": None}, "org/1, trial 0: text is null"),
        ({"item": None, "text": "x"}, "item is None, no whole number"),
        ({"item": 1, "url": 7, "text": "x"}, "url is 7, not a string"),
        ({"item": 1, "text": 79}, "is '79', not a string"),
        ({"item": 1, "text": ["CWE-79"]}, "not a string"),
        ({"item": 1, "text": "x", "task": "cti-mcq"}, "answers cti-mcq, not cti-rcm"),
        (GOOD, r"a second answer to item 0, trial 0; the first is at .*a\.jsonl:1"),
        ({"item": 1, "trial": 2.5, "text": "x"}, "trial is 2.5"),
        ('{"item": 1, "te', "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"item": 1, "text": "\\ud800"}', "not valid Unicode"),
        ('{"item": ' + "9" * 5000 + "}", "no usable JSON"),
        ("[" * 100_000, "no usable JSON"),
    ],
)
def test_a_row_that_is_no_answer_is_named(row: Any, message: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [GOOD, row])
    with pytest.raises(InputError, match=message) as caught:
        match_recordings(path, ITEMS)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_a_missing_trial_is_named(tmp_path: Path) -> None:
    rows = [{"item": 0, "trial": trial, "text": "x"} for trial in (0, 1, 3)]
    with pytest.raises(InputError, match="trial 2 is missing: there are 0, 1, 3"):
        match_recordings(jsonl(tmp_path / "a.jsonl", rows), ITEMS)
    rows = [{"item": 0, "trial": 10**15, "text": "x"}]
    with pytest.raises(InputError, match="trial 0 is missing"):
        match_recordings(jsonl(tmp_path / "a.jsonl", rows), ITEMS)


def test_rows_of_objects_are_never_taken_by_their_order(tmp_path: Path) -> None:
    content = b"".join(b'{"text": "x"}\n' for _ in ITEMS)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=r"gz:1: says neither item nor url"):
        match_recordings(tmp_path / "a.jsonl.gz", ITEMS)


def test_a_torn_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"item": 0, "text": "x"}')[:-6])
    with pytest.raises(InputError, match=r"a\.jsonl\.gz: is truncated or damaged"):
        match_recordings(tmp_path / "a.jsonl.gz", ITEMS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "is empty"),
        ("a.txt", "CWE-79", "not a recording .*give .jsonl"),
        ("a.json", "{}", "not a JSON array"),
        ("a.json", "[", "not valid JSON"),
        ("a.csv", "item,text\n", "holds no answer"),
        ("a.csv", "item,text\n0,x\n1\n", "csv:3: 1 cells where the header has 2"),
        ("a.csv", "item,text\nzero,x\n", "csv:2: item is 'zero'"),
        ("a.csv", "text\nx\ny\n", "2 rows without item or url for the 4 items"),
        ("a.csv", 'item,text\n0,"x\n', "csv:2: not valid CSV"),
        ("a.csv", 'item,text\n0,a\n9,"x\ny"\n', "csv:3: an answer to item 9"),
        ("a.csv", f"item,text\n{'9' * 5000},x\n", "csv:2: item is '999"),
        ("a.csv", "item,text,text\n0,x,y\n", "csv:1: two columns are named 'text'"),
        ("a.csv", "item,text,task\n0,x,cti-mcq\n", "csv:2: answers cti-mcq, not cti-rcm"),
        ("a.csv", "item,text,error\n0,,timed out\n", "csv:2: .*the request failed: timed out"),
        ("a.csv", "item,url,text\n0,https://example.org/1,x\n", "csv:2: item 0 has another url"),
        ("a.json", '[{"item": 0, "text": "x"}, 1]', "entry 1: not a JSON object"),
        ("a.json", '[{"item": 0, "text": "\\ud800"}]', "entry 0: not valid Unicode"),
    ],
)
def test_a_file_that_is_no_recording_is_named(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        match_recordings(tmp_path / name, ITEMS)
    with pytest.raises(InputError, match="no such file"):
        match_recordings(tmp_path / "none", ITEMS)


def test_a_column_that_is_missing_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", [["item", "text"], ["0", "x"]])
    with pytest.raises(InputError, match=r"'gpt' is missing \(there are item, text\)"):
        match_recordings(path, ITEMS, column="gpt")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_spreadsheets_csv_may_be_parted_otherwise(delimiter: str, tmp_path: Path) -> None:
    rows = [["item", "text"], ["1", "a, b; c"], ["0", "x"]]
    path = sheet(tmp_path / "a.csv", rows, delimiter=delimiter)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert texts(path) == {0: [(0, "x"), (1, "a, b; c")]}


def test_the_task_file_with_one_more_column_is_matched_row_by_row(tmp_path: Path) -> None:
    header = ["URL", "GT", "answer"]
    rows = [[item.url, item.gold.lower(), f"a{i}"] for i, item in enumerate(ITEMS)]
    expected = {0: [(i, f"a{i}") for i in range(4)]}
    assert texts(sheet(tmp_path / "a.csv", [header, *rows]), column="answer") == expected
    objects = [{"URL": url, "GT": gold, "text": text} for url, gold, text in rows]
    assert texts(jsonl(tmp_path / "a.jsonl", objects)) == expected
    # In another order a url and a gold that only one item has still name it.
    turned = sheet(tmp_path / "b.csv", [header, *reversed(rows)])
    assert texts(turned, column="answer") == expected


def test_rows_that_share_url_and_gold_are_matched_in_the_order_of_the_file_only(
    tmp_path: Path,
) -> None:
    items = [Item("cti-mcq", i, "", "B", url="https://example.org/page") for i in range(3)]
    rows = [{"url": "https://example.org/page", "gold": "B", "text": str(i)} for i in range(3)]
    twice = [row | {"trial": trial} for trial in (1, 2) for row in rows]
    [recording] = match_recordings(jsonl(tmp_path / "a.jsonl", twice), items)
    for trial in (0, 1):
        assert [r.text for r in recording.responses[trial]] == ["0", "1", "2"]
    with pytest.raises(InputError, match="names 3 items"):
        match_recordings(jsonl(tmp_path / "b.jsonl", rows[:2]), items)
    rows[1]["gold"] = "C"
    with pytest.raises(InputError, match="names 3 items"):
        match_recordings(jsonl(tmp_path / "c.jsonl", rows), items)


def test_trials_may_be_counted_from_1(tmp_path: Path) -> None:
    rows = [{"item": i, "trial": t, "text": f"{t}/{i}"} for t in (1, 2) for i in range(4)]
    expected = {t: [(i, f"{t + 1}/{i}") for i in range(4)] for t in (0, 1)}
    assert texts(jsonl(tmp_path / "a.jsonl", rows)) == expected
    cells = [["item", "trial", "text"], *([str(cell) for cell in row.values()] for row in rows)]
    assert texts(sheet(tmp_path / "a.csv", cells)) == expected
    odd = [{"item": 0, "trial": trial, "text": "x"} for trial in (1, 3)]
    with pytest.raises(InputError, match="trial 1 is missing: there are 0, 2"):
        texts(jsonl(tmp_path / "a.jsonl", odd))


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
def test_an_answer_without_a_text_says_why_it_ended(reason: str, tmp_path: Path) -> None:
    row = {"item": 0, "text": None, "finish_reason": reason, "reasoning_content": "CWE-79?"}
    path = jsonl(tmp_path / "a.jsonl", [row | {"tool_calls": [{}] if "tool" in reason else None}])
    [recording] = match_recordings(path, ITEMS)
    assert recording.responses[0] == (Response(0, 0, "", reason, reasoning="CWE-79?"),)


def test_a_sheet_may_hold_the_reasoning_in_a_column_of_its_own(tmp_path: Path) -> None:
    rows = [["item", "answer", "reasoning"], ["0", "CWE-79", "It may be CWE-80."]]
    [recording] = match_recordings(sheet(tmp_path / "a.csv", rows), ITEMS)
    assert recording.responses[0] == (Response(0, 0, "CWE-79", reasoning="It may be CWE-80."),)


def test_partial_leaves_out_what_was_not_answered(tmp_path: Path) -> None:
    rows = [{"item": 0, "text": "a"}, {"item": 1, "text": None}, {"item": 2, "error": "timed out"}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    assert texts(path, partial=True) == {0: [(0, "a")]}
    with pytest.raises(InputError, match=r"leave it out by --partial"):
        texts(path)


ANSWERS = ["CWE-79", "CWE-89.", "CWE-20\n", "no"]
READ = {0: list(enumerate(ANSWERS))}


def test_samples_of_lm_evaluation_harness_are_read(tmp_path: Path) -> None:
    path = lm_eval(tmp_path / "samples_rcm_2026-11-01.jsonl", ITEMS, ANSWERS)
    assert texts(path) == READ
    # A second filter repeats every document.
    other = lm_eval(tmp_path / "other.jsonl", ITEMS, ["x"] * 4, filter="strict")
    path.write_text(path.read_text() + other.read_text())
    assert texts(path) == READ
    repeats = lm_eval(other, ITEMS, [[f"{i}", f"{i}'"] for i in range(4)])
    assert texts(repeats)[1] == [(i, f"{i}'") for i in range(4)]
    likelihoods = lm_eval(other, ITEMS, [[["-1.2", "False"]]] * 4)
    with pytest.raises(InputError, match=r"jsonl:1: holds likelihoods and no text"):
        texts(likelihoods)
    with pytest.raises(InputError, match="item 0 has another url"):
        texts(lm_eval(other, ITEMS[1:], ANSWERS))


def test_the_samples_of_a_tasks_trials_are_one_recording(tmp_path: Path) -> None:
    for trial in range(2):
        rows = [
            {
                "doc_id": n,
                "doc": {"task": "cti-rcm", "index": 3 - n, "trial": trial, "gold": item.gold},
                "resps": [[f"{trial}"]],
            }
            for n, item in enumerate(reversed(ITEMS))
        ]
        jsonl(tmp_path / f"samples_cybersecqwen_cti_rcm_trial_{trial}_2026-11-01.jsonl", rows)
    (tmp_path / "results_2026-11-01.json").write_text("{}")
    assert texts(tmp_path) == {t: [(i, f"{t}") for i in range(4)] for t in (0, 1)}


@pytest.mark.parametrize("form", ["json", "deflated", "zstd"])
def test_logs_of_inspect_are_read(form: str, tmp_path: Path) -> None:
    samples = inspect_samples(ITEMS, ANSWERS) + inspect_samples(ITEMS, ANSWERS, epoch=2)
    if form == "json":
        path = inspect_json(tmp_path / "a.json", samples)
    else:
        path = inspect_eval(tmp_path / "a.eval", samples, zstd=form == "zstd")
    assert texts(path) == READ | {1: READ[0]}


def test_inspect_says_more_than_a_text(tmp_path: Path) -> None:
    parts = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "CWE-79"}]
    samples = inspect_samples(ITEMS, [parts, "", "x"])
    samples[1]["output"]["choices"][0]["stop_reason"] = "max_tokens"
    samples[2] |= {"id": "9f", "metadata": {"index": 3}, "target": ITEMS[3].gold}
    [recording] = match_recordings(inspect_json(tmp_path / "a.json", samples), ITEMS)
    assert recording.responses[0] == (
        Response(0, 0, "CWE-79", "stop", 7, 3, "Hm."),
        Response(1, 0, "", "length", 7, 3),
        Response(3, 0, "x", "stop", 7, 3),
    )
    named = samples[2] | {"id": "9f", "metadata": {"URL": ITEMS[1].url}, "target": ITEMS[1].gold}
    [recording] = match_recordings(inspect_json(tmp_path / "b.json", [named]), ITEMS)
    assert recording.responses[0] == (Response(1, 0, "x", "stop", 7, 3),)
    samples[0]["error"] = {"message": "the sandbox died"}
    with pytest.raises(InputError, match="the request failed: the sandbox died"):
        match_recordings(inspect_json(tmp_path / "a.json", samples), ITEMS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.eval", b"PK\x03\x04 cut off"),
        ("a.eval", b""),
        ("a.json", b'{"samples": [7]}'),
        ("a.json", b'{"samples": [{"metadata": [1], "output": "x"}]}'),
        ("a.json", b'{"samples": [{"id": "1", "epoch": "x", "output": {"choices": [{}]}}]}'),
        ("a.json", b'{"samples": ' + b"[" * 100_000),
        ("a.jsonl", b'{"doc_id": "x", "doc": {"trial": []}, "resps": [["B"]]}'),
        ("a.jsonl", b'{"doc_id": 0, "doc": null, "resps": {"a": 1}}'),
    ],
)
def test_damaged_logs_are_named_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(name)) as error:
        match_recordings(tmp_path / name, ITEMS)
    assert "\n" not in str(error.value)
