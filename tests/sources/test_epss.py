"""FIRST's EPSS: the scores of a day from its file, in the store, and nothing of any other file."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import EpssScore
from cybersecqwen.sources import FEEDS
from cybersecqwen.sources.download import RetryPolicy
from cybersecqwen.sources.epss import read_epss
from cybersecqwen.sources.fetch import fetch
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import update
from cybersecqwen.sources.recordstore.versions import Changes

from .conftest import Upstream

UPSTREAM = urlsplit(FEEDS["epss"].url).path


def scores(*rows: str, date: str = "2026-01-05") -> bytes:
    comment = f"#model_version:v2025.03.14,score_date:{date}T00:00:00+0000"
    return "\n".join((comment, "cve,epss,percentile", *rows, "")).encode()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_score_is_found_with_its_day(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "epss_scores-current.csv.gz"
    text = scores("CVE-2021-0001,0.97521,0.99999", "CVE-2021-00010,1e-05,0").decode()
    path.write_bytes(gzip.compress(text.replace("\n", ending).encode()))
    day = read_epss(path)
    assert (day.model, day.date) == ("v2025.03.14", "2026-01-05")
    assert day.find("CVE-2021-0001") == EpssScore(0.97521, 0.99999)
    assert day.find("CVE-2021-0002") is None


@pytest.mark.parametrize("row", ["CVE-2021-0001,0.9", "CVE-2021-0001,0.9,1.1", "CVE-2021-0001,a,b"])
def test_a_wrong_score_is_named_and_never_shown(row: str, tmp_path: Path) -> None:
    path = tmp_path / "epss.csv"
    path.write_bytes(scores(row))
    with pytest.raises(InputError, match=r"epss.csv: CVE-2021-0001: .* is no score"):
        read_epss(path).find("CVE-2021-0001")


def test_another_table_and_a_truncated_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "epss.csv.gz"
    path.write_bytes(gzip.compress(b"cve,score\nCVE-2021-0001,1\n"))
    with pytest.raises(InputError, match="holds no EPSS scores"):
        read_epss(path)
    path.write_bytes(gzip.compress(scores("CVE-2021-0001,0.5,0.5"))[:-9])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_epss(path)


def test_the_store_has_the_scores_of_the_latest_day(
    upstream: Upstream, retry: RetryPolicy, tmp_path: Path
) -> None:
    store = tmp_path / "records.sqlite"
    options = UpdateOptions(store, tmp_path, url=upstream.url, retry=retry)

    def bring(*rows: str, date: str) -> Changes:
        upstream.files[UPSTREAM] = gzip.compress(scores(*rows, date=date))
        (outcome,) = update(options, only=["epss"])
        assert outcome.error is None
        return outcome.changes

    wanted = ["CVE-2021-0001", "CVE-2021-0003"]
    first = ("CVE-2021-0001,0.1,0.5", "CVE-2021-0002,0.2,0.6")
    assert bring(*first, date="2026-01-05") == Changes(2, new=2)
    second = ("CVE-2021-0001,0.3,0.7", "CVE-2021-0003,0.2,0.6")
    assert bring(*second, date="2026-01-06") == Changes(2, new=1, changed=2)
    found = {"CVE-2021-0001": EpssScore(0.3, 0.7), "CVE-2021-0003": EpssScore(0.2, 0.6)}
    assert query.epss(store, [*wanted, "CVE-2021-0002"]) == ("2026-01-06 v2025.03.14", found)


def test_fetch_brings_the_file_of_the_day(
    upstream: Upstream, retry: RetryPolicy, tmp_path: Path
) -> None:
    upstream.files["/today"] = gzip.compress(scores("CVE-2021-0001,0.1,0.5"))
    (path,) = fetch("epss", tmp_path, url=f"{upstream.url}/today", retry=retry)
    assert path == tmp_path / "epss" / "epss_scores-current.csv.gz"
    assert read_epss(path).find("CVE-2021-0001")
