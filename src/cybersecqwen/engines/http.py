"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp, transformers serve, hosted ones.

Give the base URL that ends in /v1; a bare `http://host:port` is taken to mean it, and a URL that
ends in `/chat/completions` is that endpoint's. An Azure deployment's URL holds its `api-version`.

    engine = HttpEngine("http://localhost:8000/v1", "CyberSecQwen-4B")
    for response in engine.generate(requests):
        ...

A chat goes to {base}/chat/completions, a raw text to {base}/completions, each with its own
temperature, top_p, max_tokens, seed and stop. Whether the server honours them is its affair:
`cybersecqwen probe` finds out before its numbers are trusted.

The requests run in an event loop on a thread of their own, `concurrency` of them at
once, fewer while the server pushes back. An answer is yielded when it arrives, whichever
request was the first. So generate() works inside a notebook, whose thread already runs a
loop, and a reader that is slow to take an answer does not let the others time out.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from cybersecqwen.engines import connection, openai_api, server_metadata
from cybersecqwen.engines.flow_control import (
    BoundedChannel,
    ConcurrencyLimit,
    RetryPolicy,
    TransientError,
    drive,
    pause,
)
from cybersecqwen.engines.interface import EngineOptions, Model, empty_response
from cybersecqwen.errors import EngineError, InputError, clean, keep_secret
from cybersecqwen.files import Json
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger(__name__)

# Besides every 5xx: request timeout, conflict, too early, too many requests.
_RETRIED = {408, 409, 425, 429}
_BUSY = {429, 503, 529}
_TIMEOUT = 600.0  # seconds of one attempt
_CONNECT = 10.0  # seconds; a server that is up accepts at once
_PATIENCE = 3  # attempts of one request, after which the user is told

# A request that the server will not answer, whoever asks: malformed, too long, not allowed.
_OWN_FAULT = {400, 413, 422}

_UP = "is the server up?"
_JSON = {"Content-Type": "application/json"}

_Outcome = Response | EngineError
_T = TypeVar("_T")


class _NoAnswerError(EngineError):
    """A request that the server did not answer, and would not answer another time."""


class _SpentError(EngineError):
    """A request that failed as often as it may."""


class GoneError(_SpentError):
    """A request to a server that takes no connections."""


