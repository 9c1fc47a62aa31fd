"""The commands that send a model to a hub and fetch one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, echo, json_option

if TYPE_CHECKING:
    from cybersecqwen.files import Json
    from cybersecqwen.hub.contents import HubFile

_REFUSED = 3  # exit status where a check says no
_endpoint = click.option(
    "--endpoint", metavar="URL", help="Address of the hub.  [default: HF_ENDPOINT]"
)


@click.command()
@click.argument("folder", type=FILE)
@click.argument("repo")
@click.option("--upload", is_flag=True, help="Send it; without this the files are only listed.")
@click.option("--public", is_flag=True, help="Let all the world read it.")
@click.option("--revision", default="main", metavar="BRANCH", help="Branch to commit to.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave files out by name, as *.jsonl. Repeated.",
)
@_endpoint
@json_option
def push(
    folder: Path, repo: str, upload: bool, exclude: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """List what goes to a model repository; send it by --upload.

    FOLDER is a run folder, or the folder of a model, an adapter or an export; REPO is OWNER/NAME.
    What holds a key, a path of this machine, or is no kind of file that belongs to a model is
    refused. A new repository is private. The token is HF_TOKEN, or that of `hf auth login`.
    """
    from cybersecqwen.hub.contents import collect

    files = collect(folder, exclude)
    if not upload:
        echo([_row(file) for file in files], _table(files, repo), as_json=as_json)
        if any(file.objection for file in files):
            click.get_current_context().exit(_REFUSED)
        return
    from cybersecqwen.hub.push import push as send

    commit = send(files, repo, **options)
    echo({"repo": repo, "commit": commit}, f"{repo} {commit}", as_json=as_json)


@click.command()
@click.argument("repo")
@click.argument("folder", type=FILE)
@click.option("--revision", help="Branch, tag or commit.  [default: main]")
@_endpoint
@json_option
def pull(
    repo: str, folder: Path, revision: str | None, endpoint: str | None, as_json: bool
) -> None:
    """Fetch a model repository, checked file by file.

    Prints the commit that was fetched, to be given as --revision another time. Pickles and code are
    left out.
    """
    from cybersecqwen.hub.pull import pull as fetch

    commit = fetch(repo, folder, revision=revision, endpoint=endpoint)
    echo({"repo": repo, "commit": commit, "folder": str(folder)}, commit, as_json=as_json)


def _row(file: HubFile) -> Json:
    return {
        "name": file.name,
        "bytes": file.size,
        "sha256": file.sha256,
        "refused": file.objection,
    }


def _table(files: list[HubFile], repo: str) -> str:
    from cybersecqwen.reports.markdown import table

    rows = [(f.name, f"{f.size:,}", f.sha256, f.objection or "") for f in files]
    listed = table(("file", "bytes", "sha256", "refused, since it"), rows)
    total, refused = sum(file.size for file in files), sum(bool(file.objection) for file in files)
    what = f"{refused} refused" if refused else "--upload sends them, with SHA256SUMS"
    return f"{listed}\n\n{len(files)} files, {total:,} bytes for {repo}. Nothing was sent: {what}"
