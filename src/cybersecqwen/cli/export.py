"""The commands that write for other programs: models, datasets, tasks and results for harnesses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from cybersecqwen.cli.group import (
    FILE,
    KIND,
    PROTOCOL,
    TASK,
    Group,
    RegistryChoice,
    benchmark_option,
    echo,
    json_option,
    say,
    tasks_option,
)

_OUT = click.option("--out", type=FILE, required=True, help="Folder to write into.")


class _ExportGroup(Group):
    """Takes what is none of its commands as the run of `export model`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in where the line begins with a run or an option of its own."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["model", *args]
        return super().parse_args(ctx, args)


def _formats() -> Iterable[str]:
    from cybersecqwen.training.export import FORMATS

    return FORMATS


@click.group(cls=_ExportGroup)
def export() -> None:
    """Write models, corpora, tasks and results for other programs.

    `export RUN` is short for `export model RUN`.
    """


@export.command()
@click.argument("run", type=FILE)
@click.option(
    "--format",
    "forms",
    type=RegistryChoice(_formats),
    multiple=True,
    default=("safetensors", "gguf-q8_0"),
    help="May be repeated.",
)
@click.option(
    "--quantizer",
    type=FILE,
    envvar="LLAMA_QUANTIZE",
    help="llama.cpp's llama-quantize, for gguf-q4_k_m.  [default: the one on PATH]",
)
@json_option
def model(run: Path, forms: tuple[str, ...], quantizer: Path | None, as_json: bool) -> None:
    """Write a run's merged model for other programs.

    Each format becomes a folder in RUN/exports: safetensors for the Hugging Face Hub, GGUF with a
    Modelfile for llama.cpp and Ollama, int8 and int4 for vLLM. What is there already is kept.
    """
    from cybersecqwen.manifest import outputs_of
    from cybersecqwen.pipeline.exports import export as write
    from cybersecqwen.pipeline.exports import open_exports

    opened, written = open_exports(run), []
    for form in dict.fromkeys(forms):
        folder = write(opened, form, quantizer=quantizer)
        files = outputs_of(folder)
        size = sum((folder / name).stat().st_size for name in files)
        written.append({"format": form, "folder": str(folder), "bytes": size, "sha256": files})
        if not as_json:
            say(f"{form}: {folder}, {size / 1e6:,.1f} MB")
    if as_json:
        echo(written, "", as_json=True)


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
