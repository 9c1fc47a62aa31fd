"""A real server, a real (tiny) model, and requests to put to them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.records import Request, Sampling

SENTENCE = "a buffer overflow in the parser lets remote attackers write past an array CWE-787"
WORDS = SENTENCE.split()


def _request(
    item: int,
    prompt: str | None = None,
    *,
    trial: int = 0,
    raw: bool = False,
    **sampling: Any,
) -> Request:
    text = prompt if prompt is not None else f"question {item}"
    settings = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 42} | sampling
    return Request(item, trial, text if raw else (("user", text),), Sampling(**settings))


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Make a request: a chat of one user turn, or a raw text."""
    return _request


def completion(prompt: str, seed: int, temperature: float) -> list[str]:
    """Return the server's words: a function of the prompt, and of the seed where it samples."""
    key = f"{prompt}/{seed if temperature else ''}/{temperature}"
    digest = hashlib.sha256(key.encode()).digest()
    return [WORDS[byte % len(WORDS)] for byte in digest[:12]]


def complete(body: dict[str, Any], **instead: Any) -> dict[str, Any]:
    """Answer a request as an honest model does, or one that has other settings `instead`."""
    body = body | instead
    chat = "messages" in body
    turns = [turn["content"] for turn in body["messages"]] if chat else [body["prompt"]]
    words = completion(turns[-1], body["seed"], body["temperature"])
    text, reason = " ".join(words[: body["max_tokens"]]), "stop"
    if len(words) > body["max_tokens"]:
        reason = "length"
    cuts = [at for stop in body.get("stop", []) if (at := text.find(stop)) >= 0]
    if cuts:
        text, reason = text[: min(cuts)], "stop"
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
    choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    tokens = {"prompt_tokens": len(" ".join(turns).split()), "completion_tokens": len(text.split())}
    return {"choices": [choice], "usage": tokens}


class Server:
    """An OpenAI-compatible server on a thread, which fails as it is told to.

    `faults` maps a prompt to what happens to the requests with it, one entry for each
    arrival, the last entry for ever; "ok" and prompts that are not named are answered.
    """

    def __init__(self) -> None:
        self.faults: dict[str, list[Any]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.arrivals: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = self.cut_off = 0
        self.released = threading.Event()
        entry = {"id": "tiny", "root": "models/tiny", "max_model_len": 4096, "created": 1}
        self.model: Callable[[dict[str, Any]], dict[str, Any]] = complete
        self.pause = 0.0  # seconds that an answer takes, so that several overlap
        self.crowd: list[dict[str, Any]] = []  # the requests since it was last idle
        self.root: dict[str, Any] = {}  # answers of paths outside /v1
        self.asked: list[tuple[str, Any]] = []  # the posts to them
        self.listed = 200
        self.listing = json.dumps({"object": "list", "data": [entry]})
        self.url = ""
        self.close: Callable[[], object]  # for good, from within a handler
        self.listen: Callable[[ssl.SSLContext], str]  # on another port; returns its URL

    async def answer(self, http: web.Request) -> web.StreamResponse:
        if not self.in_flight:
            self.crowd = []
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(http)
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.in_flight -= 1

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        chat = http.path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        self.bodies.append(body)
        self.crowd.append(body)
        self.headers.append(dict(http.headers))
        self.urls.append(http.path_qs)
        faults = self.faults.get(prompt, ["ok"])
        fault = faults[min(self.arrivals[prompt], len(faults) - 1)]
        self.arrivals[prompt] += 1
        await asyncio.sleep(0)
        if callable(fault):
            return fault(http)
        if fault == "cut":
            http.transport.close()
        if fault == "wait":
            while not self.released.is_set():
                await asyncio.sleep(0.005)
        if self.pause:
            await asyncio.sleep(self.pause)
        return web.json_response(self.model(body))

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response(text=self.listing, status=self.listed)

    async def outside(self, http: web.Request) -> web.Response:
        if http.method == "POST":
            self.asked.append((http.path, await http.json()))
        known = http.path in self.root
        return web.json_response(self.root.get(http.path), status=200 if known else 404)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run the server on a free port until the test ends."""
    state, loop = Server(), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", state.answer)
    app.router.add_post("/v1/completions", state.answer)
    app.router.add_post("/openai/deployments/{name}/chat/completions", state.answer)
    app.router.add_get("/v1/models", state.models)
    app.router.add_route("*", "/{path}", state.outside)
    # Handlers are cancelled when the client hangs up, so that a test can see it did.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)

    async def start(tls: ssl.SSLContext | None) -> int:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return int(runner.addresses[-1][1])

    def listen(tls: ssl.SSLContext) -> str:
        port = asyncio.run_coroutine_threadsafe(start(tls), loop).result(timeout=10)
        return f"https://127.0.0.1:{port}/v1"

    loop.run_until_complete(runner.setup())
    state.url = f"http://127.0.0.1:{loop.run_until_complete(start(None))}/v1"
    state.listen = listen
    state.close = lambda: [asyncio.ensure_future(site.stop()) for site in runner.sites]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield state
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a randomly initialised Qwen3 of two layers with a tokenizer of 300 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([SENTENCE, "user assistant question"] * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = CHAT_TEMPLATES["qwen3"]
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=256,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("model") / "tiny"
    model = Qwen3ForCausalLM(config)
    # Defaults of the kind real models ship with, which must not reach an evaluation.
    model.generation_config.update(do_sample=True, temperature=0.6, top_k=5, repetition_penalty=1.5)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Write rows into a JSONL file and return its path."""

    def write(rows: list[Any], name: str = "answers.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
