"""The commands that measure a model, and try its server."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import (
    FILE,
    KIND,
    PROTOCOL,
    add_options,
    echo,
    help_text,
    json_option,
    tasks_option,
)
from cybersecqwen.cli.model import (
    HELP,
    METAVAR,
    OLDER,
    model_options,
    one_model,
    server_options,
    take_engine_options,
)
from cybersecqwen.cli.stages import open_recipe, print_results, stage_options

if TYPE_CHECKING:
    from cybersecqwen.benchmark.probe import ProbeReport
    from cybersecqwen.engines import Kind

_FAILED = 3  # exit status of a probe; 1 is an error, 2 a wrong use
_OLDER = ("engine", "url", "responses")  # options that named a model before --model did
_DEVIATIONS = ("trials", "temperature", "max_tokens", "permute", "concurrency", "limit")
_KIND = "Zero-shot chat, or 5-shot raw completion; a recipe says its own.  [default: instruct]"
_COUNT = click.IntRange(min=1)

_model_options = add_options(
    click.option("--model", metavar=METAVAR, help=HELP),
    *(click.option(f"--{name}", hidden=True, help=OLDER) for name in _OLDER),
    click.option("--name", help="What to call the model.  [default: its folder, name or file]"),
    click.option("--kind", type=KIND, help=_KIND),
    model_options,
    click.option(
        "--allow-failed",
        type=click.IntRange(min=0),
        metavar="N",
        help="Let up to N requests of a trial fail for good; they count as wrong.  [default: 0]",
    ),
)
_deviation_options = add_options(
    click.option("--trials", type=_COUNT, help="Another number of trials."),
    click.option("--temperature", type=click.FloatRange(min=0), help="Another temperature."),
    click.option("--max-tokens", type=_COUNT, help="Another length of answers."),
    click.option("--concurrency", type=_COUNT, help="Other requests at once."),
    click.option("--limit", type=_COUNT, metavar="N", help="Ask the first N items of a task only."),
    click.option(
        "--permute",
        type=click.IntRange(min=2, max=24),
        help="Ask cti-mcq under so many seeded orders of the options, one a trial.",
    ),
)


@click.command()
@stage_options("evaluate", recipe_required=False)
@_model_options
@tasks_option
@click.option(
    "--protocol", type=PROTOCOL, help="Evaluation protocol.  [default: the recipe's, or model-card]"
)
@_deviation_options
@click.option("--no-probe", is_flag=True, help="Trust a server without asking what it honours.")
@click.option("--save", type=FILE, help="Also write the CTI-Bench figures of embedded to FILE.")
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
    """Measure a model under a published protocol.

    What deviates from the protocol (--temperature, --trials, ...) marks every table "modified".
    """
    from cybersecqwen import pipeline
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.engines import open_model

    name, kind = options.pop("name"), options.pop("kind")
    model = one_model(options.pop("model"), **{older: options.pop(older) for older in _OLDER})
    opening = take_engine_options(options, model)
    deviations = {deviation: options.pop(deviation) for deviation in _DEVIATIONS}
    if recipe is None:
        _check_model(model, options, tasks=tasks, save=save, permute=deviations["permute"])
        settings = find_protocol(protocol or "model-card", **deviations)
        opening |= {"kind": kind or "instruct", "concurrency": settings.concurrency}
        opened = open_model(model or "", **opening)
        out = pipeline.evaluate_model(
            replace(opened, name=name or opened.name),
            settings,
            tasks=tasks,
            benchmark=options["benchmark"],
            out=options["out"],
            try_server=not no_probe,
        )
    else:
        if model or name or kind or save:
            raise click.UsageError("a recipe has its own model and kind: give it, or the options")
        run = open_recipe(options | {"recipe": recipe})
        settings = find_protocol(protocol or run.recipe.evaluation.protocol, **deviations)
        pipeline.evaluate_recipe(run, tasks=tasks, protocol=settings)
        out = run.out
    if save:
        from cybersecqwen.pipeline.inputs import default_benchmark
        from cybersecqwen.reports.embedded_scores import save as save_figures

        save_figures(out, save, benchmark=options["benchmark"] or default_benchmark())
    print_results(out, as_json=as_json)


def _check_model(
    model: str | None,
    options: dict[str, Any],
    *,
    tasks: tuple[str, ...],
    save: Path | None,
    permute: int | None,
) -> None:
    """Refuse options that do not go together, or with a model that is no recipe's."""
    from cybersecqwen.engines import engine_of
    from cybersecqwen.errors import InputError

    if options["overrides"]:
        raise click.UsageError("--set changes a recipe, and none is given")
    if model is None:
        raise InputError("no model to evaluate", tip="give a recipe, or --model MODEL")
    engine = engine_of(model)
    if engine == "replay" and permute:
        raise click.UsageError("recorded answers were given to one order of the options")
    if engine == "replay" and len(tasks) != 1:
        raise click.UsageError("recorded answers need the one --task that they answer")
    if save and engine != "embedded":
        raise click.UsageError("--save goes with --model embedded")


@click.command(help=help_text("probe"))
@click.argument("model")
@click.option("--model", "name", hidden=True, help=OLDER)
@click.option("--prompt", "prompts", multiple=True, help="Text to try it with; up to three count.")
@click.option("--kind", type=KIND, default="instruct", help="Send the texts as chats, or raw.")
@server_options
@json_option
def probe(
    model: str,
    name: str | None,
    prompts: tuple[str, ...],
    kind: Kind,
    as_json: bool,
    **options: Any,
) -> None:
    """Probe a server."""
    from cybersecqwen.benchmark.probe import probe as try_server
    from cybersecqwen.engines import engine_of, open_model

    named = one_model(name, server=model) or model
    if engine_of(named) != "http":
        raise click.UsageError(f"{named} is not a server: give its URL, or NAME@URL")
    opened = open_model(named, kind=kind, **take_engine_options(options, named))
    report = try_server(opened, prompts)
    echo(asdict(report), _report_table(report), as_json=as_json)
    if report.failed:
        click.get_current_context().exit(_FAILED)


def _report_table(report: ProbeReport) -> str:
    from cybersecqwen.reports.markdown import table

    rows = [(check.name, check.status, check.evidence) for check in report.checks]
    return table(("check", "status", "evidence"), rows)
