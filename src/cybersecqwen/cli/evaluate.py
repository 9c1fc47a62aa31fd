"""The command that puts questions to a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from cybersecqwen.cli.group import FILE, benchmark_folder, json_option
from cybersecqwen.cli.stages import open_recipe, print_results, stage_options

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MODEL = ("model", "url", "responses", "engine", "name", "kind")
_DEVIATIONS = ("trials", "temperature", "max_tokens", "permute", "concurrency")
_KIND = "Zero-shot chat, or 5-shot raw completion; a recipe says its own.  [default: instruct]"


def _model_options(command: _Command) -> _Command:
    """Add what names a model that is no recipe's."""
    for option in reversed(
        (
            click.option("--model", help="A model folder, or with --url the model's name there."),
            click.option(
                "--url", help="An OpenAI-compatible server, for example http://localhost:8000/v1."
            ),
            click.option("--responses", type=FILE, help="Recorded answers, in place of a model."),
            click.option(
                "--engine", type=click.Choice(["embedded"]), help="The model that ships inside."
            ),
            click.option(
                "--name", help="What to call the model.  [default: its folder, name or file]"
            ),
            click.option("--kind", type=click.Choice(["instruct", "base"]), help=_KIND),
        )
    ):
        command = option(command)
    return command


def _deviations(command: _Command) -> _Command:
    """Add what marks a protocol modified."""
    for option in reversed(
        (
            click.option("--trials", type=click.IntRange(min=1), help="Another number of trials."),
            click.option(
                "--temperature", type=click.FloatRange(min=0), help="Another temperature."
            ),
            click.option(
                "--max-tokens", type=click.IntRange(min=1), help="Another length of answers."
            ),
            click.option(
                "--concurrency", type=click.IntRange(min=1), help="Other requests at once."
            ),
            click.option(
                "--permute",
                type=click.IntRange(min=2, max=24),
                help="Ask cti-mcq under so many seeded orders of the options, one a trial.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@stage_options("evaluate", recipe_required=False)
@_model_options
@click.option(
    "--task", "tasks", multiple=True, help="May be repeated.  [default: cti-rcm and cti-mcq]"
)
@click.option("--protocol", help="Evaluation protocol.  [default: the recipe's, or model-card]")
@_deviations
@click.option("--no-probe", is_flag=True, help="Trust a server without asking what it honours.")
@click.option("--save", type=FILE, help="Also write the CTI-Bench figures of --engine to FILE.")
@json_option
def evaluate(
    recipe: str | None,
    tasks: tuple[str, ...],
    protocol: str | None,
    no_probe: bool,
    save: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a recipe's merged model, or a folder, a server, recorded answers, what ships.

    What deviates from the protocol (--temperature, --trials, ...) marks every table "modified".
    """
    from cybersecqwen import pipeline
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.subject import find_subject

    model = {name: options.pop(name) for name in _MODEL}
    deviations = {name: options.pop(name) for name in _DEVIATIONS}
    _check(recipe, model, options, tasks=tasks, save=save)
    if model["responses"] and deviations["permute"]:
        raise click.UsageError("recorded answers were given to one order of the options")
    if recipe is None:
        found = find_protocol(protocol or "model-card", **deviations)
        called = model.pop("name")
        model["kind"] = model["kind"] or "instruct"
        subject = find_subject(**model, concurrency=found.concurrency)
        subject = replace(
            subject, name=called or subject.name, probe=None if no_probe else subject.probe
        )
        out = pipeline.evaluate_model(
            subject, found, tasks=tasks, benchmark=options["benchmark"], out=options["out"]
        )
    else:
        run = open_recipe(options | {"recipe": recipe})
        named = find_protocol(protocol or run.recipe.evaluation.protocol, **deviations)
        pipeline.evaluate_recipe(run, tasks=tasks, protocol=named)
        out = run.out
    if save:
        from cybersecqwen.reports.embedded_scores import save as save_figures

        save_figures(out, save, benchmark=benchmark_folder(options["benchmark"]))
    print_results(out, as_json=as_json)


def _check(
    recipe: str | None,
    model: dict[str, Any],
    options: dict[str, Any],
    *,
    tasks: tuple[str, ...],
    save: Path | None,
) -> None:
    """Refuse options that do not go together."""
    if recipe is None and options["overrides"]:
        raise click.UsageError("--set is a recipe's, and none is given")
    if recipe and any(model.values()):
        raise click.UsageError("a recipe has its own model and kind: give it, or the options")
    if model["responses"] and (model["model"] or model["url"]):
        raise click.UsageError("give --responses, or --model with or without --url, not both")
    if model["engine"] and (model["model"] or model["url"] or model["responses"]):
        raise click.UsageError("--engine embedded brings its own model: give it, or another one")
    if model["responses"] and len(tasks) != 1:
        raise click.UsageError("--responses needs the one --task that it answers")
    if save and not model["engine"]:
        raise click.UsageError("--save is of --engine embedded")
