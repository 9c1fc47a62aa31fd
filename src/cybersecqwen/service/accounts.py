"""Who may use the service: users with a role, their browsers' sessions, and keys of programs.

    with database.write() as session:
        add_user(session, "ana", "correct horse battery", role="reviewer", actor=actor)
        key = add_key(session, "siem", user="ana", scopes=["classify"], actor=actor)  # shown once

Passwords are kept as argon2 hashes; of sessions and keys, which are long and random, the SHA-256.
Users are disabled and keys revoked, never deleted: the audit trail names them.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.protection import sha256
from cybersecqwen.service.reviews import ROLES, Actor, Role
from cybersecqwen.service.tables import ApiKey, LoginSession, User, timestamp, utc_now

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Scope = Literal["classify", "records", "reviews"]
SCOPES: tuple[Scope, ...] = ("classify", "records", "reviews")
SESSION_HOURS = 12
_SHORTEST = 12  # characters of a password
_LONGEST = 200
_KEY = "csq_"  # how a key begins, so that scanners for secrets know it


class KeyHolder(NamedTuple):
    """For whom a key acts, and what it may be used for."""

    actor: Actor
    scopes: frozenset[str]


def any_account(session: Session) -> bool:
    """Tell whether somebody could log in."""
    return session.scalars(select(User.id).where(~User.disabled).limit(1)).first() is not None


def list_users(session: Session) -> Sequence[User]:
    """List all users by name, those that are disabled among them."""
    return session.scalars(select(User).order_by(User.name)).all()


def list_keys(session: Session) -> Sequence[tuple[ApiKey, User]]:
    """List all keys with their users, those that are revoked among them."""
    query = select(ApiKey, User).join(User, User.id == ApiKey.user_id).order_by(ApiKey.name)
    return [(key, user) for key, user in session.execute(query)]


def add_user(session: Session, name: str, password: str, *, role: Role, actor: Actor) -> User:
    """Add a user, or give one that was disabled a new start.

    Raises InputError for a name that is taken or none, and for a password that is too short.
    """
    if not 0 < len(name) <= 100 or name != name.strip() or not name.isprintable():
        raise InputError(f"{name!r} is no name of a user", tip="give 1 to 100 characters")
    if role not in ROLES:
        raise InputError(f"{role!r} is no role", tip=f"give one of {', '.join(ROLES)}")
    user = _find_user(session, name)
    if name == "local" or (user and not user.disabled):
        raise InputError(f"there is a user {name!r} already", tip="choose another name")
    held = _hashed(password)
    if user is None:
        user = User(name=name, created_at=utc_now())
        session.add(user)
    user.password, user.role, user.disabled = held, role, False
    session.flush()
    append(session, actor=actor.name, action="add user", subject=name, details={"role": role})
    return user


def set_password(session: Session, name: str, password: str, *, actor: Actor) -> None:
    """Give a user another password; who is logged in by the old one no longer is."""
    user = _user(session, name)
    user.password = _hashed(password)
    session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
    append(session, actor=actor.name, action="set password", subject=name)


def remove_user(session: Session, name: str, *, actor: Actor) -> None:
    """Disable a user, log them out everywhere, and revoke their keys."""
    user = _user(session, name)
    user.disabled = True
    session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
    keys = update(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at == "")
    session.execute(keys.values(revoked_at=utc_now()))
    append(session, actor=actor.name, action="remove user", subject=name)


def add_key(session: Session, name: str, *, user: str, scopes: Sequence[str], actor: Actor) -> str:
    """Make a key that acts for a user, and return it; it is not kept, so it cannot be shown again.

    Raises InputError for a name that is taken, an unknown scope, and an unknown user.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        what = f"{unknown[0]!r} is no scope" if unknown else "a key needs a scope"
        raise InputError(what, tip=f"give some of {', '.join(SCOPES)}")
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise InputError(f"{name!r} is no name of a key", tip="give 1 to 100 characters")
    if session.scalars(select(ApiKey.id).where(ApiKey.name == name)).first():
        raise InputError(f"there is a key {name!r} already", tip="choose another name")
    key = _KEY + secrets.token_urlsafe(32)
    row = ApiKey(
        sha256=sha256(key),
        name=name,
        user_id=_user(session, user).id,
        scopes=sorted(set(scopes)),
        created_at=utc_now(),
    )
    session.add(row)
    details = {"user": user, "scopes": row.scopes}
    append(session, actor=actor.name, action="add key", subject=name, details=details)
    return key


