"""The commands that take the evaluation to other harnesses: tasks, and finished results."""

from __future__ import annotations

from pathlib import Path

import click

from cybersecqwen.cli.group import FILE, benchmark_folder, benchmark_option

_OUT = click.option("--out", type=FILE, required=True, help="Folder to write into.")


@click.group()
def export() -> None:
    """Write tasks and results for lm-evaluation-harness and Inspect."""


@export.command("lm-eval")
@click.option("--protocol", default="model-card", show_default=True, help="Evaluation protocol.")
@benchmark_option
@_OUT
@click.option(
    "--task", "tasks", multiple=True, help="May be repeated.  [default: cti-rcm and cti-mcq]"
)
@click.option(
    "--kind",
    type=click.Choice(["instruct", "base"]),
    default="instruct",
    show_default=True,
    help="Zero-shot chat, or 5-shot raw completion.",
)
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which trial: its seed, and its exemplars for a base model.",
)
def lm_eval(
    protocol: str,
    benchmark: Path | None,
    out: Path,
    tasks: tuple[str, ...],
    kind: str,
    trial: int,
) -> None:
    """Write task files for lm-evaluation-harness, and print the command that runs them.

    One trial is written: the harness gives every repeat of a request the same seed.
    """
    from cybersecqwen.benchmark.interop.lm_eval import hint, write_tasks
    from cybersecqwen.benchmark.interop.samples import Trial
    from cybersecqwen.benchmark.protocol import find_protocol

    found = find_protocol(protocol)
    if trial >= len(found.seeds):
        raise click.BadParameter(
            f"{protocol} has {len(found.seeds)} trials, counted from 0", param_hint="--trial"
        )
    names = tasks or ("cti-rcm", "cti-mcq")
    asked = Trial(found, benchmark_folder(benchmark), kind, trial)
    write_tasks(names, out, trial=asked)
    click.echo(hint(names, out, trial=asked))


@export.command()
@click.argument("run", type=FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["lm-eval", "inspect"]),
    required=True,
    help="Whose files to write.",
)
@benchmark_option
@_OUT
@click.option("--task", help="Only the evaluations of one task.")
def results(run: Path, form: str, benchmark: Path | None, out: Path, task: str | None) -> None:
    """Write a finished run as lm-evaluation-harness or Inspect would have, and name the files.

    RUN is a run folder, or one evaluation in it. Every response is written whole.
    """
    from cybersecqwen.benchmark.responses import read_run
    from cybersecqwen.manifest import finished

    found, folder = read_run(run, task=task), benchmark_folder(benchmark)
    for answers in found:
        finished(answers.where, tip="end the evaluation first: the same command goes on with it")
    if form == "inspect":
        from cybersecqwen.benchmark.interop.inspect_log import write_inspect_log

        written = [write_inspect_log(answers, folder, out) for answers in found]
    else:
        from cybersecqwen.benchmark.interop.lm_eval_results import write_results

        written = write_results(found, folder, out)
    for path in written:
        click.echo(path)
