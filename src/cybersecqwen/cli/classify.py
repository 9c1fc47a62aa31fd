"""`cybersecqwen classify`: what weakness a text describes, for people and for pipes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.cluster import cluster_options, take_cluster
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
    from cybersecqwen.analyst.embedded_classifier import Classifier
    from cybersecqwen.cluster import Cluster
    from cybersecqwen.embedded.classifier import Ranking

PARTITION = 2_000  # texts: a second or two of work


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
@cluster_options
def classify(inputs: tuple[str, ...], as_json: bool, as_csv: bool, **options: Any) -> None:
    """Classify texts, CVE ids, files or a pipe."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    form = "json" if as_json else "csv" if as_csv else ""
    model = one_model(options["model"], engine=options["engine"]) or "embedded"
    _check(inputs, model, form, options)
    cluster = take_cluster(options)
    opening = take_engine_options(options, model)
    from cybersecqwen.analyst.arguments import names_file, read_arguments
    from cybersecqwen.analyst.classifiers import open_classifier
    from cybersecqwen.errors import PartitionError

    bad = Bad()
    given = read_arguments(inputs or ("-",), records=options["records"], report=bad.report)
    many = not inputs or any(names_file(text) or text == "-" for text in inputs)
    given = _progress(given) if many else given
    judging = {name: options[name] for name in ("top", "threshold", "as_labelled")}
    stdout = sys.stdout
    try:
        with cluster as opened:
            if opened:
                with opened.bad_rows() as bad.ledger:
                    write_lines(lines_of_cluster(given, opened, form, judging), stdout)
            else:
                classifier = open_classifier(
                    model,
                    samples=options["samples"],
                    grounded=options["grounded"],
                    report=bad.report,
                    ranking=_ranking(judging),
                    **opening,
                )
                write_lines(_lines(given, classifier, form, judging, table=many))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        click.get_current_context().exit(130)
    except PartitionError:
        bad.tell()
        raise
    bad.finish()


def _ranking(judging: dict[str, Any]) -> Ranking:
    return "labels" if judging["as_labelled"] else "mapping"


def _lines(
    given: Iterable[Given],
    classifier: Classifier,
    form: str,
    judging: dict[str, Any],
    *,
    table: bool = False,
) -> Iterator[str]:
    """Classify texts, and write the classifications in the form that the command line names."""
    from cybersecqwen.analyst.classification import classify as classified
    from cybersecqwen.cli import output

    results = classified(given, classifier=classifier, **judging)
    if form == "json":
        return output.json_lines(results)
    if form == "csv":
        return output.csv_lines(results)
    return output.text_lines(results, table=table)


def lines_of_cluster(
    given: Iterator[Given], cluster: Cluster, form: str, judging: dict[str, Any]
) -> Iterator[str]:
    """Yield the same lines, made by the nodes of a cluster."""
    from cybersecqwen.cli import output
    from cybersecqwen.cluster import Job

    if form == "csv":
        yield from output.csv_lines(())
    partitions = iter(lambda: list(islice(given, PARTITION)), [])
    job = Job("classify", partial(_partition_lines, form, judging))
    for _, data in cluster.run(job, partitions):
        yield data.decode()


def _partition_lines(form: str, judging: dict[str, Any]) -> Callable[[Sequence[Given]], bytes]:
    """Return what makes the lines of a partition; a table's header stands before the first one."""
    from cybersecqwen.analyst.classifiers import open_classifier

    classifier = open_classifier(ranking=_ranking(judging))

    def lines(given: Sequence[Given]) -> bytes:
        of_partition = _lines(given, classifier, form, judging)
        return "".join(islice(of_partition, form == "csv", None)).encode(errors="replace")

    return lines


def _check(inputs: tuple[str, ...], model: str, form: str, options: dict[str, Any]) -> None:
    """Refuse what has no meaning or no effect, before anything is loaded."""
    threshold = options["threshold"]
    if not 0 <= threshold <= 1:  # NaN too
        raise click.UsageError(f"--threshold is {threshold:g}; give a confidence from 0 to 1")
    for name in ("samples", "grounded"):
        if options[name] and model == "embedded":
            raise click.UsageError(f"--{name} is for a language model; name one by --model")
    if options["as_labelled"] and model != "embedded":
        raise click.UsageError("--as-labelled is for the embedded model; others have one order")
    if options["ray"] and (model != "embedded" or not form):
        raise click.UsageError("--ray is for the embedded model, and for --json or --csv")
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
