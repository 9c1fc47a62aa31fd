"""Write what the training libraries save: whole, readable for all, and one line when it fails.

    with DiskErrors(out):
        model.save_pretrained(out)
    open_to_all(out)

Each library reports a full disk in a way of its own.
"""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError

# How safetensors, tokenizers and torch, which raise no OSError, say that a write failed.
_UNWRITTEN = (
    "I/O error",
    "(os error ",
    "No space left on device",
    "PytorchStreamWriter",
    "inline_container",
    "iostream error",
)


class DiskErrors:
    """Turn a write into `folder` that the disk refuses into one line; other errors pass.

    It is a class because `__exit__` sees every error: tokenizers raises a plain Exception, which
    an `except` should not name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
        elif any(sign in str(error) for sign in _UNWRITTEN):
            reason = str(error).strip().splitlines()[0]
        else:
            return
        if not isinstance(error, CyberSecQwenError):  # write_json says it in one line already
            raise CyberSecQwenError(
                f"cannot write: {reason}",
                where=self.folder,
                tip="free some space and run the same command again",
            ) from error


def open_to_all(folder: Path) -> None:
    """Make the files of a folder readable for all: safetensors writes them for the owner only."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
