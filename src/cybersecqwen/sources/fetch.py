"""Fetch a source into the cache, from which the readers take it offline.

    fetch("nvd", default_cache(), years=(2021,))      # [.../nvd/nvdcve-2.0-2021.json.gz]

Run again, it fetches only what is missing or has changed. Pages of nvd-api that are there stay
until their folder is deleted, and what judges cti-taa stays while it fits the items. HF_ENDPOINT
and HF_TOKEN are those of the Hugging Face hub.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.formats.rows import refuse
from cybersecqwen.sources import FEEDS, recognise
from cybersecqwen.sources.download import RetryPolicy
from cybersecqwen.sources.feed import Feed, FetchOptions


def default_cache() -> Path:
    """Return the cache folder: $CYBERSECQWEN_CACHE, or the platform's own place for caches."""
    import platformdirs

    chosen = os.environ.get("CYBERSECQWEN_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("cybersecqwen")


def fetched_feeds() -> list[str]:
    """Name the feeds that can be fetched, in the order of FEEDS."""
    return [name for name, feed in FEEDS.items() if feed.fetch]


def fetch(
    source: str,
    cache: Path,
    *,
    url: str | None = None,
    years: Sequence[int] = (),
    retry: RetryPolicy | None = None,
) -> list[Path]:
    """Fetch a feed into its folder in `cache` and list the files to read.

    `url` replaces the upstream address: the folder of the feeds for nvd, the end point
    for nvd-api, both hosts for cti-bench (each under its own paths), the file for the
    others. `years` are those of the nvd feeds, or of publication for nvd-api (all if there
    are none). Raises CyberSecQwenError when upstream fails for good; what came before stays.
    """
    feed = FEEDS.get(source)
    if feed is None or feed.fetch is None:
        raise InputError(
            f"unknown source {source!r}", tip=f"known are {', '.join(fetched_feeds())}"
        )
    return feed.fetch(
        FetchOptions(
            upstream=feed.url,
            url=(url or feed.url).rstrip("/"),
            folder=cache / source,
            years=years,
            check=lambda path: _check(feed, path),
            retry=retry or RetryPolicy(),
        )
    )


def _check(feed: Feed, path: Path) -> None:
    """Read the first record of what came; a knowledge base is read whole for that."""
    if feed.recognise and recognise(path) is not feed:
        raise InputError(
            f"is not {feed.title}", where=path, tip="is it a login page? what was here stays"
        )
    if feed.read:
        next(feed.read(path, refuse), None)
