"""A stage's proof of completion: what its folder was made from, and the checksums of it.

    make_stage(run / "corpus", made_from, lambda folder: build(recipe, inputs, folder))

A stage whose manifest matches is skipped. One that was made from something else is refused, with
what has changed, and one that was killed goes on in its folder.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cybersecqwen import __version__
from cybersecqwen.errors import StageError
from cybersecqwen.files import (
    Json,
    exclusive,
    read_json,
    sha256_file,
    sha256_tree,
    write_json,
)

_log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_TIP = "choose another --out, or delete the folder to make it again"


def make_stage(folder: Path, made_from: Json, make: Callable[[Path], object]) -> None:
    """Make a stage's folder, unless its manifest proves that it is made from exactly this.

    `made_from` is JSON-able: settings and checksums of inputs. The manifest is written
    last. Raises StageError when the folder was made or begun from something else, holds
    files of no stage, or is no longer what its manifest proves. While another process makes
    it, this one waits.
    """
    made_from = json.loads(json.dumps(made_from))  # a tuple and a list are the same setting
    if not _is_done(folder, made_from):
        with exclusive(folder):
            if not _is_done(folder, made_from):  # by a process that held the lock until now
                _make(folder, made_from, make)
                return
    _log.info("%s: done already, skipped", folder)


def _make(folder: Path, made_from: Json, make: Callable[[Path], object]) -> None:
    resumed = _holds_files(folder)
    _log.info("%s: %s", folder, "resumed" if resumed else "started")
    if not resumed:
        write_json(_begun(folder), {"made_from": made_from})
    try:
        make(folder)
    finally:
        if not _holds_files(folder):  # it failed before there was anything to go on from
            _begun(folder).unlink(missing_ok=True)
    manifest = {"made_from": made_from, "outputs": sha256_tree(folder), "version": __version__}
    write_json(folder / MANIFEST, manifest)
    _begun(folder).unlink(missing_ok=True)


def take_over(source: Path, folder: Path, made_from: Json) -> bool:
    """Fill a stage's empty folder with what another run made from the same, if it is that.

    Files are hard links where the disk has them: whatever changes one later replaces it. Raises
    StageError when the other stage is no longer what its manifest proves.
    """
    made_from = json.loads(json.dumps(made_from))
    if (
        not (source / MANIFEST).is_file()
        or made_from_of(source) != made_from
        or _holds_files(folder)
    ):
        return False
    _refuse_damage(source)
    _log.info("%s: the same as %s, taken from there", folder, source)
    partial = folder.parent / f".{folder.name}.taken"  # a kill must not leave half of it to go on
    shutil.rmtree(partial, ignore_errors=True)
    for name in outputs_of(source):  # no more than that: a card may have been written beside
        _link(source / name, partial / name)
    partial.rename(folder)
    return True


def finished(folder: Path, *, tip: str) -> Path:
    """Return the folder of a finished stage; raises StageError where it is not finished.

    Its files are checked against the manifest: what a later stage reads has to be what
    that stage is then recorded as made from.
    """
    if not (folder / MANIFEST).is_file():
        raise StageError("this stage is not finished", where=folder, tip=tip)
    _refuse_damage(folder)
    return folder


def made_from_of(folder: Path) -> Json | None:
    """Return what a finished or begun stage was made from; None for a folder of no stage."""
    if (folder / MANIFEST).is_file():
        return _field(folder / MANIFEST, "made_from")
    if _holds_files(folder) and _begun(folder).is_file():
        return _field(_begun(folder), "made_from")
    return None


def outputs_of(folder: Path, *names: str) -> dict[str, str]:
    """Take the checksums of a finished stage's outputs, or of some, from its manifest."""
    outputs: dict[str, str] = _field(folder / MANIFEST, "outputs")
    return {name: outputs[name] for name in names or outputs}


def refuse_changes(folder: Path, old: Json, new: Json) -> None:
    """Raise StageError that names every key in which two nested objects differ."""
    before, after = flatten(old), flatten(new)
    changed = [
        f"{key} was {before.get(key, 'absent')}, is {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    if changed:
        raise StageError(f"made from something else: {'; '.join(changed)}", where=folder, tip=_TIP)


def _is_done(folder: Path, made_from: Json) -> bool:
    old = made_from_of(folder)
    if old is None:
        if _holds_files(folder):
            raise StageError("holds files of no stage", where=folder, tip=_TIP)
        return False
    refuse_changes(folder, old, made_from)
    if not (folder / MANIFEST).is_file():
        return False
    _refuse_damage(folder)
    return True


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _field(path: Path, name: str) -> Json:
    content = read_json(path)
    field = content.get(name) if isinstance(content, dict) else None
    if not isinstance(field, dict):
        raise StageError(f"no manifest: {name!r} is missing", where=path, tip=_TIP)
    return field


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without hard links
        shutil.copy2(source, target)


def _begun(folder: Path) -> Path:
    """Name the mark of a begun stage: beside the folder, which a stage may replace whole."""
    return folder.parent / f".{folder.name}.begun.json"


def _refuse_damage(folder: Path) -> None:
    for name, expected in outputs_of(folder).items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != expected:
            raise StageError(
                "missing or changed since its manifest was written",
                where=path,
                tip=f"delete {folder} to make it again",
            )


def flatten(value: Json, prefix: str = "") -> Json:
    """Flatten a nested object to one of dotted keys: {"a": {"b": 1}} to {"a.b": 1}."""
    flat: Json = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= flatten(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
