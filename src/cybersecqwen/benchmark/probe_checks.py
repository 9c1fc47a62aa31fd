"""The checks of a probe: judge a server by its answers.

>>> from cybersecqwen.records import Response
>>> greedy = Response(0, 0, "It is a buffer overflow", "stop", 9, 5)
>>> judge("max_tokens", max_tokens, greedy, Response(0, 0, "It is a buffer", "length", 9, 4))
Check(name='max_tokens', status='ok', evidence='4 tokens of at most 4, and it says so: length')

A text may differ here and there on an honest server too: batches of another shape round
differently. So a check that compares texts fails where more than half of them differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cybersecqwen.errors import EngineError
from cybersecqwen.records import Response

HOT = 1.5  # a temperature at which texts of several words differ by their seed
FEW = 4  # tokens that max_tokens is tried with

_SEVERAL, _LONG = 4, 30  # words, or characters, that a text needs before it says anything
_OVERHEAD = 40  # tokens that a template may need around one word
_ROLES = {
    *("system", "developer", "user", "assistant", "model", "human", "bot"),
    *("instruction", "response"),
}

Status = Literal["ok", "failed", "unknown"]
Reply = Response | EngineError
Verdict = tuple[Status, str]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried, what came out, and why in one sentence."""

    name: str
    status: Status
    evidence: str


class Samples(NamedTuple):
    """The answers that are compared; greedy ones by prompt, the others by seed."""

    alone: list[Reply]  # greedy, one by one
    again: list[Reply]  # with another seed
    together: list[Reply]  # all at once, each prompt as often as the other
    hot: list[Reply]  # one by one, of the prompt with the longest text, `greedy`
    hot_again: list[Reply]
    hot_together: list[Reply]  # all at once, with `amid`
    amid: list[Reply]  # greedy
    greedy: Response


class _UnknownError(Exception):
    """Nothing can be said, and why."""


def judge(name: str, verdict: Callable[..., Verdict], *given: object) -> Check:
    """Put a verdict into a check; "unknown" with the error where a request failed."""
    try:
        return Check(name, *verdict(*given))
    except _UnknownError as error:
        return Check(name, "unknown", str(error))


def temperature(samples: Samples) -> Verdict:
    """Judge whether every request is answered at its own temperature."""
    alone, again = _texts(samples.alone), _texts(samples.again)
    if _mostly(twice := _differing(alone, again), alone):
        return "failed", f"{twice} of {len(alone)} texts at temperature 0 differ when asked twice"
    hot = _texts(samples.hot)
    if set(hot) == {samples.greedy.text}:
        _tell_apart(samples)
        return "failed", f"{len(hot)} texts at temperature {HOT} all equal the one at 0"
    amid = _texts(samples.amid)
    if _mostly(differ := _differing(alone, amid), alone):
        if _unsteady(samples):
            raise _UnknownError("texts at temperature 0 differ already when asked at once")
        return "failed", (
            f"{differ} of {len(alone)} texts at temperature 0 differ when requests at {HOT} "
            "run at the same time"
        )
    return "ok", f"0 gives one text, alone and among requests at {HOT}, which give others"


def seed(samples: Samples) -> Verdict:
    """Judge whether the seed decides about the text, whatever else runs."""
    hot, again = _texts(samples.hot), _texts(samples.hot_again)
    if _mostly(twice := _differing(hot, again), hot):
        return "failed", f"{twice} of {len(hot)} texts differ when asked twice with one seed"
    if len(set(hot)) == 1:
        if hot[0] == samples.greedy.text or _short(hot[0]):
            raise _UnknownError("the text is the same whatever the seed, and also when greedy")
        return "failed", f"{len(hot)} seeds give one text at temperature {HOT}"
    together = _texts(samples.hot_together)
    if _mostly(differ := _differing(hot, together), hot):
        if _unsteady(samples):
            raise _UnknownError("alone it decides; at once texts at temperature 0 differ already")
        return "failed", f"{differ} of {len(hot)} texts of one seed differ when asked at once"
    return "ok", f"one seed gives one text, alone and at once; {len(hot)} seeds give others"


def concurrency(samples: Samples) -> Verdict:
    """Judge whether greedy texts change when all are asked at once."""
    alone, together = _texts(samples.alone), _texts(samples.together)
    if _mostly(_differing(alone, _texts(samples.again)), alone):
        raise _UnknownError("texts at temperature 0 differ already one by one")
    if len(set(alone)) == 1:
        raise _UnknownError("every prompt gets the same text")
    differ = _differing(alone, together)
    said = f"{differ} of {len(together)} texts at temperature 0 differ when asked at once"
    if _mostly(differ, together):
        return "failed", said
    return "ok", f"{said}, as rounding makes them" if differ else said


