"""Fetch a model from a hub at one commit, check every file of it, and only then show its folder.

    commit = pull("me/smollm2-135m", Path("models/smollm2-135m"), revision="v1.0")

What is fetched lies in a hidden folder beside the target, named after the commit, and a fetch that
was cut goes on in it. Each file is held against the hub's own checksum, SHA256SUMS, and the
manifest of the run's stage, where there are such.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.errors import InputError
from cybersecqwen.files import locked, open_to_all, sha256_file
from cybersecqwen.hub.client import hub
from cybersecqwen.hub.contents import SUMS, read_sums
from cybersecqwen.manifest import MANIFEST, outputs_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_log = logging.getLogger(__name__)

# Pickles and code, which run when a model is loaded; vLLM, llama.cpp and transformers need neither.
_UNWANTED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.h5", "*.msgpack", "*.py")


def pull(
    repo: str, folder: Path, *, revision: str | None = None, endpoint: str | None = None
) -> str:
    """Fetch a repository into a folder and return the commit, that of a branch or tag as it is now.

    A folder that holds just that already stays. Raises InputError for a folder that holds something
    else and for a file that is not what its checksum says, and CyberSecQwenError where the hub
    refuses.
    """
    with locked(folder), hub(endpoint, repo) as api:
        commit = str(api.repo_info(repo, revision=revision).sha)
        files = _wanted(api, repo, commit)
        if folder.exists():
            if wrong := _wrong(folder, files):
                what = f"holds something else than {repo} at {commit}: {wrong[0]} differs"
                raise InputError(what, where=folder, tip="choose another folder")
            _log.info("%s: is there already", folder)
            return commit
        partial = folder.parent / f".{folder.name}.{commit[:12]}.partial"
        api.snapshot_download(
            repo, revision=commit, local_dir=partial, ignore_patterns=list(_UNWANTED)
        )
        _check(partial, files)
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        open_to_all(partial)
        partial.rename(folder)
    return commit


def _wanted(api: HfApi, repo: str, commit: str) -> list[RepoFile]:
    """List the files of a commit, but for those that would run as code."""
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(repo, recursive=True, revision=commit)
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    wanted = [file for file in files if not any(Path(file.path).match(p) for p in _UNWANTED)]
    left_out = sorted({file.path for file in files} - {file.path for file in wanted})
    if left_out:
        _log.warning("left out, since such files run code when loaded: %s", ", ".join(left_out))
    return wanted


def _check(folder: Path, files: list[RepoFile]) -> None:
    """Refuse what did not come as it is on the hub, or is there but not as it was sent."""
    if wrong := _wrong(folder, files):
        for name in wrong:
            (folder / name).unlink(missing_ok=True)  # so that it is fetched anew
        what = f"came damaged: {', '.join(wrong)}"
        raise InputError(what, where=folder, tip="run the same command again: it fetches them anew")
    promised = read_sums(folder / SUMS) if (folder / SUMS).is_file() else {}
    proven = outputs_of(folder) if (folder / MANIFEST).is_file() else {}
    names = {file.path for file in files}
    for source, checksums in ((SUMS, promised), (MANIFEST, proven)):
        for name in checksums.keys() & names:
            if sha256_file(folder / name) != checksums[name]:
                what = f"{name} is not the file that {source} names"
                raise InputError(what, where=folder, tip="it was changed on the hub; ask its owner")


def _wrong(folder: Path, files: list[RepoFile]) -> list[str]:
    """List the files that are missing or have other bytes than on the hub."""
    return [file.path for file in files if not _is_intact(folder / file.path, file)]


def _is_intact(path: Path, file: RepoFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.lfs:
        return sha256_file(path) == file.lfs.sha256
    content = path.read_bytes()  # a file of git, which is small
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == file.blob_id
