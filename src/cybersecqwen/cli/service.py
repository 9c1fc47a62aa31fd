"""`cybersecqwen serve`: the HTTP service and its console, by one command."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, RegistryChoice, help_text, say
from cybersecqwen.cli.model import HELP, METAVAR, one_model
from cybersecqwen.errors import CyberSecQwenError, InputError, extra

if TYPE_CHECKING:
    from cybersecqwen.service.settings import ServiceSettings

_GRACE = 30  # seconds that requests under way have to end
_BACKLOG = 2048


def _updated() -> list[str]:
    from cybersecqwen.sources.recordstore.update import updates

    return list(updates())


@click.command(help=help_text("serve"))
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, help="Port to listen on; 0 is any."
)
@click.option(
    "--database",
    metavar="URL",
    help="sqlite:///FILE or postgresql://USER@HOST/NAME.  [default: a file of yours]",
)
@click.option("--model", metavar=METAVAR, help=f"{HELP}  [default: embedded]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name by which clients call the service, as behind a proxy; may be repeated.",
)
@click.option(
    "--rate-limit",
    type=click.FloatRange(min=0),
    default=None,
    metavar="N",
    help="Requests a second of one client; 0 is no limit.  [default: 0 on this machine alone, "
    "else 50]",
)
@click.option(
    "--second-share",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Share of the records that a second reviewer judges without seeing the first verdict.",
)
@click.option("--watch", type=FILE, help="Folder whose files are imported.")
@click.option(
    "--update-every",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="HOURS",
    help="Bring feeds up to date so often, and new records into the queue; 0 is never.",
)
@click.option(
    "--feed",
    "feeds",
    type=RegistryChoice(_updated),
    multiple=True,
    help="A feed that --update-every updates; may be repeated.  [default: all]",
)
@click.option("--private-webhooks", is_flag=True, help="Webhooks may be in private networks.")
@click.option(
    "--access-log",
    is_flag=True,
    help="Write a line of JSON for each request to standard error.",
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="When told to end, fail /ready for this long first, so that a balancer sends no more.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the console in a browser.")
def serve(no_browser: bool, **options: Any) -> None:
    """Start the service."""
    with extra("service"):  # it brings all that these need
        import uvicorn  # noqa: F401

        from cybersecqwen.service.app import create_app  # noqa: F401
        from cybersecqwen.service.settings import ServiceSettings
        from cybersecqwen.service.tracing import open_tracing

    options["model"] = one_model(options["model"]) or "embedded"
    options["database"] = options["database"] or ""
    rate = options.pop("rate_limit")
    settings = ServiceSettings(**options)
    settings = settings.model_copy(update={"rate_limit": _rate(rate, settings)})
    if settings.workers > 1 and (tracing := open_tracing()):
        tracing.close()  # each worker has its own; what is missing is said here, and once
    _check_accounts(settings)
    with _listening(settings) as listener:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listener.getsockname()[1]}"
        say(address)
        say("ctrl-C ends it", err=True)
        if not no_browser and sys.stdout.isatty():
            import webbrowser

            webbrowser.open(address)
        _run(settings, listener)


def _rate(given: float | None, settings: ServiceSettings) -> float:
    default = 0.0 if settings.is_local and not settings.names else 50.0
    return default if given is None else given


def _check_accounts(settings: ServiceSettings) -> None:
    """Open the database and the keys, and refuse to let others in while nobody could log in."""
    from cybersecqwen.service.database import open_database
    from cybersecqwen.service.keyring import open_keyring

    open_keyring(settings.folder)
    database = open_database(settings.database_url)
    try:
        if settings.is_local and not settings.names:
            return
        from cybersecqwen.service.accounts import any_account

        with database.read() as session:
            if not any_account(session):
                what = f"there is no account, so {settings.host} would let everybody in"
                tip = "cybersecqwen accounts add NAME --role administrator"
                raise CyberSecQwenError(what, tip=tip)
    finally:
        database.close()


def _listening(settings: ServiceSettings) -> socket.socket:
    """Listen on the address, before anything else starts."""
    where = f"{settings.host}:{settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((settings.host, settings.port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot listen: {reason}", where=where, tip="choose another by --port or --host"
        ) from error
    listener.set_inheritable(True)
    return listener


def _run(settings: ServiceSettings, listener: socket.socket) -> None:
    """Run the server until it is told to end, in one process or in several."""
    from tempfile import TemporaryDirectory

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from cybersecqwen.service.app import SETTINGS_VARIABLE, create_app

    common: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _GRACE,
    }
    if settings.workers == 1:
        uvicorn.Server(uvicorn.Config(create_app(settings), **common)).run(sockets=[listener])
        return
    with TemporaryDirectory(prefix="cybersecqwen-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ[SETTINGS_VARIABLE] = settings.model_dump_json()
        factory = "cybersecqwen.service.app:create_worker"
        config = uvicorn.Config(factory, factory=True, workers=settings.workers, **common)
        Multiprocess(config, [listener]).run()
