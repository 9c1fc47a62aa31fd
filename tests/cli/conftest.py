"""The OpenAI-compatible server that the engines are tested against."""

from analyst.conftest import server

__all__ = ["server"]
