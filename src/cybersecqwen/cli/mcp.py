"""`cybersecqwen mcp`: lookup, classify and ask as tools of an assistant."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from cybersecqwen.cli.group import FILE, help_text
from cybersecqwen.cli.model import HELP, METAVAR, model_options, one_model, take_engine_options
from cybersecqwen.errors import extra

_log = logging.getLogger(__name__)


@click.command(help=help_text("mcp"))
@click.option(
    "--records",
    type=FILE,
    multiple=True,
    help="Files of CVE records, of KEV or of EPSS; may be repeated.  [default: what fetch left in"
    " its cache]",
)
@click.option(
    "--engine",
    "--model",
    metavar=METAVAR,
    help="A language model that chooses among the candidates, and writes answers from the passages "
    f"found, each sentence checked against them: {HELP}  [default: none]",
)
@model_options
def mcp(records: tuple[Path, ...], engine: str | None, **options: Any) -> None:
    """Serve the tools."""
    model = one_model(engine)
    opening = take_engine_options(options, model)
    with extra("mcp"):
        from cybersecqwen.service.mcp_server import Analyst, build_server
    server = build_server(Analyst(records, model or "embedded", **opening))
    if sys.stdin.isatty():
        _log.info("an assistant starts this command itself; end it with ctrl-C")
    server.run("stdio")
