"""The command that serves a model."""

from __future__ import annotations

from typing import Any

import click

from cybersecqwen.cli.group import RegistryChoice, say


def _backends() -> Any:
    from cybersecqwen.serving.backends import BACKENDS

    return BACKENDS


def _devices() -> Any:
    from cybersecqwen.serving.backends import DEVICES

    return DEVICES


@click.command("serve-model")
@click.argument("model")
@click.argument("extra", nargs=-1, type=click.UNPROCESSED, metavar="[-- FLAG...]")
@click.option(
    "--backend",
    type=RegistryChoice(_backends),
    help="What serves it.  [default: what fits and is found]",
)
@click.option(
    "--device", type=RegistryChoice(_devices), help="What it runs on.  [default: what is found]"
)
@click.option(
    "--executable", metavar="PATH", help="The backend's program, where it is not on PATH."
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, help="Port to listen on.")
@click.option(
    "--served-name",
    "name",
    metavar="NAME",
    help="What requests call the model.  [default: the run's name, or the file's]",
)
@click.option(
    "--max-model-len",
    "length",
    type=click.IntRange(min=16),
    metavar="N",
    help="Tokens of prompt and answer.  [default: 4096, or what the model was made for]",
)
@click.option(
    "--start-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=900,
    metavar="SECONDS",
    help="How long it may take to be ready.",
)
@click.option(
    "--print",
    "print_only",
    is_flag=True,
    help="Print the command with its reasons, and start nothing.",
)
@click.option("--docker", is_flag=True, help="With --print: as `docker run`.")
def serve_model(
    model: str, start_timeout: float, print_only: bool, docker: bool, **options: Any
) -> None:
    """Serve a model over the OpenAI-compatible API.

    MODEL is a run folder, a model folder, a GGUF file, or smollm2. vLLM serves folders and
    llama.cpp GGUF files; without vLLM, transformers serves folders. Flags of the backend go behind
    a --.
    """
    from cybersecqwen.serving.launch import ServeOptions, plan
    from cybersecqwen.serving.model import find_model
    from cybersecqwen.serving.server import running

    if docker and not print_only:
        raise click.UsageError("--docker goes with --print")
    launch = plan(find_model(model), ServeOptions(**options), installed=not docker)
    for reason in launch.reasons:
        say(reason, err=True)
    say(f"chat template: {launch.template}", err=True)
    if print_only:
        for setting in launch.settings:
            say(f"  {f'{setting.name} {setting.value}'.strip()}: {setting.why}", err=True)
        click.echo(launch.docker() if docker else launch.shell())
        return
    with running(launch, patience=start_timeout) as server:
        say(server.url)
        say(f"cybersecqwen evaluate --model {server.model}")
        say(f"the log is {server.log}; ctrl-C ends it", err=True)
        server.wait()
