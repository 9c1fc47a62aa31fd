"""Tell other programs of events: who is told of which, by a message to each webhook.

    with database.write() as session:
        add_webhook(session, "https://soc.example/hook", events=["new-cve"], actor=actor, keyring=…)
        emit(session, "drift-alarm", {"what": …})

A message is written down in the transaction of what it tells of, so that none is lost; one may come
twice where the service is killed right after it was sent, and then has the same id. `delivery`
sends what is written down.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.delivery import MOST_ATTEMPTS, check_url
from cybersecqwen.service.keyring import Keyring, read_secrets, set_secret
from cybersecqwen.service.products import names_product
from cybersecqwen.service.reviews import Actor, ForbiddenError
from cybersecqwen.service.tables import Delivery, Webhook, utc_now

EVENTS = {
    "new-cve": "new records, of the products of the condition where it names any",
    "below-threshold": "new records that the model is unsure of",
    "drift-alarm": "what has moved, since when, and what to do about it",
}
_TEXT = 2000  # characters of a description


def add_webhook(
    session: Session,
    url: str,
    *,
    events: Sequence[str],
    actor: Actor,
    keyring: Keyring,
    condition: Json | None = None,
    private: bool = False,
) -> tuple[int, str]:
    """Add an address that is told of events; return its number, and a secret of its own.

    `condition` may have `products` (names, one of which must be of what is affected, or stand in
    the description of a record that does not say), `min_severity` and `exploited`. Raises
    InputError for an address that is none or, unless `private` ones are allowed, of this machine
    or a private network.
    """
    _check_role(actor, "add a webhook")
    check_url(url, private=private)
    for event in events:
        if event not in EVENTS:
            raise InputError(f"{event!r} is no event", tip=f"known are {', '.join(EVENTS)}")
    if not events:
        raise InputError("no event is named", tip=f"known are {', '.join(EVENTS)}")
    webhook = Webhook(
        url=url,
        events=list(dict.fromkeys(events)),
        condition=_checked(condition or {}),
        created_at=utc_now(),
    )
    secret = _new_secret(webhook, keyring)
    session.add(webhook)
    session.flush()
    details = {"webhook": webhook.id, "events": webhook.events, "condition": webhook.condition}
    append(session, actor=actor.name, action="add webhook", subject=_host(url), details=details)
    return webhook.id, secret


def _new_secret(webhook: Webhook, keyring: Keyring) -> str:
    secret = secrets.token_hex()
    set_secret(webhook, secret, keyring)
    return secret


def rotate_secret(session: Session, webhook: Webhook, *, actor: Actor, keyring: Keyring) -> str:
    """Sign by another secret from now on, also what waits to be sent; return it."""
    _check_role(actor, "rotate the secret of a webhook")
    secret = _new_secret(webhook, keyring)
    subject, details = _host(webhook.url), {"webhook": webhook.id}
    append(session, actor=actor.name, action="rotate secret", subject=subject, details=details)
    return secret


def remove_webhook(session: Session, webhook: Webhook, *, actor: Actor) -> None:
    """Tell an address nothing any more; what was not delivered yet never is."""
    _check_role(actor, "remove a webhook")
    webhook.disabled = True
    webhook.secret = webhook.encrypted_secret = webhook.key_name = ""
    subject, details = _host(webhook.url), {"webhook": webhook.id}
    append(session, actor=actor.name, action="remove webhook", subject=subject, details=details)


def _check_role(actor: Actor, what: str) -> None:
    if not actor.may("administrator"):
        raise ForbiddenError(f"a {actor.role} may not {what}")


def find_webhook(session: Session, number: int) -> Webhook:
    """Return a webhook that is told of events; raises InputError where there is none."""
    webhook = session.get(Webhook, number)
    if webhook is None or webhook.disabled:
        raise InputError(f"there is no webhook {number}", tip="list them")
    return webhook


def webhook_rows(session: Session, folder: Path) -> list[Json]:
    """Return the webhooks as JSON-able values, without their secrets, and what became of messages.

    `error` is why none can be signed with the keys of the folder, or else why the newest one that
    was not delivered was not; null without either.
    """
    _, problems = read_secrets(session, folder)
    webhooks = session.scalars(select(Webhook).where(Webhook.disabled.is_(False)))
    return [_row(session, webhook, problems.get(webhook.id)) for webhook in webhooks.all()]


def _row(session: Session, webhook: Webhook, problem: str | None) -> Json:
    of_it = Delivery.webhook_id == webhook.id
    failed = select(Delivery.error).where(of_it, Delivery.delivered_at == "", Delivery.error != "")
    counts = session.execute(
        select(
            func.count().filter(Delivery.delivered_at != ""),
            func.count().filter(Delivery.delivered_at == "", Delivery.attempts < MOST_ATTEMPTS),
            func.count().filter(Delivery.delivered_at == "", Delivery.attempts >= MOST_ATTEMPTS),
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
        "error": problem or session.scalars(failed.order_by(Delivery.id.desc()).limit(1)).first(),
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
