"""Training in several processes, on one machine or many, started by torchrun.

    launch = Launch(nproc=8, nnodes=2, node_rank=0, rendezvous="head:29500", strategy="fsdp")
    print(command(launch, run / "recipe.toml", run))   # what runs, for a shell
    start(launch, run / "recipe.toml", run)            # and runs it, in this process

torchrun and not `accelerate launch`, which is a wrapper around it: torchrun tells which process
failed and stops the others, and what accelerate reads are a few variables. Every process runs our
own command; the one that started them holds the lock of the stage and writes its manifest.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shlex
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cybersecqwen.errors import CyberSecQwenError, StageError, extra
from cybersecqwen.training.distribution import share

if TYPE_CHECKING:
    from cybersecqwen.config import Recipe

_log = logging.getLogger(__name__)

Strategy = Literal["ddp", "fsdp", "deepspeed"]

_LAUNCHED = "CYBERSECQWEN_LAUNCHED"  # set in the processes that `start` started
_REPORT = "TORCHELASTIC_ERROR_FILE"  # where torchrun reads why a process failed
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent has died
_JOIN_SECONDS = 600  # that the nodes wait for one another

# What accelerate is told for each way to divide the work: a whole model in each process, the model
# in shards by PyTorch's FSDP2, or by DeepSpeed's third stage.
STRATEGIES: dict[Strategy, dict[str, str]] = {
    "ddp": {},
    "fsdp": {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        # All take the weights of the first process, sent shard by shard.
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
        # Whole, so that a checkpoint goes on in any number of processes.
        "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    },
    "deepspeed": {
        "ACCELERATE_USE_DEEPSPEED": "true",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3",
        "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true",
    },
}


@dataclass(frozen=True)
class Launch:
    """How many processes train on how many nodes, and which node this is.

    The nodes meet at `rendezvous`, HOST:PORT of node 0, which alone writes.
    """

    nproc: int  # on each node
    nnodes: int = 1
    node_rank: int = 0
    rendezvous: str | None = None
    strategy: Strategy = "ddp"

    @property
    def world_size(self) -> int:
        """The number of processes on all nodes."""
        return self.nproc * self.nnodes


def check(launch: Launch, recipe: Recipe) -> None:
    """Refuse what can run nowhere: a batch that is not shared evenly, nodes that cannot meet."""
    share(recipe.training, launch.world_size)
    if launch.strategy != "ddp" and recipe.model.quantization:
        raise StageError(
            f"{launch.strategy} cannot share out weights of {recipe.model.quantization}",
            tip="--strategy ddp: they are small",
        )
    if launch.nnodes > 1:
        _check_meeting(launch)
    elif launch.rendezvous:
        raise StageError(
            f"one node alone meets nobody at {launch.rendezvous}",
            tip="add --nnodes, or leave --rendezvous out",
        )


def _check_devices(launch: Launch) -> None:
    """Refuse what this machine has no GPUs or no packages for."""
    with extra("train"):
        import torch
    if launch.strategy == "deepspeed":
        with extra("deepspeed"):
            import deepspeed  # noqa: F401
    gpus = torch.cuda.device_count()
    if gpus and launch.nproc > gpus:
        raise StageError(
            f"{launch.nproc} processes need as many GPUs, and this machine has {gpus}",
            tip=f"--nproc {gpus}",
        )
    if not gpus and launch.strategy != "ddp":
        raise StageError(
            f"{launch.strategy} needs GPUs, and PyTorch finds none here",
            tip="--strategy ddp trains on a CPU",
        )


def _check_meeting(launch: Launch) -> None:
    if launch.node_rank >= launch.nnodes:
        raise StageError(
            f"there is no node {launch.node_rank} of {launch.nnodes}: they count from 0",
            tip="--node-rank 0 on the first",
        )
    host, _, port = (launch.rendezvous or "").rpartition(":")
    if not host or not port.isdecimal():
        raise StageError(
            f"{launch.nnodes} nodes need an address to meet at",
            tip="--rendezvous HOST:PORT on each, with an address of node 0 and a port free there",
        )


def holds_lock(launch: Launch | None) -> bool:
    """Tell whether this process is the one of all that holds the stage's lock and proves it."""
    if launch is not None:
        return launch.node_rank == 0
    return _LAUNCHED not in os.environ and os.environ.get("RANK", "0") == "0"


def command(launch: Launch, recipe: Path, out: Path) -> str:
    """Write the launch as a line for a shell, which does the same."""
    words = [f"{name}={value}" for name, value in STRATEGIES[launch.strategy].items()]
    words += [sys.executable, "-m", "torch.distributed.run", *_arguments(launch, recipe, out)]
    return shlex.join(words)


