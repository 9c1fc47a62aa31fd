"""`cybersecqwen records`: what the local record store holds, and what has changed in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, Group, echo, json_option, say
from cybersecqwen.errors import CyberSecQwenError

if TYPE_CHECKING:
    from cybersecqwen.files import Json
    from cybersecqwen.sources.recordstore.versions import Changes

store_option = click.option(
    "--store", type=FILE, help="The record store.  [default: records.sqlite in the cache]"
)


@click.group(cls=Group)
def records() -> None:
    """Query the store of records that `fetch` keeps current."""


@records.command("since")
@click.argument("date")
@click.option(
    "--by",
    type=click.Choice(["published", "modified"]),
    default="published",
    help="Which date of a record counts; modified is the last time, by any upstream.",
)
@click.option("--labelled", is_flag=True, help="Only records with a CWE.")
@click.option("--kev", is_flag=True, help="Only those that CISA knows to be exploited.")
@click.option("--count", "counted", is_flag=True, help="Print how many there are instead.")
@store_option
def since(date: str, counted: bool, store: Path | None, **wanted: Any) -> None:
    """Print the records from DATE on, the oldest first.

    The lines are a table that --records takes in every command.
    """
    from cybersecqwen.cli.output import json_line
    from cybersecqwen.cli.streams import write_lines
    from cybersecqwen.sources.recordstore import query

    known = wanted.pop("kev")
    chosen = query.RecordFilter(since=iso_day(date), known_exploited=known, **wanted)
    if counted:
        say(query.count(_path(store), chosen))
    else:
        rows = query.rows(_path(store), chosen)
        write_lines(map(json_line, rows))


@records.command("history")
@click.argument("cve_id")
@store_option
@json_option
def history(cve_id: str, store: Path | None, as_json: bool) -> None:
    """Print how a record has changed in the store."""
    from cybersecqwen.cwe.identifiers import normalise_cve
    from cybersecqwen.reports.markdown import table
    from cybersecqwen.sources.recordstore import query

    cve_id = normalise_cve(cve_id) or cve_id
    if not any(query.find(_path(store), [cve_id])):
        raise CyberSecQwenError(
            "is not in the record store", where=cve_id, tip="update it: cybersecqwen fetch records"
        )
    changes = query.history(_path(store), cve_id)
    header = ("modified", "seen", "from", "what", "old", "new")
    none = f"{cve_id}: no change since it was first stored"
    echo(changes, table(header, map(_change, changes)) if changes else none, as_json=as_json)


def _change(change: Json) -> tuple[str, ...]:
    old, new = (_shown(change[side]) for side in ("old", "new"))
    modified = change["modified"].partition(".")[0] or "-"
    return (modified, change["seen"], change["source"], change["field"], old, new)


def _shown(value: object) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return (text if len(text) <= 60 else f"{text[:59]}…") or "-"


@records.command("status")
@store_option
@json_option
def status(store: Path | None, as_json: bool) -> None:
    """Say what the store holds and how current it is."""
    from cybersecqwen.reports.markdown import table
    from cybersecqwen.sources.recordstore import query

    state = query.status(_path(store))
    about = (
        f"{state['store']}: {state['records']:,} records, {state['bytes']:,} bytes\n"
        f"newest published {state['newest']['published'] or '-'}, "
        f"modified {state['newest']['modified'] or '-'}\n"
        f"{state['label_changes']:,} label changes, {state['kev']:,} known exploited, "
        f"{len(state['refused']):,} refused\n"
    )
    newest = {release["feed"]: release["version"] for release in state["releases"]}
    rows = [
        (f["feed"], f["cursor"] or newest.get(f["feed"], "-"), f["checked"] or "-")
        for f in state["feeds"]
    ]
    feeds = table(("feed", "up to", "checked"), rows)
    echo(state, f"{about}\n{feeds}", as_json=as_json)


@records.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@store_option
@json_option
def import_(files: tuple[Path, ...], store: Path | None, as_json: bool) -> None:
    """Import the records of files into the store.

    Importing a file again changes nothing.
    """
    from cybersecqwen.cli.streams import Bad
    from cybersecqwen.sources.fetch import default_cache
    from cybersecqwen.sources.recordstore.session import UpdateOptions
    from cybersecqwen.sources.recordstore.update import import_files

    options = UpdateOptions(_path(store), default_cache())
    bad = Bad()
    results = list(import_files(options, files, bad.report))
    print_changes([(path.name, "", changes) for path, changes in results], as_json=as_json)
    bad.finish()


def print_changes(results: list[tuple[str, str, Changes]], *, as_json: bool) -> None:
    """Print what an update or import brought: name, state and changes of each part."""
    from dataclasses import asdict

    from cybersecqwen.reports.markdown import table

    results_json = [{"name": name, "state": state, **asdict(c)} for name, state, c in results]
    rows = [
        (name, f"{c.received:,}", f"{c.new:,}", f"{c.changed:,}", f"{c.labels:,}", state or "-")
        for name, state, c in results
    ]
    header = ("from", "received", "new", "changed", "label changes", "up to")
    echo(results_json, table(header, rows, right=(1, 2, 3, 4)), as_json=as_json)


def iso_day(text: str) -> str:
    """Take a date as the command line gives it; raises CyberSecQwenError when it is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise CyberSecQwenError(f"{text!r} is not a date", tip="write it as 2025-12-01") from error


def _path(store: Path | None) -> Path:
    from cybersecqwen.sources.fetch import default_cache
    from cybersecqwen.sources.recordstore.database import NAME

    return store or default_cache() / NAME
