"""`cybersecqwen classify`: what weakness a text describes, for people and for pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE
from cybersecqwen.cli.model import HELP, METAVAR, OLDER, one_model
from cybersecqwen.cli.streams import Bad, Output

if TYPE_CHECKING:
    from cybersecqwen.analyst import Classification, Given

_HELP = """Map a vulnerability description to its CWE.

    An INPUT is a text, a CVE id, a file or folder, or - for standard input, which is also read
    when there is no INPUT. What names an existing file is that file; what has the form
    CVE-2021-44228 is looked up in --records; anything else is a text, so quote it.

    \b
      cybersecqwen classify "SQL injection in login.php allows remote attackers to read data."
      cybersecqwen classify CVE-2021-44228 --records nvdcve-2.0-2021.json.gz
      cybersecqwen classify advisories.csv --csv > classified.csv
      cat advisories.jsonl | cybersecqwen classify --json | jq .candidates[0].cwe

    The format of a file or pipe is recognised by its content: JSONL with text (or description)
    and optionally id (or cve_id) on each line; CSV with such a header; NVD JSON 2.0, CVE JSON 5
    and parquet records, zipped or not; a list of CVE ids; anything else is one text. Of a text the
    first 20,000 characters count. A record that cannot be read is named on standard error, the
    others are answered, and the exit status is 1.

    The confidence of the embedded model is calibrated: of the answers at 0.8, about 8 in 10 are
    right. Of a language model it is the share of its --samples answers that agree, which is not
    calibrated. Below --threshold, and where a text is empty, not English or no vulnerability, it
    abstains: the result says "needs review" and why.
    """


@click.command(help=_HELP)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Candidates.")
@click.option(
    "--threshold",
    type=float,
    default=0.3,
    show_default=True,
    help="Confidence, 0 to 1, below which it abstains; 0 is never.",
)
@click.option("--json", "form", flag_value="json", help="Print one JSON object a line.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, one row for each input.")
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
def classify(inputs: tuple[str, ...], form: str | None, **options: Any) -> None:
    """Classify texts, CVE ids, files or a pipe."""
    model = one_model(options["model"], engine=options["engine"]) or "embedded"
    _check(inputs, model, threshold=options["threshold"], samples=options["samples"])
    from cybersecqwen.analyst import classify as classified
    from cybersecqwen.analyst import open_classifier
    from cybersecqwen.analyst.arguments import names_file, read_arguments

    bad, out = Bad(), Output()
    given = read_arguments(inputs or ("-",), records=options["records"], report=bad.report)
    classifier = open_classifier(model, samples=options["samples"])
    many = not inputs or any(names_file(text) or text == "-" for text in inputs)
    results = classified(
        out.flushing(_progress(given) if many else given),
        classifier=classifier,
        top=options["top"],
        threshold=options["threshold"],
    )
    try:
        out.write(_lines(results, form, table=many))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        click.get_current_context().exit(130)
    if bad.count:
        click.get_current_context().exit(1)


def _check(inputs: tuple[str, ...], model: str, *, threshold: float, samples: int | None) -> None:
    """Refuse what has no meaning or no effect, before anything is loaded."""
    if not 0 <= threshold <= 1:  # NaN too
        raise click.UsageError(f"--threshold is {threshold:g}; give a confidence from 0 to 1")
    if samples and model == "embedded":
        raise click.UsageError("--samples is of a language model; give one as --model")
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


def _lines(results: Iterable[Classification], form: str | None, *, table: bool) -> Iterator[str]:
    from cybersecqwen.cli import output

    if form == "json":
        return output.json_lines(results)
    if form == "csv":
        return output.csv_lines(results)
    return output.text_lines(results, table=table)
