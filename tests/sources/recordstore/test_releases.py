"""Releases are asked for only when they changed, and remembered; KEV is in the store."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.sources import FEEDS
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.update import Outcome
from cybersecqwen.sources.recordstore.versions import Changes

from ..conftest import Upstream
from ..test_kev import catalogue, entry

Run = Callable[..., Outcome]
KEV = urlsplit(FEEDS["kev"].url).path


def put(upstream: Upstream, version: str, *entries: dict[str, Any]) -> None:
    upstream.files[KEV] = json.dumps(catalogue(*entries, version=version)).encode()


def test_a_release_of_kev_replaces_the_one_before(
    run: Run, upstream: Upstream, store: Path
) -> None:
    put(upstream, "2026.01.01", entry("CVE-2024-1000"), entry("CVE-2024-1001"))
    outcome = run("kev")
    assert (outcome.changes, outcome.version) == (Changes(2, new=2), "2026.01.01")
    assert run("kev").changes == Changes()
    put(
        upstream, "2026.01.02", entry("CVE-2024-1000", dueDate="2026-02-02"), entry("CVE-2024-1002")
    )
    outcome = run("kev")
    assert outcome.changes == Changes(2, new=1, changed=2)  # one edited, one taken off
    status = query.status(store)
    assert status["kev"] == 2
    assert [r["version"] for r in status["releases"]] == ["2026.01.01", "2026.01.02"]
    assert len({r["sha256"] for r in status["releases"]}) == 2


def test_a_release_that_is_unchanged_is_not_sent_again(run: Run, upstream: Upstream) -> None:
    put(upstream, "2026.01.01", entry("CVE-2024-1000"))
    run("kev")
    run("kev")
    assert [bool(seen.sent) for seen in upstream.of(KEV)] == [True, False]


def test_a_damaged_release_leaves_the_one_before_and_is_asked_for_again(
    run: Run, upstream: Upstream, store: Path
) -> None:
    put(upstream, "2026.01.01", entry("CVE-2024-1000"))
    run("kev")
    upstream.etag = "of-both"  # the server believes that what it sent was whole
    put(upstream, "2026.01.02", entry("CVE-2024-1000"), entry("CVE-2024-1001"))
    whole = upstream.files[KEV]
    upstream.files[KEV] = whole[:-30]
    with pytest.raises(InputError, match="not valid JSON"):
        run("kev")
    assert query.status(store)["kev"] == 1
    upstream.files[KEV] = whole
    assert run("kev").version == "2026.01.02"
    assert query.status(store)["kev"] == 2


@pytest.mark.parametrize(
    ("feed", "file", "version"),
    [
        ("attack-ics", "ics-attack.json.gz", r"\d{4}-\d\d-\d\d|\d+\.\d"),
        ("capec", "stix-capec.json.gz", r"3\.\d"),
    ],
)
def test_the_version_of_a_real_release_is_read(
    run: Run, upstream: Upstream, shared: Path, feed: str, file: str, version: str
) -> None:
    upstream.files[urlsplit(FEEDS[feed].url).path] = gzip.decompress((shared / file).read_bytes())
    outcome = run(feed)
    assert re.fullmatch(version, outcome.version)
    assert outcome.changes == Changes(1, new=1)
