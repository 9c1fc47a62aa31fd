"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp, transformers serve, hosted ones.

Give the base URL that ends in /v1; a bare `http://host:port` is taken to mean it.

    engine = HttpEngine("http://localhost:8000/v1", "CyberSecQwen-4B")
    for response in engine.generate(requests):
        ...

A chat goes to {base}/chat/completions, a raw text to {base}/completions, each with
its own temperature, top_p, max_tokens, seed and stop. Whether the server honours them
is the server's affair: probe it before trusting its numbers.

The requests run in an event loop on a thread of their own, `concurrency` of them at
once, and an answer is yielded when it arrives, whichever request was the first. So
generate() works inside a notebook, whose thread already runs a loop, and a reader that
is slow to take an answer does not let the others time out.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    import aiohttp

# Besides every 5xx: request timeout, conflict, too early, too many requests.
_RETRIED = {408, 409, 425, 429}
_PAUSE = 0.5  # seconds before the first retry, doubled for each further one
_LONGEST_PAUSE = 30.0

_Outcome = Response | EngineError | None  # None: there are no more


class _TransientError(Exception):
    """A failure worth another attempt, not before `after` seconds."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class HttpEngine:
    """Ask a server, `concurrency` requests at once, each up to `retries` times more.

    `timeout` is in seconds, for one attempt. `api_key` is by default the environment's
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
        api_key: str | None = None,
    ) -> None:
        self._base = _base(url)
        self._model = model
        self._concurrency = concurrency
        self._timeout = timeout
        self._retries = retries
        key = (os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key).strip()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield each answer when it arrives.

        Once a request has failed for good, no new one is started; those in flight are
        finished and yielded, and then the first EngineError is raised. Closing the iterator
        cancels what is in flight and closes every connection.
        """
        outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        # In flight or not yet read: a slow reader holds new requests back, and memory is bounded.
        ahead = asyncio.Semaphore(2 * self._concurrency)
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._answer_all(requests, ahead, outcomes.put))
        # A daemon, so that a reader which dies without closing does not hold up the exit.
        thread = threading.Thread(target=_drive, args=(loop, task, outcomes.put), daemon=True)
        thread.start()
        failure: EngineError | None = None
        try:
            while (outcome := outcomes.get()) is not None:
                loop.call_soon_threadsafe(ahead.release)
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
        import httpx2

        about: dict[str, Any] = {"engine": "http", "url": self._base, "model": self._model}
        try:
            reply = httpx2.get(
                f"{self._base}/models", headers=self._headers, timeout=10, trust_env=False
            )
            models = reply.json()["data"] if reply.is_success else []
            served = [entry for entry in models if entry["id"] == self._model]
        except (httpx2.HTTPError, ValueError, LookupError, TypeError, RecursionError):
            return about | {"server": "", "served": {}}
        # Not the whole entry: vLLM's holds the time of the call.
        names = ("id", "root", "owned_by", "max_model_len")
        found = {name: entry[name] for entry in served[:1] for name in names if name in entry}
        return about | {"server": reply.headers.get("server", ""), "served": found}

    async def _answer_all(
        self,
        requests: Sequence[Request],
        ahead: asyncio.Semaphore,
        put: Callable[[_Outcome], None],
    ) -> None:
        import aiohttp

        waiting = deque(requests)

        async def work() -> None:
            while True:
                await ahead.acquire()
                if not waiting:
                    return
                outcome = await self._outcome(session, waiting.popleft())
                if isinstance(outcome, EngineError):
                    waiting.clear()
                put(outcome)

        connector = aiohttp.TCPConnector(limit=self._concurrency)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        headers = {"Content-Type": "application/json", **self._headers}
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(min(self._concurrency, len(requests))):
                group.create_task(work())

    async def _outcome(
        self, session: aiohttp.ClientSession, request: Request
    ) -> Response | EngineError:
        """Ask until there is an answer, or an error to raise after the other answers."""
        for attempt in range(self._retries + 1):
            try:
                return await self._ask(session, request)
            except EngineError as error:
                return error
            except _TransientError as error:
                failure = error
            if failure.after > self._timeout:
                break  # a quota that opens hours from now; waiting less would not honour it
            if attempt < self._retries:
                pause = min(_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.5)
                await asyncio.sleep(max(pause, failure.after))
        return self._error(request, f"{failure}, attempt {attempt + 1}", "is the server up?")

    async def _ask(self, session: aiohttp.ClientSession, request: Request) -> Response:
        import aiohttp

        path, body = _call(self._model, request)
        try:
            async with session.post(
                f"{self._base}/{path}", data=json.dumps(body).encode(), allow_redirects=False
            ) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _TransientError(f"{type(error).__name__} {error}".strip()) from error
        said = f"HTTP {reply.status} from /{path}: {_start(content)}"
        if reply.status in _RETRIED or reply.status >= 500:
            raise _TransientError(said, _retry_after(reply.headers.get("Retry-After", "")))
        if reply.status != 200:
            to = reply.headers.get("Location")
            tip = f"it redirects to {to}; give the final URL" if to else "check URL, model and key"
            raise self._error(request, said, tip)
        try:
            return _response(request, content)
        except ValueError as error:
            raise self._error(request, f"{error}: {_start(content)}") from error

    def _error(self, request: Request, what: str, tip: str | None = None) -> EngineError:
        return EngineError(
            f"item {request.item}, trial {request.trial}: {what}", where=self._base, tip=tip
        )


def _drive(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], put: Callable[[_Outcome], None]
) -> None:
    """Run the loop until its task has ended, however it ended; the reader looks at it."""
    loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_default_executor())
    put(None)


def _base(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
    except ValueError as error:
        raise InputError(f"{url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise InputError(
            f"{url!r} is no server URL", tip="give its base, for example http://localhost:8000/v1"
        )
    if "@" in parts.netloc:
        raise InputError(
            "a server URL may hold no password", tip="put the key into OPENAI_API_KEY instead"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def _call(model: str, request: Request) -> tuple[str, dict[str, Any]]:
    """Give the path below the base URL and the body to post there."""
    raw = isinstance(request.prompt, str)
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        **({"prompt": request.prompt} if raw else {"messages": request.messages}),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    if sampling.stop:  # some servers refuse an empty list, others stop at nothing
        body["stop"] = list(sampling.stop)
    return ("completions" if raw else "chat/completions"), body


def _response(request: Request, content: bytes) -> Response:
    """Read the one choice of an answer; raises ValueError where there is no text in it."""
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        message = choice if isinstance(request.prompt, str) else choice["message"]
        key = "text" if message is choice else "content"
        text, finish_reason = message[key], str(choice.get("finish_reason") or "")
        usage = answer.get("usage") or {}
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,  # 1e999 tokens
        RecursionError,  # brackets nested without end
    ) as error:
        raise ValueError("HTTP 200 without a completion") from error
    if message.get("tool_calls"):
        raise ValueError("the server called a tool instead of answering")
    if not isinstance(text, str):
        raise ValueError("HTTP 200 whose answer is no text")
    if finish_reason in ("abort", "error") or not (text or finish_reason):
        raise ValueError("HTTP 200 for a generation that the server did not finish")
    # A character that was cut in two: half of a surrogate pair cannot be stored as UTF-8.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Response(request.item, request.trial, text, finish_reason, *counts)


def _retry_after(value: str) -> float:
    """Read a Retry-After header in seconds (RFC 9110, 10.2.3); 0 where it says nothing usable."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _start(content: bytes) -> str:
    """Show the first 200 characters of what came back."""
    return content[:800].decode(errors="replace")[:200] or "an empty body"
