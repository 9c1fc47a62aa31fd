"""Fetch a source into the cache, from where the readers take it, online no more.

    fetch("nvd", default_cache(), years=(2021,))      # [.../nvd/nvdcve-2.0-2021.json.gz]

Run again, it fetches only what is missing or has changed; the pages of nvd-api that are
there stay as they are until their folder is deleted. HF_ENDPOINT and HF_TOKEN are those
of the Hugging Face hub. What judges cti-taa stays as it is while it fits the items.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import write_text
from cybersecqwen.sources.ctibench import TASKS
from cybersecqwen.sources.download import Patience, download, get, open_client, retried
from cybersecqwen.sources.inputs import parse, readable
from cybersecqwen.sources.nvd import Page
from cybersecqwen.sources.nvd_api import PAGE, WINDOW, open_api
from cybersecqwen.sources.threat_actors import HOST, fetch_judgement

_MITRE = "https://raw.githubusercontent.com/mitre/cti/master"
_DATASET = "AI4Sec/cti-bench"


@dataclass(frozen=True, slots=True)
class _Order:
    """What to fetch from where: the arguments of `fetch`, resolved."""

    url: str
    folder: Path
    years: Sequence[int]
    patience: Patience


def default_cache() -> Path:
    """Give the cache folder: $CYBERSECQWEN_CACHE, or the platform's own place for caches."""
    import platformdirs

    chosen = os.environ.get("CYBERSECQWEN_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("cybersecqwen")


def fetch(
    source: str,
    cache: Path,
    *,
    url: str | None = None,
    years: Sequence[int] = (),
    patience: Patience | None = None,
) -> list[Path]:
    """Fetch a source of SOURCES into its folder in `cache` and list the files to read.

    `url` replaces the upstream address: the folder of the feeds for nvd, the end point
    for nvd-api, both hosts for cti-bench (each under its own paths), the file for the
    others. `years` are those of the nvd feeds, or of publication for nvd-api (all if there
    are none). Raises CyberSecQwenError when upstream fails for good; what came before stays.
    """
    if source not in SOURCES:
        raise InputError(f"unknown source {source!r}", tip=f"known are {', '.join(SOURCES)}")
    upstream, fetcher = SOURCES[source]
    return fetcher(
        _Order(
            url=(url or upstream).rstrip("/"),
            folder=cache / source,
            years=years,
            patience=patience or Patience(),
        )
    )


def _fetch_file(order: _Order) -> list[Path]:
    # The reader knows an archive by its ending, which another address may not have.
    name = PurePosixPath(SOURCES[order.folder.name][0]).name
    return [download(order.url, order.folder / name, patience=order.patience)]


def _fetch_nvd_feeds(order: _Order) -> list[Path]:
    """Fetch yearly feeds, each checked against the hash in its `.meta`."""
    if not order.years:
        raise InputError("no year is given", tip="for example --years 2021-2024")
    files = []
    for year in order.years:
        base = f"{order.url}/nvdcve-2.0-{year}"
        target = order.folder / f"nvdcve-2.0-{year}.json.gz"
        sha256 = _meta_sha256(f"{base}.meta", order.patience)
        files.append(download(f"{base}.json.gz", target, sha256=sha256, patience=order.patience))
    return files


def _meta_sha256(url: str, patience: Patience) -> str:
    with open_client(follow_redirects=True) as client:
        text = retried(lambda: get(client, url), url, patience).decode("utf-8", "replace")
    match = re.search(r"^sha256:([0-9A-Fa-f]{64})\s*$", text, re.MULTILINE)
    if not match:
        raise CyberSecQwenError("holds no sha256", where=url, tip="check the URL of the feeds")
    return match.group(1)


def _fetch_nvd_api(order: _Order) -> list[Path]:
    """Fetch page after page, each saved as it comes; pages that are there are not asked for.

    Each window of at most 120 days has its folder. To renew one, delete it.
    """
    with open_api(order.patience) as ask:
        return [
            path
            for name, query in _windows(order.years)
            for path in _fetch_window(order.folder / name, f"{order.url}?{query}", ask)
        ]


def _fetch_window(folder: Path, query: str, ask: Callable[[str], bytes]) -> Iterator[Path]:
    position, total = 0, 1
    while position < total:
        path = folder / f"{position:07d}.json"
        url = f"{query}{urlencode({'resultsPerPage': PAGE, 'startIndex': position})}"
        data = _saved(path) or ask(url)
        page = parse(Page, data, path if path.exists() else url)
        if page.start != position or (page.total and not page.vulnerabilities):
            raise InputError(
                f"page at {page.start} with {len(page.vulnerabilities)} records, not at {position}",
                where=path if path.exists() else url,
                tip="delete the folder of the window and fetch it again",
            )
        if not path.exists():  # only what has proved to be a page is kept
            write_text(path, data.decode("utf-8"))
        yield path
        position, total = position + len(page.vulnerabilities), page.total


def _saved(path: Path) -> bytes:
    if not path.exists():
        return b""
    with readable(path):
        return path.read_bytes()


def _windows(years: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Cut a span of years into windows that NVD takes: the folder's name and the open query."""
    if not years:
        yield "all", ""
        return
    start, last = date(min(years), 1, 1), date(max(years), 12, 31)
    while start <= last:
        end = min(start + WINDOW - timedelta(days=1), last)
        query = {
            "pubStartDate": f"{start}T00:00:00.000",
            "pubEndDate": f"{end}T23:59:59.999",
        }
        yield f"{start}_{end}", f"{urlencode(query)}&"
        start = end + timedelta(days=1)


def _fetch_cti_bench(order: _Order) -> list[Path]:
    tasks = _fetch_tasks(order)
    return [*tasks, *fetch_judgement(order.folder, order.url or HOST, order.patience)]


def _fetch_tasks(order: _Order) -> list[Path]:
    """Fetch the task files from the hub, whose client has its own cache, resume and retries."""
    import httpx2
    from huggingface_hub import hf_hub_download

    try:
        return [
            Path(
                hf_hub_download(
                    _DATASET,
                    f"{task}.tsv",
                    repo_type="dataset",
                    local_dir=order.folder,
                    endpoint=order.url or None,
                )
            )
            for task in TASKS
        ]
    except (OSError, httpx2.HTTPError) as error:
        raise CyberSecQwenError(
            f"the hub does not give the dataset: {error}",
            where=_DATASET,
            tip="check the network, HF_ENDPOINT and HF_TOKEN",
        ) from error


# The upstream address and what fetches it; the hub's client knows its own.
SOURCES: dict[str, tuple[str, Callable[[_Order], list[Path]]]] = {
    "nvd": ("https://nvd.nist.gov/feeds/json/cve/2.0", _fetch_nvd_feeds),
    "nvd-api": ("https://services.nvd.nist.gov/rest/json/cves/2.0", _fetch_nvd_api),
    "cvelist": (
        "https://github.com/CVEProject/cvelistV5/archive/refs/heads/main.zip",
        _fetch_file,
    ),
    "vulnrichment": (
        "https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip",
        _fetch_file,
    ),
    "cwe": ("https://cwe.mitre.org/data/xml/cwec_latest.xml.zip", _fetch_file),
    **{
        f"attack-{domain}": (f"{_MITRE}/{domain}-attack/{domain}-attack.json", _fetch_file)
        for domain in ("enterprise", "mobile", "ics")
    },
    "capec": (f"{_MITRE}/capec/2.1/stix-capec.json", _fetch_file),
    "kev": (
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        _fetch_file,
    ),
    "cti-bench": ("", _fetch_cti_bench),
}