def _arguments(launch: Launch, recipe: Path, out: Path) -> list[str]:
    meeting = ["--standalone"]
    if launch.nnodes > 1:
        host, _, port = (launch.rendezvous or "").rpartition(":")
        meeting = [f"--nnodes={launch.nnodes}", f"--node-rank={launch.node_rank}"]
        meeting += [f"--master-addr={host}", f"--master-port={port}"]
        meeting += [f"--rdzv-conf=timeout={_JOIN_SECONDS}"]
    level = logging.getLogger("cybersecqwen").getEffectiveLevel()
    verbosity = {logging.WARNING: ["--quiet"], logging.DEBUG: ["--verbose"]}.get(level, [])
    program = ["-m", "cybersecqwen.cli", *verbosity, "train", str(recipe), "--out", str(out)]
    return [*meeting, f"--nproc-per-node={launch.nproc}", *program]


def start(launch: Launch, recipe: Path, out: Path) -> None:
    """Start the processes of this node and wait for them; when one fails, the others are ended.

    Raises StageError with the cause that the first one of them gave, or where this machine has no
    GPUs or packages for it.
    """
    _check_devices(launch)
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import parse_args, run

    from cybersecqwen.engines.threads import available_cores

    # It would tell in many lines what is said below in one.
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    cores = available_cores() // launch.nproc
    added = {
        _LAUNCHED: "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores))),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # else each process warns of what nobody can act on
        **STRATEGIES[launch.strategy],
    }
    with _environment(added), _signals():
        try:
            run(parse_args(_arguments(launch, recipe, out)))
        except ChildFailedError as error:
            raise StageError(_cause(error.failures)) from error
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from error
            raise SystemExit(128 + error.sigval) from error
        except (DistError, RendezvousError) as error:
            raise StageError(
                f"the nodes cannot meet: {str(error).splitlines()[0]}",
                where=launch.rendezvous,
                tip="give every node the address of node 0, and start all of them",
            ) from error


@contextmanager
def _environment(added: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _signals() -> Iterator[None]:
    """Put the handlers of signals back that torchrun replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _cause(failures: dict[int, Any]) -> str:
    """Say why a launch failed: what a process reported, or what killed it."""
    for rank, failure in failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            name, where = signal.Signals(-failure.exitcode).name, socket.gethostname()
            return (
                f"rank {rank} on {where} was killed by {name} (SIGKILL may mean that memory ran "
                "out; the same command goes on from the last checkpoint)"
            )
    for failure in failures.values():
        if Path(failure.error_file).is_file():
            told = failure.error_file_data["message"]
            if trace := told["extraInfo"]["py_callstack"]:
                _log.error("%s", trace)
            return str(told["message"])
    codes = ", ".join(f"rank {rank} with {each.exitcode}" for rank, each in failures.items())
    return f"processes ended without a reason: {codes}"


@contextmanager
def worker() -> Iterator[None]:
    """Run what a process of a launch does: it ends with the launch, and tells it why it failed."""
    if _LAUNCHED not in os.environ:
        yield
        return
    _end_with_parent()
    try:
        yield
    except Exception as error:
        _report(error)
        raise SystemExit(1) from error


def _end_with_parent() -> None:
    """Have Linux end this process when the one that started it is killed: the lock is then free."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _report(error: Exception) -> None:
    """Leave the cause of all where torchrun reads it; what is no error of ours has its traceback.

    A process that dies takes the connections of the others with it, so their errors come later.
    """
    expected = isinstance(error, CyberSecQwenError)
    own = str(error) if expected else f"{type(error).__name__}: {error}".splitlines()[0]
    rank, node = os.environ["RANK"], socket.gethostname()
    several = os.environ.get("GROUP_WORLD_SIZE", "1") != "1"
    if not expected or several:
        own = f"rank {rank} on {node}: {own}"
    cause = _first_cause(own)
    trace = "".join(traceback.format_exception(error)) if cause == own and not expected else ""
    message = {"message": cause, "extraInfo": {"timestamp": "0", "py_callstack": trace}}
    Path(os.environ[_REPORT]).write_text(json.dumps({"message": message}), encoding="utf-8")


def _first_cause(own: str) -> str:
    """Put a cause down where all processes see it, unless another was there before; return that."""
    import torch

    if not torch.distributed.is_initialized():
        return own
    try:
        store = torch.distributed.distributed_c10d._get_default_store()
        return str(store.compare_set("cybersecqwen/cause", "", own).decode())
    except RuntimeError:  # the store went with its node
        return own
