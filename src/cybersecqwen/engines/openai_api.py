"""The request and response bodies of OpenAI-compatible servers.

>>> from cybersecqwen.records import Request, Sampling
>>> request = Request(7, 0, (("user", "Which CWE?"),), Sampling(0.3, 1.0, 512, 42))
>>> call("tiny", request, {})[0]
'chat/completions'
>>> choice = '{"message": {"content": "CWE-79"}, "finish_reason": "stop"}'
>>> response(request, parse('{"choices": [%s]}' % choice)).text
'CWE-79'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cybersecqwen.errors import InputError, redact
from cybersecqwen.files import Json
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    import aiohttp

_ASKED = {"model", "messages", "prompt"}  # fields of a request that are not settings

# OverflowError: 1e999 tokens; RecursionError: brackets nested without end.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)

_LARGEST = 32 << 20  # bytes of a body, unpacked; a long answer in a stream of events takes 10 MB
_MOST_TOKENS = 1 << 31
_LINE_BREAK = re.compile("\r\n|\r|\n")  # not U+2028 and its like, which JSON may hold
_DONE = "[DONE]"
_EMPTY = ("", _DONE)
_SETTINGS = ("temperature", "top_p", "max_tokens", "seed", "stop")
_TRANSPORT = ("stream", "stream_options")
_REASON = re.compile(r"[\w-]{1,40}")
_REASONING = ("reasoning_content", "reasoning")
_PIECES = ("text", *_REASONING, "refusal")  # what a stream gives bit by bit, beside the content
# The codes of a prompt or an answer that Azure or OpenAI withholds; to some models a prompt about
# attacks is an invalid one.
_FILTERED = {
    *("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"),
    *("invalid_prompt", "cyber_policy_violation"),
}
# The reasons of a generation that ended for the server's sake, among them DeepSeek's.
_UNFINISHED = {"abort", "error", "insufficient_system_resource"}


class UnfinishedError(ValueError):
    """An answer that the server did not finish; it may another time."""


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raise InputError for a field of a request that is what is asked, not a setting."""
    for name in sorted(fields.keys() & _ASKED):
        raise InputError(f"{name} is no setting of a request", tip="MODEL and the task give it")


def deviations(fields: Mapping[str, Any]) -> list[str]:
    """List those fields that change how an answer is drawn, not merely how a setting is called.

    They are those of an engine's identity.
    """
    renamed = [value for value in fields.values() if value in _SETTINGS]
    renamed += ["max_tokens"] if "max_completion_tokens" in fields else []
    return [
        f"{name}={value}"
        for name, value in fields.items()
        if not (value in renamed or (value == "" and name in renamed) or name in _TRANSPORT)
    ]


