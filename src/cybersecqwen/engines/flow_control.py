"""Flow control: a concurrency limit and retries towards a server, a channel towards a reader.

    began = await limit.enter()  # waits while the server has enough to do
    ...
    limit.answered()             # or limit.refused(began): fewer from now on
    limit.leave()

The limit follows what TCP does with its window: a refusal halves it, every answer raises it a
little.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

_Outcome = TypeVar("_Outcome")

# Seconds before the first retry, doubled for each further one. Eight of them wait 90 seconds: so
# long a server may take to start, or to let the minute of a rate limit pass.
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class ConcurrencyLimit:
    """Lets up to `most` attempts be under way, fewer while the server pushes back."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = float(most)
        self._inside = 0
        self._opens = 0.0  # a time before which nobody enters
        self._cut = 0.0  # when the room was last halved
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.last_answer = monotonic()

    @property
    def room(self) -> int:
        """How many may be inside."""
        return int(self._room)

    async def enter(self) -> float:
        """Wait for a place, first come, first served, and return the time it was taken."""
        if self._inside >= self.room:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place  # who leaves counts this one in
        else:
            self._inside += 1
        while (now := monotonic()) < self._opens:
            await asyncio.sleep(self._opens - now)
        return now

    def leave(self) -> None:
        """Leave the place; as many that wait as there is room for take theirs."""
        self._inside -= 1
        while self._waiting and self._inside < self.room:
            place = self._waiting.popleft()
            if not place.done():  # cancelled
                self._inside += 1
                place.set_result(None)

    def answered(self) -> None:
        """Raise the room, by one for as many answers as there is room."""
        self.last_answer = monotonic()
        self._room = min(self._room + 1 / self._room, self._most)

    def refused(self, began: float) -> None:
        """Halve the room, once for all that were inside together."""
        if began >= self._cut:
            self._room = max(1.0, self._room / 2)
            self._cut = monotonic()

    def close(self, seconds: float) -> None:
        """Let nobody in for so long."""
        self._opens = max(self._opens, monotonic() + seconds)


class TransientError(Exception):
    """A failure worth another attempt, not before `after` seconds.

    A server that is `busy` refused the attempt; one that is `mute` did not answer in time.
    """

    def __init__(
        self, why: str, *, after: float = 0.0, busy: bool = False, mute: bool = False
    ) -> None:
        super().__init__(why)
        self.after = after
        self.busy = busy
        self.mute = mute


@dataclass
class RetryPolicy:
    """How often one request may still fail."""

    retries: int
    longest: float  # seconds that the server may ask to stay away, while it answers nothing
    spent: int = 0
    away: float = 0.0
    waits: int = 0  # timeouts, while it answered nothing
    since: float = field(default_factory=monotonic)

    def ends(self, failure: TransientError, limit: ConcurrencyLimit) -> bool:
        """Count a failure, and say whether it was the last one.

        While others are answered, a busy server is only that: this one's turn comes.
        """
        others, self.since = limit.last_answer > self.since, monotonic()
        self.spent += not (failure.busy and others)
        self.waits += failure.mute and not others
        self.away = failure.after + (0 if others else self.away)
        return self.spent > self.retries or self.waits > 1 or self.away > self.longest


def pause(retry: int) -> float:
    """Return how many seconds to wait before a retry; clients should not come back in step."""
    return min(_PAUSE * 2.0 ** (retry - 1), _LONGEST_PAUSE) * random.uniform(1, 1.5)


class BoundedChannel(Generic[_Outcome]):
    """Passes what an event loop makes to a reader on another thread, and holds the loop back.

    What arrives within one turn of the loop is passed on together: to wake a thread costs as
    much as to handle an answer. At most `ahead` outcomes are begun and not yet read, so that
    a slow reader bounds the memory.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ahead: int) -> None:
        self._loop = loop
        self._places = asyncio.Semaphore(ahead)
        self._batch: list[_Outcome] = []
        self._queue: SimpleQueue[list[_Outcome] | None] = SimpleQueue()

    async def room(self) -> None:
        """Wait until one more outcome may be begun, and count it."""
        await self._places.acquire()

    def put(self, outcome: _Outcome) -> None:
        """Pass an outcome on; for the loop's thread."""
        if not self._batch:
            self._loop.call_soon(self._pass_on)
        self._batch.append(outcome)

    def end(self) -> None:
        """End the channel: there are no more."""
        self._pass_on()
        self._queue.put(None)

    def __iter__(self) -> Iterator[_Outcome]:
        """Yield the outcomes until the end; for the reader's thread."""
        while (batch := self._queue.get()) is not None:
            for outcome in batch:
                self._loop.call_soon_threadsafe(self._places.release)
                yield outcome

    def _pass_on(self) -> None:
        if self._batch:
            self._queue.put(self._batch)
            self._batch = []


def drive(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], outcomes: BoundedChannel[Any]
) -> None:
    """Run the loop until its task has ended, however it ended; the reader looks at it."""
    loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_default_executor())
    outcomes.end()
