"""What the HTML pages share: their look, and how a template is filled.

page = fill(template("comparison.html", __package__), {"title": "Comparison"})
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files


def template(name: str, package: str | None) -> str:
    """Read the template of a page from its package."""
    return files(package or __package__).joinpath(name).read_text(encoding="utf-8")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values where `{{name}}` stands, and the common look at `{{style}}`.

    In one pass, so that braces in a value are not filled in again.
    """
    known = {"style": template("html_page.css", __package__), **values}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: known[match[1]], text)
