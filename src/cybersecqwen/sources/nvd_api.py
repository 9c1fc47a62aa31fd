"""Ask the NVD API for pages, within the rate that it grants.

    with open_api(Patience()) as ask:
        page = parse(Page, ask(f"{url}?resultsPerPage={PAGE}&startIndex=0"), url)

    https://nvd.nist.gov/developers/start-here

NVD_API_KEY in the environment raises the rate from 5 to 50 requests in 30 seconds.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from cybersecqwen.sources.download import Patience, get, open_client, retried

Ask = Callable[[str], bytes]

PAGE = 2000  # records, the most the API gives at once
WINDOW = timedelta(days=120)  # the longest period it takes
_RATE_PERIOD = 30.0  # seconds, rolling, in which NVD counts requests
_OVER_RATE = frozenset({403})  # what NVD answers to one too many


@contextmanager
def open_api(patience: Patience) -> Iterator[Ask]:
    """Give a function that asks for a URL, slow enough and as often as `patience` allows."""
    key = os.environ.get("NVD_API_KEY", "")
    pace = _Pace(50 if key else 5, patience.sleep)
    with open_client(follow_redirects=False) as client:
        if key:
            client.headers["apiKey"] = key

        def ask(url: str) -> bytes:
            def once() -> bytes:
                pace.keep()
                return get(client, url, passing=_OVER_RATE)

            return retried(once, url, patience)

        yield ask


class _Pace:
    """Keep requests below a limit in any NVD rate period, retries included."""

    def __init__(self, limit: int, sleep: Callable[[float], None]) -> None:
        self._sent: deque[float] = deque(maxlen=limit)
        self._sleep = sleep

    def keep(self) -> None:
        if len(self._sent) == self._sent.maxlen:
            wait = self._sent[0] + _RATE_PERIOD - time.monotonic()
            if wait > 0:
                self._sleep(wait)
        self._sent.append(time.monotonic())
