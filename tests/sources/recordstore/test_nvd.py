"""NVD's increments: windows, pages, faults, and never a record asked for in vain or missed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import Outcome, update
from cybersecqwen.sources.recordstore.versions import Changes

from ..conftest import Answer, Upstream
from ..test_nvd_json import page
from .conftest import API, NOW, Nvd

Run = Callable[..., Outcome]


def dump(store: Path) -> list[str]:
    """Return all that a store says of records and their history."""
    with closing(sqlite3.connect(store)) as connection:
        return [line for line in connection.iterdump() if 'INTO "feeds"' not in line]


def ids(store: Path) -> list[str]:
    return [record.cve_id for record in query.read(store)]


def test_the_first_fill_asks_for_everything_and_then_what_changed_meanwhile(
    nvd: Nvd, run: Run, store: Path
) -> None:
    nvd.most = 2
    for i in range(5):
        nvd.put(f"CVE-2024-{1000 + i}", f"2026-02-0{i + 1}T00:00:00.000")
    outcome = run("nvd")
    assert [position for _, _, position in nvd.asked] == ["0", "2", "4", "0"]
    assert nvd.asked[0][:2] == ("", "")
    assert nvd.asked[3][:2] == ("2026-02-04T23:00:00.000", "2026-03-01T12:00:00.000")
    assert (outcome.changes, outcome.cursor) == (Changes(6, new=5), "2026-02-05T00:00:00.000")
    assert len(ids(store)) == 5


def test_a_second_run_asks_from_the_cursor_and_changes_nothing(
    nvd: Nvd, run: Run, store: Path
) -> None:
    nvd.put("CVE-2024-1000", "2026-01-01T00:00:00.000", "CWE-79")
    nvd.put("CVE-2024-1001", "2026-02-01T00:00:00.000", "CWE-89")
    run("nvd")
    before, asked = dump(store), len(nvd.asked)
    assert run("nvd").changes == Changes(received=1)  # the one at the cursor, within the overlap
    assert nvd.asked[asked:] == [("2026-01-31T23:00:00.000", "2026-03-01T12:00:00.000", "0")]
    assert dump(store) == before


def test_a_label_change_arrives_and_is_history(nvd: Nvd, run: Run, store: Path) -> None:
    nvd.put("CVE-2024-1000", "2026-01-01T00:00:00.000", "NVD-CWE-noinfo")
    run("nvd")
    nvd.put("CVE-2024-1000", "2026-02-01T08:00:00.000", "CWE-79", "CWE-80")
    assert run("nvd").changes == Changes(received=1, changed=1, labels=1)
    assert query.history(store, "CVE-2024-1000") == [
        {
            "cve_id": "CVE-2024-1000",
            "field": "cwe_nvd",
            "old": ["NVD-CWE-noinfo"],
            "new": ["CWE-79", "CWE-80"],
            "source": "nvd",
            "modified": "2026-02-01T08:00:00.000",
            "seen": "2026-03-01T12:00:00",
        }
    ]


def test_a_long_absence_is_cut_into_windows_without_gaps(
    nvd: Nvd, order: UpdateOptions, run: Run, store: Path
) -> None:
    days = [datetime(2025, 3, 1) + timedelta(days=30 * i) for i in range(12)]
    for i, day in enumerate(days):
        nvd.put(f"CVE-2025-{1000 + i}", day.isoformat(timespec="milliseconds"))
    run("nvd", replace(order, since="2025-03-01"))
    windows = [(start, end) for start, end, _ in nvd.asked]
    assert windows[0][0] == "2025-02-28T23:00:00.000"
    assert windows[-1][1] == "2026-03-01T12:00:00.000"
    assert len(windows) == 4
    assert all(end == start for (_, end), (start, _) in pairwise(windows))
    assert len(ids(store)) == 12


def test_since_is_where_a_new_store_begins_and_no_more_once_it_has_begun(
    nvd: Nvd, order: UpdateOptions, run: Run, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nvd.put("CVE-2024-1000", "2026-01-01T00:00:00.000")
    nvd.put("CVE-2024-1001", "2026-02-01T00:00:00.000")
    run("nvd", replace(order, since="2026-01-15"))
    assert ids(store) == ["CVE-2024-1001"]
    assert "goes on where it was" not in caplog.text
    run("nvd", replace(order, since="2025-12-01"))
    assert ids(store) == ["CVE-2024-1001"]
    assert "goes on where it was" in caplog.text
    with pytest.raises(InputError, match="2026-03-02 lies in the future"):
        list(update(replace(order, since="2026-03-02")))


@pytest.mark.parametrize("code", [403, 429, 503])
def test_a_refusal_that_passes_is_waited_out(
    nvd: Nvd, run: Run, upstream: Upstream, waits: list[float], store: Path, code: int
) -> None:
    nvd.put("CVE-2024-1000", "2026-01-01T00:00:00.000")
    upstream.faults[API] = [lambda _: Answer(code, headers={"Retry-After": "6"})]
    run("nvd")
    assert waits == [6.0]
    assert ids(store) == ["CVE-2024-1000"]


def test_an_update_that_breaks_off_keeps_its_pages_and_goes_on_at_the_next(
    nvd: Nvd, run: Run, upstream: Upstream, store: Path
) -> None:
    nvd.most = 2
    for i in range(6):
        nvd.put(f"CVE-2024-{1000 + i}", f"2026-02-0{i + 1}T00:00:00.000")
    upstream.faults[API] = [lambda a: a, lambda a: a, *[lambda _: Answer(503)] * 4]
    with pytest.raises(CyberSecQwenError, match="no success in 4 attempts"):
        run("nvd")
    assert len(ids(store)) == 4
    assert query.status(store)["feeds"][0]["cursor"] == ""  # the fill is not whole
    asked = len(nvd.asked)
    run("nvd")
    assert [position for _, _, position in nvd.asked[asked:]] == ["4", "0"]
    assert len(ids(store)) == 6


def test_a_record_that_cannot_be_read_holds_no_other_up(
    nvd: Nvd, run: Run, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nvd.most = 2
    for i in range(5):
        nvd.put(f"CVE-2024-{1000 + i}", f"2026-02-0{i + 1}T00:00:00.000")
    nvd.records["CVE-2024-1001"]["descriptions"] = "text"
    assert run("nvd").cursor == "2026-02-05T00:00:00.000"
    assert ids(store) == [f"CVE-2024-{1000 + i}" for i in (0, 2, 3, 4)]
    assert [message.count("refused: ") for message in caplog.messages] == [1]


def test_a_record_that_leaves_the_window_meanwhile_makes_it_begin_anew(
    nvd: Nvd, order: UpdateOptions, upstream: Upstream, run: Run, store: Path
) -> None:
    nvd.most = 2
    for i in range(4):
        nvd.put(f"CVE-2024-{1000 + i}", f"2026-02-0{i + 1}T00:00:00.000")

    def modified(answer: Answer) -> Answer:
        nvd.put("CVE-2024-1000", "2026-03-01T12:00:01.000")  # after the window's end
        return answer

    upstream.faults[API] = [modified]
    run("nvd", replace(order, since="2026-02-01"))
    assert [position for _, _, position in nvd.asked] == ["0", "2", "0", "2"]
    assert len(ids(store)) == 4


def test_records_that_never_stop_changing_are_an_error(
    nvd: Nvd, order: UpdateOptions, upstream: Upstream, run: Run
) -> None:
    totals = iter(range(100, 0, -1))
    upstream.routes[API] = lambda seen: Answer(
        200, page([], start=int(seen.query["startIndex"]), total=next(totals))
    )
    with pytest.raises(InputError, match="0 records at 0, with 0 of 100 here"):
        run("nvd", replace(order, since="2026-02-01"))
    nvd.most = 1
    for i in range(20):
        nvd.put(f"CVE-2024-{1000 + i}", "2026-02-01T00:00:00.000")
    upstream.routes[API] = nvd.answer

    def shrinking(answer: Answer) -> Answer:
        nvd.records.popitem()
        return answer

    upstream.faults[API] = [shrinking] * 20
    with pytest.raises(CyberSecQwenError, match="the records change while they are asked for"):
        run("nvd")


def test_an_empty_answer_does_not_move_the_cursor(nvd: Nvd, run: Run, upstream: Upstream) -> None:
    nvd.put("CVE-2024-1000", "2026-01-01T00:00:00.000")
    run("nvd")
    upstream.faults[API] = [lambda _: Answer(200, page([]))]
    assert run("nvd").cursor == "2026-01-01T00:00:00.000"


def test_the_cursor_stays_at_upstreams_clock_where_records_claim_to_be_later(
    nvd: Nvd, run: Run
) -> None:
    nvd.clock = datetime(2026, 2, 1)
    nvd.put("CVE-2024-1000", "2026-02-20T00:00:00.000")
    assert run("nvd").cursor == "2026-02-01T00:00:00.000"


def test_a_clock_behind_the_cursor_is_an_error(nvd: Nvd, order: UpdateOptions, run: Run) -> None:
    nvd.put("CVE-2024-1000", "2026-02-01T00:00:00.000")
    run("nvd")
    wrong = replace(order, now=lambda: NOW - timedelta(days=365))
    with pytest.raises(
        CyberSecQwenError, match=r"complete up to 2026-02-01.*clock says 2025-03-01"
    ):
        run("nvd", wrong)
    assert run("nvd").changes.new == 0


@pytest.mark.parametrize("body", [b'{"resultsPerPage": 1, "startIn', b"<html>gateway</html>"])
def test_a_truncated_answer_is_one_line_and_changes_nothing(
    nvd: Nvd, run: Run, upstream: Upstream, store: Path, body: bytes
) -> None:
    nvd.put("CVE-2024-1000", "2026-02-01T00:00:00.000")
    run("nvd")
    before = dump(store)
    upstream.faults[API] = [lambda _: Answer(200, body)]
    with pytest.raises(InputError, match="not valid JSON"):
        run("nvd")
    assert dump(store) == before
