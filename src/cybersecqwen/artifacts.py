"""What ships: recipes, an adapter, and artifacts with certificates to check them against.

>>> verified(FOLDER, "ranker.json")[:1]
b'{'
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json, read_json, write_bytes, write_json

FOLDER = Path(__file__).parent / "data"
# In an installed package and in a checkout.
_PLACES = (Path(__file__).parent, Path(__file__).parents[2])
_RECIPES = tuple(place / "recipes" for place in _PLACES)
_MODELS = tuple(place / "models" for place in _PLACES)


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    return {p.stem: p for folder in _RECIPES for p in sorted(folder.glob("*.toml"))}


def shipped_series() -> dict[str, Path]:
    """Return the series of runs that come with the package, by name."""
    return {p.stem: p for folder in _RECIPES for p in sorted(folder.glob("series/*.toml"))}


def shipped_adapter(name: str) -> Path:
    """Return the folder of an adapter that comes with the package; raises InputError without it."""
    for folder in _MODELS:
        if (folder / name / "adapter_model.safetensors").is_file():
            return folder / name
    raise InputError(
        "this adapter is missing", where=_MODELS[0] / name, tip="reinstall the package"
    )


def save(folder: Path, name: str, data: bytes, facts: Json) -> Json:
    """Write an artifact with its certificate: `facts`, the command that makes it, its sha256.

    One that is killed leaves the old pair or the new one.
    """
    certificate = {
        "artifact": name,
        "command": "cybersecqwen embedded build",
        **facts,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    next_certificate = _next_certificate(folder, name)
    write_json(next_certificate, certificate)
    try:
        write_bytes(folder / name, data)
    except CyberSecQwenError:
        next_certificate.unlink()
        raise
    next_certificate.replace(certificate_of(folder, name))
    return certificate


def certificate_of(folder: Path, name: str) -> Path:
    """Return where an artifact's certificate lies."""
    return folder / f"{name}.certificate.json"


def _next_certificate(folder: Path, name: str) -> Path:
    """Return where the certificate waits for its artifact, in case `save` is killed meanwhile."""
    return folder / f".{name}.certificate.json"


def verified(folder: Path, name: str) -> bytes:
    """Read an artifact; raises InputError unless its bytes are those of its certificate."""
    path = folder / name
    certificates = [read_json(certificate_of(folder, name))]
    if (waiting := _next_certificate(folder, name)).is_file():
        certificates.append(read_json(waiting))
    expected = [c.get("sha256") for c in certificates if isinstance(c, dict)]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, tip=_TIP) from error
    if hashlib.sha256(data).hexdigest() not in expected:
        raise damaged(path, "its checksum is not the certified one")
    return data


def damaged(path: Path, why: str) -> InputError:
    """Return the error for an artifact that is not what it should be."""
    return InputError(f"damaged: {why}", where=path, tip=_TIP)


_TIP = "reinstall the package, or make it again with: cybersecqwen embedded build"
