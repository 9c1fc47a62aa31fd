"""POST /v1/ask: questions on attacks, weaknesses and CVEs, each answer with its evidence."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.questions import Question, as_answer
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import encoded
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.schemas import AnswerOutput, QuestionInput, json_body, read_json

router = APIRouter(tags=["Questions"])

_QUESTION = TypeAdapter(QuestionInput)
_BODY = json_body(
    QuestionInput,
    examples={
        "free": {"question": "Which tactic does T1059.001 serve?"},
        "pointing back": {"question": "and its mitigations?", "about": ["T1059.001"]},
        "choice": {
            "question": "Which mitigation addresses PowerShell abuse (T1059.001)?",
            "options": ["Execution Prevention", "Pre-compromise"],
        },
    },
)

SCHEMAS = (QuestionInput, AnswerOutput)


@router.post(
    "/v1/ask",
    summary="Answer a question with its evidence",
    responses=responses({"model": AnswerOutput}, 401, 403, 413, 415, 422, 429),
    openapi_extra=_BODY,
)
async def ask(request: Request) -> Response:
    """Answer from ATT&CK, CWE, CAPEC and CVE records, or say that nothing known covers it.

    A conversation has no state here: send the `about` of an answer with the next question, which
    may then say "and its mitigations?".
    """
    await authorise(request, "classify")
    asked = await read_json(request, _QUESTION)
    if len(asked.options) == 1:
        raise ProblemError(422, "#/options: 1 option: give 2 to 26, or none")
    if asked.options and asked.about:
        raise ProblemError(422, "#/about: belongs to a free question, without options")
    question = Question(asked.id, asked.question, asked.options)
    inference = request.app.state.inference
    answer, about = await inference.ask(question, about=asked.about, guess=asked.guess)
    row = as_answer(question, answer, top=asked.top)
    row |= {"about": about, "source": inference.facts("ask", answer.grounding)}
    return Response(encoded(row), media_type="application/json")
