"""The commands that serve a model, and hold what is served against the model that was merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cybersecqwen.cli.group import FILE, RegistryChoice, echo, json_option, say

_FAILED = 3  # exit status, as that of a probe; 1 is an error, 2 a wrong use


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


def _read_servers(
    _context: click.Context, _option: click.Parameter, typed: tuple[str, ...]
) -> dict[str, str]:
    """Read servers, each MODEL or FORMAT=MODEL: its address, and the format that it serves."""
    from cybersecqwen.engines import engine_of
    from cybersecqwen.errors import InputError
    from cybersecqwen.serving.parity import TOLERANCES

    servers = {}
    for one in typed:
        form, equals, address = one.partition("=")
        form, address = (form, address) if equals and form in TOLERANCES else ("merged", one)
        try:
            known = engine_of(address) == "http"
        except InputError:
            known = False
        if not known:
            formats = ", ".join(TOLERANCES)
            raise click.BadParameter(
                f"{one} is no server: give URL, NAME@URL or FORMAT=URL, where "
                f"FORMAT is one of {formats}"
            )
        servers[address] = form
    return servers


@click.command()
@click.argument("run", type=FILE)
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="[FORMAT=]MODEL",
    callback=_read_servers,
    help="A server's URL or NAME@URL, and the format that it serves; may be repeated.  "
    "[default format: merged]",
)
@click.option("--benchmark", type=FILE, help="Folder of CTI-Bench TSV files.")
@click.option(
    "--prompts", type=click.IntRange(min=1), default=16, help="Benchmark questions to ask, in all."
)
@click.option("--tokens", type=click.IntRange(min=1), default=64, help="Length of an answer.")
@json_option
def parity(
    run: Path,
    servers: dict[str, str],
    benchmark: Path | None,
    prompts: int,
    tokens: int,
    as_json: bool,
) -> None:
    """Hold exports and servers against the merged model.

    Base and adapter, each export in RUN and each --server have to read the prompts as the same text
    and tokens, and to answer greedily as the merged model within the tolerance of their format.
    Writes RUN/parity.json. Exit status 3 says that one of them does not.
    """
    from cybersecqwen.pipeline.exports import open_exports
    from cybersecqwen.pipeline.exports import parity as check
    from cybersecqwen.reports.parity import parity_text

    opened = open_exports(run, benchmark)
    report = check(opened, servers, prompts=prompts, length=tokens)
    echo(report, parity_text(report), as_json=as_json)
    if not report["passed"]:
        click.get_current_context().exit(_FAILED)
