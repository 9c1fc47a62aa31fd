"""Plots of a comparison (to be drawn)."""

from __future__ import annotations

from cybersecqwen.files import Json


def plots(found: Json) -> dict[str, str]:
    """Give each plot as SVG by its name."""
    return {}
