"""The frame, sections and tables that the HTML pages share.

A page is one file that loads nothing, and no script runs on it but its own. What models, benchmarks
and training files say is text on it: escaped here.

    rules = Section("rules", "By rule", html_table(("rule", "rows"), rows, caption="Rows by rule"))
    Page("Audit", about="<p>Clean.</p>", sections=[rules]).render()
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

# The texts of items are the benchmark's, and stay under its licence on a page that shows them.
ITEM_LICENCE = (
    "The texts of the items are CTI-Bench's (arXiv:2406.07599), licensed <a rel=\"noopener "
    'noreferrer" href="https://creativecommons.org/licenses/by-nc-sa/4.0/">CC BY-NC-SA 4.0</a>. '
    "Who passes this page on is bound by that licence."
)

Cell = str | tuple[str, str]  # text, or text and the class of its cell


class Section(NamedTuple):
    """A part of a page: its anchor, title and HTML, and the HTML of its link if not the title."""

    name: str
    title: str
    body: str
    link: str = ""

    def render(self) -> str:
        """Write the section with its heading."""
        title = f'<h2 id="{self.name}-title">{html.escape(self.title)}</h2>'
        labelled = f'<section id="{self.name}" aria-labelledby="{self.name}-title">'
        return f"{labelled}\n{title}\n{self.body}\n</section>"

    def link_item(self) -> str:
        """Write the entry in the list of sections."""
        return f"<li>{self.link or link(self.name, self.title)}</li>"


@dataclass(frozen=True)
class Page:
    """A page; `about`, `style` and `footer` are HTML and CSS beside what all pages have.

    `policy` is what the content security policy allows beyond inline style.
    """

    title: str
    about: str
    sections: Sequence[Section]
    style: str = ""
    footer: str = ""
    policy: str = ""

    def render(self) -> str:
        """Write the page."""
        parts = {
            "title": html.escape(self.title),
            "policy": "default-src 'none'; style-src 'unsafe-inline'; "
            f"{self.policy}base-uri 'none'; form-action 'none'",
            "style": self.style,
            "about": self.about,
            "links": "\n".join(section.link_item() for section in self.sections),
            "sections": "\n".join(section.render() for section in self.sections),
            "footer": self.footer,
        }
        # In one pass, so that braces in a text are not filled in again.
        return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], asset("html_page.html"))


def asset(name: str, package: str | None = None) -> str:
    """Read a file that lies beside the modules of a package, this one by default."""
    return files(package or __package__).joinpath(name).read_text(encoding="utf-8")


def link(anchor: str, text: str) -> str:
    """Link a place on the same page."""
    return f'<a href="#{anchor}">{html.escape(text)}</a>'


def quiet(text: str) -> str:
    """Write a paragraph in small print."""
    return f'<p class="quiet">{html.escape(text)}</p>\n'


def html_list(texts: Iterable[str]) -> str:
    """Write a list."""
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"


def css_class(kind: str) -> str:
    """Write the class attribute of an element, "" for none."""
    return f' class="{kind}"' if kind else ""


def html_table(
    header: Sequence[str],
    rows: Iterable[tuple[str, Sequence[Cell]]],
    *,
    caption: str,
    numbers: Collection[int] = (),
    row_heads: bool = False,
) -> str:
    """Write a table in a box that scrolls; each row comes with its class, "" for none.

    The columns in `numbers` are right-aligned; with `row_heads` the first cell names its row.
    """
    align = [css_class("n" if i in numbers else "") for i in range(len(header))]
    heads = "".join(
        f'<th scope="col"{kind}>{html.escape(text)}</th>'
        for text, kind in zip(header, align, strict=True)
    )
    body = "\n".join(
        f"<tr{css_class(kind)}>"
        + "".join(_cell(cell, align[i], head=row_heads and i == 0) for i, cell in enumerate(cells))
        + "</tr>"
        for kind, cells in rows
    )
    named = html.escape(caption)
    return (
        f'<div class="box" role="region" aria-label="{named}" tabindex="0">'
        f"<table><caption>{named}</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _cell(cell: Cell, kind: str, *, head: bool) -> str:
    text, kind = (cell[0], css_class(cell[1])) if isinstance(cell, tuple) else (cell, kind)
    if head:
        return f'<th scope="row">{html.escape(text)}</th>'
    return f"<td{kind}>{html.escape(text)}</td>"
