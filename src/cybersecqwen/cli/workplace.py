"""`cybersecqwen workplace` and `audit-trail`: the analyst's workplace without its service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, Group, RegistryChoice, echo, help_text, json_option, say
from cybersecqwen.cli.model import HELP, METAVAR, one_model
from cybersecqwen.errors import extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cybersecqwen.files import Json
    from cybersecqwen.service.audit_trail import Verification
    from cybersecqwen.service.database import Database
    from cybersecqwen.service.tables import AuditEvent

_BROKEN = 3  # exit status


def _formats() -> Iterable[str]:
    with extra("service"):
        from cybersecqwen.service.exports import EXPORTS
    return EXPORTS


def _events() -> Iterable[str]:
    with extra("service"):
        from cybersecqwen.service.webhooks import EVENTS
    return EVENTS


database_option = click.option(
    "--database",
    metavar="URL",
    default="",
    show_default=False,
    help="sqlite:///FILE or postgresql://USER@HOST/NAME.  [default: that of `serve`]",
)


@click.group(cls=Group)
def workplace() -> None:
    """Import, export, back up and restore the analyst's workplace."""


@workplace.command("export", help=help_text("workplace-export"))
@click.argument("name", metavar="FORMAT", type=RegistryChoice(_formats))
@click.option("--out", type=FILE, help="Write to this file.  [default: standard output]")
@click.option(
    "--state",
    type=click.Choice(["all", "open", "second", "disputed", "decided"]),
    default="all",
    help="Only records in this state of their review.",
)
@click.option("--cwe", default="", metavar="CWE", help="Only records with this suggestion.")
@click.option(
    "--product", default="", metavar="NAME", help="Only records that affect this product."
)
@click.option("--kev", is_flag=True, help="Only those that CISA knows to be exploited.")
@click.option("--held-out", is_flag=True, help="Only those that are never trained on.")
@database_option
def export_(name: str, out: Path | None, database: str, held_out: bool, **chosen: Any) -> None:
    """Write the records with their verdicts and the audit trail."""
    with extra("service"):
        from cybersecqwen.service.exports import export
        from cybersecqwen.service.queue import Filters
    state = None if chosen["state"] == "all" else chosen["state"]
    filters = Filters(
        state=state,
        cwe=chosen["cwe"],
        product=chosen["product"],
        exploited=chosen["kev"] or None,
    )
    with opened_database(database) as opened:
        pieces = export(opened, name, filters, actor=local_actor(), held_out=held_out)
        if out:
            from cybersecqwen.files import atomic_write

            with atomic_write(out) as file:
                file.writelines(pieces)
        else:
            from cybersecqwen.cli.streams import write_lines

            write_lines(pieces)


