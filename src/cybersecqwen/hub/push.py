"""Send a model to a hub: large files first, and all of it in one commit at the end.

    commit = push(collect(Path("runs/smollm2-135m")), "me/smollm2-135m")

A push that is cut goes on where it was, for the hub keeps what it has got whole. Until the commit
nobody sees any of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import sha256_file
from cybersecqwen.hub.client import hub
from cybersecqwen.hub.contents import SUMS, HubFile, sums

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger(__name__)


def push(
    files: Sequence[HubFile],
    repo: str,
    *,
    endpoint: str | None = None,
    revision: str = "main",
    public: bool = False,
) -> str:
    """Send files into a repository, which is made where it is not there, and return the commit.

    Raises InputError for a file that is objected to, and CyberSecQwenError for one that changed on
    the way, for a repository that is `public` without being meant to be, and where the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd

    refused = [f"{file.name} {file.objection}" for file in files if file.objection]
    if refused:
        raise InputError(
            f"not sent: {'; '.join(refused)}", tip="mend them, or leave them out by --exclude"
        )
    with hub(endpoint, repo) as api:
        head = _open_repository(api, repo, revision, public=public)
        largest_first = sorted(files, key=lambda file: -file.size)
        additions = [CommitOperationAdd(file.name, str(file.path)) for file in largest_first]
        for addition in additions:  # one by one: what has arrived stays there
            api.preupload_lfs_files(repo, [addition], revision=revision, free_memory=False)
        _check_unchanged(files)
        additions.append(CommitOperationAdd(SUMS, sums(files)))
        commit = api.create_commit(
            repo,
            additions,
            commit_message="Upload with CyberSecQwen",
            revision=revision,
            parent_commit=head,
        )
        _check_arrival(api, repo, str(commit.oid), files)
        return str(commit.oid)


def _open_repository(api: HfApi, repo: str, revision: str, *, public: bool) -> str | None:
    """Return the commit that a repository is at; makes it, private unless it is to be public."""
    if not api.repo_exists(repo):
        api.create_repo(repo, private=not public)
        _log.info("%s: made, %s", repo, "public" if public else "private")
    info = api.repo_info(repo)
    if not info.private and not public:
        raise CyberSecQwenError(
            "this repository is public", where=repo, tip="--public, if all the world may read it"
        )
    if revision != "main":
        api.create_branch(repo, branch=revision, exist_ok=True)
        info = api.repo_info(repo, revision=revision)
    return info.sha


def _check_unchanged(files: Sequence[HubFile]) -> None:
    changed = [file.name for file in files if sha256_file(file.path) != file.sha256]
    if changed:
        raise CyberSecQwenError(
            f"changed while it was sent: {', '.join(changed)}; nothing was committed",
            tip="wait until whatever writes it has ended, and run the same command again",
        )


def _check_arrival(api: HfApi, repo: str, commit: str, files: Sequence[HubFile]) -> None:
    """Compare the repository with what was to be sent: names, sizes, and checksums of weights."""
    from huggingface_hub.hf_api import RepoFile

    entries = list(api.list_repo_tree(repo, recursive=True, revision=commit))
    there = {
        e.path: (e.size, e.lfs.sha256 if e.lfs else None)
        for e in entries
        if isinstance(e, RepoFile)
    }
    lost = [
        file.name
        for file in files
        if there.get(file.name) not in ((file.size, None), (file.size, file.sha256))
    ]
    if lost:
        what = f"the hub does not have {', '.join(lost)} as it was sent, at commit {commit}"
        raise CyberSecQwenError(what, where=repo, tip="run the same command again")
