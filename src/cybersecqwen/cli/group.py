"""The parts that all commands share: sections of the help, errors in a line, common options."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from cybersecqwen.errors import CyberSecQwenError, clean
from cybersecqwen.files import DISK_FULL

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)
KIND = click.Choice(["instruct", "base"])


class CleanFormatter(logging.Formatter):
    """Writes what is logged without what steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or with a traceback the lines, of a record."""
        return clean(super().format(record))


class _Commands(MutableMapping[str, click.Command]):
    """Commands by name; one that is put down as module.function is imported when it is needed."""

    def __init__(self) -> None:
        self._commands: dict[str, click.Command | str] = {}

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if isinstance(command, str):
            module, _, function = command.partition(".")
            command = getattr(import_module(f"cybersecqwen.cli.{module}"), function)
            self._commands[name] = command
        return command

    def __setitem__(self, name: str, command: click.Command | str) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class Group(click.Group):
    """Prints our own errors in one line, and lists commands in the order of use."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.commands = self._places = _Commands()
        self.sections: dict[str, list[str]] = {}

    def add_section(self, title: str, commands: Iterable[str]) -> None:
        """Add commands, each given as module.function, that the help lists under a title."""
        for command in commands:
            name = command.partition(".")[2].replace("_", "-")
            self._places[name] = command
            self.sections.setdefault(title, []).append(name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit with its status after an error of ours, 130 after ctrl-C."""
        try:
            return super().invoke(ctx)
        except CyberSecQwenError as error:
            click.echo(f"{click.style('cybersecqwen:', fg='red')} {error}", err=True)
            ctx.exit(error.status)
        except click.UsageError as error:  # it may repeat an argument, such as a file's name
            raise click.UsageError(clean(error.format_message()), error.ctx) from error
        except KeyboardInterrupt:
            click.echo("stopped; run the same command again to go on", err=True)
            ctx.exit(130)

    def main(self, *arguments: Any, **settings: Any) -> Any:
        """Run the command line; a disk that is full, also under standard output, is one line."""
        try:
            return super().main(*arguments, **settings)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            # What waits to be written to standard output would fail once more at the exit.
            with suppress(OSError):  # a test's standard output is no file
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            where = f"{clean(str(error.filename))}: " if error.filename else ""
            click.echo(
                f"cybersecqwen: {where}cannot write: {error.strerror} (free some space where the "
                "output goes, and in the folder for temporary files)",
                err=True,
            )
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of use, not of the alphabet."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands section by section, each with its summary."""
        if not self.sections:
            super().format_commands(ctx, formatter)
        width = max(map(len, self.commands))
        for title, names in self.sections.items():
            limit = formatter.width - width - 6
            rows = [(n.ljust(width), self.commands[n].get_short_help_str(limit)) for n in names]
            with formatter.section(click.style(title, bold=True)):
                formatter.write_dl(rows)


class RegistryChoice(click.Choice[str]):
    """A choice among the names of a registry, in any case; it is imported when they are needed."""

    case_sensitive = False

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override] # click's is an attribute
        """The names, as the registry has them."""
        return tuple(self._names())


def _tasks() -> Iterable[str]:
    from cybersecqwen.benchmark.tasks import TASKS

    return TASKS


def _protocols() -> Iterable[str]:
    from cybersecqwen.benchmark.protocol import PROTOCOLS

    return PROTOCOLS


def _rules() -> Iterable[str]:
    from cybersecqwen.contamination import RULES

    return RULES


TASK = RegistryChoice(_tasks)
PROTOCOL = RegistryChoice(_protocols)
RULE = RegistryChoice(_rules)

tasks_option = click.option(
    "--task",
    "tasks",
    type=TASK,
    multiple=True,
    help="May be repeated.  [default: cti-rcm and cti-mcq]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _or_fetched(_ctx: click.Context, _param: click.Parameter, given: Path | None) -> Path:
    """Take the folder that is given, or the one that `fetch cti-bench` fills."""
    from cybersecqwen.pipeline.inputs import default_benchmark

    return given or default_benchmark()


benchmark_option = click.option(
    "--benchmark",
    type=FILE,
    callback=_or_fetched,
    help="Folder of the benchmark's files.  [default: the fetched one]",
)


def help_text(command: str) -> str:
    r"""Read the help of a command from help/<command>.txt; below a line `\b` nothing is wrapped."""
    path = Path(__file__).parent / "help" / f"{command}.txt"
    return path.read_text(encoding="utf-8").replace("\\b\n", "\b\n")


def add_options(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Add options to a command in the order in which the help lists them."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def echo(result: object, text: str, *, as_json: bool) -> None:
    """Print a result as JSON, or as text without what steers a terminal."""
    say(json.dumps(result, indent=2) if as_json else text)


def say(text: object, *, err: bool = False) -> None:
    """Print a text without what steers a terminal."""
    click.echo(clean(str(text)), err=err)


def coloured() -> bool:
    """Say whether standard output is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