def stop_word(text: str) -> str:
    """Choose a word from the middle that is not where the text begins; "" where there is none.

    Of a long text without such words, as some languages write, it is a few characters.
    """
    words = [word for word in text.split() if len(word) > 2]
    long = len(text) >= _LONG
    pieces = [text[at : at + 4] for at in range(len(text) // 2, len(text) - 4) if long]
    middle = words[len(words) // 2 :] + words[: len(words) // 2] + pieces
    # U+FFFD stands for half a character, which a server may not have seen so.
    whole = (word for word in middle if "\ufffd" not in word and word == word.strip())
    return next((word for word in whole if text[: text.find(word)].strip()), "")


def stop(greedy: Response, word: str, reply: Reply | None) -> Verdict:
    """Judge whether a text ends where its stop word would begin."""
    if reply is None:
        raise _UnknownError(f"the text has no word to stop at: {_quoted(greedy.text)}")
    [text] = _texts([reply])
    if word in text:
        return "failed", f"{_quoted(word)} was to end the text, and is in it: {_quoted(text)}"
    if text.rstrip() != greedy.text[: greedy.text.find(word)].rstrip():
        raise _UnknownError(f"with the stop {_quoted(word)} the text is another: {_quoted(text)}")
    return "ok", f"the text ends before {_quoted(word)}"


def max_tokens(greedy: Response, reply: Reply) -> Verdict:
    """Judge whether a text ends after FEW tokens, and whether the server says why."""
    [text] = _texts([reply])
    if not isinstance(reply, Response) or _ends_within_few(greedy):
        raise _UnknownError(f"the text is too short to cut: {_quoted(greedy.text)}")
    made = reply.completion_tokens
    # Without a count: no four tokens are a text of so many words.
    if made > FEW or len(text.split()) > 2 * FEW or (not made and text == greedy.text):
        return "failed", f"{made or 'uncounted'} tokens of at most {FEW}: {_quoted(text)}"
    if not reply.finish_reason:
        raise _UnknownError("the text is cut, and the server names no finish reason")
    if reply.finish_reason != "length":
        return "failed", f"the text is cut, and the finish reason is {reply.finish_reason!r}"
    return "ok", f"{made or 'few'} tokens of at most {FEW}, and it says so: length"


def system_prompt(replies: Sequence[Reply], rendered: str, word: str) -> Verdict:
    """Judge whether the server adds a system prompt to a chat.

    `replies` are to a chat of one `word`: without a system turn, with an empty one, and with
    one that is the same word; `rendered` is what the model reads for the first, or "".
    """
    if added := _added(rendered, word):
        return "failed", f"the model reads more than the chat: {_quoted(added)}"
    plain, empty, own = [r.prompt_tokens if isinstance(r, Response) else 0 for r in replies]
    if plain and (odd := _odd_count(plain, empty, own)):
        return "failed", odd
    if rendered:
        return "ok", f"the model reads {_quoted(rendered)}"
    _texts(replies)
    if not plain:
        raise _UnknownError("the server counts no prompt tokens and shows no rendering")
    return "ok", f"{plain} prompt tokens for a chat of one word, {own} with a system turn"


def _odd_count(plain: int, empty: int, own: int) -> str:
    """Name what is odd about the prompt tokens of a one-word chat; 0 is not counted."""
    if plain > _OVERHEAD:
        return f"{plain} prompt tokens for a chat of one word"
    if 0 < own < plain:
        return f"an own system turn replaces one: {plain} prompt tokens, with it {own}"
    if 0 < empty < plain:
        return f"an empty system turn replaces one: {plain} prompt tokens, with it {empty}"
    if own - plain > _OVERHEAD:
        return f"a system turn of one word costs {own - plain} prompt tokens"
    return ""


def _texts(replies: Sequence[Reply]) -> list[str]:
    for reply in replies:
        if isinstance(reply, EngineError):
            what = re.sub(r"^item \d+, trial \d+: ", "", reply.what)
            raise _UnknownError(" ".join(what.split()))
    return [reply.text for reply in replies if isinstance(reply, Response)]


def _differing(expected: list[str], texts: list[str]) -> int:
    """Count the texts that are not as expected; they may go round the prompts several times."""
    return sum(text != expected[i % len(expected)] for i, text in enumerate(texts))


def _mostly(differing: int, texts: list[str]) -> bool:
    return 2 * differing > len(texts)


def _unsteady(samples: Samples) -> bool:
    together = _texts(samples.together)
    return _mostly(_differing(_texts(samples.alone), together), together)


def _tell_apart(samples: Samples) -> None:
    """Refuse to judge texts that would be the same at any temperature."""
    if _short(samples.greedy.text):
        raise _UnknownError(f"the texts are too short to vary: {_quoted(samples.greedy.text)}")
    if len(set(_texts(samples.alone))) == 1:
        raise _UnknownError("every prompt gets the same text")


def _short(text: str) -> bool:
    return len(text.split()) < _SEVERAL and len(text) < _LONG


def _ends_within_few(greedy: Response) -> bool:
    if greedy.completion_tokens:
        return greedy.completion_tokens <= FEW
    return len(greedy.text.split()) <= FEW


def _added(rendered: str, word: str) -> str:
    """Return what stands around the word besides markers and names of roles."""
    bare = re.sub(r"<[^<>\n]*>|\[[A-Za-z_/ ]+\]", "\n", rendered.replace(word, "\n"))
    lines = [line for line in map(str.strip, bare.splitlines()) if re.search(r"\w", line)]
    said = [line for line in lines if line.lower().strip(":# ") not in _ROLES]
    return " ".join(said)


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat}"' if len(flat) <= 120 else f'"{flat[:120]}…"'