class HttpEngine:
    """A model of a server: `concurrency` requests at once, each up to `retries` times more.

    A refusal (429, 503, a cut connection) halves the number at once, answers raise it again; it
    does not count as an attempt where others were answered meanwhile. A server that answers nothing
    at all for two attempts, or asks to stay away for longer than one, has failed. The options are
    those of `EngineOptions`. The key is sent to this server only, redirects are refused.
    """

    def __init__(
        self, url: str, model: str, options: EngineOptions | None = None, **changes: Any
    ) -> None:
        self._base = connection.base_url(url)
        self._model = model
        self._options = replace(options or EngineOptions(), **changes)
        openai_api.check_fields(self._options.request)
        key = connection.key_of(self._options)
        keep_secret(key)
        self._headers = connection.authorization(self._base, key)
        self._tls = connection.certificates(self._options.ca_bundle)
        self._timeout = self._options.timeout or _TIMEOUT
        self._warned = False

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is a server's URL, alone or as NAME@URL."""
        return connection.is_address(model)

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open the model of that name at a server, or the only one that it serves.

        Raises InputError where it serves several, and EngineError where it does not say.
        """
        name, url = connection.split_address(model)
        name = name or cls(url, "", options).only_model()
        label = name.rsplit("/", 1)[-1].strip(".") or "model"  # it may name a folder
        return Model(clean(label), cls(url, name, options), options.kind)

    def for_probe(self, *, timeout: float, retries: int) -> HttpEngine:
        """Return this engine with no more retries, and this timeout where none is set."""
        engine = copy(self)
        engine._timeout = self._options.timeout or timeout
        retries = min(retries, self._options.retries)
        engine._options = replace(self._options, retries=retries, allow_failed=0)
        return engine

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield each answer when it arrives.

        Once a request has failed for good, no new one is started; those in flight are
        finished and yielded, and then the first EngineError is raised. Closing the iterator
        cancels what is in flight and closes every connection.
        """
        loop = asyncio.new_event_loop()
        # In flight or not yet read: a slow reader holds new requests back, memory is bounded.
        outcomes: BoundedChannel[_Outcome] = BoundedChannel(loop, 2 * self._options.concurrency)
        task = loop.create_task(self._answer_all(requests, outcomes))
        # A daemon, so that a reader which dies without closing does not hold up the exit.
        thread = threading.Thread(target=drive, args=(loop, task, outcomes), daemon=True)
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
        """Return the server's URL, the model's name there, and the fields that were set.

        A field that is left out is "", for a manifest takes None for what is not there.
        """
        identity = {"url": self._base, "model": self._model}
        fields = {k: "" if value is None else value for k, value in self._options.request.items()}
        return identity | ({"request": fields} if fields else {})

    def only_model(self) -> str:
        """Return the name of the only model that the server lists."""
        status = self.wait()
        if status in (401, 403):
            raise EngineError(
                f"HTTP {status} from /models", where=self._base, tip=self._tip(status)
            )
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

    def wait(self) -> int:
        """Wait for a server that is starting, as long as the retries last; raises EngineError.

        Returns the status with which it lists its models, or does not.
        """
        return self._query(self._answers)

    async def _answers(self, session: aiohttp.ClientSession) -> int:
        import aiohttp

        timeout = aiohttp.ClientTimeout(_CONNECT)
        for attempt in range(1, self._options.retries + 2):
            url = connection.endpoint(self._base, "models")
            try:
                async with session.get(url, timeout=timeout, allow_redirects=False) as reply:
                    if reply.status != 503:
                        return reply.status
                    failure = "HTTP 503"
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = str(self._connection_failure(error))
            if attempt <= self._options.retries:
                self._warn(f"{failure}; waiting for it")
                await asyncio.sleep(pause(attempt))
        raise EngineError(f"{failure}, attempt {attempt}", where=self._base, tip=_UP)

    def _warn(self, what: str) -> None:
        """Say once that a server keeps this engine waiting."""
        if not self._warned:
            _log.warning("%s: %s", self._base, what)
        self._warned = True

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
            connector=aiohttp.TCPConnector(limit=self._options.concurrency, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT),
            headers=self._headers,
        )

    async def _answer_all(
        self, requests: Sequence[Request], outcomes: BoundedChannel[_Outcome]
    ) -> None:
        waiting, limit = deque(requests), ConcurrencyLimit(self._options.concurrency)
        allowed = self._options.allow_failed

        async def work() -> None:
            nonlocal allowed
            while True:
                await outcomes.room()
                began = await limit.enter()
                if not waiting:
                    limit.leave()
                    return
                request = waiting.popleft()
                outcome = await self._outcome(session, limit, request, began)
                if isinstance(outcome, _NoAnswerError | _SpentError) and allowed:
                    allowed -= 1
                    outcome = empty_response(request, outcome.what)
                if isinstance(outcome, EngineError):
                    waiting.clear()
                outcomes.put(outcome)

        async with self._session() as session, asyncio.TaskGroup() as group:
            for _ in range(min(self._options.concurrency, len(requests))):
                group.create_task(work())

    async def _outcome(
        self,
        session: aiohttp.ClientSession,
        limit: ConcurrencyLimit,
        request: Request,
        began: float,
    ) -> _Outcome:
        """Return the answer, or the error to raise after the other answers."""
        import aiohttp

        retry, attempt = RetryPolicy(self._options.retries, self._timeout), 1
        while True:
            try:
                answer = await self._post(session, request)
                limit.answered()
                if self._options.give_up and not answer.text and answer.finish_reason != "stop":
                    reason = f"{answer.finish_reason} {answer.refusal}".strip()
                    return empty_response(request, f"an answer without a text: {reason}")
                return answer
            except EngineError as error:
                if self._options.give_up and isinstance(error, _NoAnswerError):
                    limit.answered()
                    return empty_response(request, error.what)
                return error
            except TransientError as error:
                failure = error
                if failure.busy or failure.mute:
                    limit.refused(began)
            finally:
                limit.leave()
            if retry.ends(failure, limit):
                break
            if attempt == _PATIENCE:
                self._warn(f"{failure}; trying again")
            limit.close(failure.after)
            await asyncio.sleep(pause(retry.spent))
            began, attempt = await limit.enter(), attempt + 1
        refused = isinstance(failure.__cause__, aiohttp.ClientConnectorError)
        kind = GoneError if refused else _SpentError
        return self._error(request, f"{failure}, attempt {attempt}", _UP, kind=kind)

    async def _post(self, session: aiohttp.ClientSession, request: Request) -> Response:
        import aiohttp

        path, body = openai_api.call(self._model, request, self._options.request)
        url = connection.endpoint(self._base, path)
        try:
            async with session.post(url, data=body, headers=_JSON, allow_redirects=False) as reply:
                content = await openai_api.read_body(reply)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._connection_failure(error) from error
        except ValueError as error:
            raise self._error(request, str(error), kind=_NoAnswerError) from error
        answer = openai_api.parse(content)
        status = openai_api.status_of(answer, reply.status)
        said = f"HTTP {status} from /{path}: {openai_api.excerpt(content)}"
        if status in _RETRIED or status >= 500:
            from cybersecqwen.sources.download import retry_after

            after = retry_after(reply.headers.get("Retry-After", "")) or 0.0
            raise TransientError(said, after=after, busy=status in _BUSY)
        if status not in (200, 201):
            if withheld := openai_api.filtered(request, answer):
                return withheld
            to = reply.headers.get("Location")
            tip = f"it redirects to {to}; give the final URL" if to else self._tip(status)
            failed = _NoAnswerError if status in _OWN_FAULT else EngineError
            raise self._error(request, said, tip, kind=failed)
        try:
            return openai_api.response(request, answer)
        except openai_api.UnfinishedError as error:
            raise TransientError(f"{error}: {openai_api.excerpt(content)}") from error
        except ValueError as error:
            said = f"{error}: {openai_api.excerpt(content)}"
            tip = "does the URL lead to an OpenAI-compatible server?"
            raise self._error(request, said, tip, kind=_NoAnswerError) from error

    def _connection_failure(self, error: Exception) -> TransientError:
        """Return the failure that an error of the client is; raises EngineError for one of TLS."""
        import aiohttp

        if isinstance(error, aiohttp.ClientSSLError):
            tip = "--ca-bundle FILE names the certificates to trust; is it https at all?"
            raise EngineError(f"TLS failed: {error}", where=self._base, tip=tip) from error
        # The whole text of a refused connection speaks of ssl, also where there is none.
        said = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else error
        why = f"{type(error).__name__} {said}".strip()
        mute = isinstance(error, TimeoutError)
        return TransientError(why, busy=not mute, mute=mute)

    def _tip(self, status: int) -> str:
        """Say what to look at after a refusal; of a key that was refused, where it came from."""
        if status in _OWN_FAULT:
            return "--request KEY= leaves a field out, KEY=VALUE sets or renames it"
        if status not in (401, 403):
            return "check URL, model and key"
        name = self._options.api_key_env or connection.KEY
        if self._headers:
            return f"the key in {name} is refused; --api-key-env names another variable"
        return f"no key was sent: {name} is not set; --api-key-env names another variable"

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
