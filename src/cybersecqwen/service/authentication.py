"""Who sends a request, and whether they may: by a key, by a session, or as the one local user.

    actor = await authorise(request, "records")                       # in a route of the API
    visit = request.app.state.visit(request)                          # in a page; None for nobody

On one machine, and as long as there is no account, everybody is the one local user. A key or
session is looked up in the database, and what was found holds for a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from cybersecqwen.service.accounts import KeyHolder, Scope, any_account, find_key, find_session
from cybersecqwen.service.database import shared_value
from cybersecqwen.service.problems import ProblemError
from cybersecqwen.service.protection import bearer, check_csrf, csrf_token, sha256
from cybersecqwen.service.reviews import Actor, Role

if TYPE_CHECKING:
    from cybersecqwen.service.database import Database
    from cybersecqwen.service.settings import ServiceSettings

_T = TypeVar("_T")

LOCAL = Actor("local", "administrator")
COOKIE = "cybersecqwen_session"
_FRESH = 5.0  # seconds for which it holds who a key or session is of
_HELD = 10_000  # keys and sessions that are remembered
_SAFE = ("GET", "HEAD", "OPTIONS")
_BEFORE_LOGIN, _LOCAL = "before login", "local"  # what a form's token belongs to


class Visit(NamedTuple):
    """Who looks at a page, and the token that their forms have to send back."""

    actor: Actor
    csrf: str
    local: bool = False


class _Held(Generic[_T]):
    """Values by name, each of which holds for a few seconds."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, _T]] = {}

    def fresh(self, name: str) -> bool:
        """Tell whether a value still holds."""
        return name in self._values and time.monotonic() < self._values[name][0]

    def get(self, name: str, find: Callable[[], _T]) -> _T:
        """Return the value of a name, found anew where it no longer holds."""
        until, value = self._values.get(name, (0.0, None))
        if value is None or time.monotonic() >= until:
            value = find()
            if len(self._values) >= _HELD:
                self._values.clear()
            if value is None:  # one that is made now counts at once
                self._values.pop(name, None)
            else:
                self._values[name] = (time.monotonic() + _FRESH, value)
        return value

    def drop(self, name: str) -> None:
        """Forget a value."""
        self._values.pop(name, None)


class Authentication:
    """Tells who sends a request."""

    def __init__(self, settings: ServiceSettings, database: Database, verified: set[str]) -> None:
        """Begin; the hashes of keys that turn out good are put into `verified`."""
        self._database = database
        # All processes sign the tokens of forms alike, for the form may come back to another one.
        self._secret = shared_value(database, "form secret", token_hex)
        self._for_others = not settings.is_local or bool(settings.names)
        self._verified = verified
        self._is_open = _Held[bool]()
        self._keys = _Held[KeyHolder | None]()
        self._sessions = _Held[Actor | None]()

    def is_open(self) -> bool:
        """Tell whether nobody has to log in: on one machine, without accounts."""
        return not self._for_others and self._is_open.get("", self._look_for_accounts)

    def is_known(self, request: Request) -> bool:
        """Tell whether who sends a request can be told without the database."""
        if not self._for_others:
            if not self._is_open.fresh(""):
                return False
            if self.is_open():
                return True
        key = bearer(request.headers.get("authorization", ""))
        return bool(key) and self._keys.fresh(sha256(key))

    def actor(self, request: Request, scope: Scope, role: Role = "reader") -> Actor:
        """Return who sends a request; raises ProblemError where they may not."""
        if self.is_open():
            return LOCAL
        key = bearer(request.headers.get("authorization", ""))
        actor = self._of_key(key, scope) if key else self._of_session(request)
        if not actor.may(role):
            raise ProblemError(403, f"a {actor.role} may not do this: ask a {role}")
        return actor

    def visit(self, request: Request) -> Visit | None:
        """Return who looks at a page; None for nobody."""
        if self.is_open():
            return Visit(LOCAL, csrf_token(self._secret, _LOCAL), local=True)
        secret = request.cookies.get(COOKIE, "")
        actor = self._session(secret)
        return actor and Visit(actor, csrf_token(self._secret, secret))

    def check_form(self, request: Request, token: object) -> None:
        """Refuse a form whose token is not of its visitor's session."""
        session = _LOCAL if self.is_open() else request.cookies.get(COOKIE, "nobody")
        check_csrf(token, self._secret, session)

    def login_token(self, _request: Request) -> str:
        """Return the token of the form by which one logs in."""
        return csrf_token(self._secret, _BEFORE_LOGIN)

    def check_login(self, token: object) -> None:
        """Refuse to log somebody in by a form that is not ours."""
        check_csrf(token, self._secret, _BEFORE_LOGIN)

    def forget(self, secret: str) -> None:
        """Forget a session that has ended."""
        self._sessions.drop(sha256(secret))

    def _of_key(self, key: str, scope: Scope) -> Actor:
        digest = sha256(key)
        holder = self._keys.get(digest, lambda: self._find_key(digest))
        if holder is None:
            self._verified.discard(digest)
            raise _unauthorised("the key is not valid, or no longer")
        self._verified.add(digest)
        if scope not in holder.scopes:
            raise ProblemError(403, f"the key is not for this: it lacks the scope {scope}")
        return holder.actor

    def _of_session(self, request: Request) -> Actor:
        secret = request.cookies.get(COOKIE, "")
        actor = self._session(secret)
        if actor is None:
            raise _unauthorised("log in, or send a key: Authorization: Bearer KEY")
        if request.method not in _SAFE:
            check_csrf(request.headers.get("x-csrf-token"), self._secret, secret)
        return actor

    def _session(self, secret: str) -> Actor | None:
        if not secret:
            return None
        digest = sha256(secret)
        return self._sessions.get(digest, lambda: self._find_session(digest))

    def _look_for_accounts(self) -> bool:
        with self._database.read() as session:
            return not any_account(session)

    def _find_key(self, digest: str) -> KeyHolder | None:
        with self._database.read() as session:
            return find_key(session, digest)

    def _find_session(self, digest: str) -> Actor | None:
        with self._database.read() as session:
            return find_session(session, digest)


def _unauthorised(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})


async def authorise(request: Request, scope: Scope, role: Role = "reader") -> Actor:
    """Return who sends a request to the API; raises ProblemError 401 or 403 where they may not."""
    authentication: Authentication = request.app.state.authentication
    if authentication.is_known(request):
        return authentication.actor(request, scope, role)
    return await run_in_threadpool(authentication.actor, request, scope, role)
