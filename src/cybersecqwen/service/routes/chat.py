"""POST /v1/chat/completions and GET /v1/models in OpenAI's form, for clients that speak it.

    client = openai.OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
    client.chat.completions.create(model="cybersecqwen", messages=[…])

The last message of the user decides: a description of a vulnerability is classified, a question is
answered, with the user's questions before it as what it may point back to. Whatever a chat asks
for, an answer names ids of the catalogues only, for it is made of their entries. `cybersecqwen` in
an answer holds the classification, or the evidence.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cybersecqwen.analyst.classification import Classification, Given
from cybersecqwen.analyst.classification import as_row as classification_row
from cybersecqwen.analyst.questions import LONGEST, Question, as_answer
from cybersecqwen.files import Json
from cybersecqwen.prompts import asks_for_weakness, description_in, question_in
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import encoded
from cybersecqwen.service.inference import Inference
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.schemas import json_body, read_json

router = APIRouter(tags=["Chat"])

NAME = "cybersecqwen"
_TURNS = 200  # messages of a chat
_BACK = 8  # questions of the user that one may point back to
_ENOUGH = 5  # words of a description
_CLASSIFY = re.compile(
    r"\s*(?:please\s+)?(?:classify|map|label|categori[sz]e)\b[^:\n]{0,80}:\s*(?P<told>\S.*)"
    r"|\s*(?:which|what)\s+(?:cwe|weakness)\b[^:\n]{0,80}:\s*(?P<asked>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_ASKING = re.compile(
    r"\s*(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|has"
    r"|have|should|will|would|list|name|tell|explain|describe|define|give|show|compare|and|hi|hello)"
    r"\b",
    re.IGNORECASE,
)


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TextPart(_Lenient):
    """A part of a message."""

    type: str
    text: str = ""


class ChatMessage(_Lenient):
    """A turn of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[TextPart, ...] | None = None

    @property
    def plain(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if part.type == "text")


class StreamOptions(_Lenient):
    """What a stream ends with."""

    include_usage: bool = False


class ChatRequest(_Lenient):
    """A chat in OpenAI's form; what concerns sampling has no effect on a deterministic model."""

    model: str
    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=_TURNS)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(1, ge=1, le=8)


class ChatAnswer(BaseModel):
    """The message of a choice."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(BaseModel):
    """One of the answers, which are alike."""

    index: int
    message: ChatAnswer
    finish_reason: Literal["stop"] = "stop"


class ChatUsage(BaseModel):
    """How long prompt and answer are, in words."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """An answer in OpenAI's form; `cybersecqwen` holds what it rests on."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    cybersecqwen: dict[str, Any]


class ModelOutput(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelOutput]


_CHAT = TypeAdapter(ChatRequest)
_BODY = json_body(
    ChatRequest,
    examples={
        "question": {
            "model": NAME,
            "messages": [{"role": "user", "content": "Which tactic does T1059.001 serve?"}],
        }
    },
)

_ANSWER: Json = {
    "model": ChatCompletion,
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

SCHEMAS = (ChatRequest, ChatCompletion, ModelOutput)


class _Reply(NamedTuple):
    """The text of an answer, and what it rests on."""

    text: str
    details: Json


def served_models(model: str) -> tuple[str, ...]:
    """List the names that requests may call the model by, a plain one of the settings' among them.

    >>> served_models("CyberSecQwen-4B@http://localhost:8000/v1")
    ('cybersecqwen', 'CyberSecQwen-4B')
    """
    name, at, _ = model.partition("@")
    own = name if at or "://" in model else Path(model).name
    return (NAME, own) if "://" not in own else (NAME,)


@router.get(
    "/v1/models",
    summary="List the models",
    response_model=ModelList,
    responses=responses(None, 401, 403, 429),
)
async def models(request: Request) -> ModelList:
    """List the names under which the one model here may be called."""
    await authorise(request, "classify")
    names = served_models(request.app.state.settings.model)
    begun = request.app.state.started_at
    return ModelList(data=[ModelOutput(id=n, created=begun, owned_by=NAME) for n in names])


@router.get(
    "/v1/models/{model:path}",
    summary="Describe a model",
    response_model=ModelOutput,
    responses=responses(None, 401, 403, 404, 429),
)
async def model(request: Request, model: str) -> ModelOutput:
    """Describe a model that is served."""
    await authorise(request, "classify")
    _check_model(request, model)
    return ModelOutput(id=model, created=request.app.state.started_at, owned_by=NAME)


def _check_model(request: Request, name: str) -> None:
    names = served_models(request.app.state.settings.model)
    if name not in names:
        raise ProblemError(404, f"the model {name[:100]!r} is not served here: use {names[0]}")


@router.post(
    "/v1/chat/completions",
    summary="Answer a chat in OpenAI's form",
    responses=responses(_ANSWER, 401, 403, 404, 413, 415, 422, 429),
    openapi_extra=_BODY,
)
async def complete(request: Request) -> Response:
    """Answer the last message of the user: a description is classified, a question answered.

    Settings of sampling have no effect: the same chat gets the same answer. Messages of the system
    steer nothing.
    """
    await authorise(request, "classify")
    chat = await read_json(request, _CHAT)
    _check_model(request, chat.model)
    turns = [message.plain[:LONGEST] for message in chat.messages if message.role == "user"]
    if not turns or not turns[-1].strip():
        raise ProblemError(422, "#/messages: no message of the user with a text")
    reply = await _reply(turns, request.app.state.inference)
    words = [sum(len(turn.plain.split()) for turn in chat.messages), len(reply.text.split())]
    usage = {
        "prompt_tokens": words[0],
        "completion_tokens": words[1],
        "total_tokens": sum(words),
    }
    head = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": chat.model,
    }
    count = chat.n or 1
    if chat.stream:
        with_usage = bool(chat.stream_options and chat.stream_options.include_usage)
        events = _events(head, reply, count, usage if with_usage else None)
        return StreamingResponse(events, media_type="text/event-stream")
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": reply.text},
            "finish_reason": "stop",
        }
        for index in range(count)
    ]
    row = head | {"object": "chat.completion", "choices": choices, "usage": usage}
    return Response(encoded(row | {NAME: reply.details}), media_type="application/json")


