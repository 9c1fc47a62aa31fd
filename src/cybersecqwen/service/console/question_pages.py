"""Ask questions one after the other, and classify a text by hand.

A conversation is kept in the form of its page alone: each question sends back the turns before it.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.classification import Given, as_row
from cybersecqwen.analyst.questions import Question
from cybersecqwen.errors import InputError
from cybersecqwen.records import Answer
from cybersecqwen.service.console.page import PageRoute, Posted, Visited, field, render_page
from cybersecqwen.service.console.record_pages import suggestion

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_TURNS = 20  # of a conversation that stay on the page
_EVIDENCE = 5  # of an answer
_PASSAGE = 400  # characters
_LONGEST = 20_000  # characters of a text or question
_URL = r"^(https?://.*)?$"


class Reference(BaseModel):
    """What an answer rests on."""

    id: str = Field(max_length=100)
    name: str = Field(max_length=500)
    section: str = Field(max_length=100)
    url: str = Field(pattern=_URL, max_length=2000)
    passage: str = Field(max_length=2 * _PASSAGE)
    other: str = Field("", max_length=100)  # a second entry that the passage is about
    other_name: str = Field("", max_length=500)
    other_url: str = Field("", pattern=_URL, max_length=2000)


class Turn(BaseModel):
    """A question and its answer."""

    question: str = Field(max_length=_LONGEST)
    answer: str = Field(max_length=100_000)
    confidence: float
    covered: bool
    evidence: list[Reference] = Field(max_length=_EVIDENCE)


_Turns = TypeAdapter(list[Turn])


@router.get("/ask")
@router.get("/classify")  # where the address of its result is opened anew
def ask_page(request: Request, visit: Visited) -> Response:
    """Show the page on which questions are asked and texts classified."""
    return _page(request, visit, [])


@router.post("/ask")
async def ask(request: Request, visit: Visited, form: Posted) -> Response:
    """Answer a question, which may point back to what the one before was about."""
    turns, about = _turns(form), _about(form)
    text = field(form, "question")[:_LONGEST]
    options = tuple(line.strip() for line in field(form, "options").splitlines() if line.strip())
    try:
        if not text:
            raise InputError("the question is empty", tip="ask something")
        question = Question(len(turns) + 1, text, options)
        answer, subject = await request.app.state.inference.ask(
            question, about=() if options else about
        )
    except InputError as error:
        return _page(
            request, visit, turns, about=about, question=text, error=str(error), status=422
        )
    turns.append(_turn(text, options, answer))
    return _page(request, visit, turns[-_TURNS:], about=subject or about)


@router.post("/classify")
async def classify(request: Request, visit: Visited, form: Posted) -> Response:
    """Classify a text that somebody pasted; it is not kept."""
    turns, about = _turns(form), _about(form)
    text = field(form, "text")[:_LONGEST]
    if not text:
        error = "there is no text (paste a description)"
        return _page(request, visit, turns, about=about, error=error, status=422)
    [result] = await request.app.state.inference.classify([Given("text", text)], top=5)
    shown = suggestion(as_row(result), text)
    return _page(request, visit, turns, about=about, text=text, **shown)


def _page(
    request: Request, visit: Any, turns: list[Turn], *, status: int = 200, **values: Any
) -> Response:
    usual = {"about": (), "question": "", "error": "", "text": "", "row": None}
    held = _Turns.dump_json(turns).decode()
    return render_page(
        request, visit, "ask", status=status, turns=turns, held=held, **usual | values
    )


def _about(form: FormData) -> list[str]:
    """Read the ids that the turn before was about."""
    return [one for one in field(form, "about").split(",") if one]


def _turns(form: FormData) -> list[Turn]:
    """Read the turns that the page sends back."""
    try:
        return _Turns.validate_json(field(form, "turns", "[]") or "[]")[-_TURNS:]
    except ValidationError as error:
        raise InputError("the conversation cannot be read", tip="begin a new one") from error


def _turn(text: str, options: tuple[str, ...], answer: Answer) -> Turn:
    said = answer.answer
    if answer.choice is not None and options:
        said = f"{said} {options[answer.choice]}"
    evidence = [
        Reference(
            id=one.id[:100],
            name=one.name[:500],
            section=one.section[:100],
            url=_web_address(one.url),
            passage=one.passage[:_PASSAGE],
            other=one.other[:100],
            other_name=one.other_name[:500],
            other_url=_web_address(one.other_url),
        )
        for one in answer.evidence[:_EVIDENCE]
    ]
    return Turn(
        question=text,
        answer=said,
        confidence=answer.confidence,
        covered=answer.covered,
        evidence=evidence,
    )


def _web_address(url: str) -> str:
    return url if url.startswith(("https://", "http://")) else ""
