"""One self-contained page of a comparison (to be written)."""

from __future__ import annotations

from collections.abc import Mapping

from cybersecqwen.files import Json


def render_page(found: Json, drawn: Mapping[str, str]) -> str:
    """Write the page."""
    return ""
