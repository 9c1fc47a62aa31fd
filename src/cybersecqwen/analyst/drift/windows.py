"""Calendar windows, samples of them, and which of them are the reference.

>>> window_of(date(2024, 12, 30), "week")
Window(name='2025-W01', end=datetime.date(2025, 1, 6))
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal, NamedTuple, TypeVar

Period = Literal["month", "week"]
REFERENCE_WINDOWS: dict[Period, int] = {"month": 12, "week": 26}  # of a reference, the most

_Item = TypeVar("_Item")


class Window(NamedTuple):
    """A calendar month or an ISO week."""

    name: str  # 2025-03 or 2025-W09
    end: date  # the first day after it


def window_of(day: date, by: Period) -> Window:
    """Return the window that a day lies in."""
    if by == "week":
        year, week, weekday = day.isocalendar()
        return Window(f"{year}-W{week:02}", day + timedelta(days=8 - weekday))
    following = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    return Window(f"{day:%Y-%m}", following)


def day_of(text: str) -> date | None:
    """Return the day of an ISO date or time, None where the text is neither."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def sample(items: dict[str, _Item], size: int) -> dict[str, _Item]:
    """Take the items with the lowest checksums of their ids, which no order of reading changes."""
    if len(items) <= size:
        return items
    chosen = sorted(items, key=lambda key: (zlib.crc32(key.encode()), key))[:size]
    return {key: items[key] for key in chosen}


def split(
    windows: Iterable[Window], given: Iterable[Window], *, by: Period, until: date | None
) -> tuple[list[Window], list[Window]]:
    """Return the windows of the reference and those after it, in the order of time.

    The reference are windows that are `given`, else those that end by the day `until`, else the
    first half of the newest ones.
    """
    ordered = sorted(windows, key=lambda window: window.end)
    most = REFERENCE_WINDOWS[by]
    if given := sorted(given, key=lambda window: window.end):
        return given[-most:], ordered
    if until:
        before = [window for window in ordered if window.end <= until + timedelta(days=1)]
        return before[-most:], ordered[len(before) :]
    newest = ordered[-2 * most :]
    return newest[: len(newest) // 2], newest[len(newest) // 2 :]
