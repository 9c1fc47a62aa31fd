"""A model comes from a hub at one commit, checked, or its folder does not appear."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.hub.contents import collect
from cybersecqwen.hub.pull import pull
from cybersecqwen.hub.push import push

from .conftest import REPO, Handler, Hub, Reply


@pytest.fixture
def pushed(hub: Hub, run: Path) -> Hub:
    """Send the run to the hub."""
    push(collect(run), REPO, endpoint=hub.url)
    return hub


def content(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_was_pushed_comes_back(pushed: Hub, tmp_path: Path) -> None:
    target = tmp_path / "got" / "tiny"
    assert pull(REPO, target, endpoint=pushed.url) == pushed.sha()
    assert content(target) == pushed.files
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["tiny"]
    pushed.seen.clear()
    assert pull(REPO, target, endpoint=pushed.url) == pushed.sha()  # it is there already
    assert not [call for call in pushed.seen if "/resolve/" in call]


def test_a_commit_stays_what_it_was(pushed: Hub, tmp_path: Path) -> None:
    first = pushed.sha()
    pushed.commits.append({"README.md": b"newer"})
    assert pull(REPO, tmp_path / "old", endpoint=pushed.url, revision=first) == first
    assert content(tmp_path / "old") == pushed.commits[1]
    assert pull(REPO, tmp_path / "new", endpoint=pushed.url) == pushed.sha()
    with pytest.raises(InputError, match="holds something else"):
        pull(REPO, tmp_path / "old", endpoint=pushed.url)
    with pytest.raises(CyberSecQwenError, match="404"):
        pull(REPO, tmp_path / "none", endpoint=pushed.url, revision="v9")


def test_a_cut_connection_is_tried_again(pushed: Hub, tmp_path: Path) -> None:
    pushed.faults["model-00001.safetensors"] = ["ok", "cut"]  # the HEAD, then the GET
    pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert content(tmp_path / "got") == pushed.files


def test_a_pull_that_failed_goes_on(pushed: Hub, tmp_path: Path) -> None:
    pushed.faults["GET /me/tiny/resolve/"] = ["ok", "ok", 403, 403, 403, 403, 403, 403, 403]
    with pytest.raises(CyberSecQwenError):
        pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert not (tmp_path / "got").exists()
    pushed.faults.clear()
    pushed.seen.clear()
    pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert content(tmp_path / "got") == pushed.files
    fetched = [call for call in pushed.seen if call.startswith("GET") and "/resolve/" in call]
    assert 0 < len(fetched) < len(pushed.files)


@pytest.mark.parametrize("name", ["model-00002.safetensors", "config.json"])
def test_a_file_that_was_changed_on_the_hub_is_refused(
    pushed: Hub, tmp_path: Path, name: str
) -> None:
    pushed.commits.append(pushed.files | {name: b"{}  "})
    with pytest.raises(InputError, match=f"{name} is not the file that SHA256SUMS names"):
        pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert not (tmp_path / "got").exists()


def test_the_manifest_is_held_against_too(pushed: Hub, tmp_path: Path) -> None:
    files = {k: v for k, v in pushed.files.items() if k != "SHA256SUMS"}
    pushed.commits.append(files | {"model-00001.safetensors": b"other"})
    with pytest.raises(InputError, match=r"not the file that manifest\.json names"):
        pull(REPO, tmp_path / "got", endpoint=pushed.url)


def test_bytes_that_change_on_the_way_are_refused_and_fetched_anew(
    pushed: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Handler.send

    def dishonest(self: Handler, reply: Reply) -> None:
        changed = "model-00001" in self.path and self.command == "GET"
        honest(self, reply._replace(value=b"x" * len(reply.value)) if changed else reply)

    monkeypatch.setattr(Handler, "send", dishonest)
    with pytest.raises(InputError, match=r"came damaged: model-00001\.safetensors"):
        pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert not (tmp_path / "got").exists()
    monkeypatch.setattr(Handler, "send", honest)
    pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert content(tmp_path / "got") == pushed.files


def test_code_and_pickles_are_left_out_and_named(
    pushed: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pushed.commits.append(pushed.files | {"modeling.py": b"import os", "old/model.bin": b"\x80"})
    pull(REPO, tmp_path / "got", endpoint=pushed.url)
    assert content(tmp_path / "got") == pushed.commits[1]
    assert "modeling.py, old/model.bin" in caplog.text


def test_a_name_that_leads_out_of_the_folder_is_refused(pushed: Hub, tmp_path: Path) -> None:
    pushed.commits.append({"../outside.md": b"x"})
    with pytest.raises(CyberSecQwenError):
        pull(REPO, tmp_path / "in" / "got", endpoint=pushed.url)
    assert not (tmp_path / "in" / "outside.md").exists()


def test_the_command_prints_the_commit(pushed: Hub, tmp_path: Path) -> None:
    arguments = ["pull", REPO, str(tmp_path / "got"), "--endpoint", pushed.url]
    result = CliRunner().invoke(main, arguments)
    assert result.stdout == f"{pushed.sha()}\n"
