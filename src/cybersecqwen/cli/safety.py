"""`cybersecqwen safety`: what prompt injection achieves, and how well the scope guard works."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from cybersecqwen.cli.group import echo, help_text, json_option
from cybersecqwen.cli.model import HELP, METAVAR, model_options, one_model, take_engine_options


@click.command(help=help_text("safety"))
@click.option("--model", metavar=METAVAR, help=f"{HELP}  [default: embedded]")
@click.option(
    "--grounded",
    is_flag=True,
    help="Have the language model choose among the embedded candidates, and nothing else.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), help="Answers of a language model.  [default: 1]"
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="Attempts, spread over the suite.  [default: all]"
)
@json_option
@model_options
def safety(limit: int | None, as_json: bool, **options: Any) -> None:
    """Measure an engine against the suites that ship."""
    model = one_model(options["model"]) or "embedded"
    for name in ("samples", "grounded"):
        if options[name] and model == "embedded":
            raise click.UsageError(f"--{name} is for a language model; name one by --model")
    opening = take_engine_options(options, model)
    from tqdm import tqdm

    from cybersecqwen.analyst.classifiers import open_classifier
    from cybersecqwen.analyst.safety.injection import attack, attempts
    from cybersecqwen.analyst.safety.report import (
        SafetyReport,
        guard_rates,
        injection_rates,
    )
    from cybersecqwen.analyst.safety.report import as_json as to_json
    from cybersecqwen.analyst.safety.report import as_text as to_text
    from cybersecqwen.analyst.safety.scope_guard import guard, wordings

    suite = attempts(limit)
    classifier = open_classifier(
        model, samples=options["samples"] or 1, grounded=options["grounded"], **opening
    )
    with _quiet():
        outcomes = list(
            tqdm(attack(suite, classifier), total=len(suite), unit=" texts", disable=None)
        )
    named = f"{model}, grounded" if options["grounded"] else model
    report = SafetyReport(named, injection_rates(outcomes), guard_rates([*guard(wordings())]))
    echo(to_json(report), to_text(report), as_json=as_json)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the warnings of what is not read: every one of these texts is tampered with."""
    log = logging.getLogger("cybersecqwen.analyst")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
