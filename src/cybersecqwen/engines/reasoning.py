r"""Keep a model's reasoning and a server's special tokens apart from the answer.

>>> read_answer("<think>XSS, so CWE-79 or CWE-80.</think>\n\nAnswer: CWE-79<|im_end|>").text
'Answer: CWE-79'

Reasoning stands in the text where a server has no reasoning parser, between tags or in a channel
of its own. Chat templates that open the tag in the prompt leave only the closing one. Special
tokens stand around the answer where a server does not skip them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TAG = (
    r"(?:\w{1,10}:)?(?:think(?:ing)?|ant_?thinking|thoughts?|thought_process|reason(?:ing)?|analysis"
    r"|reflection|rationale|scratchpad|inner_monologue|chain_of_thought|cot)"
)
_OPEN = (
    rf"<\|?\s*{_TAG}(?:\s[^<>]{{0,80}})?\|?>",
    r"\[THINK\]",  # Magistral
    r"<\|(?:START_THINKING|begin_of_thought)\|>",  # Command, Sky-T1
    r"◁think▷",  # Kimi
    r"<\|channel>thought\b",  # Gemma 4
    r"<unused94>thought\b",  # MedGemma
    r"<\|channel\|>(?!final)\w+[^<]*(?:<\|constrain\|>\w+)?<\|message\|>",  # gpt-oss
    r"\A(?-i:analysis(?=[A-Z]))",  # the same without its special tokens
)
_CLOSE = (
    rf"<\|?\s*/\s*{_TAG}\s*\|?>",
    r"\[/THINK\]",
    r"<\|(?:END_THINKING|end_of_thought)\|>",
    r"◁/think▷",
    r"<channel\|>",
    r"<unused95>",
    r"<\|channel\|>final\s*(?:<\|constrain\|>\w+)?<\|message\|>",
    r"assistantfinal",
)
# The first characters are looked at first, for most responses hold no mark.
_MARK = re.compile(rf"(?=[<\[◁a])(?:({'|'.join(_CLOSE)})|({'|'.join(_OPEN)}))", re.IGNORECASE)
# As tokenisers write them: <|im_end|>, <｜end▁of▁sentence｜>, </s>, <end_of_turn>, [|endofturn|] …
_SPECIAL = "|".join(
    (
        r"<\|[\w.:/-]{1,40}\|?>",
        r"<｜[^<>｜]{1,40}｜>",
        r"<[\w.-]{1,20}\|>",
        r"\[\|\w{1,20}\|\]",
        r"</?s>",
        r"<(?:eos|bos|pad|unk|eod|eot|sep)>",
        r"<(?:start|end)_of_(?:turn|text|utterance|image)>",
        r"<(?:im_end|endoftext)>",
        r"<0x[0-9A-F]{2}>",  # a byte
        r"\[(?:EOS|BOS|PAD|/?INST)\]",
    )
)
_AT_THE_END = re.compile(rf"\s*(?:{_SPECIAL})\s*\Z", re.IGNORECASE)
_AT_THE_START = re.compile(rf"\s*(?:(?:{_SPECIAL})(?:(?:assistant|model)\s)?\s*)+", re.IGNORECASE)
# Where a server does not stop: what follows is another turn, which the model made up.
_NEXT_TURN = re.compile(
    r"(?:<\|(?:im_end|eot_id|endoftext)\|>|<end_of_turn>|</s>)\s*"
    r"(?:<\|(?:im_start|start_header_id|begin_of_text)\|>|<start_of_turn>|<s>|\[INST\])"
)


class Answer(NamedTuple):
    """The answer in a response, "" where the response is `cut` within its reasoning."""

    text: str
    reasoning: str = ""
    cut: bool = False


def read_answer(response: str) -> Answer:
    """Split a response into answer and reasoning; one without any mark is the answer as it is.

    A closing mark without an opening one ends reasoning that began in the prompt.
    """
    turn = _NEXT_TURN.search(response)
    first, *rest = _MARK.split(response[: turn.start()] if turn else response)
    if not rest:
        return Answer(_without_special_tokens(first))
    reasoning: list[str] = []
    answer, inside = [first], False
    for close, opened, text in zip(rest[0::3], rest[1::3], rest[2::3], strict=True):
        if close and not inside:
            reasoning, answer = reasoning + answer, []
        inside = bool(opened)
        (reasoning if inside else answer).append(text)
    text = "" if inside else _without_special_tokens("".join(answer)).strip()
    return Answer(text, "".join(reasoning).strip(), cut=inside)


def _without_special_tokens(text: str) -> str:
    begun, end = _AT_THE_START.match(text), len(text)
    while match := _AT_THE_END.search(text, max(0, end - 80), end):
        end = match.start()
    return text[begun.end() if begun else 0 : end]
