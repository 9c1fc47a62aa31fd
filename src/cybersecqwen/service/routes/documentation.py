"""GET /docs: the API for a reader, rendered on the server from its OpenAPI; /docs.css beside it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cybersecqwen.files import Json
from cybersecqwen.service.problems import ProblemDetails
from cybersecqwen.service.routes import chat, classification, questions, records, reviews, webhooks
from cybersecqwen.templates import render

router = APIRouter(include_in_schema=False)

_TEMPLATE = "service/routes/documentation.html.jinja"
_STYLE = Path(__file__).with_name("documentation.css")
_DESCRIPTION = """Vulnerability descriptions to CWE, questions on attacks and weaknesses, and what
is known of a CVE. Every answer names what gave it, and how sure that is. The model's answers are
advice: a person decides.

Errors are problem details (RFC 9457); `request_id` finds the error in the log."""
# Bodies that routes read by themselves, for speed, which FastAPI knows nothing of.
_SCHEMAS: tuple[type[BaseModel], ...] = (
    ProblemDetails,
    *classification.SCHEMAS,
    *questions.SCHEMAS,
    *chat.SCHEMAS,
    *records.SCHEMAS,
    *reviews.SCHEMAS,
    *webhooks.SCHEMAS,
)


def describe(app: FastAPI) -> None:
    """Have an application describe itself, with the shapes that its routes name."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation has it


def _openapi(app: FastAPI) -> Json:
    schema = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    _, shapes = models_json_schema(
        [(one, "validation") for one in _SCHEMAS], ref_template="#/components/schemas/{model}"
    )
    schema.setdefault("components", {}).setdefault("schemas", {}).update(shapes["$defs"])
    for operations in schema["paths"].values():
        for operation in operations.values():  # FastAPI's own shape of an error, never sent
            response = operation["responses"].get("422", {})
            if "application/json" in response.get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    return schema


@router.get("/docs")
async def documentation(request: Request) -> Response:
    """Return the page."""
    return HTMLResponse(_page(request.app))


@router.get("/docs.css")
async def style() -> Response:
    """Return what the page is styled by."""
    return Response(_STYLE.read_bytes(), media_type="text/css")


@cache
def _page(app: FastAPI) -> str:
    schema = app.openapi()
    operations = [
        _operation(path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    shapes = {
        name: [_field(key, one, shape) for key, one in shape.get("properties", {}).items()]
        for name, shape in sorted(schema["components"]["schemas"].items())
    }
    return render(_TEMPLATE, info=schema["info"], operations=operations, shapes=shapes)


def _operation(path: str, method: str, operation: Json) -> Json:
    content = operation.get("requestBody", {}).get("content", {})
    examples = [
        {"name": name, "kind": kind, "text": json.dumps(one["value"], indent=2, ensure_ascii=False)}
        for kind, body in content.items()
        for name, one in body.get("examples", {}).items()
    ]
    responses = [
        {"status": status, "description": one["description"], "shape": _shape_of(one)}
        for status, one in operation["responses"].items()
    ]
    return {
        "path": path,
        "method": method.upper(),
        "name": f"{method}-{path}".replace("/", "-").replace("{", "").replace("}", ""),
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "examples": examples,
        "responses": responses,
    }


def _shape_of(response: Json) -> str:
    for body in response.get("content", {}).values():
        name = _type_of(body.get("schema", {}))
        if name:
            return name
    return ""


def _field(name: str, field: Json, shape: Json) -> Json:
    return {
        "name": name,
        "type": _type_of(field),
        "required": name in shape.get("required", ()),
        "description": field.get("description", ""),
    }


def _type_of(schema: Any) -> str:
    """Name the type of a value in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, map(_type_of, schema["anyOf"]))))
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {})) or 'values'}"
    return str(schema.get("const", schema.get("type", "")))
