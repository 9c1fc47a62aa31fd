"""What stands between the network and the routes: who may call, how often, and with how much.

A request passes one middleware, which refuses with a problem:

    421  another Host than the service's own, so that no web page reaches it under a name of its own
    403  a page of another origin that changes something, and a form without its token
    429  more requests than the client's bucket holds tokens
    413  a body beyond the limit, also one that is sent in chunks
    415  a body that is compressed, and could grow beyond any limit

Every answer gets headers that let a browser run nothing but our own files.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cybersecqwen.service.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cybersecqwen.service.rate_limit import Limit
    from cybersecqwen.service.settings import ServiceSettings

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

STREAMS = (b"application/x-ndjson", b"application/jsonl", b"application/jsonlines")
_FILES = (b"multipart/form-data", b"application/octet-stream")
# What may be as large as a file: elsewhere a body is read into memory.
_UPLOADS: dict[str, tuple[bytes, ...]] = {
    "/v1/classify": STREAMS,
    "/v1/imports": _FILES,
    "/imports": _FILES,
}

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_HEALTH = "/health"  # it has no limit, for one that processes share needs the database
_NO_STORE = (b"cache-control", b"no-store")
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


class Protection:
    """Middleware that gives each request an id, refuses what must not pass, and sets headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServiceSettings,
        verified: Collection[str] = (),
        limit: Limit | None = None,
    ) -> None:
        """Wrap an application; `verified` are the hashes of keys that are known to be good."""
        self._app = app
        self._hosts = allowed_hosts(settings)
        self._limit = settings.body_limit
        self._upload_limit = settings.upload_limit
        self._rate_limit = limit
        self._verified = verified

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        name = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8).encode()
        scope.setdefault("state", {})["request_id"] = name.decode()
        secure = scope["scheme"] == "https"

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message["headers"], name, secure=secure)
            await send(message)

        try:
            self._check(scope, headers)
            await self._check_rate(scope, headers)
            limit = self._body_limit(scope, headers)
        except ProblemError as problem:
            await problem_response(problem, name.decode())(scope, receive, finish)
            return
        if b"content-length" not in headers and b"transfer-encoding" in headers:
            receive = _counted(receive, limit)
        await self._app(scope, receive, finish)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        check_host(host, self._hosts)
        if scope["method"] not in _SAFE:
            origin = headers.get(b"origin")
            site = headers.get(b"sec-fetch-site", b"")
            check_origin(origin.decode("latin-1") if origin else "", host, site.decode("latin-1"))

    async def _check_rate(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        if self._rate_limit is None or scope["path"] == _HEALTH:
            return
        wait = await self._rate_limit.wait(self._client(scope, headers))
        if wait:
            seconds = max(1, round(wait + 0.5))
            raise ProblemError(
                429,
                f"too many requests: try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    def _client(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        """Name whom a request counts for: a good key, else the address that it comes from."""
        key = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        if key and (named := sha256(key)) in self._verified:
            return named
        client = scope.get("client")
        return str(client[0]) if client else ""

    def _body_limit(self, scope: Scope, headers: dict[bytes, bytes]) -> int:
        """Return how many bytes the body may have; raises where it says that it has more."""
        if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
            raise ProblemError(
                415,
                "a compressed body is not taken: send it as it is",
                headers={"Accept-Encoding": "identity"},
            )
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_upload = kind in _UPLOADS.get(scope["path"], ())
        limit = self._upload_limit if is_upload else self._limit
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            raise _too_large(limit)
        return limit


def _add_headers(given: list[tuple[bytes, bytes]], name: bytes, *, secure: bool) -> None:
    names = {key for key, _ in given}
    given.extend(one for one in _HEADERS if one[0] not in names)
    given.append((b"x-request-id", name))
    if b"cache-control" not in names:
        given.append(_NO_STORE)
    if secure:
        given.append(_STRICT_TRANSPORT)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        413,
        f"the body is larger than {limit:,} bytes: send less at once",
        headers={"Connection": "close"},
    )


def _counted(receive: Receive, limit: int) -> Receive:
    """Refuse a body without a stated length once it has become too long."""
    left = limit

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                raise _too_large(limit)
        return message

    return counted


def allowed_hosts(settings: ServiceSettings) -> frozenset[str]:
    """List the names under which the service may be called; none of them where any will do.

    This machine's own are always among them, for no page of another can have them.
    """
    names = frozenset(map(str.lower, settings.names))
    if settings.is_local:
        names |= {settings.host.lower()}
    return names | _LOOPBACK if names else names


def check_host(host: str, allowed: Collection[str]) -> None:
    """Refuse a request that is for another host; the port does not matter.

    >>> check_host("localhost:8080", {"localhost"})
    """
    if allowed and _host_name(host) not in allowed:
        raise ProblemError(
            421, f"this service does not answer for {host!r}: call it by {sorted(allowed)[0]}"
        )


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def check_origin(origin: str, host: str, site: str = "") -> None:
    """Refuse a change that a page of another origin asks for.

    >>> check_origin("http://localhost:8080", "localhost:8080")
    """
    if origin:
        foreign = origin.lower().partition("://")[1:] != ("://", host.lower())
    else:
        foreign = site in ("cross-site", "same-site")
    if foreign:
        raise ProblemError(403, "a page of another origin may not change anything here")


def bearer(authorization: str) -> str:
    """Return the key of an Authorization header, "" where it has none."""
    kind, _, key = authorization.partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def sha256(secret: str) -> str:
    """Return the hash under which a key or session is kept: of long random words one is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_token(secret: str, session: str) -> str:
    """Return the token that a form has to send back, which belongs to one session."""
    return hmac.new(secret.encode(), session.encode(), hashlib.sha256).hexdigest()


def check_csrf(token: object, secret: str, session: str) -> None:
    """Refuse a form whose token is missing or another session's."""
    expected = csrf_token(secret, session)
    if not isinstance(token, str) or not hmac.compare_digest(token.encode(), expected.encode()):
        raise ProblemError(
            403, "the form is out of date: load the page again and send it once more"
        )
