"""A text as a person reads it, for a rationale to quote and a language model to be asked.

>>> plain("SQL injection&#33; in <b>login</b> on <script>")
'SQL injection! in  login  on <script>'
"""

from __future__ import annotations

from cybersecqwen.embedded.text import without_markup


def plain(text: str) -> str:
    """Take markup, control and zero-width characters out; letters and line breaks stay."""
    if "<" not in text and "&" not in text and text.isprintable():
        return text
    bare = "".join(piece for _, piece in without_markup(text))
    return "".join(char for char in bare if char.isprintable() or char.isspace())
