"""The chat template that a model is trained and served with: ours, a file's, or its own.

    tokenizer.chat_template = chat_template("own", tokenizer, where="folder")

Many a model's own template puts a system prompt before a chat that has none (SmolLM2's says who
the model is, Llama 3's what day it is). What is trained and measured here has no such turn, so it
is taken out: the text before the first user turn is cut wherever a caller gives no system turn.
"""

from __future__ import annotations

import json
import logging
from typing import Any, NamedTuple

from cybersecqwen.errors import RecipeError
from cybersecqwen.prompts import CHAT_TEMPLATES, END_OF_TURN, OWN_TEMPLATE

_log = logging.getLogger(__name__)

_FIRST, _ANSWER, _SECOND = "QUESTION-1", "ANSWER-1", "QUESTION-2"
_TIP = (
    "write a template to a file and name it: --set model.chat_template=FILE, or one of "
    + ", ".join(CHAT_TEMPLATES)
)
# `opening` is what comes before a user's words in every turn.
_WITHOUT = """\
{{%- set asked = messages[0]['role'] == 'system' -%}}
{{%- set chat %}}{template}{{% endset -%}}
{{{{- chat if asked else {start} + {opening} + chat.split({opening}, 1)[1] -}}}}"""


class Turns(NamedTuple):
    """What a template writes around the words of a chat: before, between and after them."""

    head: str
    reply: str  # between a question and its answer
    between: str  # an answer and the next question
    closing: str  # behind the last answer


def chat_template(wanted: str, tokenizer: Any, *, where: object) -> str:
    """Return the template that a recipe's `model.chat_template` names for a tokenizer.

    Raises RecipeError where it is the model's own and there is none, or one that cannot be had
    without a system prompt.
    """
    if wanted != OWN_TEMPLATE:
        return CHAT_TEMPLATES.get(wanted, wanted)
    own = tokenizer.chat_template
    if not isinstance(own, str):
        raise RecipeError("the model has no chat template of its own", where=where, tip=_TIP)
    turns = turns_of(tokenizer, own, where)
    start, added, opening = _before_question(turns, tokenizer.bos_token or "", where)
    if not added:
        return own
    cut = _WITHOUT.format(
        template=own.removesuffix("\n"), start=json.dumps(start), opening=json.dumps(opening)
    )
    if turns_of(tokenizer, cut, where) != turns._replace(head=start + opening):
        raise _inseparable(added, where)
    _log.warning("%s: its chat template adds %r before every chat; taken out", where, added)
    return cut


def end_of_turn(wanted: str, tokenizer: Any, *, where: object = None) -> str:
    """Return the text of the token that ends an assistant's turn under a recipe's template.

    It is the first special token behind an answer; where there is none, all that stands there.
    """
    if wanted in END_OF_TURN:
        return END_OF_TURN[wanted]
    closing = turns_of(tokenizer, tokenizer.chat_template, where).closing.strip()
    first = tokenizer.encode(closing, add_special_tokens=False)[:1]
    special = set(tokenizer.get_added_vocab().values())
    return str(tokenizer.decode(first)) if special.issuperset(first) else closing


def opening_of(tokenizer: Any, *, where: object) -> tuple[str, str]:
    """Return what begins a chat before its first turn, "" or the token for it, and a user's turn.

    Raises RecipeError where a chat begins with something else.
    """
    turns = turns_of(tokenizer, tokenizer.chat_template, where)
    for start in ("", tokenizer.bos_token or ""):  # SmolLM2's is what begins a turn too
        opening = turns.head.removeprefix(start)
        if turns.head.startswith(start) and turns.between == turns.closing + opening:
            return start, opening
    raise RecipeError(
        f"the chat template begins a chat with {turns.head!r}, and not every question",
        where=where,
        tip='train with a template of user and assistant turns only, such as "chatml"',
    )


def _before_question(turns: Turns, bos: str, where: object) -> tuple[str, str, str]:
    """Part what stands before the first question: start of text, added text, opening of a turn."""
    head, _, between, closing = turns
    opening = between.removeprefix(closing)
    # SmolLM2's token for the start of a text is the one that opens every turn, and there once.
    start = bos if head.startswith(bos) and not opening.startswith(bos) else ""
    if between.endswith(head[len(start) :]):  # nothing but what opens a later turn too
        return start, "", head[len(start) :]
    added = head[len(start) :].removesuffix(opening)
    if not opening or not between.startswith(closing) or not head.endswith(opening):
        raise _inseparable(head, where)
    return start, added, opening


def turns_of(tokenizer: Any, template: str, where: object) -> Turns:
    """Render a chat of two questions, and see what stands around their words.

    Raises RecipeError where the template cannot render it.
    """
    chat = [
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _SECOND},
    ]
    try:
        whole, answered = (
            tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False)
            for turns in (chat, chat[:2])
        )
        head, rest = whole.split(_FIRST)
        reply, rest = rest.split(_ANSWER)
        return Turns(head, reply, rest.split(_SECOND)[0], answered.split(_ANSWER)[1])
    except Exception as error:  # a program that came with the model
        raise RecipeError(
            f"the chat template cannot render a question and its answer: {error}",
            where=where,
            tip=_TIP,
        ) from error


def _inseparable(added: str, where: object) -> RecipeError:
    return RecipeError(
        f"the model's own chat template begins every chat with {added!r}, which nobody asked for "
        "and which cannot be told from the question's turn",
        where=where,
        tip=_TIP,
    )
