"""The NVD API: fetch its pages, within the rate that it grants.

    with open_api(RetryPolicy()) as get_page:
        page = parse(Page, get_page(f"{URL}?resultsPerPage={PAGE}&startIndex=0"), URL)

    https://nvd.nist.gov/developers/start-here

NVD_API_KEY in the environment raises the rate from 5 to 50 requests in 30 seconds.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

from cybersecqwen.errors import InputError
from cybersecqwen.files import write_text
from cybersecqwen.formats.archives import readable
from cybersecqwen.sources.download import RetryPolicy, get, open_client, with_retries
from cybersecqwen.sources.feed import Feed, FetchOptions
from cybersecqwen.sources.nvd_json import Page
from cybersecqwen.sources.schema import parse

URL = "https://services.nvd.nist.gov/rest/json/cves/2.0"
GetPage = Callable[[str], bytes]

PAGE = 2000  # records, the most the API gives at once
WINDOW = timedelta(days=120)  # the longest period it takes
_RATE_PERIOD = 30.0  # seconds, rolling, in which NVD counts requests
_OVER_RATE = frozenset({403})  # what NVD answers to one too many


@contextmanager
def open_api(retry: RetryPolicy) -> Iterator[GetPage]:
    """Open the API: a function that gets a URL, slowly enough and as often as `retry` allows."""
    key = os.environ.get("NVD_API_KEY", "")
    pace = _Pace(50 if key else 5, retry.sleep)
    with open_client(follow_redirects=False) as client:
        if key:
            client.headers["apiKey"] = key

        def get_page(url: str) -> bytes:
            def once() -> bytes:
                pace.keep()
                return get(client, url, transient=_OVER_RATE)

            return with_retries(once, url, retry)

        yield get_page


class _Pace:
    """Keep to a number of requests, retries included, in any period of NVD's rate."""

    def __init__(self, limit: int, sleep: Callable[[float], None]) -> None:
        self._sent: deque[float] = deque(maxlen=limit)
        self._sleep = sleep

    def keep(self) -> None:
        if len(self._sent) == self._sent.maxlen:
            wait = self._sent[0] + _RATE_PERIOD - time.monotonic()
            if wait > 0:
                self._sleep(wait)
        self._sent.append(time.monotonic())


def _fetch(options: FetchOptions) -> list[Path]:
    """Fetch page after page, each saved as it comes; pages that are there are not requested.

    Each window of at most 120 days has its folder. To renew one, delete it.
    """
    with open_api(options.retry) as get_page:
        return [
            path
            for name, query in _windows(options.years)
            for path in _fetch_window(options.folder / name, f"{options.url}?{query}", get_page)
        ]


def _fetch_window(folder: Path, query: str, get_page: GetPage) -> Iterator[Path]:
    position, total = 0, 1
    while position < total:
        path = folder / f"{position:07d}.json"
        url = f"{query}{urlencode({'resultsPerPage': PAGE, 'startIndex': position})}"
        data = _saved(path) or get_page(url)
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


# Its pages are recognised and read as those of nvd.
FEED = Feed("nvd-api", "NVD JSON 2.0 from the API, page by page", url=URL, fetch=_fetch)
