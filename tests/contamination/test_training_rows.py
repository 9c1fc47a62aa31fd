"""Rows of every form and format give the text that is asked, and the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.contamination import Row
from cybersecqwen.contamination.reading import Reading
from cybersecqwen.contamination.training_rows import FORMS, read_rows
from cybersecqwen.errors import InputError
from cybersecqwen.files import write_jsonl
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities


def rows(path: Path) -> list[Row]:
    return [row.row for row in read_rows(path)]


CHAT = [{"role": "user", "content": "Ask"}, {"role": "assistant", "content": "Say"}]
SHARES = [{"from": "human", "value": "Ask"}, {"from": "gpt", "value": "Say"}]


def fields(form: str) -> dict[str, Any]:
    asked, answered = FORMS[form]
    row: dict[str, Any] = dict.fromkeys(asked, "Ask")
    if answered:
        row[answered] = {"messages": CHAT, "conversations": SHARES}.get(answered, "Say")
    return row


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_known_by_its_fields(form: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t.jsonl", [fields(form)])
    (row,) = read_rows(tmp_path / "t.jsonl")
    assert row.form == form
    assert "Ask" in row.row.text
    assert row.row.answer == ("Say" if FORMS[form][1] else "")


def test_one_file_may_mix_forms_and_messages_may_be_in_parts(tmp_path: Path) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image"}]}]
    write_jsonl(tmp_path / "t.jsonl", [{"messages": parts}, fields("text")])
    assert [row.text for row in rows(tmp_path / "t.jsonl")] == ["Look", "Ask"]


def test_labels_are_answers_and_the_id_is_that_of_the_row(tmp_path: Path) -> None:
    row = {"cve_id": "cve-2021-0001", "description": "Ask", "cwe": "CWE-79"}
    write_jsonl(tmp_path / "t.jsonl", [row])
    assert rows(tmp_path / "t.jsonl") == [Row("Ask", ("CVE-2021-0001",), "CWE-79")]


TABLE = [{"prompt": "Ask", "completion": "Say"}, {"prompt": "Ask more", "completion": "Say no"}]
EXPECTED = [Row("Ask\nSay", (), "Say"), Row("Ask more\nSay no", (), "Say no")]


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "saved", "hub"])
def test_each_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text("prompt,completion\nAsk,Say\nAsk more,Say no\n", encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps({"data": TABLE}), encoding="utf-8")
    elif kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(TABLE), path)
    elif kind == "saved":
        pytest.importorskip("datasets").Dataset.from_list(TABLE).save_to_disk(path)
    else:
        (path / "data").mkdir(parents=True)
        (path / "README.md").write_text("# Card", encoding="utf-8")
        name = path / "data" / "train-00000-of-00001.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(TABLE), name)
    assert rows(path) == EXPECTED


def test_a_feed_of_records_is_read_too() -> None:
    records = list(read_vulnerabilities(FEED))
    train_rows = list(read_rows(FEED))
    assert {row.form for row in train_rows} == {"record"}
    assert [row.row.text for row in train_rows] == [record.description for record in records]


@pytest.mark.parametrize("beside", [False, True])
def test_a_bad_record_hides_no_other_one_of_its_feed(tmp_path: Path, beside: bool) -> None:
    feed = json.loads(FEED.read_text())
    feed["vulnerabilities"][1]["cve"]["vulnStatus"] = 7
    path = tmp_path / FEED.name
    path.write_text(json.dumps(feed))
    if beside:
        (tmp_path / "notes.txt").write_text("Not of the feed.")
    reading = Reading(path, allow_unreadable=True)
    forms = [row.form for row in read_rows(tmp_path if beside else path, reading)]
    assert forms.count("record") == len(feed["vulnerabilities"]) - 1
    [bad] = reading.unreadable.lines()
    assert bad.startswith(f"{FEED.name}:2: vulnStatus")


def test_an_object_of_very_many_texts_is_read_without_copies_of_them(tmp_path: Path) -> None:
    texts = {f"CVE-2021-{n}": f"A flaw in parser {n} lets anyone read files." for n in range(500)}
    (tmp_path / "t.json").write_text(json.dumps(texts))
    read = rows(tmp_path / "t.json")
    assert [row.text for row in read] == list(texts.values())
    assert sum(len(row.answer) for row in read) < len(json.dumps(texts))


def test_a_row_without_text_is_named_or_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_jsonl(path, [fields("text"), {"tokens": [1, 2]}, {"text": "  "}, fields("text")])
    with pytest.raises(InputError, match=r"t\.jsonl:2"):
        rows(path)
    reading = Reading(path, allow_unreadable=True)
    assert len(list(read_rows(path, reading))) == 2
    first, second = reading.unreadable.lines()
    assert first.startswith("t.jsonl:2: ") and second.startswith("t.jsonl:3: ")


@pytest.mark.parametrize("dash", ["-", "\u2011", "\u2013", "\u2212"])
def test_a_cve_id_is_read_with_any_dash(tmp_path: Path, dash: str) -> None:
    path = tmp_path / "rows.jsonl"
    question = f"Which CWE fits CVE{dash}2099{dash}7001?"
    path.write_text(json.dumps({"question": question, "answer": "CWE-22"}) + "\n")
    [read] = read_rows(path)
    assert read.row.cve_ids == ("CVE-2099-7001",)
