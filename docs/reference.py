"""Write docs/reference/commands.md: the help text of every command on one page.

    python docs/reference.py            # a test holds the page against this

The page is committed, so that it can be read and searched without building the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from cybersecqwen.cli import main

PAGE = Path(__file__).parent / "reference" / "commands.md"
WIDTH = 100  # columns of a help text

_HEAD = """# Commands

The help text of every command. [Command line](../command-line.md) explains what they share: MODEL,
RECIPE, exit status and completion in the shell.
"""


def commands(command: click.Command, above: click.Context | None, name: str) -> Iterator[str]:
    """Yield a section for a command, and one for each below it, as `--help` prints them."""
    context = click.Context(command, above, name, **command.context_settings)
    context.terminal_width = WIDTH
    text = click.unstyle(command.get_help(context))
    yield f"## {context.command_path}\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for inner in map(command.commands.__getitem__, command.list_commands(context)):
            if not inner.hidden:
                yield from commands(inner, context, inner.name or "")


def page() -> str:
    """Render the whole page."""
    return "\n".join([_HEAD, *commands(main, None, "cybersecqwen")])


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
