"""The shapes of requests and answers, as the OpenAPI describes them.

Requests are read by these. Answers are made by the functions that the command line uses too, and
written once: they are held against these in the tests alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from starlette.requests import Request

from cybersecqwen.errors import clean
from cybersecqwen.service.problems import ProblemError, invalid

_T = TypeVar("_T")

MOST_TEXTS = 1000  # of one list; more go as NDJSON
_ABOUT = 20  # ids that a question may point back to

Id = StrictStr | Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextInput(_Input):
    """A text to classify; without an id it gets its position, from 1."""

    text: StrictStr
    id: Id | None = None


class ClassifyOptions(_Input):
    """How texts are classified."""

    top: int = Field(3, ge=1, le=20, description="Candidates of each text.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Confidence below which the model abstains."
    )


class Source(BaseModel):
    """What gave an answer."""

    engine: str = Field(examples=["embedded"])
    model: str = Field(examples=["embedded"])
    artifact: str = Field(examples=["cwe-classifier.npz"])
    sha256: str = Field(description="Of the artifact.")
    protocol: str = Field(examples=["model-card/1"])
    fallback: dict[str, str] | None = Field(
        None, description="Which model failed, and why, where the embedded one answers for it."
    )


class CandidateOutput(BaseModel):
    """A CWE that a text may be mapped to."""

    cwe: str
    name: str
    confidence: float
    usage: str
    abstraction: str | None
    better: str | None


class EvidenceSpan(BaseModel):
    """Words of the text that speak for the first candidate."""

    start: int
    end: int
    text: str
    weight: float


class ClassificationOutput(BaseModel):
    """The candidates for one text, as `cybersecqwen classify --json` prints them."""

    id: str | int
    candidates: list[CandidateOutput]
    confidence: float = Field(description="Of the first candidate; 0 without one.")
    abstain: bool
    reason: str | None
    rationale: str
    evidence: list[EvidenceSpan]
    labels: list[dict[str, Any]]
    difference: str | None
    feed_label: dict[str, Any] | None
    chain: list[str]
    description: dict[str, Any] | None
    grounding: dict[str, Any] | None = None
    source: Source


class LineError(BaseModel):
    """What stands in the place of a line that cannot be read."""

    line: int
    error: str


class QuestionInput(_Input):
    """A question: free, or with options to choose from. `about` is that of the answer before."""

    question: StrictStr = Field(min_length=1)
    options: tuple[StrictStr, ...] = Field((), max_length=26)
    about: tuple[StrictStr, ...] = Field((), max_length=_ABOUT)
    guess: bool = False
    top: int = Field(3, ge=0, le=50, description="Evidence.")
    id: Id = 0


class EvidenceOutput(BaseModel):
    """An entry of the knowledge base that an answer rests on."""

    id: str
    name: str
    kind: str
    section: str
    url: str
    score: float
    passage: str | None
    other: dict[str, str] | None


class AnswerOutput(BaseModel):
    """An answer, as `cybersecqwen ask --json` prints it; `about` goes with the next question."""

    id: str | int
    answer: str
    confidence: float
    covered: bool
    evidence: list[EvidenceOutput]
    grounding: dict[str, Any] | None = None
    about: list[str]
    source: Source


class LookupOutput(BaseModel):
    """All that is at hand about a CVE, as `cybersecqwen lookup --json` prints it."""

    model_config = ConfigDict(extra="allow")

    id: str
    description: str
    rejected: bool
    classification: dict[str, Any]
    confidence: float
    missing: list[str]
    source: Source


class RecordSummary(BaseModel):
    """A record as the list has it."""

    id: int
    name: str
    state: Literal["open", "second", "disputed", "decided"]
    suggested: str
    confidence: float
    abstained: bool
    severity: float | None
    exploited: bool
    published: str
    source: str
    label: str
    differs: bool
    decided: str
    decided_at: str
    imported_at: str
    version: int


class RecordList(BaseModel):
    """A page of records; `next` goes on as `after`."""

    records: list[RecordSummary]
    next: str | None


class ReviewOutput(BaseModel):
    """A verdict, with the suggestion and the confidence that the reviewer saw."""

    id: int
    reviewer: str
    stage: Literal["first", "second", "resolution"]
    verdict: Literal["accept", "correct", "reject"]
    cwe: str
    reason: str
    suggested: str
    confidence: float
    at: str
    record: int | None = None
    state: str | None = None


class CommentOutput(BaseModel):
    """What somebody said of a record."""

    id: int
    author: str
    text: str
    at: str


class AffectedOutput(BaseModel):
    """A product that a source says is affected."""

    vendor: str = Field(description="Of a package, its ecosystem.")
    product: str
    versions: str = Field(examples=[">= 2.0, < 2.15.0; 2.16"])


class RecordOutput(RecordSummary):
    """A record with its suggestion, verdicts and comments."""

    text: str
    vector: str
    affected: list[AffectedOutput]
    labels: list[dict[str, Any]]
    classification: dict[str, Any]
    engine: str
    artifact: str
    classified_at: str
    reviews: list[ReviewOutput]
    comments: list[CommentOutput]


class UndoOutput(RecordOutput):
    """The record whose verdict was withdrawn, and the names of all that it was given on at once."""

    undone: list[str]
    left: list[str] = Field(description="What somebody has judged since.")


class ImportOutput(BaseModel):
    """An import: how far it is, and what was refused."""

    id: int
    name: str
    actor: str
    state: Literal["running", "done", "failed"]
    begun_at: str
    ended_at: str
    new: int
    changed: int
    unchanged: int
    refused: int
    error: str
    problems: list[str]


class ReviewInput(_Input):
    """A verdict; `cwe` is what a correction names, `version` that of the record you saw."""

    verdict: Literal["accept", "correct", "reject"]
    cwe: StrictStr = Field("", max_length=20)
    reason: StrictStr = Field("", max_length=5000)
    version: int | None = Field(None, ge=1, lt=2**31)


class SendBackInput(_Input):
    """Why a record is to be judged anew."""

    reason: StrictStr = Field(min_length=1, max_length=5000)


class CommentInput(_Input):
    """What there is to say of a record."""

    text: StrictStr = Field(min_length=1, max_length=5000)


class Health(BaseModel):
    """Whether the service runs, and of what version it is."""

    status: Literal["ok"] = "ok"
    version: str


def parse(adapter: TypeAdapter[_T], body: bytes) -> _T:
    """Read a body of JSON; raises ProblemError that names what is wrong with which part."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error


async def read_json(request: Request, adapter: TypeAdapter[_T]) -> _T:
    """Read the body of a request as JSON; raises ProblemError for another kind or shape."""
    check_json(request)
    return parse(adapter, await request.body())


def check_json(request: Request, accepted: str = "application/json") -> None:
    """Refuse a body that says to be something else than JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", ""):
        raise ProblemError(415, f"{clean(kind)[:100]} is not read here: send {accepted}")


def json_body(model: type[BaseModel], *, examples: dict[str, Any], listed: bool = False) -> Any:
    """Describe a body of JSON that a route reads by itself, for its OpenAPI."""
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    many = {"type": "array", "items": reference, "minItems": 1, "maxItems": MOST_TEXTS}
    schema = {"anyOf": [reference, many]} if listed else reference
    named = {name: {"value": value} for name, value in examples.items()}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": named}},
        }
    }
