"""An audit finds the same in one process and in many, and counts what it finds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from testbed import KINDS, copies, siblings

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import audit, partitions
from cybersecqwen.contamination.audit import Audit, judge, run_audit
from cybersecqwen.contamination.reading import Reading
from cybersecqwen.contamination.training_rows import read_rows
from cybersecqwen.errors import InputError
from cybersecqwen.files import write_jsonl
from cybersecqwen.sample import BENCHMARK

SAMPLE = read_benchmark(BENCHMARK)
ITEMS = [item for item in SAMPLE["cti-rcm"] if len(item.text.split()) > 20]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "train.jsonl"
    cases = [*copies(ITEMS, seed=42), *siblings(ITEMS, seed=42)]
    write_jsonl(path, [{"prompt": c.row.text, "completion": c.row.answer} for c in cases])
    return path


def audited(train: Path) -> Audit:
    return run_audit(train, SAMPLE, Contamination())


def test_processes_find_what_one_does(train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = audited(train)
    assert not alone.clean
    monkeypatch.setattr(audit, "CHUNK", 2000)
    monkeypatch.setattr(partitions, "_FEW", 2)
    monkeypatch.setattr(partitions, "_processes", lambda: 2)
    assert audited(train) == alone


def test_every_kind_of_copy_is_made_and_a_verbatim_one_is_exact(train: Path) -> None:
    cases = list(copies(ITEMS, seed=42))
    assert cases == list(copies(ITEMS, seed=42))
    assert {case.kind for case in cases} == set(KINDS)
    exact = {o.row.number for o in audited(train).overlaps if o.hit.rule == "exact"}
    assert {i for i, case in enumerate(cases) if case.kind in ("verbatim", "padded")} <= exact


def test_a_row_that_cannot_be_read_stops_the_audit_or_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_jsonl(path, [{"text": "Nothing of the kind."}, {"number": 7}])
    with pytest.raises(InputError, match=r"t\.jsonl:2"):
        audited(path)
    audit = run_audit(path, SAMPLE, Contamination(), allow_unreadable=True)
    assert (audit.train_rows, len(audit.reading.unreadable), audit.clean) == (1, 1, False)
    assert audit.verdict == "not proven clean"


def copied(part: object) -> Any:
    return pickle.loads(pickle.dumps(part))


def test_parts_put_down_what_one_reading_of_the_whole_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "a.jsonl": '{"text": "It is na\xefve to trust the name of an uploaded file."}\n{broken\n\n'
        '{"number": 7}\n{"input_ids": [1, 2], "text": "The next row has a form."}\n'
        '{"prompt": "Which weakness is that?", "completion": "That is CWE-79."}\n',
        "b.csv": "text,label\nA text in a table of its own,CWE-79\na,b,c\n",
        "c.json": '{"data": [{"text": "A row in a list of rows."}], "version": "1"}',
        "d.json": '{"version": "1"}',
        "e.json": '{"data": [{"number": 1}], "version": "1"}',
        "e2.json": '[{"deep": ' + "[" * 500 + '"A text that nobody finds."' + "]" * 500 + "}]",
        "f.txt": "A text, and nothing else.\n" * 3,
        "g.pdf": "%PDF-1.7 is no text",
        ".hidden": "",
        "README.md": "About it.",
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode("cp1252"))
    expected = Reading(tmp_path, allow_unreadable=True)
    rows = list(read_rows(tmp_path, expected))
    monkeypatch.setattr(audit, "CHUNK", 60)
    monkeypatch.setattr(partitions, "_processes", lambda: 1)
    monkeypatch.setattr(audit, "judge", lambda index, part: copied(judge(index, copied(part))))
    result = run_audit(tmp_path, SAMPLE, Contamination(), allow_unreadable=True)
    assert result.reading == expected
    assert [*result.reading.columns] == [*expected.columns]
    assert result.train_rows == rows[-1].number + 1
    assert (len(expected.unreadable), len(expected.passed_over), len(expected.notes)) == (8, 4, 1)