async def _events(
    head: Json, reply: _Reply, count: int, usage: Json | None
) -> AsyncIterator[bytes]:
    """Yield the events of a stream: a chunk for each line, one that ends it, and the end."""
    rows: list[Json] = []
    pieces = [{"role": "assistant", "content": ""}]
    pieces += [{"content": line} for line in reply.text.splitlines(keepends=True)]
    for index in range(count):
        rows += ({"choices": [_delta(index, piece)]} for piece in pieces)
        rows.append({"choices": [_delta(index, {}, "stop")], NAME: reply.details})
    if usage:
        rows.append({"choices": [], "usage": usage})
    for row in rows:
        chunk = head | {"object": "chat.completion.chunk"} | row
        yield b"data: " + encoded(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _delta(index: int, delta: Json, reason: str | None = None) -> Json:
    return {"index": index, "delta": delta, "finish_reason": reason}


async def _reply(turns: Sequence[str], inference: Inference) -> _Reply:
    """Answer the last of the user's turns by what it asks for."""
    last = turns[-1]
    if asks_for_weakness(last):
        return await _classified(description_in(last) or last, inference)
    choice = question_in(last)
    if choice:
        return await _answered(Question(0, choice.text, choice.options), (), inference)
    told = _CLASSIFY.match(last)
    text = told and (told["told"] or told["asked"])
    if text and len(text.split()) >= _ENOUGH:
        return await _classified(text, inference)
    if len(last.split()) >= _ENOUGH and not _ASKING.match(last) and "?" not in last:
        reply = await _classified(last, inference)
        if reply.details["classification"]["candidates"]:
            return reply
    return await _answered(Question(0, last), turns[:-1], inference)


async def _classified(text: str, inference: Inference) -> _Reply:
    [result] = await inference.classify([Given("chat", text)])
    details = {
        "classification": classification_row(result),
        "confidence": result.candidates[0].confidence if result.candidates else 0.0,
        "source": inference.facts("classify", result.grounding),
    }
    return _Reply(_classification_text(result), details)


def _classification_text(result: Classification) -> str:
    """Write the candidates, and below them the argument, which ends with the CWE alone."""
    lines = [
        f"- {one.cwe} {one.name}: {one.confidence:.1%}"
        + (f" ({one.usage}; better {one.better})" if one.better else "")
        for one in result.candidates
    ]
    return "\n".join([*lines, *([""] if lines else []), result.rationale])


async def _answered(question: Question, before: Sequence[str], inference: Inference) -> _Reply:
    """Answer a question; those before it are gone through for what it may point back to."""
    about: tuple[str, ...] = ()
    for earlier in before[-_BACK:]:
        if not asks_for_weakness(earlier) and earlier.strip():
            about = await inference.subject(earlier, about)
    answer, about = await inference.ask(question, about=about)
    details = as_answer(question, answer) | {
        "about": about,
        "source": inference.facts("ask", answer.grounding),
    }
    text = answer.answer
    if answer.choice is not None:
        text = f"{question.options[answer.choice]}\n\nAnswer: {answer.answer}"
    elif answer.covered and answer.evidence and answer.evidence[0].url:
        text = f"{text}\n\n{answer.evidence[0].id}: {answer.evidence[0].url}"
    return _Reply(text, details)
