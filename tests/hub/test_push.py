"""A model goes to a hub whole, private and once, or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.hub import push as push_module
from cybersecqwen.hub.contents import SUMS, collect
from cybersecqwen.hub.push import push

from .conftest import REPO, TOKEN, Handler, Hub

NAMES = [
    *("README.md", "config.json", "corpus/DATASET_CARD.md", "corpus/certificate.json"),
    *("manifest.json", "model-00001.safetensors", "model-00002.safetensors", "recipe.toml"),
]


def test_a_run_is_its_model_with_the_cards_and_certificates(run: Path) -> None:
    assert [file.name for file in collect(run)] == NAMES
    assert [file.name for file in collect(run, ["corpus/*", "*.toml"])] == [
        name for name in NAMES if not name.startswith(("corpus", "recipe"))
    ]


def test_a_folder_without_model_or_card_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match="no model here"):
        collect(run / "corpus")
    (run / "merged" / "README.md").unlink()
    with pytest.raises(InputError, match="no README"):
        collect(run)
    (run / "report" / "MODEL_CARD.md").write_text("# the run's\n")
    assert "README.md" in [file.name for file in collect(run)]


def test_a_run_that_is_not_as_its_manifest_says_is_refused(run: Path) -> None:
    (run / "merged" / "config.json").write_text("{}")
    with pytest.raises(StageError, match="changed since its manifest"):
        collect(run)


def test_a_push_arrives_whole_and_private(hub: Hub, run: Path, tmp_path: Path) -> None:
    commit = push(collect(run), REPO, endpoint=hub.url)
    assert (commit, hub.private, len(hub.commits)) == (hub.sha(), True, 2)
    assert sorted(hub.files) == sorted([*NAMES, SUMS])
    for name, content in hub.files.items():
        path = tmp_path / "got" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    subprocess.run(["sha256sum", "-c", "--quiet", SUMS], cwd=tmp_path / "got", check=True)
    large = [call for call in hub.seen if call.startswith("PUT /lfs/")]
    assert len(large) == 2
    assert large[0].endswith(collect(run)[5].sha256)  # the largest first


def test_a_push_that_failed_half_way_goes_on(hub: Hub, run: Path) -> None:
    second = collect(run)[6].sha256
    hub.faults[f"PUT /lfs/{second}"] = [403]
    with pytest.raises(CyberSecQwenError):
        push(collect(run), REPO, endpoint=hub.url)
    assert (len(hub.lfs), len(hub.commits)) == (1, 1)  # one is there, and nothing is to be seen
    hub.seen.clear()
    push(collect(run), REPO, endpoint=hub.url)
    assert [call for call in hub.seen if call.startswith("PUT")] == [f"PUT /lfs/{second}"]
    assert len(hub.commits) == 2


def test_a_cut_connection_is_tried_again(hub: Hub, run: Path) -> None:
    hub.faults["PUT /lfs/"] = ["cut"]
    push(collect(run), REPO, endpoint=hub.url)
    assert sorted(hub.files) == sorted([*NAMES, SUMS])


@pytest.mark.parametrize("status", [409, 412])
def test_a_commit_in_between_is_not_overwritten(hub: Hub, run: Path, status: int) -> None:
    hub.faults["/commit/main"] = [status]
    with pytest.raises(CyberSecQwenError, match="somebody else changed it"):
        push(collect(run), REPO, endpoint=hub.url)
    assert len(hub.commits) == 1


def test_the_commit_names_its_parent(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def somebody_else(files: object) -> None:
        hub.commits.append({"theirs.md": b"theirs"})

    monkeypatch.setattr(push_module, "_check_unchanged", somebody_else)
    with pytest.raises(CyberSecQwenError, match="HTTP 412: The parent commit"):
        push(collect(run), REPO, endpoint=hub.url)
    assert list(hub.files) == ["theirs.md"]


def test_a_wrong_token_is_said_and_not_shown(
    hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "w" * 34)
    with pytest.raises(CyberSecQwenError, match=r"401.*HF_TOKEN") as error:
        push(collect(run), REPO, endpoint=hub.url)
    assert "wwww" not in str(error.value)
    assert not hub.exists


def test_a_token_that_a_hub_repeats_is_not_shown(hub: Hub, run: Path) -> None:
    hub.faults["/commit/main"] = [400]
    with pytest.raises(CyberSecQwenError) as error:
        push(collect(run), REPO, endpoint=hub.url)
    assert "Bearer" in str(error.value.what) and TOKEN not in str(error.value)


def test_a_token_goes_nowhere_without_tls(hub: Hub, run: Path) -> None:
    with pytest.raises(InputError, match="without TLS"):
        push(collect(run), REPO, endpoint="http://hub.example")


@pytest.mark.parametrize("name", ["model-00001.safetensors", "README.md"])
def test_a_file_that_changes_on_the_way_is_not_committed(hub: Hub, run: Path, name: str) -> None:
    files = collect(run)
    path = run / "merged" / name
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(CyberSecQwenError, match=f"changed while it was sent: {name}"):
        push(files, REPO, endpoint=hub.url)
    assert len(hub.commits) == 1


def test_what_the_hub_loses_is_told(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Handler.entry

    def other(self: Handler, name: str, content: bytes) -> dict[str, Any]:
        return honest(self, name, content[::-1] if name.startswith("model-00001") else content)

    monkeypatch.setattr(Handler, "entry", other)
    with pytest.raises(
        CyberSecQwenError, match=r"does not have model-00001\.safetensors as it was"
    ):
        push(collect(run), REPO, endpoint=hub.url)


def test_a_public_repository_has_to_be_meant(hub: Hub, run: Path) -> None:
    hub.exists, hub.private = True, False
    with pytest.raises(CyberSecQwenError, match="is public"):
        push(collect(run), REPO, endpoint=hub.url)
    assert not hub.lfs
    push(collect(run), REPO, endpoint=hub.url, public=True)
    assert len(hub.commits) == 2


def test_the_same_again_is_no_new_upload(hub: Hub, run: Path) -> None:
    push(collect(run), REPO, endpoint=hub.url)
    hub.seen.clear()
    push(collect(run), REPO, endpoint=hub.url)
    assert not [call for call in hub.seen if call.startswith("PUT")]


def test_the_command_lists_and_sends_nothing_until_it_is_told(hub: Hub, run: Path) -> None:
    arguments = ["push", str(run), REPO, "--endpoint", hub.url]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0 and not hub.seen
    for file in collect(run):
        assert f"{file.size:,}" in result.stdout and file.sha256 in result.stdout
    result = CliRunner().invoke(main, [*arguments, "--upload"])
    assert result.stdout == f"{REPO} {hub.sha()}\n"


def test_the_command_names_what_it_refuses(hub: Hub, run: Path) -> None:
    (run / "merged" / "optimizer.pt").write_bytes(b"")
    arguments = ["push", str(run), REPO, "--endpoint", hub.url]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 3 and "no kind of file that belongs" in result.stdout
    result = CliRunner().invoke(main, [*arguments, "--upload"])
    assert result.exit_code == 1 and "not sent: optimizer.pt" in result.stderr
    assert not hub.seen
    result = CliRunner().invoke(main, [*arguments, "--upload", "--exclude", "*.pt"])
    assert result.exit_code == 0 and "optimizer.pt" not in hub.files