def revoke_key(session: Session, name: str, *, actor: Actor) -> None:
    """Revoke a key; what is signed by it is refused within seconds."""
    key = session.scalars(select(ApiKey).where(ApiKey.name == name)).first()
    if key is None or key.revoked_at:
        raise InputError(f"there is no key {name!r}", tip="cybersecqwen accounts list names them")
    key.revoked_at = utc_now()
    append(session, actor=actor.name, action="revoke key", subject=name)


def find_key(session: Session, digest: str) -> KeyHolder | None:
    """Return for whom the key of a SHA-256 acts; None where there is none, or no longer."""
    query = (
        select(ApiKey, User)
        .join(User, User.id == ApiKey.user_id)
        .where(ApiKey.sha256 == digest, ApiKey.revoked_at == "", ~User.disabled)
    )
    row = session.execute(query).first()
    return None if row is None else KeyHolder(_actor(row[1]), frozenset(row[0].scopes))


def authenticate(session: Session, name: str, password: str) -> User | None:
    """Return the user whose password it is; None where it is wrong.

    It takes as long for a user that there is not.
    """
    from argon2.exceptions import Argon2Error, InvalidHashError

    user = _find_user(session, name[:_LONGEST])
    held = user.password if user and not user.disabled else _nobody()
    try:
        _hasher().verify(held, password[:_LONGEST])
    except (Argon2Error, InvalidHashError):
        return None
    return None if user is None or user.disabled else user


def begin_session(session: Session, user: User) -> str | None:
    """Begin a session, and return its secret; None where the password is another by now."""
    held = session.get(User, user.id, populate_existing=True)
    if held is None or held.disabled or held.password != user.password:
        return None
    now = datetime.now(UTC)
    secret = secrets.token_urlsafe(32)
    session.execute(delete(LoginSession).where(LoginSession.expires_at < timestamp(now)))
    expires = timestamp(now + timedelta(hours=SESSION_HOURS))
    row = LoginSession(
        sha256=sha256(secret), user_id=user.id, created_at=timestamp(now), expires_at=expires
    )
    session.add(row)
    append(session, actor=user.name, action="log in", subject=user.name)
    return secret


def log_out(session: Session, secret: str) -> None:
    """End a session."""
    session.execute(delete(LoginSession).where(LoginSession.sha256 == sha256(secret)))


def find_session(session: Session, digest: str) -> Actor | None:
    """Return who is logged in by the session of a SHA-256; None where it has ended."""
    query = (
        select(User)
        .join(LoginSession, LoginSession.user_id == User.id)
        .where(LoginSession.sha256 == digest, LoginSession.expires_at > utc_now(), ~User.disabled)
    )
    user = session.scalars(query).first()
    return None if user is None else _actor(user)


def _find_user(session: Session, name: str) -> User | None:
    return session.scalars(select(User).where(User.name == name)).first()


def _user(session: Session, name: str) -> User:
    user = _find_user(session, name)
    if user is None or user.disabled:
        raise InputError(f"there is no user {name!r}", tip="cybersecqwen accounts list names them")
    return user


def _actor(user: User) -> Actor:
    return Actor(user.name, next(role for role in ROLES if role == user.role))


def _hashed(password: str) -> str:
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise InputError(
            f"the password has {len(password)} characters",
            tip=f"give {_SHORTEST} to {_LONGEST}, such as five words",
        )
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id, with the parameters that its authors recommend


@cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))
