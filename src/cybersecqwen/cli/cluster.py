"""The options by which a command works on a Ray cluster, the same for each that can."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, add_options

if TYPE_CHECKING:
    from cybersecqwen.cluster import Cluster

cluster_options = add_options(
    click.option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: local, HOST:PORT from within it, ray://HOST:PORT.",
    ),
    click.option(
        "--shared",
        type=FILE,
        help="Folder that all its nodes see, for finished partitions; the same command goes on.",
    ),
)


def take_cluster(options: dict[str, Any]) -> AbstractContextManager[Cluster | None]:
    """Take the cluster out of a command's options, to be entered; None where none is named."""
    address, folder = options.pop("ray", None), options.pop("shared", None)
    if (address is None) != (folder is None):
        raise click.UsageError("--ray ADDRESS and --shared FOLDER go together")
    if address is None:
        return nullcontext()
    from cybersecqwen.cluster import open_cluster

    return open_cluster(address, folder)
