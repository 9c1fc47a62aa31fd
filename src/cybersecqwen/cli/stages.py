"""The commands of the model builder: the stages of a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cybersecqwen.cli.asking import asking_options, open_teacher
from cybersecqwen.cli.group import FILE, json_option

if TYPE_CHECKING:
    from cybersecqwen.pipeline import Run

_Command = TypeVar("_Command", bound=Callable[..., Any])


def run_options(*, recipe_required: bool = True) -> Callable[[_Command], _Command]:
    """Add what every stage of a recipe takes."""
    options = [
        click.argument("recipe", required=recipe_required),
        click.option("--out", type=FILE, help="Run folder.  [default: runs/<name>]"),
        click.option(
            "--records",
            type=FILE,
            multiple=True,
            help="Vulnerability records: NVD, CVE JSON 5, a table or store; may be repeated.",
        ),
        click.option("--benchmark", type=FILE, help="Folder of CTI-Bench TSV files."),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe key."
        ),
    ]

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def open_recipe(**options: Any) -> Run:
    """Open the run folder of the recipe that a command line names."""
    from cybersecqwen.pipeline import open_run

    return open_run(options.pop("recipe"), options.pop("out"), **options)


def open_asking(options: dict[str, Any]) -> Run:
    """Open the run folder of a recipe with what its synthetic pairs are to be made from."""
    from cybersecqwen.embedded_build.knowledge import Sources
    from cybersecqwen.pipeline.inputs import Asking

    feeds = Sources(*(options.pop(name) for name in ("attack", "capec", "cwe")))
    teacher = open_teacher(
        options.pop("teacher"),
        options.pop("model"),
        prices=options.pop("prices"),
        concurrency=options.pop("concurrency"),
    )
    return replace(open_recipe(**options), asking=Asking(feeds, teacher))


def print_results(out: Path, *, as_json: bool) -> None:
    """Print the scores in a run folder."""
    from cybersecqwen.reports.results import results, results_table

    click.echo(json.dumps(results(out), indent=2) if as_json else results_table(out))


@click.command()
@run_options()
@asking_options
@json_option
def run(as_json: bool, **options: Any) -> None:
    """Make a model: corpus, synthesis, distill, train, merge, evaluate, card; skip what is done."""
    from cybersecqwen.pipeline import STAGES

    opened = open_asking(options)
    for stage in STAGES.values():
        stage(opened)
    print_results(opened.out, as_json=as_json)
    if not as_json:
        click.echo(f"\nModel card: {opened.out / 'report' / 'MODEL_CARD.md'}")


@click.command()
@run_options()
@json_option
def corpus(as_json: bool, **options: Any) -> None:
    """Build the decontaminated corpus with its certificate."""
    from cybersecqwen.files import read_json
    from cybersecqwen.pipeline import corpus as build

    opened = open_recipe(**options)
    build(opened)
    counts = read_json(opened.out / "corpus" / "certificate.json")["counts"]
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        click.echo(
            f"{counts['train']} training and {counts['validation']} validation examples, "
            f"{sum(counts['dropped'].values())} records dropped; {opened.out / 'corpus'}"
        )


@click.command()
@run_options()
@asking_options
@json_option
def synthesis(as_json: bool, **options: Any) -> None:
    """Make question-and-answer pairs beside the corpus, from facts or by a teacher.

    The recipe's table [synthesis] says how many. Without --teacher no model is asked; without
    --attack, --capec and --cwe the knowledge is what ships, which holds relations and no texts.
    """
    from cybersecqwen.errors import RecipeError
    from cybersecqwen.pipeline import synthesis as make_pairs
    from cybersecqwen.reports.generation import made, synthesis_text

    opened = open_asking(options)
    if opened.recipe.synthesis is None:
        tip = "--set synthesis.pairs=8000"
        raise RecipeError("has no table [synthesis]", where=opened.recipe.name, tip=tip)
    make_pairs(opened)
    found = made(opened.out / "synthesis")
    click.echo(json.dumps(found, indent=2) if as_json else synthesis_text(found))
    if not as_json:
        click.echo(f"\nWritten: {opened.out / 'synthesis'}")


@click.command()
@run_options()
@json_option
def distill(as_json: bool, **options: Any) -> None:
    """Let the recipe's teacher answer the corpus; keep what ends in the gold label."""
    from cybersecqwen.errors import RecipeError
    from cybersecqwen.files import read_json
    from cybersecqwen.pipeline import distill as ask_teacher
    from cybersecqwen.reports.distillation import distillation_text

    opened = open_recipe(**options)
    if opened.recipe.distillation is None:
        tip = "--set distillation.teacher=NAME --set distillation.url=URL"
        raise RecipeError("has no table [distillation]", where=opened.recipe.name, tip=tip)
    ask_teacher(opened)
    folder = opened.out / "distillation"
    certificate, usage = read_json(folder / "certificate.json"), read_json(folder / "usage.json")
    if as_json:
        click.echo(json.dumps(certificate | {"usage": usage}, indent=2))
    else:
        click.echo(f"{distillation_text(certificate, usage)}\n\nWritten: {folder}")


@click.command()
@run_options()
def train(**options: Any) -> None:
    """Fine-tune the LoRA adapter; goes on from the last checkpoint."""
    from cybersecqwen.pipeline import train as fine_tune

    fine_tune(open_recipe(**options))


@click.command()
@run_options()
def merge(**options: Any) -> None:
    """Fold the adapter into the base model and prove that both agree."""
    from cybersecqwen.pipeline import merge as fold

    fold(open_recipe(**options))


@click.command()
@run_options()
def card(**options: Any) -> None:
    """Write the model card from what the run folder holds."""
    from cybersecqwen.pipeline import card as write

    write(open_recipe(**options))
