"""The commands of the evaluator: protocols, and answers that are at hand scored again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import (
    FILE,
    PROTOCOL,
    TASK,
    add_options,
    benchmark_option,
    echo,
    json_option,
    say,
)

if TYPE_CHECKING:
    from cybersecqwen.benchmark.responses import ResponseSet

_recording_options = add_options(
    click.option("--task", type=TASK, help="The task that a recording answers, or one of a run's."),
    click.option("--column", help="The column of a CSV or TSV that holds the answers."),
    click.option(
        "--partial",
        is_flag=True,
        help="Take answers to a part of the items too; the result is marked.",
    ),
    benchmark_option,
)


def _answers(
    path: Path, benchmark: Path, *, task: str | None, column: str | None, partial: bool
) -> list[ResponseSet]:
    """Read a run folder, or recordings of others."""
    from cybersecqwen.benchmark.responses import is_run, read_recordings, read_run

    if path.is_dir() and is_run(path):
        return [replace(answers, partial=partial) for answers in read_run(path, task=task)]
    return read_recordings(path, task, benchmark, column=column, partial=partial)


@click.command()
@click.argument("responses", type=FILE)
@click.option(
    "--protocol", type=PROTOCOL, help="Protocol to score by.  [default: a run's own, or model-card]"
)
@_recording_options
@json_option
def score(
    responses: Path,
    protocol: str | None,
    benchmark: Path,
    as_json: bool,
    **recording: Any,
) -> None:
    """Score stored answers again, under any protocol.

    RESPONSES is a run folder, a recording (JSONL, CSV, TSV, a log of Inspect or samples of
    lm-evaluation-harness), or a folder of recordings.
    """
    from cybersecqwen.reports.results import scored_table, scores

    rows = scores(_answers(responses, benchmark, **recording), protocol, benchmark)
    for row in rows:
        for note in row["notes"]:
            say(f"{row['model']}, {row['task']}: {note}", err=True)
    echo(rows[0] if len(rows) == 1 else rows, scored_table(rows), as_json=as_json)


@click.command()
@click.argument("run", type=FILE)
@click.option(
    "--protocol", type=PROTOCOL, help="Protocol to compare with.  [default: the run's own]"
)
@click.option("--all", "every", is_flag=True, help="Also rules written for another prompt.")
@_recording_options
@json_option
def sensitivity(
    run: Path,
    protocol: str | None,
    every: bool,
    benchmark: Path,
    as_json: bool,
    **recording: Any,
) -> None:
    """Score one set of answers by every extractor.

    RUN is a run folder, or a recording with its --task.
    """
    from cybersecqwen.benchmark.sensitivity import sensitivity as tabulate
    from cybersecqwen.reports.results import sensitivity_json, sensitivity_text

    tables = [
        (answers, tabulate(answers, benchmark, reference=protocol, every=every))
        for answers in _answers(run, benchmark, **recording)
    ]
    text = "\n\n".join(sensitivity_text(*table) for table in tables)
    echo([sensitivity_json(*table) for table in tables], text, as_json=as_json)


@click.command()
@click.argument("run", type=FILE)
@click.option(
    "--corpus", type=FILE, required=True, help="Training file: JSONL, or vulnerability records."
)
@click.option("--control", type=FILE, help="Run of a model that never saw the corpus.")
@click.option("--task", type=TASK, default="cti-rcm", help="The task to look at.")
@benchmark_option
@json_option
def overlap(
    run: Path,
    corpus: Path,
    control: Path | None,
    task: str,
    benchmark: Path,
    as_json: bool,
) -> None:
    """Set accuracy beside overlap with a training corpus."""
    from cybersecqwen.benchmark.responses import read_evaluation
    from cybersecqwen.benchmark.tasks import read_items
    from cybersecqwen.contamination.overlap import overlap as shares_of
    from cybersecqwen.contamination.training_rows import read_rows
    from cybersecqwen.reports.overlap_accuracy import overlap_report, overlap_text

    ours = read_evaluation(run, task)
    other = read_evaluation(control, task) if control else None
    shares = shares_of(read_items(benchmark, task), (row.row.text for row in read_rows(corpus)))
    report = overlap_report(ours, other, shares, benchmark, corpus=corpus.name)
    echo(report, overlap_text(report), as_json=as_json)


@click.command()
@click.argument("runs", type=FILE, nargs=-1, required=True, metavar="RUN...")
@click.option("--reference", help="Model to hold the others against.  [default: the first run's]")
@click.option("--published", is_flag=True, help="Add the published rows and the baselines.")
@click.option("--task", type=TASK, help="Only this task.")
@click.option(
    "--protocol", type=PROTOCOL, help="Read all answers by this protocol.  [default: their own]"
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=BILLIONS",
    help="Parameters of a model that does not say its own; may be repeated.",
)
@click.option("--out", type=FILE, default="comparison", help="Folder to write.")
@benchmark_option
@json_option
def compare(
    runs: tuple[Path, ...],
    sizes: tuple[str, ...],
    out: Path,
    benchmark: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare evaluated models, item by item."""
    from cybersecqwen.reports.comparison import ComparisonSettings, summary, write_comparison
    from cybersecqwen.reports.comparison import compare as build

    comparison = build(
        runs,
        benchmark,
        settings=ComparisonSettings(sizes=dict(map(_size, sizes)), **settings),
    )
    written = ", ".join(map(str, write_comparison(comparison, out)))
    shown = {key: value for key, value in comparison.items() if key != "items"}
    echo(shown, f"{summary(comparison)}\n\nWritten: {written}", as_json=as_json)


def _size(given: str) -> tuple[str, float]:
    name, _, billions = given.rpartition("=")
    try:
        size = float(billions)
    except ValueError as error:
        raise click.BadParameter(f"{given!r} is not NAME=BILLIONS") from error
    if not name or not 0 < size < math.inf:
        raise click.BadParameter(f"{given!r} is not NAME=BILLIONS")
    return name, size


@click.group(invoke_without_command=True)
@click.pass_context
def protocols(ctx: click.Context) -> None:
    """List the evaluation protocols, or show one whole."""
    if ctx.invoked_subcommand is None:
        from cybersecqwen.reports.protocols import protocols_table

        say(protocols_table())


@protocols.command()
@click.argument("name", type=PROTOCOL)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show everything that a protocol fixes."""
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.reports.protocols import protocol_json, protocol_text

    protocol = find_protocol(name)
    echo(protocol_json(protocol), protocol_text(protocol), as_json=as_json)
