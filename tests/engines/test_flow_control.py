"""The limit lets in what the server can take, and the channel loses nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine

import pytest

from cybersecqwen.engines.flow_control import BoundedChannel, ConcurrencyLimit


def ran(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def entered(limit: ConcurrencyLimit, n: int) -> list[asyncio.Task[float]]:
    """Let n tasks try to enter, and return them when all that may have entered."""
    tasks = [asyncio.create_task(limit.enter()) for _ in range(n)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_no_more_enter_than_there_is_room_and_first_come_is_first_served() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(4)
        tasks = await entered(limit, 7)
        assert [task.done() for task in tasks] == [True] * 4 + [False] * 3
        limit.leave()
        limit.leave()
        late = (await entered(limit, 1))[0]
        assert [task.done() for task in [*tasks, late]] == [True] * 6 + [False] * 2

    ran(work())


def test_a_refusal_halves_the_room_once_for_all_that_were_inside_together() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(8)
        together = [task.result() for task in await entered(limit, 8)]
        for began in together:
            limit.refused(began)
            limit.leave()
        assert limit.room == 4
        for room in (2, 1, 1):  # and again for each that came later, down to one
            limit.refused(await limit.enter())
            limit.leave()
            assert limit.room == room

    ran(work())


def test_answers_raise_the_room_by_one_a_round_and_never_over_the_most() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(8)
        limit.refused(await limit.enter())
        rooms = [limit.room]
        for _ in range(60):
            limit.answered()
            rooms.append(limit.room)
        # A round takes as many answers as there is room for, and the raises within it one more.
        assert all(rooms.count(room) in (room, room + 1) for room in (4, 5, 6, 7))
        assert max(rooms) == rooms[-1] == 8

    ran(work())


def test_a_raised_room_lets_two_in_for_one_that_leaves() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(2)
        limit.refused(await limit.enter())
        waiting = await entered(limit, 3)
        assert not any(task.done() for task in waiting)
        limit.answered()  # the room is two again
        limit.leave()
        await asyncio.sleep(0.001)
        assert [task.done() for task in waiting] == [True, True, False]

    ran(work())


def test_nobody_enters_while_it_is_closed() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(2)
        start = time.monotonic()
        limit.close(0.1)
        limit.close(0.05)  # a shorter one does not open it
        assert await limit.enter() >= start + 0.1

    ran(work())


def test_one_that_gave_up_waiting_takes_no_place() -> None:
    async def work() -> None:
        limit = ConcurrencyLimit(1)
        _, quitter, patient = await entered(limit, 3)
        quitter.cancel()
        await asyncio.sleep(0)
        limit.leave()
        await asyncio.wait([patient], timeout=5)
        assert patient.done()

    ran(work())


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_every_outcome_is_passed_on_once_in_order_and_few_are_ahead(ahead: int) -> None:
    loop = asyncio.new_event_loop()
    outcomes: BoundedChannel[int] = BoundedChannel(loop, ahead)
    begun, taken, most = 0, 0, 0

    async def make() -> None:
        nonlocal begun, most
        for i in range(500):
            await outcomes.room()
            begun += 1
            most = max(most, begun - taken)
            outcomes.put(i)
            if i % 7 == 0:
                await asyncio.sleep(0)

    def drive() -> None:
        loop.run_until_complete(make())
        outcomes.end()

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    read = []
    for outcome in outcomes:
        read.append(outcome)
        taken += 1
        if outcome % 50 == 0:
            time.sleep(0.002)  # a reader that is slow now and then
    thread.join()
    loop.close()
    assert read == list(range(500))
    # One may lie between the channel's count and this test's own.
    assert most <= ahead + 1
