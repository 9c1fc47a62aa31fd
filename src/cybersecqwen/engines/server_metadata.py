"""The metadata of a server, as it states them: its software, the model, the chat template.

    async with aiohttp.ClientSession() as session:
        facts = await facts_of(session, "http://localhost:8000/v1", "CyberSecQwen-4B")

Beyond the OpenAI-compatible list of models this asks vLLM (/version, /tokenize and
/detokenize) and llama.cpp (/props, /apply-template). What a server does not expose is
absent; nothing here raises because of a server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cybersecqwen.engines.connection import endpoint
from cybersecqwen.engines.openai_api import UNREADABLE, parse, read_body
from cybersecqwen.errors import redact

if TYPE_CHECKING:
    import aiohttp

Turn = tuple[str, str]  # role, content

_TIMEOUT = 5  # seconds for one query
_CHAT: tuple[Turn, ...] = (("user", "ping"),)  # whose rendering tells templates apart


async def facts_of(session: aiohttp.ClientSession, base: str, model: str) -> dict[str, Any]:
    """Return `server` and `served`, and where the server exposes them `version` and two checksums.

    `chat_template_sha256` is of the template's text; `rendered_chat_sha256` of what the server
    makes of one user turn, "ping".
    """
    root = base.partition("?")[0].removesuffix("/v1")
    (header, models), (_, version), (_, props), rendered = await asyncio.gather(
        _fetch(session, endpoint(base, "models")),
        _fetch(session, f"{root}/version"),
        _fetch(session, f"{root}/props"),
        rendering(session, base, model, _CHAT),
    )
    template = _text(props, "chat_template")
    optional = {
        "version": _text(version, "version") or _text(props, "build_info"),
        "chat_template_sha256": template and _sha256(template),
        "rendered_chat_sha256": rendered and _sha256(rendered),
    }
    about = {"server": header, "served": _served(models, model)}
    return about | {name: value for name, value in optional.items() if value}


async def served_models(session: aiohttp.ClientSession, base: str) -> list[str]:
    """Return the names of the models that a server lists; none where it lists nothing."""
    _, models = await _fetch(session, endpoint(base, "models"))
    try:
        return [str(entry["id"]) for entry in models["data"]]
    except UNREADABLE:
        return []


async def rendering(
    session: aiohttp.ClientSession, base: str, model: str, chat: Sequence[Turn]
) -> str:
    """Return the text that the model reads for a chat; "" where the server does not tell."""
    root = base.partition("?")[0].removesuffix("/v1")
    turns = {"messages": [{"role": role, "content": content} for role, content in chat]}
    # llama.cpp has /tokenize too, which takes no messages.
    _, applied = await _fetch(session, f"{root}/apply-template", turns)
    if text := _text(applied, "prompt"):
        return text
    _, tokenized = await _fetch(session, f"{root}/tokenize", {"model": model, **turns})
    tokens = tokenized.get("tokens") if isinstance(tokenized, dict) else None
    if not tokens:
        return ""
    body = {"model": model, "tokens": tokens}
    return _text((await _fetch(session, f"{root}/detokenize", body))[1], "prompt")


async def _fetch(session: aiohttp.ClientSession, url: str, body: Any = None) -> tuple[str, Any]:
    """Get a URL, or post a body there: the Server header, and the JSON or None."""
    import aiohttp

    try:
        async with session.request(
            "GET" if body is None else "POST",
            url,
            json=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
        ) as reply:
            header, content = redact(reply.headers.get("Server", "")), await read_body(reply)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return "", None
    return header, parse(redact(content)) if reply.status == 200 else None


def _served(models: Any, model: str) -> dict[str, Any]:
    """Pick the model's entry; not the whole of it, vLLM's holds the time of the call."""
    names = ("id", "root", "owned_by", "max_model_len")
    try:
        entries = [entry for entry in models["data"] if entry["id"] == model]
        return {name: entry[name] for entry in entries[:1] for name in names if name in entry}
    except UNREADABLE:
        return {}


def _text(answer: Any, key: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    return value if isinstance(value, str) else ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
