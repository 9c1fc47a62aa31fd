"""A model has one spelling on every command line, and the older ones name the same."""

from __future__ import annotations

import click
import pytest

from cybersecqwen.cli.model import one_model

URL = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("model", "older", "named"),
    [
        (None, {}, None),
        ("embedded", {}, "embedded"),
        (f"m@{URL}", {}, f"m@{URL}"),
        (URL, {}, URL),
        ("answers.jsonl", {}, "answers.jsonl"),
        ("m", {"url": URL}, f"m@{URL}"),
        ("org/m", {"engine": URL}, f"org/m@{URL}"),
        (None, {"url": URL, "engine": None}, URL),
        (None, {"engine": "embedded"}, "embedded"),
        (None, {"responses": "answers.csv"}, "answers.csv"),
    ],
)
def test_a_model_is_named_in_one_way_or_an_older_one(
    model: str | None, older: dict[str, str | None], named: str | None
) -> None:
    assert one_model(model, **older) == named


@pytest.mark.parametrize(
    ("model", "older", "message"),
    [
        ("embeded", {}, "'embeded' is not a model"),
        ("m", {"engine": "embedded"}, "embedded and m are two models"),
        (None, {"url": URL, "responses": "answers.csv"}, "are two models"),
        ("m", {"url": URL, "engine": "embedded"}, "are two models"),
    ],
)
def test_two_models_or_none_at_all_are_refused(
    model: str, older: dict[str, str | None], message: str
) -> None:
    with pytest.raises(click.UsageError, match=message):
        one_model(model, **older)
