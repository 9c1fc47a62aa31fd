from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError
from cybersecqwen.service.accounts import (
    add_key,
    add_user,
    any_account,
    authenticate,
    begin_session,
    find_key,
    find_session,
    list_keys,
    log_out,
    remove_user,
    revoke_key,
    set_password,
)
from cybersecqwen.service.audit_trail import events, verify
from cybersecqwen.service.database import Database
from cybersecqwen.service.protection import sha256
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.tables import ApiKey, LoginSession, User

CHIEF = Actor("chief", "administrator")
PASSWORD = "five words are enough here"


def log_in(session: Session, name: str, password: str) -> str | None:
    user = authenticate(session, name, password)
    return user and begin_session(session, user)


def test_a_user_logs_in_by_the_password_alone_until_removed(database: Database) -> None:
    with database.write() as session:
        assert not any_account(session)
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
        assert any_account(session)
        assert log_in(session, "ana", PASSWORD + " ") is None
        assert log_in(session, "nobody", PASSWORD) is None
        secret = log_in(session, "ana", PASSWORD)
        assert secret is not None
        assert find_session(session, sha256(secret)) == Actor("ana", "reviewer")
        assert find_session(session, secret) is None
        [user] = session.scalars(select(User))
        assert user.password.startswith("$argon2id$")
        assert secret not in [row.sha256 for row in session.scalars(select(LoginSession))]
        other = log_in(session, "ana", PASSWORD)
        log_out(session, other or "")
        assert find_session(session, sha256(other or "")) is None
        set_password(session, "ana", PASSWORD * 2, actor=CHIEF)
        assert find_session(session, sha256(secret)) is None
        again = log_in(session, "ana", PASSWORD * 2)
        remove_user(session, "ana", actor=CHIEF)
        assert find_session(session, sha256(again or "")) is None
        assert log_in(session, "ana", PASSWORD * 2) is None
        assert not any_account(session)
        add_user(session, "ana", PASSWORD, role="reader", actor=CHIEF)
        assert not verify(session).broken
        assert PASSWORD not in "".join(event.details for event in events(session))


def test_a_password_that_changes_meanwhile_begins_no_session(database: Database) -> None:
    with database.write() as session:
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
    with database.read() as session:
        user = authenticate(session, "ana", PASSWORD)
    with database.write() as session:
        set_password(session, "ana", PASSWORD * 2, actor=CHIEF)
        assert user
        assert begin_session(session, user) is None


def test_a_session_ends_by_itself(database: Database) -> None:
    with database.write() as session:
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
        secret = log_in(session, "ana", PASSWORD) or ""
        [row] = session.scalars(select(LoginSession))
        row.expires_at = "2026-01-01T00:00:00.000Z"
        session.flush()
        assert find_session(session, sha256(secret)) is None
        log_in(session, "ana", PASSWORD)
        assert len(session.scalars(select(LoginSession)).all()) == 1


def test_a_key_is_kept_as_a_hash_and_ends_when_revoked(database: Database) -> None:
    with database.write() as session:
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
        key = add_key(session, "siem", user="ana", scopes=["classify"], actor=CHIEF)
        holder = find_key(session, sha256(key))
        assert holder is not None
        assert (holder.actor.name, holder.scopes) == ("ana", {"classify"})
        [row] = session.scalars(select(ApiKey))
        assert key.startswith("csq_")
        assert key not in str(vars(row))
        revoke_key(session, "siem", actor=CHIEF)
        assert find_key(session, sha256(key)) is None
        other = add_key(session, "other", user="ana", scopes=["records"], actor=CHIEF)
        remove_user(session, "ana", actor=CHIEF)
        assert find_key(session, sha256(other)) is None
        assert [one.revoked_at != "" for one, _ in list_keys(session)] == [True, True]


def test_what_is_wrong_is_named(database: Database) -> None:
    with database.write() as session:
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
        for name, password, role in (
            ("ana", PASSWORD, "reader"),
            ("local", PASSWORD, "reader"),
            (" ben", PASSWORD, "reader"),
            ("b\x1bn", PASSWORD, "reader"),
            ("ben", "short", "reader"),
            ("ben", PASSWORD, "king"),
        ):
            with pytest.raises(InputError):
                add_user(session, name, password, role=role, actor=CHIEF)  # type: ignore[arg-type]
        for scopes in (["everything"], []):
            with pytest.raises(InputError):
                add_key(session, "k", user="ana", scopes=scopes, actor=CHIEF)
        with pytest.raises(InputError, match="no user"):
            add_key(session, "k", user="ben", scopes=["classify"], actor=CHIEF)
        with pytest.raises(InputError, match="no key"):
            revoke_key(session, "k", actor=CHIEF)
