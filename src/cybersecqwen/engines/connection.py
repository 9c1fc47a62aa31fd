"""What a connection to a server takes: its address, a key, and certificates to trust.

>>> base_url("http://localhost:8000/v1/chat/completions")
'http://localhost:8000/v1'
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cybersecqwen.engines.interface import EngineOptions
from cybersecqwen.errors import InputError

KEY = "OPENAI_API_KEY"  # the variable of a key where none is named

_ADDRESS = re.compile("(?:(?P<name>.+)@)?(?P<url>https?://.*)", re.IGNORECASE)
_ENDPOINT = re.compile("(?:/(?:chat/)?completions|(?<=/v1)/models)?/*$")
_DEPLOYMENT = re.compile("/deployments/([^/]+)$")


def is_address(model: str) -> bool:
    """Tell whether a string is a server's URL, alone or as NAME@URL."""
    return _ADDRESS.fullmatch(model.strip()) is not None


def split_address(address: str) -> tuple[str, str]:
    """Split NAME@URL into both; an Azure deployment is named by its URL. "" where there is none.

    >>> split_address("org/model@http://localhost:8000/v1")
    ('org/model', 'http://localhost:8000/v1')
    """
    match = _ADDRESS.fullmatch(address.strip())
    if not match:
        return "", address
    deployment = _DEPLOYMENT.search(urlsplit(base_url(match["url"])).path)
    return match["name"] or (deployment[1] if deployment else ""), match["url"]


def base_url(url: str) -> str:
    """Check a server's URL and return its base, the same however its end is written.

    The end may name an endpoint (`/chat/completions`, `/v1/models`); of a query Azure's api-version
    is kept.
    Raises InputError.
    """
    try:
        parts = urlsplit(url.strip())
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        _ = parts.port  # checked only here
    except ValueError as error:
        raise InputError(f"{url!r} is not a URL: {error}") from error
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or query.keys() - {"api-version"}
    ):
        raise InputError(
            f"{url!r} is not a server URL",
            tip="give its base, for example http://localhost:8000/v1",
        )
    if "@" in parts.netloc:
        raise InputError(
            "a server URL may hold no password", tip="put the key into OPENAI_API_KEY instead"
        )
    path = _ENDPOINT.sub("", parts.path) or ("" if parts.path.strip("/") else "/v1")
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{parts.query}" if parts.query else "")


def endpoint(base: str, path: str) -> str:
    """Return the URL of a path below a base.

    >>> endpoint("https://host/openai/deployments/d?api-version=1", "chat/completions")
    'https://host/openai/deployments/d/chat/completions?api-version=1'
    """
    below, query = base.partition("?")[::2]
    return f"{below}/{path}" + (f"?{query}" if query else "")


def authorization(base: str, key: str) -> dict[str, str]:
    """Return the header that carries a key: Azure's own, which refuses the other, or the usual."""
    if not key:
        return {}
    parts = urlsplit(base)
    azure = parts.query or (parts.hostname or "").endswith(".azure.com")
    return {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}


def key_of(options: EngineOptions) -> str:
    """Return the key for a server; raises InputError where the variable named for it is not set."""
    if options.api_key is not None:
        return options.api_key.strip()
    key = os.environ.get(options.api_key_env or KEY, "").strip()
    if options.api_key_env and not key:
        raise InputError(f"{options.api_key_env} is not set", tip="put the server's key into it")
    return key


def certificates(ca_bundle: Path | None) -> ssl.SSLContext | bool:
    """Return what certificates are held against: those of a file, or the system's."""
    if ca_bundle is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError too
        what = f"cannot be read as certificates: {error.strerror or error}"
        raise InputError(what, where=ca_bundle, tip="give a file in PEM form") from error
