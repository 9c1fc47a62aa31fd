"""An audit finds the same in one process and in many, and counts what it finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed import KINDS, copies, siblings

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import audit
from cybersecqwen.contamination.audit import Audit, run_audit
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
    monkeypatch.setattr(audit, "_CHUNK", 2000)
    monkeypatch.setattr(audit, "_FEW", 4000)
    monkeypatch.setattr(audit, "_processes", lambda: 2)
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