@workplace.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--records", type=FILE, multiple=True, help="Where CVE ids are looked up, and KEV.")
@click.option("--model", metavar=METAVAR, help=f"{HELP}  [default: embedded]")
@database_option
@json_option
def import_(
    files: tuple[Path, ...],
    records: tuple[Path, ...],
    model: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Import files, each record with a suggestion.

    Every format that `classify` reads is taken. What is there already counts as unchanged.
    """
    from cybersecqwen.cli.streams import Bad
    from cybersecqwen.errors import InputError

    with extra("service"):
        from cybersecqwen.service.imports import begin, open_importer
    bad, rows = Bad(), []
    settings = _settings(database, one_model(model))
    folder = settings.import_folder
    with opened_database(database, new=True) as opened:
        importer = open_importer(opened, settings, records=records)
        for path in files:
            try:
                stream = path.open("rb")
            except OSError as error:
                bad.report(InputError(error.strerror or str(error), where=path))
                continue
            with stream:
                number = begin(opened, path.name, stream, actor=local_actor(), folder=folder)
            done = importer.finish(number)
            for problem in _problems(opened, number):
                bad.report(InputError(problem))
            if done.error:
                bad.report(InputError(done.error))
            names = ("name", "state", "new", "changed", "unchanged", "refused")
            rows.append({name: getattr(done, name) for name in names})
    lines = [
        f"{row['name']}: {row['new']:,} new, {row['changed']:,} changed, "
        f"{row['unchanged']:,} unchanged, {row['refused']:,} refused"
        for row in rows
    ]
    echo(rows, "\n".join(lines), as_json=as_json)
    bad.finish()


def _problems(database: Database, number: int) -> list[str]:
    from cybersecqwen.service.tables import Import

    with database.read() as session:
        return [one.message for one in session.get_one(Import, number).problems]


@workplace.command("backup")
@click.argument("file", type=FILE)
@database_option
def backup_(file: Path, database: str) -> None:
    """Back up a workplace of SQLite, also while its service runs.

    The copy is checked before it takes the place of an older one.
    """
    with extra("service"):
        from cybersecqwen.service.backup import backup
    verification = backup(_settings(database).database_url, file)
    say(f"{file}: {_told(verification)}")


@workplace.command("restore")
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="In the place of a database that there is.")
@database_option
def restore_(file: Path, replace: bool, database: str) -> None:
    """Restore a workplace of SQLite from a checked backup."""
    with extra("service"):
        from cybersecqwen.service.backup import restore
    url = _settings(database).database_url
    verification = restore(file, url, replace=replace)
    say(f"{url}: {_told(verification)}")


@workplace.group("webhooks", cls=Group)
def webhooks() -> None:
    """Tell other programs of new records and alarms."""


@webhooks.command("add")
@click.argument("url")
@click.option(
    "--event",
    "events",
    type=RegistryChoice(_events),
    multiple=True,
    required=True,
    help="What it is told of; may be repeated.",
)
@click.option(
    "--product",
    "products",
    multiple=True,
    help="Only CVEs that affect this product; may be repeated.",
)
@click.option("--min-severity", type=click.FloatRange(0, 10), help="Only from this CVSS score on.")
@click.option("--kev", is_flag=True, help="Only what CISA knows to be exploited.")
@click.option("--private", is_flag=True, help="It may be in a private network.")
@database_option
def webhooks_add(url: str, events: tuple[str, ...], private: bool, **options: Any) -> None:
    """Add an address, and print its number and its secret.

    The secret signs what is sent, and is not shown again. With --private the service needs
    --private-webhooks, too.
    """
    with extra("service"):
        from cybersecqwen.service.keyring import open_keyring
        from cybersecqwen.service.webhooks import add_webhook
    condition: Json = {
        "products": list(options["products"]),
        "min_severity": options["min_severity"],
        "exploited": options["kev"],
    }
    condition = {name: value for name, value in condition.items() if value not in (None, [], False)}
    keyring = open_keyring(_settings("").folder, create=True)
    how: Json = {"condition": condition, "private": private, "keyring": keyring}
    with opened_database(options["database"], new=True) as opened, opened.write() as session:
        number, secret = add_webhook(session, url, events=events, actor=local_actor(), **how)
        say(f"{number} {secret}")


@webhooks.command("list")
@database_option
@json_option
def webhooks_list(database: str, as_json: bool) -> None:
    """List the addresses, and how many messages wait for each."""
    from cybersecqwen.reports.markdown import table

    with extra("service"):
        from cybersecqwen.service.webhooks import webhook_rows
    with opened_database(database) as opened, opened.read() as session:
        rows = webhook_rows(session, _settings(database).folder)
    header = ("id", "url", "events", "delivered", "waiting", "given up", "last error")
    cells = [
        (
            str(row["id"]),
            row["url"],
            ", ".join(row["events"]),
            *(str(row[name]) for name in ("delivered", "waiting", "given_up")),
            row["error"] or "-",
        )
        for row in rows
    ]
    echo(rows, table(header, cells) if cells else "no webhook", as_json=as_json)


@webhooks.command("rotate")
@click.argument("number", type=int)
@database_option
def webhooks_rotate(number: int, database: str) -> None:
    """Replace the secret of a webhook and print the new one.

    It signs everything that is sent from now on, messages that are waiting included.
    """
    with extra("service"):
        from cybersecqwen.service.keyring import open_keyring
        from cybersecqwen.service.webhooks import find_webhook, rotate_secret
    keyring = open_keyring(_settings(database).folder, create=True)
    with opened_database(database) as opened, opened.write() as session:
        webhook = find_webhook(session, number)
        secret = rotate_secret(session, webhook, actor=local_actor(), keyring=keyring)
    say(secret)


@webhooks.command("rotate-key")
@database_option
def webhooks_rotate_key(database: str) -> None:
    """Encrypt the secrets of all webhooks with another key.

    It is a new one in the service's folder, or the first one of CYBERSECQWEN_ENCRYPTION_KEYS where
    this is set. The secrets stay the same.
    """
    with extra("service"):
        from cybersecqwen.service.keyring import rotate_key
    with opened_database(database) as opened:
        name, count = rotate_key(opened, _settings(database).folder, actor=local_actor())
    say(f"key {name}: {count} {'secret' if count == 1 else 'secrets'}")


@webhooks.command("remove")
@click.argument("number", type=int)
@database_option
def webhooks_remove(number: int, database: str) -> None:
    """Tell an address nothing any more."""
    with extra("service"):
        from cybersecqwen.service.webhooks import find_webhook, remove_webhook
    with opened_database(database) as opened, opened.write() as session:
        remove_webhook(session, find_webhook(session, number), actor=local_actor())


@click.group("audit-trail", cls=Group)
def audit_trail() -> None:
    """Prove and read the audit trail of the workplace."""


@audit_trail.command("verify", help=help_text("audit-trail-verify"))
@click.option("--head", default="", metavar="HASH", help="An event that it must contain.")
@database_option
@json_option
def verify_(head: str, database: str, as_json: bool) -> None:
    """Follow the whole chain."""
    with extra("service"):
        from cybersecqwen.service.audit_trail import verify
    with opened_database(database) as opened, opened.read() as session:
        verification = verify(session, head=head)
    text = f"broken: {verification.broken}" if verification.broken else _told(verification)
    echo(verification._asdict(), text, as_json=as_json)
    if verification.broken:
        click.get_current_context().exit(_BROKEN)


@audit_trail.command("show")
@click.argument("record", metavar="CVE")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def show(record: str, database: str, as_json: bool) -> None:
    """Print the events about a record, the first one first."""
    from cybersecqwen.cwe.identifiers import normalise_cve
    from cybersecqwen.errors import InputError

    with extra("service"):
        from cybersecqwen.service.audit_trail import events
    name = normalise_cve(record) or record
    empty = True
    with opened_database(database) as opened, opened.read() as session:
        for event in events(session, name):
            empty = False
            _show(event, as_json=as_json)
    if empty:
        raise InputError("there is no event about it", where=name, tip="nobody has judged it yet")


def _show(event: AuditEvent, *, as_json: bool) -> None:
    import json

    from cybersecqwen.cli.output import json_line

    details: Json = json.loads(event.details)
    facts = {"sequence": event.sequence, "at": event.at, "actor": event.actor}
    facts |= {"action": event.action, "subject": event.subject}
    if as_json:
        row = facts | {"details": details, "previous": event.previous, "sha256": event.sha256}
        click.echo(json_line(row), nl=False)
        return
    say(f"{event.sequence}  {event.at}  {event.actor}  {event.action}  {event.sha256[:16]}")
    for name in ("cwe", "reason", "state"):
        if details.get(name):
            say(f"    {name}: {details[name]}")


def _told(verification: Verification) -> str:
    return f"{verification.events:,} events, whole, the last one {verification.head}"


def local_actor() -> Any:
    """Return who acts on the command line: the one local user."""
    from cybersecqwen.service.reviews import Actor

    return Actor("local", "administrator")


def _settings(database: str, model: str | None = None) -> Any:
    with extra("service"):
        from cybersecqwen.service.settings import ServiceSettings

    return ServiceSettings(database=database, model=model or "embedded")


@contextmanager
def opened_database(database: str, *, new: bool = False) -> Iterator[Database]:
    """Open the database that is named, or that of the service; it exists, or may be `new`."""
    with extra("service"):
        from cybersecqwen.service.backup import sqlite_file
        from cybersecqwen.service.database import open_database
    url = _settings(database).database_url
    if url.startswith("sqlite:") and not new:
        sqlite_file(url, "")
    opened = open_database(url)
    try:
        yield opened
    finally:
        opened.close()
