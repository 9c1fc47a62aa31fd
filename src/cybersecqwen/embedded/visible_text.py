r"""What of a text a reader would see: nothing that a page hides, letters as what they look like.

>>> shown("XSS<script>alert(1)</script> in <p hidden>SQL</p>Foo").split()
['XSS<script>', '</script>', 'in', '<p', 'hidden>', '</p>Foo']
>>> as_seen("<b>An\u0455w\u0435r</b> C\u200bW\u200bE-79")
' Answer  CWE-79'

Feeds carry HTML and Markdown, in which a text can say to a program what no person reads.
"""

from __future__ import annotations

import re
import unicodedata

from cybersecqwen.embedded.tokenizer import plain

_UNSEEN_STYLE = (
    r"\bhidden\b|display\s*:\s*none|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*[0-3](?:px|pt)?\b(?!\.)|"
    r"\bcolor\s*:\s*(?:transparent|white|#fff(?:fff)?)\b"
)
# Elements whose content a page does not show, by their name or their style.
_HIDDEN = re.compile(
    r"<(?P<name>script|style|template|"
    rf"[a-z][a-z0-9]*+(?=[^<>]*(?:{_UNSEEN_STYLE})))"
    r"\b[^<>]*>(?P<inside>.*?)</(?P=name)\s*>",
    re.DOTALL | re.IGNORECASE,
)
# Attributes that are no text of a page: what stands for an image, a hint, a program's data.
_TAG = re.compile(r"""<[a-z][a-z0-9]*\s(?:[^<>"']|"[^"<>]*"|'[^'<>]*'){0,500}>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\s(?:alt|title|content|value|placeholder|aria-[a-z]+|data-[\w-]+)\s*=\s*"""
    r"""(?P<quote>["'])(?P<inside>.*?)(?P=quote)""",
    re.DOTALL | re.IGNORECASE,
)
# Of Markdown: the titles of links and of definitions, comments, and what stands for an image.
_MARKDOWN = re.compile(
    r"""\]\([^\s()]+\s+(?P<quote>["'])(?P<inside>.{0,2000}?)(?P=quote)\s*\)"""
    r"""|^\[[^\]\n]+\]:\s+\S+\s+(?P<mark>["'])(?P<title>.{0,2000}?)(?P=mark)\s*$"""
    r"""|^\[[^\]\n]+\]:\s+\S+\s+\((?P<comment>.{0,2000}?)\)\s*$"""
    r"""|!\[(?P<image>[^\]]*)\]\(""",
    re.DOTALL | re.MULTILINE,
)

_ALIKE = str.maketrans(
    "аеіјорсѕухһԁԛԝАВЕІЈКМНОРСТЅУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧορνι",
    "aeijopcsyxhdqwABEIJKMHOPCTSYXABEZHIKMNOPTYXopvi",
)
_LETTERS = re.compile(r"[^\W\d_]+")
_OTHER = r"[\u0370-\u052f]"  # Greek and Cyrillic
_MIXED = re.compile(rf"[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]")


def shown(text: str) -> str:
    """Blank what a page would not show, so that the places of the rest stay."""
    if "<" in text:
        text = _TAG.sub(_without_attributes, _HIDDEN.sub(_blanked, text))
    return _MARKDOWN.sub(_blanked, text) if "](" in text or "]:" in text else text


def _without_attributes(tag: re.Match[str]) -> str:
    return _ATTRIBUTE.sub(_blanked, tag[0])


def _blanked(match: re.Match[str]) -> str:
    groups = match.groupdict()
    name = next((name for name in ("inside", "title", "comment", "image") if groups.get(name)), 0)
    if not name:
        return match[0]
    start, end = (place - match.start() for place in match.span(name))
    return f"{match[0][:start]}{' ' * (end - start)}{match[0][end:]}"


def in_one_script(text: str) -> str:
    """Replace letters of other scripts that look Latin, in a text that mixes scripts in a word.

    Every character stays one character. A text that has another script in words of its own stays.
    """
    if text.isascii() or not _MIXED.search(text):
        return text
    return _LETTERS.sub(_latin, text)


def _latin(match: re.Match[str]) -> str:
    word = match[0].translate(_ALIKE)
    return word if word.isascii() else match[0]


def as_seen(text: str) -> str:
    """Return a text as it looks: without markup and invisible characters, in usual letters."""
    if text.isascii() and text.isprintable() and "<" not in text and "&" not in text:
        return text
    usual = unicodedata.normalize("NFKC", plain(text))
    if usual.isascii():
        return usual
    for char in set(usual):
        if unicodedata.category(char) in ("Cf", "Mn"):
            usual = usual.replace(char, "")
    return in_one_script(usual)
