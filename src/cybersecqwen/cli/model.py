"""How a command line names a model: MODEL, the same in every command, and its older spellings.

    --model embedded                                       what ships inside
    --model runs/smoke/merged                              a model folder
    --model answers.jsonl                                  a file of recordings, or a folder of them
    --model http://localhost:8000/v1                       a server, and the only model it serves
    --model CyberSecQwen-4B@http://localhost:8000/v1       a server's model by its name

Before, a server had an option of its own and --model the name: `--url URL --model NAME`.
"""

from __future__ import annotations

import click

from cybersecqwen.errors import InputError

METAVAR = "MODEL"
HELP = "embedded, a model folder, a file of recordings, a server's URL, or NAME@URL."
OLDER = "An older way to name a model."


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
