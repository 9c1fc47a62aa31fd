"""Find out whether a server does what it is asked to, before its numbers are trusted.

    report = probe(open_model("CyberSecQwen-4B@http://localhost:8000/v1"), prompts)
    for check in report.checks:
        print(check.name, check.status, check.evidence)

Some servers apply the temperature of one request to all, share one seed among them, or put
a system prompt before every chat. None of this shows in a single answer. About forty short
requests show it: greedy ones and hot ones, one by one and all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Never

from tqdm import tqdm

from cybersecqwen.benchmark import probe_checks
from cybersecqwen.benchmark.probe_checks import FEW, HOT, Check, Reply, Samples, judge
from cybersecqwen.engines import Kind, Model
from cybersecqwen.engines.http import GoneError, HttpEngine
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Request, Response, Sampling

# Texts of several words, which another seed makes others.
_OWN = (
    "Tell a short story about a lighthouse keeper and a storm.",
    "Describe a market square on a rainy morning.",
    "Explain to a child why the sky is blue.",
    "List ten things to see on a walk through a forest.",
)
_MOST = 3  # prompts of the caller, beside the first of these
_SEEDS = (11, 12, 13, 14)
_LENGTH = 32  # tokens
_WORD = "ping"
_RETRIES = 2

Prompt = tuple[tuple[str, str], ...] | str


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The metadata of a server, and the checks of what it honours."""

    url: str
    model: str
    server: dict[str, Any]
    checks: tuple[Check, ...]
    requests: int

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")


def probe(model: Model, prompts: Sequence[str] = (), *, timeout: float = 120) -> ProbeReport:
    """Put about forty short requests to a server, and check temperature, seed, stop and the like.

    Of `prompts` the first three are used, filled up to four with built-in ones; a model of kind
    "base" gets them as raw texts, not as chats. `timeout` is in seconds, for one request. A check
    that a request failed in is unknown. Raises EngineError when no request at all is answered,
    and InputError for a model that is not a server's.
    """
    if not isinstance(model.engine, HttpEngine):
        raise InputError("only a server can be probed", where=model.name, tip="give its URL")
    model.engine.wait()
    texts = list(dict.fromkeys((*prompts[:_MOST], *_OWN)))[: len(_OWN)]
    total = 5 * len(texts) + 3 * len(_SEEDS) + 5
    bar: tqdm[Never]
    with tqdm(total=total, desc="probe", unit="request", disable=None, leave=False) as bar:
        interview = _Interview(model.engine, timeout, bar)
        checks = _checks(interview, [_prompt(text, model.kind) for text in texts])
    facts = model.engine.describe()
    return ProbeReport(facts["url"], facts["model"], facts, checks, interview.asked)


class _Interview:
    """Puts requests to a server and counts them; a request that fails gives its error."""

    def __init__(self, engine: HttpEngine, timeout: float, bar: tqdm[Never]) -> None:
        self.engine = engine
        self._brief = engine.for_probe(timeout=timeout, retries=_RETRIES)
        self.asked = 0
        self._answered = False
        self._bar = bar

    def at_once(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += len(requests)
        numbered = [replace(request, item=i) for i, request in enumerate(requests)]
        replies: dict[int, Reply] = {}
        failure: EngineError | None = None
        try:
            for response in self._brief.generate(numbered):
                replies[response.item] = response
        except EngineError as error:
            failure = error
            if isinstance(error, GoneError):
                self.engine.wait()  # raises, unless it is back: one error in place of six checks
        self._bar.update(len(requests))
        lost = EngineError("the engine gave no answer")
        self._answered = self._answered or bool(replies)
        return [replies.get(i) or failure or lost for i in range(len(requests))]

    def one_by_one(self, requests: Sequence[Request]) -> list[Reply]:
        """Put one after the other; a server that failed twice and never answered, no more."""
        replies: list[Reply] = []
        for request in requests:
            dead = len(replies) > 1 and not self._answered
            replies += [replies[-1]] if dead else self.at_once([request])
        return replies


def _checks(interview: _Interview, prompts: list[Prompt]) -> tuple[Check, ...]:
    prompts, alone = _greedy(interview, prompts)
    # The longest text tells the most.
    longest = max(range(len(alone)), key=lambda i: len(alone[i].text.split()))
    prompt, greedy = prompts[longest], alone[longest]
    samples = _sample(interview, prompts, alone, prompt, greedy)
    word = probe_checks.stop_word(greedy.text)
    stopped = interview.one_by_one([_request(prompt, stop=(word,))])[0] if word else None
    cut = interview.one_by_one([_request(prompt, max_tokens=FEW)])[0]
    return (
        judge("temperature", probe_checks.temperature, samples),
        judge("seed", probe_checks.seed, samples),
        judge("stop", probe_checks.stop, greedy, word, stopped),
        judge("max_tokens", probe_checks.max_tokens, greedy, cut),
        judge("concurrency", probe_checks.concurrency, samples),
        _system_check(interview, prompt),
    )


def _greedy(interview: _Interview, prompts: list[Prompt]) -> tuple[list[Prompt], list[Response]]:
    """Return the prompts that are answered, with their greedy texts."""
    replies = interview.one_by_one([_request(prompt) for prompt in prompts])
    errors = [reply for reply in replies if isinstance(reply, EngineError)]
    if len(errors) == len(replies):
        raise errors[0]
    pairs = zip(prompts, replies, strict=True)
    answered = [(prompt, reply) for prompt, reply in pairs if isinstance(reply, Response)]
    return [prompt for prompt, _ in answered], [reply for _, reply in answered]


def _sample(
    interview: _Interview,
    prompts: list[Prompt],
    alone: list[Response],
    prompt: Prompt,
    greedy: Response,
) -> Samples:
    cold = [_request(one) for one in prompts]
    hot = [_request(prompt, temperature=HOT, seed=seed) for seed in _SEEDS]
    again = interview.one_by_one([_request(one, seed=1) for one in prompts])
    together = interview.at_once([*cold, *cold])
    hot_alone = interview.one_by_one(hot)
    hot_again = interview.one_by_one(hot)
    # The hot ones first: what a server takes from the first request would then be theirs.
    mixed = interview.at_once([*hot, *cold])
    return Samples(
        alone=list(alone),
        again=again,
        together=together,
        hot=hot_alone,
        hot_again=hot_again,
        hot_together=mixed[: len(hot)],
        amid=mixed[len(hot) :],
        greedy=greedy,
    )


def _system_check(interview: _Interview, prompt: Prompt) -> Check:
    if isinstance(prompt, str):
        return Check("system_prompt", "unknown", "raw texts have no system turn")
    plain = (("user", _WORD),)
    chats = [plain, (("system", ""), *plain), (("system", _WORD), *plain)]
    replies = interview.one_by_one([_request(chat, max_tokens=1) for chat in chats])
    [rendered] = interview.engine.render([plain])
    return judge("system_prompt", probe_checks.system_prompt, replies, rendered, _WORD)


def _prompt(text: str, kind: Kind) -> Prompt:
    return (("user", text),) if kind == "instruct" else text


def _request(prompt: Prompt, **sampling: Any) -> Request:
    settings = {"temperature": 0.0, "top_p": 1.0, "max_tokens": _LENGTH, "seed": 0}
    return Request(0, 0, prompt, Sampling(**(settings | sampling)))
