"""The Modelfile with which Ollama runs a GGUF file under the chat template of the training.

    write_text(folder / "Modelfile", modelfile("model-Q8_0.gguf", tokenizer, {"temperature": 0.3}))

Ollama does not read the template in the file, but has a language of its own, Go's text/template.
Without a TEMPLATE it guesses, and the model is then asked in a way that it was not trained on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from cybersecqwen.training.chat_template import opening_of, turns_of

_log = logging.getLogger(__name__)

_SYSTEM, _QUESTION = "INSTRUCTION", " QUESTION "
# Every text is a string of Go: beside one that stands bare, `{{-` would take the line break away.
_TEMPLATE = """\
{{{{- range .Messages }}}}
{{{{- if eq .Role "user" }}}}{{{{ {opening} }}}}{{{{ .Content }}}}{{{{ {reply} }}}}
{{{{- else if eq .Role "assistant" }}}}{{{{ .Content }}}}{{{{ {closing} }}}}
{{{{- else }}}}{{{{ {before} }}}}{{{{ .Content }}}}{{{{ {after} }}}}
{{{{- end }}}}
{{{{- end }}}}"""


def modelfile(gguf: str, tokenizer: Any, parameters: Mapping[str, object], *, where: object) -> str:
    """Write the Modelfile of a GGUF file that lies beside it under that name.

    Its template renders the bytes of the tokenizer's chat template, without the token that begins a
    text, which Ollama adds. Raises RecipeError where a chat begins with more than that token.
    """
    settings = [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    template = go_template(tokenizer, where=where)
    return "\n".join([f"FROM ./{gguf}", f'TEMPLATE """{template}"""', *settings]) + "\n"


def go_template(tokenizer: Any, *, where: object) -> str:
    """Write a tokenizer's chat template as one of Go, for chats that end in a question."""
    turns = turns_of(tokenizer, tokenizer.chat_template, where)
    start, opening = opening_of(tokenizer, where=where)
    system, question = (
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _QUESTION},
    )
    if _QUESTION not in _render(tokenizer, [question]):
        _log.warning("%s: the chat template strips blanks, and Ollama's cannot", where)
    instructed = _render(tokenizer, [system, question]).replace(_QUESTION, _QUESTION.strip())
    before, _, rest = instructed.removeprefix(start).partition(_SYSTEM)
    after = rest.partition(opening + _QUESTION.strip())[0]
    texts = {"opening": opening, "reply": turns.reply, "closing": turns.closing}
    texts |= {"before": before, "after": after}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    return _TEMPLATE.format(**quoted)


def _render(tokenizer: Any, chat: list[dict[str, str]]) -> str:
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return text
