"""The tables of the workplace. Times are ISO 8601 in UTC to the millisecond, as text, so that they
sort, read and hash alike in SQLite and PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from cybersecqwen.records import Cvss
from cybersecqwen.sources.severity import severity

UNRATED = -1.0  # severity of a record without a CVSS score, below every score
EXPLOITED = 1000.0  # what known exploitation adds to the urgency, above any severity


def timestamp(moment: datetime) -> str:
    """Return a time as it is stored, such as 2026-11-27T03:10:00.123Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """Return the timestamp of now."""
    return timestamp(datetime.now(UTC))


class Base(DeclarativeBase):
    """What all tables are declared on."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Record(Base):
    """A text to be mapped to a weakness, with the current suggestion and the state of its review.

    `urgency` orders by known exploitation, then severity, then uncertainty. `version` counts the
    changes, so that a verdict on what has changed meanwhile is refused.
    """

    __tablename__ = "records"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)  # a CVE id, or the id in the file
    text: Mapped[str] = mapped_column(Text)
    text_sha256: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(200))  # the file or client that it came from
    published: Mapped[str] = mapped_column(String(32), default="")
    vector: Mapped[str] = mapped_column(String(200), default="")
    severity: Mapped[float] = mapped_column(default=UNRATED)
    exploited: Mapped[bool] = mapped_column(default=False)
    labels: Mapped[list[Any]]  # [{"source": …, "cwe": …}]
    label: Mapped[str] = mapped_column(String(20), default="")  # the primary one
    affected: Mapped[list[Any]] = mapped_column(default=list)  # [{"vendor", "product", "versions"}]
    differs: Mapped[bool] = mapped_column(default=False)  # from the suggestion, or among sources
    import_id: Mapped[int | None] = mapped_column(ForeignKey("imports.id"))
    imported_at: Mapped[str] = mapped_column(String(32))

    suggested: Mapped[str] = mapped_column(String(20), default="")  # "" where it abstained wholly
    confidence: Mapped[float] = mapped_column(default=0.0)
    abstained: Mapped[bool] = mapped_column(default=False)
    urgency: Mapped[float] = mapped_column(default=0.0)
    classification: Mapped[dict[str, Any]]  # as `classify --json` prints it
    engine: Mapped[str] = mapped_column(String(200))
    artifact: Mapped[str] = mapped_column(String(64))  # sha256
    classified_at: Mapped[str] = mapped_column(String(32))

    state: Mapped[str] = mapped_column(String(10), default="open")
    decided: Mapped[str] = mapped_column(String(20), default="")  # the CWE; "" of a rejected one
    decided_at: Mapped[str] = mapped_column(String(32), default="")
    version: Mapped[int] = mapped_column(default=1)

    reviews: Mapped[list[Review]] = relationship(order_by="Review.id", back_populates="record")
    comments: Mapped[list[Comment]] = relationship(order_by="Comment.id")

    @property
    def cvss(self) -> Cvss | None:
        """The severity with its vector; None where there is no score."""
        if self.severity == UNRATED:
            return None
        version = self.vector.removeprefix("CVSS:").partition("/")[0]
        given = version if version in ("3.0", "3.1", "4.0") else "2.0"
        return Cvss("", given, self.vector, self.severity)

    @property
    def severity_word(self) -> str:
        """The word for the severity, such as High; "" without one."""
        return severity(self.cvss) if self.cvss else ""

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        Index("records_by_confidence", "state", "confidence", "id"),
        Index("records_by_urgency", "state", "urgency", "id"),
        Index("records_by_severity", "state", "severity", "id"),
        Index("records_by_date", "state", "published", "id"),
        Index("records_by_suggestion", "suggested", "state", "id"),
        Index("records_by_decision", "state", "decided_at"),
        Index("records_by_import", "import_id"),
    )


class Product(Base):
    """The words of a vendor's and a product's name, by which records are found."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str] = mapped_column(String(510), unique=True)


class RecordProduct(Base):
    """That a record says that a product is affected."""

    __tablename__ = "record_products"

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), primary_key=True, index=True)


class Review(Base):
    """One verdict of one reviewer; withdrawn by an undo, or when the record is sent back."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), index=True)
    reviewer: Mapped[str] = mapped_column(String(100), index=True)
    stage: Mapped[str] = mapped_column(String(10))  # first, second, resolution
    verdict: Mapped[str] = mapped_column(String(10))  # accept, correct, reject
    cwe: Mapped[str] = mapped_column(String(20))  # "" of a rejected one
    reason: Mapped[str] = mapped_column(Text, default="")
    suggested: Mapped[str] = mapped_column(String(20))  # what was shown, with how much confidence
    confidence: Mapped[float]
    at: Mapped[str] = mapped_column(String(32), index=True)
    withdrawn_at: Mapped[str] = mapped_column(String(32), default="")
    # The same for verdicts that were given at once, "" for one that was given by itself.
    bulk: Mapped[str] = mapped_column(String(32), default="", index=True)

    record: Mapped[Record] = relationship(back_populates="reviews")


class Comment(Base):
    """What somebody said of a record."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id"), index=True)
    author: Mapped[str] = mapped_column(String(100))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(String(32))


