"""The commands that write for other tools: corpora as datasets, tasks and results for harnesses."""

from __future__ import annotations

from pathlib import Path

import click

from cybersecqwen.cli.group import (
    FILE,
    KIND,
    PROTOCOL,
    TASK,
    Group,
    benchmark_option,
    say,
    tasks_option,
)

_OUT = click.option("--out", type=FILE, required=True, help="Folder to write into.")


@click.group(cls=Group)
def export() -> None:
    """Write corpora, tasks and results for other tools."""


@export.command()
@click.argument("run", type=FILE)
@_OUT
@click.option(
    "--format",
    "form",
    type=click.Choice(["prompt-completion", "messages"]),
    default="prompt-completion",
    help="Columns of a row: prompt and completion, or one chat.",
)
def dataset(run: Path, out: Path, form: str) -> None:
    """Write a run's corpus as a Hugging Face dataset.

    The folder opens by `datasets.load_dataset`: Parquet by split, a dataset card as README.md, and
    the certificate, the ledger and the checksums beside them. Synthetic questions of the run become
    a second configuration.
    """
    from cybersecqwen.corpus.export import export as write

    for name, splits in write(run, out, form=form).items():
        counts = ", ".join(f"{rows:,} {split}" for split, rows in splits.items())
        say(f"{name}: {counts}")
    say(out)


@export.command("lm-eval")
@click.option("--protocol", type=PROTOCOL, default="model-card", help="Evaluation protocol.")
@benchmark_option
@_OUT
@tasks_option
@click.option(
    "--kind", type=KIND, default="instruct", help="Zero-shot chat, or 5-shot raw completion."
)
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    default=0,
    help="Which trial: its seed, and its exemplars for a base model.",
)
def lm_eval(
    protocol: str,
    benchmark: Path,
    out: Path,
    tasks: tuple[str, ...],
    kind: str,
    trial: int,
) -> None:
    """Write tasks for lm-evaluation-harness.

    One trial is written: the harness gives every repeat of a request the same seed.
    """
    from cybersecqwen.benchmark.interop.lm_eval import hint, write_tasks
    from cybersecqwen.benchmark.interop.samples import Trial
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.pipeline.stages import HEADLINE_TASKS

    settings = find_protocol(protocol)
    if trial >= len(settings.seeds):
        raise click.BadParameter(
            f"{protocol} has {len(settings.seeds)} trials, counted from 0", param_hint="--trial"
        )
    names = tasks or HEADLINE_TASKS
    asked = Trial(settings, benchmark, kind, trial)
    write_tasks(names, out, trial=asked)
    say(hint(names, out, trial=asked))


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
@click.option("--task", type=TASK, help="Only the evaluations of one task.")
def results(run: Path, form: str, benchmark: Path, out: Path, task: str | None) -> None:
    """Write a run as lm-evaluation-harness or Inspect would.

    RUN is a run folder, or one evaluation in it. Every response is written whole.
    """
    from cybersecqwen.benchmark.responses import read_run
    from cybersecqwen.manifest import finished

    evaluations = read_run(run, task=task)
    for answers in evaluations:
        finished(answers.where, tip="end the evaluation first: the same command goes on with it")
    if form == "inspect":
        from cybersecqwen.benchmark.interop.inspect_log import write_inspect_log

        written = [write_inspect_log(answers, benchmark, out) for answers in evaluations]
    else:
        from cybersecqwen.benchmark.interop.lm_eval_results import write_results

        written = write_results(evaluations, benchmark, out)
    for path in written:
        say(path)
