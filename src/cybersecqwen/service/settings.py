"""What the service is started with.

>>> ServiceSettings().is_local, ServiceSettings(host="0.0.0.0").is_local
(True, False)
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from pathlib import Path

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field

from cybersecqwen.analyst.classification import THRESHOLD


def data_folder() -> Path:
    """Return the folder of the database and of the files that are being imported."""
    return user_data_path("cybersecqwen", appauthor=False)


class ServiceSettings(BaseModel):
    """The settings of one service; the defaults are those of one person on one machine.

    `database` is a URL: sqlite:///FILE or postgresql://USER@HOST/NAME. `second_share` is the share
    of records, 0 to 1, that a second reviewer judges without seeing the first verdict.

    Other models are given `model_timeout` seconds an answer. `names` are those of hosts, beside
    this machine's own, by which clients call the service. A client may send `rate_limit` requests a
    second, `burst` at once; 0 is no limit, and the default on one machine. Bodies
    have up to `body_limit` bytes, files and streams `upload_limit`. With `access_log` each request
    is logged as a line of JSON. When the service is told to end, it first is not ready for `drain`
    seconds.

    Files in the folder `watch` are imported. Every `update_every` hours, 0 being never, `feeds` are
    brought up to date, all of them where none is named. Webhooks may lead into private networks
    with `private_webhooks`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = ""
    folder: Path = Field(default_factory=data_folder)
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    model: str = "embedded"
    threshold: float = Field(default=THRESHOLD, ge=0, le=1)
    second_share: float = Field(default=0.0, ge=0, le=1)
    workers: int = Field(default=1, ge=1, le=64)
    names: tuple[str, ...] = ()
    rate_limit: float = Field(default=0.0, ge=0)
    burst: float = Field(default=100.0, ge=1)
    body_limit: int = Field(default=8 << 20, ge=1 << 10)
    upload_limit: int = Field(default=1 << 30, ge=1 << 10)
    model_timeout: float = Field(default=60.0, gt=0)
    access_log: bool = False
    drain: float = Field(default=0.0, ge=0)
    watch: Path | None = None
    update_every: float = Field(default=0.0, ge=0)
    feeds: tuple[str, ...] = ()
    private_webhooks: bool = False

    @property
    def database_url(self) -> str:
        """Return the URL of the database: the one given, or that of a file in the folder."""
        return self.database or f"sqlite:///{self.folder / 'workplace.sqlite'}"

    @property
    def import_folder(self) -> Path:
        """Return the folder for copies of the files that are imported into this database.

        Those of other databases are not in it, for the service removes what none of its own reads.
        """
        own = hashlib.sha256(self.database_url.encode()).hexdigest()[:16]
        return self.folder / "imports" / own

    @property
    def replica(self) -> str:
        """Return the name of this service among those on the same database."""
        return f"{socket.gethostname()}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