class AuditEvent(Base):
    """One link of the audit trail; triggers refuse to change or delete it."""

    __tablename__ = "audit_events"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    details: Mapped[str] = mapped_column(Text)  # JSON as it was hashed
    previous: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))


class Import(Base):
    """A file that is or was taken in; `state` is running, done or failed."""

    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    actor: Mapped[str] = mapped_column(String(100))
    path: Mapped[str] = mapped_column(Text)  # of the copy that is read, until it is done
    state: Mapped[str] = mapped_column(String(10), default="running", index=True)
    begun_at: Mapped[str] = mapped_column(String(32))
    beat_at: Mapped[str] = mapped_column(String(32))  # when it last went on
    ended_at: Mapped[str] = mapped_column(String(32), default="")
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")

    problems: Mapped[list[ImportProblem]] = relationship(order_by="ImportProblem.id")


class ImportProblem(Base):
    """A row or record of a file that was refused, and why."""

    __tablename__ = "import_problems"

    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"), index=True)
    message: Mapped[str] = mapped_column(Text)


class SavedFilter(Base):
    """A filter of the queue that somebody kept, as the query of its URL."""

    __tablename__ = "saved_filters"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    query: Mapped[str] = mapped_column(Text)


class User(Base):
    """Somebody who may log in; the password is kept as an argon2 hash."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[str] = mapped_column(String(32))


class LoginSession(Base):
    """A browser that is logged in, by the hash of its cookie."""

    __tablename__ = "login_sessions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[str] = mapped_column(String(32))


class ApiKey(Base):
    """A key of a program, by its hash; `scopes` are words such as classify, records, reviews."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[str] = mapped_column(String(32))
    used_at: Mapped[str] = mapped_column(String(32), default="")
    revoked_at: Mapped[str] = mapped_column(String(32), default="")


class IdempotencyKey(Base):
    """The answer to a request that a client may send again."""

    __tablename__ = "idempotency_keys"

    actor: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(String(32), index=True)


class FeedUpdate(Base):
    """When a feed was last asked for, when it last brought something new, and what went wrong."""

    __tablename__ = "feed_updates"

    feed: Mapped[str] = mapped_column(String(40), primary_key=True)
    checked_at: Mapped[str] = mapped_column(String(32), default="")
    succeeded_at: Mapped[str] = mapped_column(String(32), default="")
    changed_at: Mapped[str] = mapped_column(String(32), default="")
    error: Mapped[str] = mapped_column(Text, default="")


class Job(Base):
    """Something that is done by schedule: since when, and by which process until it has ended."""

    __tablename__ = "jobs"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100), default="")
    held_until: Mapped[str] = mapped_column(String(32), default="")  # of versions before 0007
    begun_at: Mapped[str] = mapped_column(String(32), default="")
    error: Mapped[str] = mapped_column(Text, default="")


class SharedValue(Base):
    """A value that all processes of the service need, the same in each."""

    __tablename__ = "shared_values"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class RateLimitBucket(Base):
    """How far a client's bucket of tokens is emptied: when it will be full again, in Unix time."""

    __tablename__ = "rate_limit_buckets"

    client: Mapped[str] = mapped_column(String(64), primary_key=True)  # a SHA-256
    full_at: Mapped[float]


class Webhook(Base):
    """An address that is told of events; its secret signs what is sent, and is encrypted.

    `secret` is where versions before 0006 of the schema kept it as it is.
    """

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    condition: Mapped[dict[str, Any]]  # such as the products whose CVEs count
    secret: Mapped[str] = mapped_column(String(100), default="")
    encrypted_secret: Mapped[str] = mapped_column(Text, default="")
    key_name: Mapped[str] = mapped_column(String(12), default="")
    created_at: Mapped[str] = mapped_column(String(32))
    disabled: Mapped[bool] = mapped_column(default=False)


class Delivery(Base):
    """A message to a webhook, until it is delivered or given up."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"), index=True)
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[str] = mapped_column(String(32), index=True)
    delivered_at: Mapped[str] = mapped_column(String(32), default="")
    error: Mapped[str] = mapped_column(Text, default="")