def call(model: str, request: Request, fields: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the path below the base URL and the body to post there.

    `fields` come last: None leaves a field out, and the name of a setting stands for its value.
    """
    raw = isinstance(request.prompt, str)
    sampling = request.sampling
    settings: Json = {name: getattr(sampling, name) for name in _SETTINGS}
    # Some servers refuse an empty list, others stop at nothing.
    settings["stop"] = sampling.stop or None
    body: Json = {
        "model": model,
        **({"prompt": request.prompt} if raw else {"messages": request.messages}),
        **settings,
    }
    for name, value in fields.items():
        body[name] = settings.get(value, value) if isinstance(value, str) else value
    if fields.get("max_completion_tokens") is not None:  # the newer name of the same
        body["max_tokens"] = fields.get("max_tokens")
    body = {name: value for name, value in body.items() if value is not None}
    return ("completions" if raw else "chat/completions"), json.dumps(body).encode()


async def read_body(reply: aiohttp.ClientResponse) -> str:
    """Read a body as UTF-8, unpacked; raises ValueError for an endless one."""
    content = bytearray()
    async for piece in reply.content.iter_any():
        content += piece
        if len(content) > _LARGEST:
            reply.close()
            raise ValueError(f"the reply has more than {_LARGEST >> 20} MB, unpacked")
    return content.decode("utf-8-sig", errors="replace")


def parse(body: str) -> Any:
    """Parse a body, JSON or a stream of events; None where it is neither.

    A number with more digits than any count has is read as 0.
    """
    events = [line[5:].strip() for line in _LINE_BREAK.split(body) if line.startswith("data:")]
    try:
        if not events:
            return json.loads(body, parse_int=_whole)
        pieces = [json.loads(event, parse_int=_whole) for event in events if event not in _EMPTY]
        return _merged([piece for piece in pieces if piece is not None], done=_DONE in events)
    except UNREADABLE:
        return None


def _whole(digits: str) -> int:
    return int(digits) if len(digits) < 20 else 0


def _merged(pieces: Sequence[Json], *, done: bool) -> Json:
    """Put the pieces of a streamed answer together; an error among them is the answer."""
    held: Json = {"content": [], "finish_reason": "" if done else "error"}
    usage = None
    for piece in pieces:
        if piece.get("error"):
            return piece
        usage = piece.get("usage") or usage
        for choice in (piece.get("choices") or [])[:1]:
            delta = choice.get("delta") or choice.get("message") or choice
            content = delta.get("content") or []
            held["content"] += [content] if isinstance(content, str) else content
            for name in _PIECES:
                held[name] = held.get(name, "") + (delta.get(name) or "")
            calls = delta.get("tool_calls") or delta.get("function_call")
            held["tool_calls"] = held.get("tool_calls") or calls
            held["finish_reason"] = choice.get("finish_reason") or held["finish_reason"]
    message = held | {"content": held["content"] or held.get("text")}
    return {"choices": [held | {"message": message}], "usage": usage}


def status_of(answer: Any, status: int) -> int:
    """Return the status of a reply; OpenRouter states that of a failure inside a 200."""
    code = _error(answer).get("code")
    return code if status == 200 and type(code) is int and 400 <= code < 600 else status


def filtered(request: Request, answer: Any) -> Response | None:
    """Return the answer that a filter's error is: one without a text; None for any other error."""
    error = _error(answer)
    parts = [error, *map(error.get, ("innererror", "inner_error", "metadata"))]
    told = [part for part in parts if isinstance(part, dict)]
    codes = {str(part.get("code")) for part in told}
    if codes.isdisjoint(_FILTERED) and not any("flagged_input" in part for part in told):
        return None
    words = _storable(str(error.get("message") or ""))
    return Response(request.item, request.trial, "", "content_filter", refusal=words)


def _error(answer: Any) -> Json:
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else {}


def response(request: Request, answer: Any) -> Response:
    """Read the one choice of an answer; raises ValueError where there is none.

    A choice without a text is an answer too, and its finish reason says of which kind: cut in its
    reasoning, filtered, refused, or a call of a tool. One that broke off raises UnfinishedError.
    """
    try:
        choice = answer["choices"][0]
        is_raw = isinstance(request.prompt, str) or "message" not in choice
        message = choice if is_raw else choice["message"] or {}
        text, thoughts, refusal = _content(message.get("text" if message is choice else "content"))
        thoughts = thoughts or next(filter(None, map(message.get, _REASONING)), "")
        refusal = refusal or message.get("refusal") or ""
        reason = redact(str(choice.get("finish_reason") or ""))
        calls = message.get("tool_calls") or message.get("function_call")
    except UNREADABLE as error:
        raise ValueError("HTTP 200 without a completion") from error
    if reason in _UNFINISHED or not (text or thoughts or refusal or calls or reason):
        raise UnfinishedError("HTTP 200 for a generation that the server did not finish")
    if calls:
        text, thoughts, reason = "", thoughts or text, "tool_calls"
    elif refusal and not text:
        reason = "refusal"
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Response(
        request.item,
        request.trial,
        _storable(text),
        reason if _REASON.fullmatch(reason) or not reason else "other",
        tokens(counts.get("prompt_tokens")),
        tokens(counts.get("completion_tokens")),
        _storable(str(thoughts)),
        _storable(str(refusal)),
    )


def _content(content: Any) -> tuple[str, str, str]:
    """Return the text, the reasoning and the refusal of a content: a string, a part, or parts."""
    if content is None or isinstance(content, str):
        return content or "", "", ""
    if isinstance(content, dict) and "text" in content:
        content = [content]
    if not isinstance(content, list):
        raise TypeError("a content is a string or a list")
    held = {"text": "", "thinking": "", "refusal": ""}
    for part in content:
        typed = {"text": part} if isinstance(part, str) else part
        kind = str(typed.get("type", "text")).removeprefix("output_")
        if kind in held:
            held[kind] += _content(typed.get(kind))[0]
    return held["text"], held["thinking"], held["refusal"]


def tokens(count: object) -> int:
    """Return a number of tokens as it is stated, 0 where it can be none."""
    return int(count) if isinstance(count, int | float) and 0 <= count < _MOST_TOKENS else 0


def _storable(text: str) -> str:
    """Replace a key, and a character that was cut in two: half of a surrogate pair is no UTF-8."""
    return redact(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def excerpt(content: str) -> str:
    """Return the first 200 characters of what came back, without a key that begins there."""
    return redact(content[:2000])[:200] or "an empty body"
