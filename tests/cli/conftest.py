"""The servers that the commands are tested against: an OpenAI-compatible one, and upstream."""

from analyst.conftest import server
from sources.conftest import upstream

__all__ = ["server", "upstream"]
