"""The hub's own client, its endpoint, and its errors in one line.

The token is what `huggingface_hub` finds: HF_TOKEN, or what `hf auth login` stored. It is asked for
nowhere, sent over HTTPS or to this machine alone, and shown in no message.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cybersecqwen.errors import CyberSecQwenError, InputError, keep_secret

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TIPS = {
    401: "set HF_TOKEN, or `hf auth login`; is the name of the repository right?",
    403: "the token may not do this: it needs the right to write, for this owner",
    404: "check the name and the revision",
    409: "somebody else changed it meanwhile: look at it, then run the same command again",
    412: "somebody else changed it meanwhile: look at it, then run the same command again",
}


@contextmanager
def hub(endpoint: str | None, repo: str) -> Iterator[HfApi]:
    """Open the client of an endpoint, HF_ENDPOINT's by default.

    Raises CyberSecQwenError for what the hub refuses and for a connection that fails for good.
    """
    import httpx2
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    api = HfApi(endpoint=endpoint)
    parts = urlsplit(api.endpoint)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise InputError("a token is not sent without TLS", where=api.endpoint, tip="use https://")
    keep_secret((get_token() or "").strip())
    if not sys.stderr.isatty():
        disable_progress_bars()
    xet = constants.HF_HUB_DISABLE_XET
    # Only the hub itself has the newer storage; what is compatible with it speaks plain LFS.
    constants.HF_HUB_DISABLE_XET = xet or parts.hostname != "huggingface.co"
    try:
        yield api
    except (OSError, ValueError, RuntimeError, httpx2.HTTPError) as error:
        raise _error(error, f"{api.endpoint}/{repo}") from error
    finally:
        constants.HF_HUB_DISABLE_XET = xet


def _error(error: Exception, where: str) -> CyberSecQwenError:
    """Say what the hub, or the way to it, refused; the client wraps the cause in its own errors."""
    cause: BaseException = error
    while cause.__cause__ and not hasattr(cause, "response"):
        cause = cause.__cause__
    status = getattr(getattr(cause, "response", None), "status_code", 0)
    told = getattr(cause, "server_message", None) or str(cause).strip() or type(cause).__name__
    message = f"HTTP {status}: {told}" if status else told
    tip = _TIPS.get(status, "check the network and run the same command again: it goes on")
    return CyberSecQwenError(f"the hub: {message}", where=where, tip=tip)
