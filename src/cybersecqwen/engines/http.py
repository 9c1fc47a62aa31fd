"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp, transformers serve, hosted ones.

Give the base URL that ends in /v1; a bare `http://host:port` is taken to mean it.

    engine = HttpEngine("http://localhost:8000/v1", "CyberSecQwen-4B")
    for response in engine.generate(requests):
        ...

A chat goes to {base}/chat/completions, a raw text to {base}/completions, each with
its own temperature, top_p, max_tokens, seed and stop. Whether the server honours them
is the server's affair: `cybersecqwen probe` finds out before its numbers are trusted.

The requests run in an event loop on a thread of their own, `concurrency` of them at
once, fewer while the server pushes back. An answer is yielded when it arrives, whichever
request was the first. So generate() works inside a notebook, whose thread already runs a
loop, and a reader that is slow to take an answer does not let the others time out.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from cybersecqwen.engines import openai_api, server_metadata
from cybersecqwen.engines.flow_control import BoundedChannel, ConcurrencyLimit
from cybersecqwen.engines.interface import EngineOptions, Model, empty_response
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    import aiohttp

# Besides every 5xx: request timeout, conflict, too early, too many requests.
_RETRIED = {408, 409, 425, 429}
_BUSY = {429, 503}
_CONNECT = 10.0  # seconds; a server that is up accepts at once
_PAUSE = 0.5  # seconds before the first retry, doubled for each further one
_LONGEST_PAUSE = 30.0

# A request that the server will not answer, whoever asks: malformed, too long, not allowed.
_OWN_FAULT = {400, 413, 422}

_JSON = {"Content-Type": "application/json"}

_Outcome = Response | EngineError
_T = TypeVar("_T")


class _NoAnswerError(EngineError):
    """A request that the server did not answer with a text, and would not another time."""


class _TransientError(Exception):
    """A failure worth another attempt, not before `after` seconds.

    A server that is `busy` refused the attempt; one that is `mute` let it wait in vain.
    """

    def __init__(
        self, why: str, *, after: float = 0.0, busy: bool = False, mute: bool = False
    ) -> None:
        super().__init__(why)
        self.after = after
        self.busy = busy
        self.mute = mute


@dataclass
class _RetryPolicy:
    """How often one request may still fail."""

    retries: int
    longest: float  # seconds that the server may ask to stay away, while it answers nothing
    spent: int = 0
    away: float = 0.0
    waits: int = 0  # in vain, while it answered nothing
    since: float = field(default_factory=monotonic)

    def ends(self, failure: _TransientError, limit: ConcurrencyLimit) -> bool:
        """Count a failure, and say whether it was the last one.

        While others are answered, a busy server is only that: this one's turn comes.
        """
        others, self.since = limit.last_answer > self.since, monotonic()
        self.spent += not (failure.busy and others)
        self.waits += failure.mute and not others
        self.away = failure.after + (0 if others else self.away)
        return self.spent > self.retries or self.waits > 1 or self.away > self.longest


