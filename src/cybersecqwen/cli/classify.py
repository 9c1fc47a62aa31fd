"""`cybersecqwen classify`: what weakness a text describes, for people and for pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, help_text
from cybersecqwen.cli.model import (
    HELP,
    METAVAR,
    OLDER,
    model_options,
    one_model,
    take_engine_options,
)
from cybersecqwen.cli.streams import Bad, write_lines

if TYPE_CHECKING:
    from cybersecqwen.analyst.classification import Given
    from cybersecqwen.embedded.classifier import Ranking


@click.command(help=help_text("classify"))
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--top", type=click.IntRange(min=1), default=3, help="Candidates.")
@click.option(
    "--threshold",
    type=float,
    default=0.3,
    help="Confidence, 0 to 1, below which it abstains; 0 is never.",
)
@click.option(
    "--as-labelled",
    is_flag=True,
    help="Order candidates by what feeds would label, not by what MITRE would map to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one row for each input.")
@click.option(
    "--records",
    type=FILE,
    multiple=True,
    help="Where CVE ids are looked up; may be repeated.  [default: what fetch left in its cache]",
)
@click.option("--model", metavar=METAVAR, help=f"{HELP}  [default: embedded]")
@click.option("--engine", hidden=True, help=OLDER)
@click.option(
    "--samples", type=click.IntRange(min=1), help="Answers of a language model.  [default: 5]"
)
@click.option(
    "--grounded",
    is_flag=True,
    help="Have the language model choose among the embedded candidates, and nothing else.",
)
@model_options
def classify(inputs: tuple[str, ...], as_json: bool, as_csv: bool, **options: Any) -> None:
    """Classify texts, CVE ids, files or a pipe."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    model = one_model(options["model"], engine=options["engine"]) or "embedded"
    _check(inputs, model, options)
    opening = take_engine_options(options, model)
    from cybersecqwen.analyst.arguments import names_file, read_arguments
    from cybersecqwen.analyst.classification import classify as classified
    from cybersecqwen.analyst.classifiers import open_classifier
    from cybersecqwen.cli import output

    bad = Bad()
    given = read_arguments(inputs or ("-",), records=options["records"], report=bad.report)
    as_labelled = options["as_labelled"]
    ranking: Ranking = "labels" if as_labelled else "mapping"
    classifier = open_classifier(
        model,
        samples=options["samples"],
        grounded=options["grounded"],
        report=bad.report,
        ranking=ranking,
        **opening,
    )
    many = not inputs or any(names_file(text) or text == "-" for text in inputs)
    results = classified(
        _progress(given) if many else given,
        classifier=classifier,
        top=options["top"],
        threshold=options["threshold"],
        as_labelled=as_labelled,
    )
    if as_json:
        lines = output.json_lines(results)
    elif as_csv:
        lines = output.csv_lines(results)
    else:
        lines = output.text_lines(results, table=many)
    try:
        write_lines(lines)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        click.get_current_context().exit(130)
    bad.finish()


def _check(inputs: tuple[str, ...], model: str, options: dict[str, Any]) -> None:
    """Refuse what has no meaning or no effect, before anything is loaded."""
    threshold = options["threshold"]
    if not 0 <= threshold <= 1:  # NaN too
        raise click.UsageError(f"--threshold is {threshold:g}; give a confidence from 0 to 1")
    for name in ("samples", "grounded"):
        if options[name] and model == "embedded":
            raise click.UsageError(f"--{name} is for a language model; name one by --model")
    if options["as_labelled"] and model != "embedded":
        raise click.UsageError("--as-labelled is for the embedded model; others have one order")
    if not inputs and sys.stdin.isatty():
        raise click.UsageError(
            'nothing to classify; for example: cybersecqwen classify "SQL injection in login.php"'
        )


def _progress(given: Iterator[Given]) -> Iterator[Given]:
    """Show on a terminal how far it is, unless the results scroll by there themselves."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return given
    from tqdm import tqdm

    return iter(tqdm(given, desc="classify", unit=" texts", unit_scale=True))
