"""The files of a model repository, as they lie here: each with its size, sha256 and any objection.

    files = collect(Path("runs/smollm2-135m"))

A run gives its merged model and, beside it, the model card, and the cards and certificates of its
training data. Any other folder gives what lies in it. SHA256SUMS, which `sha256sum -c` reads, is
made for the repository and says what belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.files import sha256_file
from cybersecqwen.hub.privacy import reason_against
from cybersecqwen.manifest import finished

SUMS = "SHA256SUMS"
CARD = "README.md"
_DATA = ("corpus", "synthesis", "distillation")  # stages that leave a card or a certificate
_ABOUT_DATA = ("DATASET_CARD.md", "certificate.json")
_WEIGHTS = (".safetensors", ".gguf")


@dataclass(frozen=True)
class HubFile:
    """A file to send: its name in the repository, where it lies, and what speaks against it."""

    name: str
    path: Path
    size: int
    sha256: str
    objection: str | None


def collect(folder: Path, exclude: Sequence[str] = ()) -> list[HubFile]:
    """List the files of a model repository, by name; `exclude` are patterns of names to leave out.

    Raises InputError where there is no model, or no card of it, and StageError for a run whose
    merged model is not as its manifest says.
    """
    if _is_run(folder):
        finished(folder / "merged", tip="`cybersecqwen merge` makes it")
    run = next((p for p in (folder, *folder.absolute().parents[:2]) if _is_run(p)), None)
    model = folder / "merged" if _is_run(folder) else folder
    if not any(file for end in _WEIGHTS for file in model.glob(f"*{end}")):
        raise InputError("no model here", where=model, tip="give a run folder or a model folder")
    paths = {**(_about(run) if run else {}), **dict(_visible(model))}
    paths = {n: p for n, p in sorted(paths.items()) if not any(fnmatch(n, e) for e in exclude)}
    if CARD not in paths:
        raise InputError(f"no {CARD}", where=model, tip="`cybersecqwen card` writes a run's card")
    return [_file(name, path) for name, path in paths.items()]


def sums(files: Iterable[HubFile]) -> bytes:
    """Write the content of SHA256SUMS."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in files).encode()


def read_sums(path: Path) -> dict[str, str]:
    """Read SHA256SUMS: the checksums by name; raises InputError for anything else."""
    pairs = [line.split("  ", 1) for line in path.read_text("utf-8", "replace").splitlines()]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError("is no list of checksums", where=path)
    return {name: checksum for checksum, name in pairs}


def _is_run(folder: Path) -> bool:
    return (folder / "recipe.toml").is_file()


def _about(run: Path) -> dict[str, Path]:
    """Name what a run says about its model and its data."""
    about = {f"{stage}/{name}": run / stage / name for stage in _DATA for name in _ABOUT_DATA}
    about |= {CARD: run / "report" / "MODEL_CARD.md", "recipe.toml": run / "recipe.toml"}
    return {name: path for name, path in about.items() if path.is_file()}


def _visible(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder but for hidden ones, which are caches and locks."""
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not hidden and relative.as_posix() != SUMS:
            yield relative.as_posix(), path


def _file(name: str, path: Path) -> HubFile:
    return HubFile(name, path, path.stat().st_size, sha256_file(path), reason_against(path))
