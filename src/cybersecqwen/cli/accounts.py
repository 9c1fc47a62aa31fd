"""`cybersecqwen accounts`: who may log in to the service, and the keys of programs."""

from __future__ import annotations

import sys
from typing import Any

import click

from cybersecqwen.cli.group import Group, echo, json_option, say
from cybersecqwen.cli.workplace import database_option, local_actor, opened_database
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json

_ROLES = ("reader", "reviewer", "resolver", "administrator")
_SCOPES = ("classify", "records", "reviews")


@click.group(cls=Group)
def accounts() -> None:
    """Say who may log in to the service, and make keys for programs.

    Without any account the service listens on this machine alone, and asks nobody to log in.
    """


@accounts.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="reviewer",
    help="A reader looks, a reviewer judges, a resolver decides between two who differ.",
)
@database_option
def add(name: str, role: Any, database: str) -> None:
    """Add a user.

    The password is asked for, or read from standard input.
    """
    password = _password()
    with opened_database(database, new=True) as opened, opened.write() as session:
        from cybersecqwen.service.accounts import add_user

        add_user(session, name, password, role=role, actor=local_actor())
    say(f"{name} may log in: {role}", err=True)


@accounts.command()
@click.argument("name")
@database_option
def password(name: str, database: str) -> None:
    """Give a user another password, and log them out everywhere."""
    given = _password()
    with opened_database(database) as opened, opened.write() as session:
        from cybersecqwen.service.accounts import set_password

        set_password(session, name, given, actor=local_actor())


@accounts.command("list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List users and keys; what no longer counts is marked."""
    with opened_database(database) as opened, opened.read() as session:
        from cybersecqwen.service.accounts import list_keys, list_users

        users: list[Json] = [
            {"name": one.name, "role": one.role, "since": one.created_at, "removed": one.disabled}
            for one in list_users(session)
        ]
        keys: list[Json] = [
            {
                "name": key.name,
                "user": user.name,
                "scopes": key.scopes,
                "since": key.created_at,
                "revoked": key.revoked_at or None,
            }
            for key, user in list_keys(session)
        ]
    lines = [
        f"{one['name']:20} {one['role']:14} since {str(one['since'])[:10]}"
        + ("  removed" if one["removed"] else "")
        for one in users
    ]
    lines += [
        f"key {one['name']:16} of {one['user']}: {', '.join(one['scopes'])}"
        + (f"  revoked {str(one['revoked'])[:10]}" if one["revoked"] else "")
        for one in keys
    ]
    echo({"users": users, "keys": keys}, "\n".join(lines) or "no account", as_json=as_json)


@accounts.command()
@click.argument("name")
@database_option
def remove(name: str, database: str) -> None:
    """Log a user out for good, and revoke their keys.

    What they decided stays.
    """
    with opened_database(database) as opened, opened.write() as session:
        from cybersecqwen.service.accounts import remove_user

        remove_user(session, name, actor=local_actor())


@accounts.command()
@click.argument("name")
@click.option("--user", required=True, metavar="NAME", help="For whom it acts.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(_SCOPES),
    multiple=True,
    required=True,
    help="classify is ask, lookup and chat, too; may be repeated.",
)
@database_option
def key(name: str, user: str, scopes: tuple[str, ...], database: str) -> None:
    """Make a key for a program, and print it.

    It is not kept, and cannot be shown again.
    """
    with opened_database(database) as opened, opened.write() as session:
        from cybersecqwen.service.accounts import add_key

        made = add_key(session, name, user=user, scopes=scopes, actor=local_actor())
    click.echo(made)
    say("send it as Authorization: Bearer KEY; it is not shown again", err=True)


@accounts.command()
@click.argument("name")
@database_option
def revoke(name: str, database: str) -> None:
    """Revoke a key; it is refused within seconds."""
    with opened_database(database) as opened, opened.write() as session:
        from cybersecqwen.service.accounts import revoke_key

        revoke_key(session, name, actor=local_actor())


def _password() -> str:
    """Ask for a password twice, or read the line of a pipe."""
    if sys.stdin.isatty():
        given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return given
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InputError("no password", where="stdin", tip="give it on the first line")
    return line
