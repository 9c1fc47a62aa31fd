"""Tell other programs of events: a signed message to each webhook, until it is delivered.

    with database.write() as session:
        add_webhook(session, "https://soc.example/hook", events=["new-cve"], actor=actor)
        emit(session, "drift-alarm", {"what": …})
    deliver_due(database)

A message is written down in the transaction of what it tells of, so that none is lost; one may come
twice where the service is killed right after it was sent, and then has the same id. It is signed as
GitHub's are: X-Hub-Signature-256 holds the HMAC-SHA256 of the body. What is not accepted is sent
again after longer and longer pauses. Addresses of private networks are refused unless they are
allowed, also where a name leads there, and redirections are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cybersecqwen import __version__
from cybersecqwen.errors import CyberSecQwenError, InputError, clean
from cybersecqwen.files import Json
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.database import Database
from cybersecqwen.service.products import names_product
from cybersecqwen.service.reviews import Actor, ForbiddenError
from cybersecqwen.service.tables import Delivery, Webhook, utc_now

EVENTS = {
    "new-cve": "new records, of the products of the condition where it names any",
    "below-threshold": "new records that the model is unsure of",
    "drift-alarm": "what has moved, since when, and what to do about it",
}
_MOST = 14  # attempts, within 21 hours
_FIRST, _LONGEST = 15, 6 * 3600  # seconds of a pause
_LEASE = 120  # seconds after which a message that was being sent counts as not sent
_TIMEOUT = 10  # seconds
_TEXT = 2000  # characters of a description


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


def add_webhook(
    session: Session,
    url: str,
    *,
    events: Sequence[str],
    actor: Actor,
    condition: Json | None = None,
    private: bool = False,
) -> Webhook:
    """Add an address that is told of events, with a secret of its own.

    `condition` may have `products` (names, one of which must be of what is affected, or stand in
    the description of a record that does not say), `min_severity` and `exploited`. Raises
    InputError for an address that is none or, unless `private` ones are allowed, of this machine
    or a private network.
    """
    if not actor.may("administrator"):
        raise ForbiddenError(f"a {actor.role} may not add a webhook")
    _check_url(url, private=private)
    for event in events:
        if event not in EVENTS:
            raise InputError(f"{event!r} is no event", tip=f"known are {', '.join(EVENTS)}")
    if not events:
        raise InputError("no event is named", tip=f"known are {', '.join(EVENTS)}")
    webhook = Webhook(
        url=url,
        events=list(dict.fromkeys(events)),
        condition=_checked(condition or {}),
        secret=secrets.token_hex(),
        created_at=utc_now(),
    )
    session.add(webhook)
    session.flush()
    details = {"webhook": webhook.id, "events": webhook.events, "condition": webhook.condition}
    append(session, actor=actor.name, action="add webhook", subject=_host(url), details=details)
    return webhook


def rotate_secret(session: Session, webhook: Webhook, *, actor: Actor) -> str:
    """Sign by another secret from now on, also what waits to be sent; return it."""
    if not actor.may("administrator"):
        raise ForbiddenError(f"a {actor.role} may not rotate the secret of a webhook")
    webhook.secret = secrets.token_hex()
    subject, details = _host(webhook.url), {"webhook": webhook.id}
    append(session, actor=actor.name, action="rotate secret", subject=subject, details=details)
    return webhook.secret


def remove_webhook(session: Session, webhook: Webhook, *, actor: Actor) -> None:
    """Tell an address nothing any more; what was not delivered yet never is."""
    if not actor.may("administrator"):
        raise ForbiddenError(f"a {actor.role} may not remove a webhook")
    webhook.disabled = True
    details = {"webhook": webhook.id}
    append(
        session,
        actor=actor.name,
        action="remove webhook",
        subject=_host(webhook.url),
        details=details,
    )


def find_webhook(session: Session, number: int) -> Webhook:
    """Return a webhook that is told of events; raises InputError where there is none."""
    webhook = session.get(Webhook, number)
    if webhook is None or webhook.disabled:
        raise InputError(f"there is no webhook {number}", tip="list them")
    return webhook


def webhook_rows(session: Session) -> list[Json]:
    """Return the webhooks as JSON-able values, without their secrets, and what became of messages.

    `error` is why the newest one that was not delivered was not, null without one.
    """
    webhooks = session.scalars(select(Webhook).where(Webhook.disabled.is_(False)))
    return [_row(session, webhook) for webhook in webhooks.all()]


def _row(session: Session, webhook: Webhook) -> Json:
    of_it = Delivery.webhook_id == webhook.id
    failed = select(Delivery.error).where(of_it, Delivery.delivered_at == "", Delivery.error != "")
    counts = session.execute(
        select(
            func.count().filter(Delivery.delivered_at != ""),
            func.count().filter(Delivery.delivered_at == "", Delivery.attempts < _MOST),
            func.count().filter(Delivery.delivered_at == "", Delivery.attempts >= _MOST),
        ).where(of_it)
    ).one()
    delivered, waits, given_up = counts
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "condition": webhook.condition,
        "created_at": webhook.created_at,
        "delivered": delivered,
        "waiting": waits,
        "given_up": given_up,
        "error": session.scalars(failed.order_by(Delivery.id.desc()).limit(1)).first(),
    }


def _checked(condition: Json) -> Json:
    kinds: dict[str, Any] = {
        "products": lambda v: isinstance(v, list) and all(isinstance(p, str) and p for p in v),
        "min_severity": lambda v: isinstance(v, int | float) and 0 <= v <= 10,
        "exploited": lambda v: isinstance(v, bool),
    }
    for name, value in condition.items():
        if name not in kinds or not kinds[name](value):
            raise InputError(
                f"the condition has {name} = {value!r}",
                tip='known are {"products": ["openssl"], "min_severity": 7, "exploited": true}',
            )
    return condition


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _check_url(url: str, *, private: bool) -> None:
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


def emit(session: Session, event: str, body: Json) -> int:
    """Write down a message to every webhook of an event, and return how many there are."""
    webhooks = _listening(session, event)
    for webhook in webhooks:
        _write(session, webhook, event, body)
    return len(webhooks)


def emit_records(session: Session, rows: Iterable[Json]) -> None:
    """Write down messages about new records, which are rows of their table's columns."""
    listening = {name: _listening(session, name) for name in ("new-cve", "below-threshold")}
    if not any(listening.values()):
        return
    rows = list(rows)
    for event, webhooks in listening.items():
        for webhook in webhooks:
            told = [
                _told(row)
                for row in rows
                if _matches(row, webhook.condition)
                and (event != "below-threshold" or row["abstained"])
            ]
            if told:
                _write(session, webhook, event, {"records": told})


