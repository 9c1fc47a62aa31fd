"""What can be seen of a model on a prompt: the text and the tokens it reads, and how it goes on.

    answer = reference.answer(prompt, 64)
    expected, seen = reference.observe(prompt, answer), other.observe(prompt, answer)

A model in this process reads the reference's answer behind the prompt, and tells at each of its
tokens what it would have written there. A server writes an answer of its own, greedily, with the
likeliest tokens of each step; its steps compare as far as both have written the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cybersecqwen.engines.connection import (
    authorization,
    base_url,
    endpoint,
    key_of,
    split_address,
)
from cybersecqwen.engines.interface import EngineOptions
from cybersecqwen.engines.server_metadata import rendering, served_models
from cybersecqwen.errors import EngineError, redact
from cybersecqwen.training.examples import render_prompts

LIKELIEST = 10  # tokens of each step that are compared
END = ""  # stands for every token that ends an answer
_TIMEOUT = 600.0  # seconds for one answer


@dataclass(frozen=True)
class Observation:
    """A prompt as a model reads it, and what it writes.

    `rendered` is the text of the chat, `tokens` are its ids and `length` their number; None where a
    server does not tell. `written` are the likeliest tokens as texts and `steps` the
    log-probabilities of the likeliest ones, both empty where a server does not tell; `text` is the
    answer, which a server is asked for with one token more.
    """

    rendered: str | None
    tokens: list[int] | None
    length: int | None
    written: list[str]
    steps: Sequence[Mapping[str, float]]
    text: str


@dataclass(frozen=True)
class LocalModel:
    """A model in this process, its tokenizer, and the tokens that end an answer."""

    model: Any
    tokenizer: Any
    ends: frozenset[int]

    def answer(self, prompt: str, length: int) -> list[int]:
        """Write at most `length` tokens greedily, without the one that ends them."""
        from transformers import GenerationConfig

        inputs, ends = self._tensor(self._tokens(self._render(prompt))), sorted(self.ends)
        settings = GenerationConfig(  # in place of the model's own, which may hold penalties
            do_sample=False, max_new_tokens=length, eos_token_id=ends or None, pad_token_id=0
        )
        output = self.model.generate(
            inputs, attention_mask=inputs.new_ones(inputs.shape), generation_config=settings
        )
        written: list[int] = output[0, inputs.shape[1] :].tolist()
        return written[:-1] if written and written[-1] in self.ends else written

    def observe(self, prompt: str, answer: Sequence[int]) -> Observation:
        """Return what the model would write at each token of an answer, and behind the last."""
        import torch

        rendered = self._render(prompt)
        tokens = self._tokens(rendered)
        with torch.inference_mode():
            logits = self.model(input_ids=self._tensor([*tokens, *answer])).logits[0]
        top = logits[len(tokens) - 1 :].float().log_softmax(-1).topk(LIKELIEST)
        steps = [
            _by_text([(self.spelled(token), value) for token, value in zip(*step, strict=True)])
            for step in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        written = [self.spelled(token) for token in top.indices[:, 0].tolist()]
        text = self.tokenizer.decode(list(answer), skip_special_tokens=True)
        return Observation(rendered, tokens, len(tokens), written, steps, text)

    def spelled(self, token: int) -> str:
        """Return the text of a token."""
        return END if token in self.ends else str(self.tokenizer.decode([token]))

    def _render(self, prompt: str) -> str:
        return render_prompts(self.tokenizer, [prompt])[0]

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _tensor(self, tokens: Sequence[int]) -> Any:
        import torch

        return torch.tensor([list(tokens)], device=self.model.device)


@dataclass(frozen=True)
class RemoteModel:
    """A server's model, as NAME@URL or the URL of a server of one model.

    `ends` are the texts of the tokens that end an answer.
    """

    address: str
    ends: frozenset[str]

    def observe_all(self, prompts: Sequence[str], lengths: Sequence[int]) -> list[Observation]:
        """Ask for a greedy answer to each prompt of so many tokens, one after another.

        Raises EngineError for a server that cannot be reached, or does not answer.
        """
        return asyncio.run(self._observe_all(prompts, lengths))

    async def _observe_all(
        self, prompts: Sequence[str], lengths: Sequence[int]
    ) -> list[Observation]:
        import aiohttp

        name, url = split_address(self.address)
        base = base_url(url)
        headers = authorization(base, key_of(EngineOptions()))
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            name = name or next(iter(await served_models(session, base)), "")
            seen = []
            for prompt, length in zip(prompts, lengths, strict=True):
                try:
                    seen.append(await self._observe(session, base, name, prompt, length))
                except (aiohttp.ClientError, TimeoutError, ValueError, LookupError) as error:
                    what = f"no usable answer: {type(error).__name__} {error}"
                    tip = "is the server up, and does it speak the OpenAI API?"
                    raise EngineError(redact(what), where=base, tip=tip) from error
        return seen

    async def _observe(
        self, session: Any, base: str, name: str, prompt: str, length: int
    ) -> Observation:
        turns = {"model": name, "messages": [{"role": "user", "content": prompt}]}
        greedy = {"temperature": 0, "max_tokens": length, "logprobs": True}
        body = {**turns, **greedy, "top_logprobs": LIKELIEST}
        answered = await _post(session, endpoint(base, "chat/completions"), body)
        choice = answered["choices"][0]
        steps = [
            _by_text([(self._spelled(one), one["logprob"]) for one in step["top_logprobs"]])
            for step in (choice.get("logprobs") or {}).get("content") or []
        ]
        written = [self._spelled(s) for s in (choice.get("logprobs") or {}).get("content") or []]
        if written and written[-1] != END and choice.get("finish_reason") == "stop":
            written.append(END)  # the token that ends an answer is no part of it to some servers
        rendered = await rendering(session, base, name, [("user", prompt)]) or None
        tokens = await _tokens(session, base, turns, rendered)
        count = (answered.get("usage") or {}).get("prompt_tokens")
        text = choice["message"].get("content") or ""
        return Observation(rendered, tokens, len(tokens) if tokens else count, written, steps, text)

    def _spelled(self, token: Mapping[str, Any]) -> str:
        return END if token["token"] in self.ends else str(token["token"])


def _by_text(likeliest: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Map texts to log-probabilities; of tokens with one text, as special ones, the likeliest."""
    return dict(reversed(likeliest))


async def _tokens(
    session: Any, base: str, turns: Mapping[str, Any], rendered: str | None
) -> list[int] | None:
    """Return the ids that a chat is read as; None where the server does not tell."""
    import aiohttp

    if rendered is None:
        return None
    text = {"content": rendered, "add_special": True, "parse_special": True}  # llama.cpp's fields
    url = f"{base.partition('?')[0].removesuffix('/v1')}/tokenize"
    try:
        return [int(token) for token in (await _post(session, url, {**turns, **text}))["tokens"]]
    except (aiohttp.ClientError, ValueError, LookupError, TypeError):
        return None


async def _post(session: Any, url: str, body: Mapping[str, Any]) -> Any:
    async with session.post(url, json=body, allow_redirects=False) as reply:
        if reply.status != 200:
            raise ValueError(f"HTTP {reply.status} {(await reply.text())[:200]}")
        return await reply.json(content_type=None)
