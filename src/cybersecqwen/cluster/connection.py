"""Reach a Ray cluster, or start one on this machine, and say in a line why that fails.

    with open_cluster("local", Path("parts")) as cluster: ...
    with open_cluster("10.0.0.5:6379", Path("/mnt/shared/parts")) as cluster: ...
    with open_cluster("ray://10.0.0.5:10001", Path("/mnt/shared/parts")) as cluster: ...

HOST:PORT is for a machine that belongs to the cluster, ray:// for one that does not.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from cybersecqwen.cluster.schedule import Cluster
from cybersecqwen.errors import CyberSecQwenError, InputError, extra
from cybersecqwen.files import exclusive

LOCAL = "local"
_ADDRESS = re.compile(r"(?:ray://)?((?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d+)")
_SECONDS = 10.0  # in which a cluster has to answer
_REFUSED = (
    "HOST:PORT is for a machine of the cluster, ray://HOST:PORT for others; a cluster that asks "
    "for a token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
)
_STORE = 100_000_000  # bytes of the object store of a local one, which holds names alone


@contextmanager
def open_cluster(address: str, folder: Path) -> Iterator[Cluster]:
    """Connect to the cluster at an address; `folder` is where it keeps partitions.

    Standard output is standard error meanwhile. Raises InputError for what is no address,
    CyberSecQwenError where nothing answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent unless asked
    with extra("ray"):
        import grpc
        import ray
    match = _ADDRESS.fullmatch(address)
    if match:
        _reach(grpc, match[1], address)
    elif address != LOCAL:
        raise InputError(
            f"{address!r} is no address of a Ray cluster",
            where="--ray",
            tip="give local, HOST:PORT or ray://HOST:PORT",
        )
    local = {} if match else {"include_dashboard": False, "object_store_memory": _STORE}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # of many kinds; a bug of ours would not show here
        reason = str(error).strip().partition("\n")[0]
        raise CyberSecQwenError(
            f"Ray refuses: {reason}" if match else f"Ray does not start: {reason}",
            where=address,
            tip=_REFUSED if match else "try again when the machine is less busy",
        ) from error
    # Ray prints what it has to say of dead workers to standard output, which is for data, and
    # goes on doing so while it shuts down.
    with redirect_stdout(sys.stderr):
        try:
            with exclusive(folder):
                cluster = Cluster(folder.absolute())
                yield cluster
                cluster.delete_others()
        finally:
            ray.shutdown()


def _reach(grpc: Any, target: str, address: str) -> None:
    """Raise CyberSecQwenError unless a server answers, which Ray would wait minutes for."""
    if os.environ.get("RAY_USE_TLS", "0") != "0":  # which this does not speak
        return
    channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
    try:
        grpc.channel_ready_future(channel).result(timeout=_SECONDS)
    except grpc.FutureTimeoutError as error:
        raise CyberSecQwenError(
            f"no Ray cluster answers within {_SECONDS:g} seconds",
            where=address,
            tip="check the address, and that `ray start --head` runs there",
        ) from error
    finally:
        channel.close()
