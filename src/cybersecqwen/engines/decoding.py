"""Generate the answers to many requests at once, with a model of the library.

    decoder = Decoder(model, tokenizer)
    for prompt, tokens in decoder.decode([Prompt(request, token_ids), ...]):
        ...

- A text that ends leaves the batch in the same step, and others take its place.
- Requests with the same prompt and sampling, as the trials of an item, are one text until they
  draw different tokens: the prompt is read once, and what they have in common is written once.
- A token is drawn by its request's own generator from its own row of logits, so an answer depends
  on its neighbours by no more than the rounding of the arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice, takewhile
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from cybersecqwen.engines.batch_sampling import draw_tokens, seed_of, stops
from cybersecqwen.engines.memory import free_memory
from cybersecqwen.records import Request, Sampling

if TYPE_CHECKING:
    import torch

# Requests at once where memory allows them; more are no faster there.
MOST = {"cpu": 128, "cuda": 1024}
_WHOLE = 32  # requests at once of a model whose batches begin together
_SHARE = 0.5  # of the free memory, for keys and values; logits and other programs need some, too
_REFILL = 0.75  # of the batch; once no more of it is left, prompts are read
_READ = 4096  # tokens of prompts that are read at once
# Batches sorted by length together: less padding, and a pace that holds for the rest of a run.
_WINDOW = 4


class Prompt(NamedTuple):
    """A request and the tokens of its prompt."""

    request: Request
    tokens: list[int]

    @property
    def longest(self) -> int:
        """The tokens of prompt and answer at most."""
        return len(self.tokens) + self.request.sampling.max_tokens

    def shares(self, other: Prompt) -> bool:
        """Tell whether both differ in nothing but what they draw."""
        mine, theirs = self.request.sampling, other.request.sampling
        return self.tokens == other.tokens and mine == replace(theirs, seed=mine.seed)


class _Text(NamedTuple):
    """A row of the batch: prompts that share it, each with its generator, and what they made."""

    prompts: list[tuple[Prompt, Random]]
    made: list[int]

    @property
    def first(self) -> Prompt:
        return self.prompts[0][0]

    @property
    def sampling(self) -> Sampling:
        return self.first.request.sampling

    @property
    def length(self) -> int:
        return len(self.first.tokens) + len(self.made)

    def after(self, drawn: list[int]) -> list[_Text]:
        """Return the texts that this one becomes, one for each different token."""
        kept: dict[int, list[tuple[Prompt, Random]]] = {}
        for prompt, token in zip(self.prompts, drawn, strict=True):
            kept.setdefault(token, []).append(prompt)
        return [_Text(prompts, [*self.made, token]) for token, prompts in kept.items()]


class OutOfMemoryError(Exception):
    """Not even this prompt alone fits into the memory."""

    def __init__(self, prompt: Prompt) -> None:
        super().__init__()
        self.prompt = prompt


class Decoder:
    """Generates with a model that is ready for inference; one object for one list of prompts.

    `batch_size` is how many requests are under way at once, None as many as memory allows.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int | None = None) -> None:
        from cybersecqwen.engines.row_cache import RowCache

        self._model, self._tokenizer = model, tokenizer
        self._ends = set(model.generation_config.eos_token_id or ())
        self._joins = RowCache.fits(model.config)
        self._batch_size = batch_size or (MOST[model.device.type] if self._joins else _WHOLE)
        measured = self._joins and not batch_size
        self._budget = _SHARE * free_memory(model.device.type) if measured else None
        self._begin([])

    def decode(self, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, list[int]]]:
        """Yield each prompt with the tokens of its answer, as soon as it is complete.

        The token that ended an answer is its last one, if one did. Raises OutOfMemoryError where a
        prompt does not even fit alone.
        """
        import torch

        self._begin(_by_length(prompts, window=self._batch_size * _WINDOW))
        while self._waiting or self._texts:
            ended = None
            with suppress(torch.OutOfMemoryError):
                ended = self._step()
            if ended is None:  # only here, as the error keeps the tensors of the step alive
                self._halve()
            for text in ended or ():
                yield from ((prompt, text.made) for prompt, _ in text.prompts)

    def _begin(self, prompts: Iterable[Prompt]) -> None:
        self._waiting = deque(prompts)
        self._texts: list[_Text] = []
        self._cache: Any = None

    def _halve(self) -> None:
        """Begin what is under way again, half of it at once; no answer changes by that."""
        import torch

        under_way = [prompt for text in self._texts for prompt, _ in text.prompts]
        if len(under_way) == 1:
            raise OutOfMemoryError(under_way[0])
        self._batch_size = len(under_way) // 2
        self._begin([*_by_length(under_way, window=len(under_way)), *self._waiting])
        torch.cuda.empty_cache()

    def _step(self) -> list[_Text]:
        """Make one token more of each text, begin new ones, and return those that ended."""
        import torch

        with torch.inference_mode():
            logits = [self._next()] if self._texts else []
            if self._under_way(self._texts) <= _REFILL * self._batch_size:
                while portion := self._admitted():
                    self._texts = [*self._texts, *portion]
                    logits.append(self._read(portion))
            numbers = [[number.random() for _, number in text.prompts] for text in self._texts]
            samplings = [text.sampling for text in self._texts]
            return self._go_on(draw_tokens(torch.cat(logits), samplings, numbers))

    @staticmethod
    def _under_way(texts: list[_Text]) -> int:
        return sum(len(text.prompts) for text in texts)

    def _admitted(self) -> list[_Text]:
        """Take prompts that there is room for off the queue, as many as are read at once."""
        portion: list[_Text] = []
        while self._waiting and (self._joins or not self._texts):
            first = self._waiting[0]
            group = list(islice(takewhile(first.shares, self._waiting), self._batch_size))
            width = max(len(first.tokens), *(len(text.first.tokens) for text in portion), 0)
            full = portion and self._joins and (len(portion) + 1) * width > _READ
            if full or not self._has_room(group, [*self._texts, *portion]):
                break
            prompts = [self._waiting.popleft() for _ in group]
            portion.append(_Text([(p, Random(seed_of(p.request))) for p in prompts], []))
        return portion

    def _has_room(self, group: list[Prompt], texts: list[_Text]) -> bool:
        """Tell whether requests fit beside others, if all answers are as long as they may be."""
        requests = self._under_way(texts) + len(group)
        if not texts or requests > self._batch_size or self._budget is None:
            return requests <= self._batch_size
        if self._cache is None:  # how much a token takes is not known before one is read
            return False
        longest = max(group[0].longest, *(text.first.longest for text in texts))
        return bool(requests * longest * self._cache.token_bytes() <= self._budget)

    def _read(self, texts: list[_Text]) -> torch.Tensor:
        """Read prompts, add them to the cache, and return the logits of what comes next."""
        from transformers import DynamicCache

        from cybersecqwen.engines.row_cache import RowCache

        # Padded at the left, so that the last token of each stands in the last column.
        width = max(len(text.first.tokens) for text in texts)
        tokens = [[0] * (width - len(text.first.tokens)) + text.first.tokens for text in texts]
        prompts = DynamicCache() if self._joins else DynamicCache(config=self._model.config)
        logits = self._logits(tokens, [text.length for text in texts], prompts)
        if self._joins:
            if self._cache is None:
                self._cache = RowCache()
            self._cache.join(prompts)
        else:
            self._cache = prompts
        return logits

    def _next(self) -> torch.Tensor:
        """Return the logits of what comes after the last token of each text."""
        tokens = [text.made[-1:] for text in self._texts]
        return self._logits(tokens, [text.length for text in self._texts], self._cache)

    def _logits(self, tokens: list[list[int]], lengths: list[int], cache: Any) -> torch.Tensor:
        """Run the model on new tokens and return the last logits of each row.

        `lengths` counts all tokens of a row, the new ones included; the columns before are padding.
        """
        import torch

        device, new = self._model.device, len(tokens[0])
        columns = torch.arange(_columns(cache) + new, device=device)
        padding = len(columns) - torch.tensor(lengths, device=device).unsqueeze(1)
        positions = (columns - padding)[:, -new:].clamp(min=0)
        output = self._model(
            input_ids=torch.tensor(tokens, device=device),
            attention_mask=(columns >= padding).long(),
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        last: torch.Tensor = output.logits[:, -1]
        return last

    def _go_on(self, drawn: list[list[int]]) -> list[_Text]:
        """Go on with the texts that the drawn tokens make, and return those that ended."""
        going: list[tuple[int, _Text]] = []
        ended: list[_Text] = []
        for row, (text, tokens) in enumerate(zip(self._texts, drawn, strict=True)):
            for branch in text.after(tokens):
                if self._has_ended(branch):
                    ended.append(branch)
                else:
                    going.append((row, branch))
        going = _in_place(going)
        self._texts = [text for _, text in going]
        if going:
            self._arrange([row for row, _ in going])
        else:
            self._cache = None
        return ended

    def _has_ended(self, text: _Text) -> bool:
        made, sampling = text.made, text.sampling
        return (
            made[-1] in self._ends
            or len(made) >= sampling.max_tokens
            or stops(self._tokenizer, made, sampling.stop)
        )

    def _arrange(self, sources: list[int]) -> None:
        """Let row i of the cache be what row sources[i] was."""
        import torch

        if self._joins:
            self._cache.arrange(sources, columns=max(text.length for text in self._texts) - 1)
        else:
            self._cache.reorder_cache(torch.tensor(sources))


def _columns(cache: Any) -> int:
    """Return the columns of a cache; where no layer is attention there are none to be masked."""
    try:
        return int(cache.get_seq_length())
    except ValueError:
        return 0


def _by_length(prompts: Sequence[Prompt], *, window: int) -> Iterator[Prompt]:
    """Order prompts by length within windows, the longest first, the same side by side.

    If memory does not suffice, it shows at once.
    """
    for start in range(0, len(prompts), window):
        yield from sorted(prompts[start : start + window], key=lambda p: (-len(p.tokens), p.tokens))


def _in_place(rows: list[tuple[int, _Text]]) -> list[tuple[int, _Text]]:
    """Order texts so that most of them stay in the row, given with each, that they were in."""
    places: list[tuple[int, _Text] | None] = [None] * len(rows)
    moved = []
    for row, text in rows:
        if row < len(places) and places[row] is None:
            places[row] = row, text
        else:
            moved.append((row, text))
    others = iter(moved)
    return [place or next(others) for place in places]
