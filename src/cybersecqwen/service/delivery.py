"""Send messages to webhooks: signed, again after a failure, and never into a private network.

    deliver_due(database, settings.folder)

A message is signed as GitHub's are: X-Hub-Signature-256 holds the HMAC-SHA256 of the body. What
cannot be signed waits, and what is not accepted is sent again after longer and longer pauses.
Addresses of private networks are refused unless they are allowed, also where a name leads there,
and redirections are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cybersecqwen import __version__
from cybersecqwen.errors import CyberSecQwenError, InputError, clean
from cybersecqwen.files import Json
from cybersecqwen.service.database import Database
from cybersecqwen.service.keyring import encrypt_secrets, read_secrets
from cybersecqwen.service.tables import Delivery, Webhook, timestamp, utc_now

_log = logging.getLogger(__name__)

MOST_ATTEMPTS = 14  # within 21 hours
_FIRST, _LONGEST = 15, 6 * 3600  # seconds of a pause
_LEASE = 120  # seconds after which a message that was being sent counts as not sent
_TIMEOUT = 10  # seconds


class Message(NamedTuple):
    """A message that is to be sent now."""

    delivery: int
    url: str
    secret: str
    event: str
    body: Json
    attempts: int

    @property
    def content(self) -> bytes:
        """The bytes that are sent, the same at every attempt."""
        whole = {"id": self.delivery, "event": self.event, **self.body}
        return json.dumps(whole, ensure_ascii=False, sort_keys=True).encode()


Send = Callable[[Message], str]  # returns why it failed, "" where it did not


def deliver_due(
    database: Database, folder: Path, *, private: bool = False, send: Send | None = None
) -> int:
    """Send the messages that are due, signed, and return how many were delivered.

    The keys of the folder decrypt the secrets. Several processes may do so at once: each claims
    what it sends.
    """
    encrypt_secrets(database, folder)
    deliver = send or Sender(private=private)
    delivered = 0
    while message := _claim(database, folder):
        failure = deliver(message)
        _note(database, message, failure)
        delivered += not failure
    return delivered


def _claim(database: Database, folder: Path) -> Message | None:
    """Take a message that is due; no other process takes it before the lease is over.

    It is one at a time, so that the lease need not outlast the slow answers to others.
    """
    with database.read() as session:  # most of the time there is nothing, and no lock is taken
        if _next(session, folder) is None:
            return None
    with database.write() as session:
        due = _next(session, folder)
        if due is None:
            return None
        one, url, secret = due
        one.next_at = _later(_LEASE)
        return Message(one.id, url, secret, one.event, one.body, one.attempts)


def _next(session: Session, folder: Path) -> tuple[Delivery, str, str] | None:
    """Return the message that has been due longest, its address, and the secret that signs it."""
    secrets, problems = read_secrets(session, folder)
    for problem in problems.values():
        _warn_once(problem)
    query = (
        select(Delivery, Webhook.url)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.delivered_at == "", Delivery.attempts < MOST_ATTEMPTS)
        .where(Delivery.next_at <= utc_now(), Webhook.id.in_(list(secrets)))
        .order_by(Delivery.next_at, Delivery.id)
        .limit(1)
    )
    due = session.execute(query).first()
    return due and (due[0], due[1], secrets[due[0].webhook_id])


@cache
def _warn_once(problem: str) -> None:
    _log.warning("%s; its messages wait", problem)


def _note(database: Database, message: Message, failure: str) -> None:
    values: Json = {"attempts": message.attempts + 1, "error": failure[:500]}
    if failure:
        values["next_at"] = _later(min(_FIRST * 2**message.attempts, _LONGEST))
    else:
        values["delivered_at"] = utc_now()
    with database.write() as session:
        session.execute(update(Delivery).where(Delivery.id == message.delivery).values(**values))


def _later(seconds: float) -> str:
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def signature(secret: str, content: bytes) -> str:
    """Return what the header X-Hub-Signature-256 holds."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


class Sender:
    """Sends messages by HTTP to addresses that were looked up and checked just before."""

    def __init__(self, *, private: bool = False) -> None:
        self._private = private

    def __call__(self, message: Message) -> str:
        """Send a message, and return why it failed, "" where it was accepted."""
        import httpx2

        try:
            check_url(message.url, private=self._private)
            headers = {
                "Content-Type": "application/json",
                "User-Agent": f"cybersecqwen/{__version__}",
                "X-CyberSecQwen-Event": message.event,
                "X-CyberSecQwen-Delivery": str(message.delivery),
                "X-Hub-Signature-256": signature(message.secret, message.content),
            }
            url, extensions = message.url, Json()
            if not self._private:
                url, headers["Host"], extensions = _pinned(message.url)
            with (
                # A proxy would look the name up itself.
                httpx2.Client(timeout=_TIMEOUT, trust_env=self._private) as client,
                client.stream(
                    "POST", url, content=message.content, headers=headers, extensions=extensions
                ) as response,
            ):
                return "" if response.is_success else f"it answers {response.status_code}"
        except CyberSecQwenError as error:
            return str(error)
        except (OSError, ValueError, httpx2.HTTPError) as error:
            return clean(str(error) or type(error).__name__)


def _pinned(url: str) -> tuple[str, str, Json]:
    """Return an address by number, checked, with its Host header and its name for TLS.

    So a name that leads elsewhere when it is looked up again changes nothing.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    numbers = sorted(_addresses(host, port), key=lambda number: ":" in number)
    for number in numbers:
        _refuse_private(host, ipaddress.ip_address(number))
    number = f"[{numbers[0]}]" if ":" in numbers[0] else numbers[0]
    pinned = parts._replace(netloc=f"{number}:{port}").geturl()
    return pinned, parts.netloc, {"sni_hostname": host}


def _addresses(host: str, port: int) -> Iterator[str]:
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield str(address[0]).partition("%")[0]


def check_url(url: str, *, private: bool) -> None:
    """Raise InputError for an address that is none, or a private one unless these are allowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{clean(url)[:200]!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError(f"{clean(url)[:200]!r} is no address", tip="give https://HOST/PATH")
    if parts.username or parts.password:
        raise InputError("the address has a password", tip="the signature proves who sends")
    if not private:
        try:
            _refuse_private(parts.hostname, ipaddress.ip_address(parts.hostname))
        except ValueError:
            if parts.hostname == "localhost" or parts.hostname.endswith(".localhost"):
                raise _private(parts.hostname) from None


def _private(host: str) -> InputError:
    return InputError(
        f"{host} is this machine or in a private network",
        tip="allow private addresses in the settings of the service",
    )


def _refuse_private(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        raise _private(host)
