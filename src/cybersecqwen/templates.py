"""Documents whose wording is a Jinja2 template beside the code that computes their values.

    render("reports/model_card.md.jinja", recipe=recipe, results=results)

A template is named by its path inside the package. Markup in a value is escaped in `.html.jinja`
and `.svg.jinja`; in Markdown tags are, and links to anything but a web address or a file. A value
that a template names and nobody passes is an error, and `{{ items | number }}` or
`{{ share | number(".1%") }}` formats a number as Python does, None as a dash. In a table of
Markdown, `{{ name | cell }}` keeps a text within its cell.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.nodes import EvalContext

_PACKAGE = Path(__file__).parent
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\]\((?=\s*<?\s*(?!https?:)[A-Za-z][\w+.-]*(?::|&))")  # such as javascript:


def render(template: str, **values: Any) -> str:
    """Render a template of this package, named by its path inside it.

    Raises jinja2.UndefinedError where the template names a value that is not given.
    """
    return _environment().get_template(template).render(values)


@lru_cache
def _environment() -> Environment:
    from jinja2 import (
        Environment,
        FileSystemLoader,
        StrictUndefined,
        pass_eval_context,
        select_autoescape,
    )

    environment = Environment(
        loader=FileSystemLoader(_PACKAGE),
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html.jinja", "svg.jinja"], default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=pass_eval_context(_disarmed),
    )
    environment.filters |= {"number": _number, "cell": cell}
    return environment


def _disarmed(context: EvalContext, value: Any) -> Any:
    """Disarm what an expression writes, unless markup is escaped there or it is marked safe."""
    plain = type(value) is str and not context.autoescape
    return disarm(value) if plain else value


def disarm(text: str) -> str:
    """Take the effect in Markdown from tags, and from links to neither a web address nor a file."""
    return _TAG.sub("&lt;", _LINK.sub(r"]\(", text))


def _number(value: float | None, spec: str = ",") -> str:
    """Format a number; one that could not be measured is a dash."""
    return "–" if value is None else format(value, spec)


def cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table, which a `|` or a line break would end."""
    return disarm(" ".join(text.split())).replace("|", r"\|")
