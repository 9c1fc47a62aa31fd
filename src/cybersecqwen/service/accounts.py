"""Who may use the service: users with a role, their browsers' sessions, and keys of programs."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.service.tables import User


def any_account(session: Session) -> bool:
    """Tell whether somebody could log in."""
    return session.scalars(select(User.id).where(~User.disabled).limit(1)).first() is not None
