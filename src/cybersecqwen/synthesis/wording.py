"""The wording of questions and answers: sentences with {placeholders}, read from `templates/`.

    frames = load_templates("frames.toml")
    say(rng, frames["inline"], ask="Which CWE is it?", text="XSS in Foo.", cve_id="CVE-2021-1")

Each text is one sentence, or a list of which one is drawn, so that no template stands for
thousands of pairs. A file is checked as a whole when it is loaded: each key that the code reads,
no other, and only placeholders that the code fills. `placeholders.toml` lists both.

>>> fill('Which tactic is {it}? {"a": 1}', it="T1055")
'Which tactic is T1055? {"a": 1}'
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json

TEMPLATES = Path(__file__).parent / "templates"
Sentences = str | Sequence[str]
_ONE = "one: "  # before the placeholders of a text that is never a list

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def load_templates(name: str) -> Json:
    """Read a file of templates; raises InputError with file and key where it is not laid out so."""
    words = read_templates(name)
    check_templates(name, words, PLACEHOLDERS[name])
    return words


def read_templates(name: str) -> Json:
    """Read a file of templates as it is; raises InputError where it is not valid TOML."""
    try:
        return tomllib.loads((TEMPLATES / name).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", where=TEMPLATES / name) from error


def check_templates(name: str, words: Json, layout: Json, *, at: str = "") -> None:
    """Raise InputError for the first text that differs from the layout, with its file and key."""
    problem = next(_problems(words, layout, at), None)
    if problem:
        raise InputError(problem[0], where=TEMPLATES / name, tip=problem[1])


def _problems(words: Any, layout: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and how to put it right, key by key."""
    if isinstance(layout, str):
        yield from _text_problems(words, layout, at)
    elif not isinstance(words, dict):
        yield f"{at}: is no table", "it has these keys: " + ", ".join(layout)
    else:
        prefix = f"{at}." if at else ""
        for key in words.keys() - layout.keys():
            yield f"{prefix}{key}: unknown key", "known here: " + ", ".join(layout)
        for key, part in layout.items():
            if key not in words:
                yield f"{prefix}{key}: is missing", "add it, or restore the file"
            else:
                yield from _problems(words[key], part, prefix + key)


def _text_problems(text: Any, layout: str, at: str) -> Iterator[tuple[str, str]]:
    sentences = [text] if isinstance(text, str) else text
    if layout.startswith(_ONE) and not isinstance(text, str):
        yield f"{at}: is not one text", "write one text between quotation marks"
        return
    if not isinstance(sentences, list) or not sentences:
        yield f"{at}: needs at least one sentence", "write a text, or a list of texts"
        return
    names = layout.removeprefix(_ONE).split()
    known = [name.rstrip("!") for name in names]
    needed = [name.rstrip("!") for name in names if name.endswith("!")]
    may = "it may hold " + (", ".join(f"{{{name}}}" for name in known) or "none")
    for sentence in sentences:
        if not isinstance(sentence, str) or not sentence.strip():
            yield f"{at}: {sentence!r} is no text", "write a text between quotation marks"
            continue
        held = _PLACEHOLDER.findall(sentence)
        for name in held:
            if name not in known:
                yield f"{at}: unknown placeholder {{{name}}} in {sentence!r}", may
        for name in needed:
            if name not in held:
                yield f"{at}: no {{{name}}} in {sentence!r}", may


def fill(sentence: str, /, **values: str) -> str:
    """Put values in place of the placeholders; other braces stay as they are."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], sentence)


def say(rng: random.Random, sentences: Sentences, /, **values: str) -> str:
    """Fill the sentence, or one of several, drawn at random."""
    one = sentences if isinstance(sentences, str) else rng.choice(sentences)
    return fill(one, **values)


PLACEHOLDERS = tomllib.loads(Path(__file__).with_name("placeholders.toml").read_text("utf-8"))
_FRAMES = load_templates("frames.toml")


def framed(rng: random.Random, ask: str, text: str, cve_id: str, *, inline: bool) -> str:
    """Put a question beside the description that it is about: in one line, or on lines apart."""
    ended = text if text.endswith((".", "!")) else f"{text}."
    frames = _FRAMES["inline" if inline else "apart"]
    return say(rng, frames, ask=ask, text=ended, cve_id=cve_id)


def listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence.

    >>> listed(["A", "B", "C"])
    'A, B and C'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
