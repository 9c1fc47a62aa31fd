"""POST /v1/classify: a text, a list of texts, or a feed of them as NDJSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO

from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cybersecqwen.analyst.classification import Classification, Given, as_row
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import encoded
from cybersecqwen.service.inference import Inference
from cybersecqwen.service.metrics import Metrics
from cybersecqwen.service.problems import ProblemError, invalid, responses
from cybersecqwen.service.protection import STREAMS
from cybersecqwen.service.schemas import (
    MOST_TEXTS,
    ClassificationOutput,
    ClassifyOptions,
    LineError,
    TextInput,
    check_json,
    json_body,
    parse,
)

router = APIRouter(tags=["Classification"])

NDJSON = "application/x-ndjson"
_STREAMS = tuple(kind.decode() for kind in STREAMS)
_ONE = TypeAdapter(TextInput)
_LIST = TypeAdapter(list[TextInput])
_OPTIONS = TypeAdapter(ClassifyOptions)
_USUAL = ClassifyOptions()
_TOGETHER = 256  # lines of a feed
_IN_MEMORY = 1 << 20  # bytes of a feed; the rest is held in a file
_LONGEST_LINE = 1 << 20  # bytes
_EXAMPLE = "SQL injection in login.php allows attackers to read the database."
_BODY = json_body(
    TextInput,
    examples={"one": {"text": _EXAMPLE}, "list": [{"id": "a", "text": _EXAMPLE}]},
    listed=True,
)
_BODY["requestBody"]["content"][NDJSON] = {
    "schema": {"type": "string", "description": "One text a line, each as the JSON of one."},
    "example": '{"id": "a", "text": "SQL injection in login.php."}\n',
}
_BODY["parameters"] = [
    {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in ClassifyOptions.model_json_schema()["properties"].items()
]
_REFERENCE = {"$ref": "#/components/schemas/ClassificationOutput"}
_ANSWER: Json = {
    "description": "The candidates of the text, or of each in their order",
    "content": {
        "application/json": {
            "schema": {"anyOf": [_REFERENCE, {"type": "array", "items": _REFERENCE}]}
        },
        NDJSON: {"schema": {"type": "string"}},
    },
}

SCHEMAS = (TextInput, ClassificationOutput, LineError)


@router.post(
    "/v1/classify",
    summary="Map vulnerability descriptions to CWE",
    responses=responses(_ANSWER, 401, 403, 413, 415, 422, 429),
    openapi_extra=_BODY,
)
async def classify(request: Request) -> Response:
    """Map a text, a list of texts or a feed to CWE candidates, each with its confidence.

    A feed is NDJSON (`Content-Type: application/x-ndjson`), one text a line; it is answered line by
    line, and a line that cannot be read by its number and what is wrong.
    """
    await authorise(request, "classify")
    state = request.app.state
    inference: Inference = state.inference
    options = _options(request) if request.scope["query_string"] else _USUAL
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _STREAMS:
        feed = await _held(request)
        return StreamingResponse(
            _answers(feed, inference, state.metrics, options), media_type=NDJSON
        )
    check_json(request, f"application/json or {NDJSON}")
    body = await request.body()
    many = body.lstrip()[:1] == b"["
    texts = parse(_LIST, body) if many else [parse(_ONE, body)]
    if not 0 < len(texts) <= MOST_TEXTS:
        raise ProblemError(
            422, f"{len(texts)} texts: send 1 to {MOST_TEXTS:,} as a list, or more as {NDJSON}"
        )
    given = [
        Given(position if one.id is None else one.id, one.text)
        for position, one in enumerate(texts, start=1)
    ]
    results = await inference.classify(given, top=options.top, threshold=options.threshold)
    rows = [_row(result, inference, state.metrics) for result in results]
    return Response(encoded(rows if many else rows[0]), media_type="application/json")


def _options(request: Request) -> ClassifyOptions:
    try:
        return _OPTIONS.validate_python(dict(request.query_params))
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), within=("query",)) from error


def _row(result: Classification, inference: Inference, metrics: Metrics) -> Json:
    metrics.count_text(abstained=result.abstain)
    source = inference.facts("classify", result.grounding)
    confidence = result.candidates[0].confidence if result.candidates else 0.0
    return as_row(result) | {"confidence": confidence, "source": source}


async def _held(request: Request) -> IO[bytes]:
    """Take in a whole feed first: a client that reads nothing before it has sent all would hang."""
    feed: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 # `_answers` closes it
    async for chunk in request.stream():
        feed.write(chunk)
    feed.seek(0)
    return feed


async def _answers(
    feed: IO[bytes], inference: Inference, metrics: Metrics, options: ClassifyOptions
) -> AsyncIterator[bytes]:
    with feed:
        lines = _texts(feed)
        while batch := list(islice(lines, _TOGETHER)):
            texts = [one for one in batch if isinstance(one, Given)]
            results = iter(
                await inference.classify(texts, top=options.top, threshold=options.threshold)
                if texts
                else ()
            )
            rows = [
                _row(next(results), inference, metrics) if isinstance(one, Given) else one
                for one in batch
            ]
            yield b"".join(encoded(row) + b"\n" for row in rows)


def _texts(feed: IO[bytes]) -> Iterator[Given | Json]:
    """Yield the text of each line, or what is wrong with the line; blank ones are passed over."""
    number = 0
    while line := feed.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = feed.readline(_LONGEST_LINE)
            yield {"line": number, "error": f"is longer than {_LONGEST_LINE:,} bytes"}
        elif line.strip():
            yield _text(line, number)


def _text(line: bytes, number: int) -> Given | Json:
    try:
        one = _ONE.validate_python(parse_line(line, where=f"line {number}"))
    except InputError as error:
        return {"line": number, "error": error.what}
    except ValidationError as error:
        return {"line": number, "error": invalid(error.errors(include_url=False)).detail}
    return Given(number if one.id is None else one.id, one.text)
