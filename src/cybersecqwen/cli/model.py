"""How a command line names a model: MODEL, the same in every command, and its older spellings.

    --model embedded                                       what ships inside
    --model smollm2                                        the small language model trained here
    --model runs/smoke/merged                              a model folder
    --model model-Q8_0.gguf                                a GGUF file, or a folder with one
    --model answers.jsonl                                  a file of recordings, or a folder of them
    --model http://localhost:8000/v1                       a server, and the only model it serves
    --model CyberSecQwen-4B@http://localhost:8000/v1       a server's model by its name

Before, a server had an option of its own and --model the name: `--url URL --model NAME`.

The options that say how a model is opened stand here too, once for every command.
"""

from __future__ import annotations

import json
from typing import Any

import click

from cybersecqwen.cli.group import FILE, add_options
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json

METAVAR = "MODEL"
HELP = "embedded, smollm2, a model folder, a GGUF file, recordings, a server's URL, or NAME@URL."
OLDER = "An older way to name a model."


def read_fields(_context: click.Context, _option: click.Parameter, typed: tuple[str, ...]) -> Json:
    """Read fields of a request, each KEY=VALUE: JSON, or a text where it is none; None for ""."""
    fields: Json = {}
    for one in typed:
        key, equals, text = one.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{one!r} is not KEY=VALUE, as reasoning_effort=low")
        try:
            fields[key] = json.loads(text) if text else None
        except (ValueError, RecursionError):
            fields[key] = text
    return fields


# By the engine that takes them; the names are those of EngineOptions.
_OPTIONS = {
    "http": ("request", "timeout", "retries", "ca_bundle", "api_key_env", "allow_failed"),
    "transformers": ("batch_size",),
    "gguf": ("batch_size",),
    "smollm2": ("batch_size",),
}
_seconds = click.FloatRange(min=0, min_open=True)
server_options = add_options(
    click.option(
        "--request",
        callback=read_fields,
        metavar="KEY=VALUE",
        multiple=True,
        help="Set a field of a server's requests; KEY= leaves it out, the name of a setting "
        "(max_completion_tokens=max_tokens) renames it. Repeated.",
    ),
    click.option(
        "--timeout",
        type=_seconds,
        help="Seconds for one request.  [default: 600; 120 for one of a probe]",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        help="Retries of a failed request, with longer and longer pauses.  [default: 8]",
    ),
    click.option("--ca-bundle", type=FILE, help="Certificates to trust, in PEM form."),
    click.option(
        "--api-key-env",
        metavar="NAME",
        help="Environment variable with the server's key.  [default: OPENAI_API_KEY]",
    ),
)
model_options = add_options(
    server_options,
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Requests to a model folder at once.  [default: as many as memory allows, at most "
        "128 on a CPU and 1,024 on a GPU]",
    ),
)


def take_engine_options(options: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Take how a model is opened out of a command's options; no more than what is given.

    Raises UsageError for an option that has no effect on such a model.
    """
    names = dict.fromkeys(n for group in _OPTIONS.values() for n in group if n in options)
    given = {name: value for name in names if (value := options.pop(name)) not in (None, {})}
    if not given:
        return {}
    from cybersecqwen.engines import engine_of

    fit = _OPTIONS.get(engine_of(model), ()) if model else ()
    for name in given:
        if name not in fit:
            kind = "a server" if name in _OPTIONS["http"] else "a model folder"
            known = f"not for {model}" if model else "and none is named"
            raise click.UsageError(f"--{name.replace('_', '-')} is for {kind}, {known}")
    return given


def one_model(model: str | None, **older: str | None) -> str | None:
    """Return the MODEL that a command line names, None where it names none.

    `older` holds the options beside --model that can name one: of a server, --model is then the
    name. Raises UsageError for two models, and for a string that names none.
    """
    others = [value for value in older.values() if value]
    named = [*others, model] if model else others
    if len(others) == 1 and model and others[0].lower().startswith(("http://", "https://")):
        named = [f"{model}@{others[0]}"]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} are two models: give one, as --model MODEL")
    if not named:
        return None
    from cybersecqwen.engines import engine_of

    try:
        engine_of(named[0])
    except InputError as error:
        raise click.UsageError(str(error)) from error
    return named[0]
