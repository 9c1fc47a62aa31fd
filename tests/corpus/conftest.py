"""A real server that stands for a teacher, and requests to put to it."""

from __future__ import annotations

from engines.conftest import ask as ask_for
from engines.conftest import server

__all__ = ["ask_for", "server"]