def _listening(session: Session, event: str) -> list[Webhook]:
    webhooks = session.scalars(select(Webhook).where(Webhook.disabled.is_(False)))
    return [webhook for webhook in webhooks if event in webhook.events]


def _write(session: Session, webhook: Webhook, event: str, body: Json) -> None:
    now = utc_now()
    session.add(Delivery(webhook_id=webhook.id, event=event, body={"at": now, **body}, next_at=now))


def _matches(row: Json, condition: Json) -> bool:
    products = condition.get("products")
    named = not products or any(_concerns(row, product) for product in products)
    severe = row["severity"] >= condition.get("min_severity", row["severity"])
    return named and severe and (row["exploited"] or not condition.get("exploited"))


def _concerns(row: Json, product: str) -> bool:
    if row["affected"]:
        return names_product(row["affected"], product)
    return _names(row["text"], product)


def _names(text: str, product: str) -> bool:
    """Tell whether a text has a product's name as whole words, in any case.

    >>> _names("A flaw in OpenSSL 3.0.", "openssl"), _names("A flaw in OpenSSLX.", "openssl")
    (True, False)
    """
    words = r"\s+".join(map(re.escape, product.split()))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _told(row: Json) -> Json:
    return {
        "id": row["name"],
        "description": row["text"][:_TEXT],
        "published": row["published"] or None,
        "severity": row["severity"] if row["severity"] >= 0 else None,
        "vector": row["vector"] or None,
        "exploited": row["exploited"],
        "labels": row["labels"],
        "affected": row["affected"],
        "suggested": row["suggested"] or None,
        "confidence": row["confidence"],
        "needs_review": row["abstained"],
        "source": row["source"],
    }


def deliver_due(database: Database, *, private: bool = False, send: Send | None = None) -> int:
    """Send the messages that are due, and return how many were delivered.

    Several processes may do so at once: each claims what it sends.
    """
    deliver = send or Sender(private=private)
    delivered = 0
    while message := _claim(database):
        failure = deliver(message)
        _note(database, message, failure)
        delivered += not failure
    return delivered


def _claim(database: Database) -> Message | None:
    """Take a message that is due; no other process takes it before the lease is over.

    It is one at a time, so that the lease need not outlast the slow answers to others.
    """
    query = (
        select(Delivery, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.delivered_at == "", Delivery.attempts < _MOST)
        .where(Delivery.next_at <= utc_now(), Webhook.disabled.is_(False))
        .order_by(Delivery.next_at, Delivery.id)
        .limit(1)
    )
    with database.read() as session:  # most of the time there is nothing, and no lock is taken
        if session.execute(query).first() is None:
            return None
    with database.write() as session:
        due = session.execute(query).first()
        if due is None:
            return None
        one, webhook = due
        one.next_at = _later(_LEASE)
        return Message(one.id, webhook.url, webhook.secret, one.event, one.body, one.attempts)


def _note(database: Database, message: Message, failure: str) -> None:
    values: Json = {"attempts": message.attempts + 1, "error": failure[:500]}
    if failure:
        values["next_at"] = _later(min(_FIRST * 2**message.attempts, _LONGEST))
    else:
        values["delivered_at"] = utc_now()
    with database.write() as session:
        session.execute(update(Delivery).where(Delivery.id == message.delivery).values(**values))


def _later(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
            _check_url(message.url, private=self._private)
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
