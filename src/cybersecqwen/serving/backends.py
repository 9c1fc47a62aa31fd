"""The programs that serve a model, and the one table of their flags, switches and reasons.

>>> [f"{s.name} {s.value}" for s in BACKENDS["vllm"].settings_on("rocm") if "attention" in s.name]
['--attention-backend TRITON_ATTN']

The table is settings.toml beside this module.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

DEVICES = ("rocm", "cuda", "cpu")


class Setting(NamedTuple):
    """A flag of a backend or a switch of its environment, the devices it is for, and why."""

    name: str
    value: str  # "" for a flag without one
    why: str
    is_switch: bool = False
    on: tuple[str, ...] = DEVICES
    model_type: tuple[str, ...] = ()  # of config.json; all where it is empty


class Backend(NamedTuple):
    """A program that serves models: how it is called, installed, and had as a container."""

    name: str
    program: str
    command: tuple[str, ...]
    python: tuple[str, ...]  # the same for a Python that has the backend; empty where there is none
    install: str
    images: dict[str, str]  # by device
    settings: tuple[Setting, ...]

    def settings_on(self, device: str, model_type: str = "") -> list[Setting]:
        """Return the settings for a device and a type of model; of one name the last that fits."""
        fit = [s for s in self.settings if device in s.on]
        fit = [s for s in fit if not s.model_type or model_type in s.model_type]
        return list({setting.name: setting for setting in fit}.values())


def _setting(row: dict[str, Any]) -> Setting:
    name = row.get("flag") or row["switch"]
    lists = {key: tuple(row[key]) for key in ("on", "model_type") if key in row}
    return Setting(name, row.get("value", ""), row["why"], "switch" in row, **lists)


def _backend(name: str, table: dict[str, Any]) -> Backend:
    return Backend(
        name,
        table["program"],
        tuple(table["command"]),
        tuple(table.get("python", ())),
        table["install"],
        table.get("image", {}),
        tuple(map(_setting, table["settings"])),
    )


_TABLE = tomllib.loads((Path(__file__).parent / "settings.toml").read_text(encoding="utf-8"))
BACKENDS = {name: _backend(name, table) for name, table in _TABLE.items()}
