"""The command line: one short function per command, the work elsewhere.

stdout carries data, stderr progress. An error that the user can act on is one line and
exit status 1.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cybersecqwen import __version__
from cybersecqwen.errors import CyberSecQwenError

if TYPE_CHECKING:
    from cybersecqwen.pipeline import Run

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


class _Group(click.Group):
    """Prints our own errors in one line; everything else keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CyberSecQwenError as error:
            click.echo(f"cybersecqwen: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet


_KIND = "Zero-shot chat, or 5-shot raw completion; a recipe says its own.  [default: instruct]"


def _run_options(*, recipe_required: bool = True) -> Callable[[_Command], _Command]:
    """Add what every stage of a recipe takes."""
    options = [
        click.argument("recipe", required=recipe_required),
        click.option("--out", type=_FILE, help="Run folder.  [default: runs/<name>]"),
        click.option(
            "--records",
            type=_FILE,
            multiple=True,
            help="Vulnerability records: NVD, CVE JSON 5, parquet or JSONL; may be repeated.",
        ),
        click.option("--benchmark", type=_FILE, help="Folder of CTI-Bench TSV files."),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe key."
        ),
    ]

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _open(**options: Any) -> Run:
    from cybersecqwen.pipeline import open_run

    return open_run(options.pop("recipe"), options.pop("out"), **options)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _print_results(out: Path, *, as_json: bool) -> None:
    from cybersecqwen.reports.comparison import results, results_table

    click.echo(json.dumps(results(out), indent=2) if as_json else results_table(out))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cybersecqwen")
def main() -> None:
    """Turn public vulnerability data into a compact, measured CTI language model.

    RECIPE is a TOML file, or the name of one that ships: smoke, smoke-2021,
    cybersecqwen-4b, gemma4defense-2b.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cybersecqwen").setLevel(logging.INFO)
    # The hub's client tells of each of its retries; the error at the end says it once.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    # What the libraries plan for their next major is nothing a user of this command can act on.
    warnings.filterwarnings("ignore", category=FutureWarning)


@main.command()
@_run_options()
@_json_option
def run(as_json: bool, **options: Any) -> None:
    """Make a model: corpus, train, merge, evaluate, card; skip what is done."""
    from cybersecqwen.pipeline import STAGES

    opened = _open(**options)
    for stage in STAGES.values():
        stage(opened)
    _print_results(opened.out, as_json=as_json)
    if not as_json:
        click.echo(f"\nModel card: {opened.out / 'report' / 'MODEL_CARD.md'}")


@main.command()
@_run_options()
@_json_option
def corpus(as_json: bool, **options: Any) -> None:
    """Build the decontaminated corpus with its certificate."""
    from cybersecqwen.files import read_json
    from cybersecqwen.pipeline import corpus as build

    opened = _open(**options)
    build(opened)
    counts = read_json(opened.out / "corpus" / "certificate.json")["counts"]
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        click.echo(
            f"{counts['train']} training and {counts['validation']} validation examples, "
            f"{sum(counts['dropped'].values())} records dropped; {opened.out / 'corpus'}"
        )


@main.command()
@_run_options()
def train(**options: Any) -> None:
    """Fine-tune the LoRA adapter; goes on from the last checkpoint."""
    from cybersecqwen.pipeline import train as fine_tune

    fine_tune(_open(**options))


@main.command()
@_run_options()
def merge(**options: Any) -> None:
    """Fold the adapter into the base model and prove that both agree."""
    from cybersecqwen.pipeline import merge as fold

    fold(_open(**options))


@main.command()
@_run_options(recipe_required=False)
@click.option("--model", help="A model folder, or with --url the model's name there.")
@click.option("--url", help="An OpenAI-compatible server, for example http://localhost:8000/v1.")
@click.option("--responses", type=_FILE, help="Recorded answers (JSONL), in place of a model.")
@click.option("--kind", type=click.Choice(["instruct", "base"]), help=_KIND)
@click.option("--task", "tasks", multiple=True, help="cti-rcm, cti-mcq; may be repeated.")
@click.option("--protocol", help="Evaluation protocol.  [default: the recipe's, or model-card]")
@click.option("--trials", type=click.IntRange(min=1), help="Deviate from the protocol's trials.")
@_json_option
def evaluate(
    recipe: str | None,
    tasks: tuple[str, ...],
    protocol: str | None,
    trials: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a recipe's merged model, or a model folder, a server, or recorded answers."""
    from cybersecqwen import pipeline
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.subject import find_subject

    model = {name: options.pop(name) for name in ("model", "url", "responses", "kind")}
    if recipe is None and (options["records"] or options["overrides"]):
        raise click.UsageError("--records and --set are a recipe's, and none is given")
    if recipe and any(model.values()):
        raise click.UsageError("a recipe has its own model and kind: give it, or the options")
    if model["responses"] and (model["model"] or model["url"]):
        raise click.UsageError("give --responses, or --model with or without --url, not both")
    if model["responses"] and len(tasks) != 1:
        raise click.UsageError("--responses needs the one --task that it answers")
    model["kind"] = model["kind"] or "instruct"
    if recipe is None:
        found = find_protocol(protocol or "model-card", trials=trials)
        out = pipeline.evaluate_model(
            find_subject(**model, concurrency=found.concurrency),
            found,
            tasks=tasks,
            benchmark=options["benchmark"],
            out=options["out"],
        )
    else:
        run = _open(recipe=recipe, **options)
        pipeline.evaluate(run, tasks=tasks, protocol=protocol, trials=trials)
        out = run.out
    _print_results(out, as_json=as_json)


@main.command()
@_run_options()
def card(**options: Any) -> None:
    """Write the model card from what the run folder holds."""
    from cybersecqwen.pipeline import card as write

    write(_open(**options))


@main.command()
@click.argument("source")
@click.option("--years", metavar="Y[-Y]", help="Years of nvd and nvd-api, say 2015-2021.")
@click.option("--cache", type=_FILE, help="Cache folder.  [default: $CYBERSECQWEN_CACHE]")
@click.option("--url", help="Fetch from here instead of upstream.")
def fetch(source: str, years: str | None, cache: Path | None, url: str | None) -> None:
    """Download SOURCE: nvd, nvd-api, cvelist, vulnrichment, cwe, cti-bench."""
    from cybersecqwen.sources.fetch import default_cache
    from cybersecqwen.sources.fetch import fetch as download

    if years and source not in ("nvd", "nvd-api"):
        raise click.UsageError(f"--years is of nvd and nvd-api, not of {source}")
    for path in download(source, cache or default_cache(), url=url, years=_years(years)):
        click.echo(path)


def _years(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise CyberSecQwenError(
            f"--years {text!r} is no year or range", tip="say 2021 or 2015-2021"
        )
    return tuple(range(first, last + 1))


@main.group(cls=_Group)
def embedded() -> None:
    """Build what ships inside the package."""


@embedded.command("build")
@click.option("--cwe", type=_FILE, required=True, help="CWE catalogue XML (.xml, .gz or .zip).")
@click.option("--out", type=_FILE, help="Folder to write to.  [default: the package's own]")
def embedded_build(cwe: Path, out: Path | None) -> None:
    """Make the CWE facts and their certificate from the upstream catalogue."""
    from cybersecqwen.embedded.artifacts import FOLDER
    from cybersecqwen.tuning.embedded import build

    click.echo(json.dumps(build(cwe, folder=out or FOLDER), indent=2))


if __name__ == "__main__":
    sys.exit(main())
