"""What all commands share: how errors are told, and the options that several take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cybersecqwen.errors import CyberSecQwenError

FILE = click.Path(path_type=Path)


class Group(click.Group):
    """Prints our own errors in one line; everything else keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit 1 after an error of ours, 130 after ctrl-C."""
        try:
            return super().invoke(ctx)
        except CyberSecQwenError as error:
            click.echo(f"cybersecqwen: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on", err=True)
            ctx.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of use, not of the alphabet."""
        return list(self.commands)


class RegistryChoice(click.ParamType[str]):
    """A choice among the names of a registry, which is imported only when a name is given."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as the registry has it, in whichever case it is typed."""
        return self._choice().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete a name."""
        return self._choice().shell_complete(ctx, param, incomplete)

    def _choice(self) -> click.Choice[str]:
        return click.Choice(list(self._names()), case_sensitive=False)


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
benchmark_option = click.option(
    "--benchmark", type=FILE, help="Folder of CTI-Bench TSV files.  [default: the fetched one]"
)


def benchmark_folder(given: Path | None) -> Path:
    """Take the folder that is given, or the one that `fetch cti-bench` fills."""
    from cybersecqwen.pipeline.inputs import default_benchmark

    return given or default_benchmark()