class HttpEngine:
    """A model of a server: `concurrency` requests at once, each up to `retries` times more.

    A refusal (429, 503, a cut connection) halves the number at once, answers raise it again; it
    does not count as an attempt where others were answered meanwhile. `timeout` is in seconds, for
    one attempt: a server that answers nothing at all for two of them, or asks to stay away for
    longer than one, has failed. `give_up` yields an empty response that says why
    (`failure_reason`) for a request that the server has no text for; by default that ends the
    work, for an evaluation has no score without it. `api_key` is by default the environment's
    OPENAI_API_KEY; it is sent as a bearer token to this server only, redirects are refused.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        concurrency: int = 32,
        timeout: float = 600,
        retries: int = 5,
        give_up: bool = False,
        api_key: str | None = None,
    ) -> None:
        self._base = openai_api.base_url(url)
        self._model = model
        self._concurrency = concurrency
        self._timeout = timeout
        self._retries = retries
        self._give_up = give_up
        key = (os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key).strip()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is a server's URL, alone or as NAME@URL."""
        return openai_api.is_address(model)

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open the model of that name at a server, or the only one that it serves.

        Raises InputError where it serves several, and EngineError where it does not say.
        """
        name, url = openai_api.split_address(model)
        name = name or cls(url, "").only_model()
        engine = cls(url, name, concurrency=options.concurrency, give_up=options.give_up)
        return Model(name.rsplit("/", 1)[-1], engine, options.kind)

    def with_limits(self, *, timeout: float, retries: int) -> HttpEngine:
        """Return this engine with another timeout, in seconds, and number of retries."""
        engine = copy(self)
        engine._timeout, engine._retries = timeout, retries
        return engine

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield each answer when it arrives.

        Once a request has failed for good, no new one is started; those in flight are
        finished and yielded, and then the first EngineError is raised. Closing the iterator
        cancels what is in flight and closes every connection.
        """
        loop = asyncio.new_event_loop()
        # In flight or not yet read: a slow reader holds new requests back, memory is bounded.
        outcomes: BoundedChannel[_Outcome] = BoundedChannel(loop, 2 * self._concurrency)
        task = loop.create_task(self._answer_all(requests, outcomes))
        # A daemon, so that a reader which dies without closing does not hold up the exit.
        thread = threading.Thread(target=_drive, args=(loop, task, outcomes), daemon=True)
        thread.start()
        failure: EngineError | None = None
        try:
            for outcome in outcomes:
                if isinstance(outcome, Response):
                    yield outcome
                else:
                    failure = failure or outcome
            task.result()  # raises what ended the loop before its work was done
            if failure:
                raise failure
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()

    def describe(self) -> dict[str, Any]:
        """Name the URL, the model, and what the server says about itself, if anything."""
        facts = self._query(
            lambda session: server_metadata.facts_of(session, self._base, self._model)
        )
        return {"engine": "http", **self.identity(), **facts}

    def identity(self) -> Json:
        """Return the server's URL, however its slashes are written, and the model's name there."""
        return {"url": self._base, "model": self._model}

    def only_model(self) -> str:
        """Return the name of the only model that the server lists."""
        names = self._query(lambda session: server_metadata.served_models(session, self._base))
        if not names:
            raise EngineError(
                "the server does not list its models",
                where=self._base,
                tip="is it up? a model can also be named, as NAME@URL",
            )
        if len(names) > 1:
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise InputError(
                f"the server has {len(names)} models: {shown}",
                where=self._base,
                tip=f"name one, as {names[0]}@{self._base}",
            )
        return names[0]

    def render(self, chats: Sequence[Sequence[server_metadata.Turn]]) -> list[str]:
        """Return what the model reads for each chat; "" where the server does not tell."""

        async def render_all(session: aiohttp.ClientSession) -> list[str]:
            render = server_metadata.rendering
            texts = (render(session, self._base, self._model, chat) for chat in chats)
            return await asyncio.gather(*texts)

        return self._query(render_all)

    def _query(self, query: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, _T]]) -> _T:
        """Run a query of the server on another thread: a notebook's own already runs a loop."""

        async def run() -> _T:
            async with self._session() as session:
                return await query(session)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, run()).result()

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT),
            headers=self._headers,
        )

    async def _answer_all(
        self, requests: Sequence[Request], outcomes: BoundedChannel[_Outcome]
    ) -> None:
        waiting, limit = deque(requests), ConcurrencyLimit(self._concurrency)

        async def work() -> None:
            while True:
                await outcomes.room()
                began = await limit.enter()
                if not waiting:
                    limit.leave()
                    return
                outcome = await self._outcome(session, limit, waiting.popleft(), began)
                if isinstance(outcome, EngineError):
                    waiting.clear()
                outcomes.put(outcome)

        async with self._session() as session, asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(requests))):
                group.create_task(work())

    async def _outcome(
        self,
        session: aiohttp.ClientSession,
        limit: ConcurrencyLimit,
        request: Request,
        began: float,
    ) -> _Outcome:
        """Return the answer, or the error to raise after the other answers."""
        retry, attempt = _RetryPolicy(self._retries, self._timeout), 1
        while True:
            try:
                answer = await self._post(session, request)
                limit.answered()
                return answer
            except EngineError as error:
                if self._give_up and isinstance(error, _NoAnswerError):
                    limit.answered()
                    return empty_response(request, error.what)
                return error
            except _TransientError as error:
                failure = error
                if failure.busy or failure.mute:
                    limit.refused(began)
            finally:
                limit.leave()
            if retry.ends(failure, limit):
                break
            limit.close(failure.after)
            pause = min(_PAUSE * 2 ** (retry.spent - 1), _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            began, attempt = await limit.enter(), attempt + 1
        return self._error(request, f"{failure}, attempt {attempt}", "is the server up?")

    async def _post(self, session: aiohttp.ClientSession, request: Request) -> Response:
        import aiohttp

        path, body = openai_api.call(self._model, request)
        try:
            async with session.post(
                f"{self._base}/{path}", data=body, headers=_JSON, allow_redirects=False
            ) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f"{type(error).__name__} {error}".strip()
            mute = isinstance(error, TimeoutError)
            raise _TransientError(why, busy=not mute, mute=mute) from error
        said = f"HTTP {reply.status} from /{path}: {openai_api.excerpt(content)}"
        if reply.status in _RETRIED or reply.status >= 500:
            from cybersecqwen.sources.download import retry_after

            after = retry_after(reply.headers.get("Retry-After", "")) or 0.0
            raise _TransientError(said, after=after, busy=reply.status in _BUSY)
        if reply.status != 200:
            to = reply.headers.get("Location")
            tip = f"it redirects to {to}; give the final URL" if to else "check URL, model and key"
            failed = _NoAnswerError if reply.status in _OWN_FAULT else EngineError
            raise self._error(request, said, tip, kind=failed)
        try:
            return openai_api.response(request, content)
        except ValueError as error:
            said = f"{error}: {openai_api.excerpt(content)}"
            raise self._error(request, said, kind=_NoAnswerError) from error

    def _error(
        self,
        request: Request,
        what: str,
        tip: str | None = None,
        *,
        kind: type[EngineError] = EngineError,
    ) -> EngineError:
        return kind(
            f"item {request.item}, trial {request.trial}: {what}", where=self._base, tip=tip
        )


def _drive(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], outcomes: BoundedChannel[_Outcome]
) -> None:
    """Run the loop until its task has ended, however it ended; the reader looks at it."""
    loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_default_executor())
    outcomes.end()
