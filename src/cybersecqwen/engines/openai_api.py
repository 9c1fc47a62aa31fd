"""The request and response bodies of OpenAI-compatible servers, and the addresses of models there.

>>> from cybersecqwen.records import Request, Sampling
>>> request = Request(7, 0, (("user", "Which CWE?"),), Sampling(0.3, 1.0, 512, 42))
>>> call("tiny", request)[0]
'chat/completions'
>>> choice = b'{"message": {"content": "CWE-79"}, "finish_reason": "stop"}'
>>> response(request, b'{"choices": [%s]}' % choice).text
'CWE-79'
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from cybersecqwen.errors import InputError
from cybersecqwen.records import Request, Response

_ADDRESS = re.compile("(?:(?P<name>.+)@)?(?P<url>https?://.*)", re.IGNORECASE)

# OverflowError: 1e999 tokens; RecursionError: brackets nested without end.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


def is_address(model: str) -> bool:
    """Tell whether a string is a server's URL, alone or as NAME@URL."""
    return _ADDRESS.fullmatch(model.strip()) is not None


def split_address(address: str) -> tuple[str, str]:
    """Split NAME@URL into both; the name is "" where there is none.

    >>> split_address("org/model@http://localhost:8000/v1")
    ('org/model', 'http://localhost:8000/v1')
    """
    match = _ADDRESS.fullmatch(address.strip())
    return (match["name"] or "", match["url"]) if match else ("", address)


def base_url(url: str) -> str:
    """Check a server's URL and return it without the last slash; raises InputError."""
    try:
        parts = urlsplit(url.strip())
    except ValueError as error:
        raise InputError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise InputError(
            f"{url!r} is not a server URL",
            tip="give its base, for example http://localhost:8000/v1",
        )
    if "@" in parts.netloc:
        raise InputError(
            "a server URL may hold no password", tip="put the key into OPENAI_API_KEY instead"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def call(model: str, request: Request) -> tuple[str, bytes]:
    """Return the path below the base URL and the body to post there."""
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
    return ("completions" if raw else "chat/completions"), json.dumps(body).encode()


def response(request: Request, content: bytes) -> Response:
    """Read the one choice of an answer; raises ValueError where there is no text in it."""
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        message = choice if isinstance(request.prompt, str) else choice["message"]
        text = message["text"] if message is choice else message.get("content")
        finish_reason = str(choice.get("finish_reason") or "")
        usage = answer.get("usage") or {}
        read, written = (
            int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
        )
    except UNREADABLE as error:
        raise ValueError("HTTP 200 without a completion") from error
    if message.get("tool_calls") or message.get("function_call"):
        raise ValueError("the server called a tool instead of answering")
    if not isinstance(text, str):
        raise ValueError(_no_text(message))
    if finish_reason in ("abort", "error") or not (text or finish_reason):
        raise ValueError("HTTP 200 for a generation that the server did not finish")
    # A character that was cut in two: half of a surrogate pair cannot be stored as UTF-8.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Response(request.item, request.trial, text, finish_reason, read, written)


def _no_text(message: dict[str, Any]) -> str:
    """Name what came in place of a text."""
    if message.get("reasoning_content") or message.get("reasoning"):
        return "HTTP 200 with reasoning only and no answer, which max_tokens may have cut off"
    if message.get("refusal"):
        return "HTTP 200 with a refusal of the server instead of an answer"
    return "HTTP 200 whose answer is no text"


def excerpt(content: bytes) -> str:
    """Return the first 200 characters of what came back."""
    return content[:800].decode(errors="replace")[:200] or "an empty body"
