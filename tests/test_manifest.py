"""A stage is skipped only if its folder is exactly what its manifest proves."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cybersecqwen.errors import StageError
from cybersecqwen.files import atomic_write
from cybersecqwen.manifest import finished, make_stage, outputs_of, take_over

SETTINGS = {"config": {"epochs": 1, "names": ("a", "b")}, "inputs": {"train": "abc"}}


class Maker:
    """Writes one output and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        folder.mkdir(exist_ok=True)
        (folder / "output").write_text("made")


def test_a_finished_stage_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    make = Maker()
    make_stage(tmp_path / "stage", SETTINGS, make)
    make_stage(tmp_path / "stage", SETTINGS, make)
    assert make.calls == 1
    assert "skipped" in caplog.text
    assert list(outputs_of(tmp_path / "stage")) == ["output"]


def test_changed_settings_are_named_and_nothing_is_touched(tmp_path: Path) -> None:
    make = Maker()
    make_stage(tmp_path / "stage", SETTINGS, make)
    changed = {"config": {"epochs": 2, "names": ("a", "b")}, "inputs": {"train": "xyz"}}
    with pytest.raises(StageError) as caught:
        make_stage(tmp_path / "stage", changed, make)
    assert "config.epochs was 1, is 2; inputs.train was abc, is xyz" in str(caught.value)
    assert make.calls == 1


def test_a_killed_stage_goes_on_but_not_with_other_settings(tmp_path: Path) -> None:
    def killed(folder: Path) -> None:
        folder.mkdir()
        (folder / "partial").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_stage(tmp_path / "stage", SETTINGS, killed)
    with pytest.raises(StageError, match="is not finished"):
        finished(tmp_path / "stage", tip="run it")
    with pytest.raises(StageError, match=r"config\.epochs"):
        make_stage(tmp_path / "stage", {"config": {"epochs": 9}}, Maker())
    make_stage(tmp_path / "stage", SETTINGS, Maker())
    assert set(outputs_of(tmp_path / "stage")) == {"output", "partial"}


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    def killed(folder: Path) -> None:
        with atomic_write(folder / "trial-0" / "rows.jsonl"):
            (half,) = (folder / "trial-0").iterdir()
            # A process that is killed deletes nothing; this one does, so another name stays.
            half.with_name(f".killed{half.name}").hardlink_to(half)
            raise KeyboardInterrupt

    folder = tmp_path / "stage"
    with pytest.raises(KeyboardInterrupt):
        make_stage(folder, SETTINGS, killed)
    assert len(list((folder / "trial-0").iterdir())) == 1
    make_stage(folder, SETTINGS, Maker())
    assert not list((folder / "trial-0").iterdir())


def test_a_second_process_waits_and_then_skips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun, end = threading.Event(), threading.Event()
    first, second = Maker(), Maker()

    def slow(folder: Path) -> None:
        begun.set()
        assert end.wait(60)
        first(folder)

    with ThreadPoolExecutor() as pool:
        making = pool.submit(make_stage, tmp_path / "stage", SETTINGS, slow)
        assert begun.wait(60)
        waiting = pool.submit(make_stage, tmp_path / "stage", SETTINGS, second)
        while "waiting" not in caplog.text:
            assert not waiting.done()
        end.set()
        making.result()
        waiting.result()
    assert (first.calls, second.calls) == (1, 0)
    assert list(outputs_of(tmp_path / "stage")) == ["output"]


def test_what_a_first_process_leaves_binds_the_second(tmp_path: Path) -> None:
    """It was killed with files made from its settings; the one that waited has others."""
    begun, end = threading.Event(), threading.Event()

    def killed(folder: Path) -> None:
        begun.set()
        assert end.wait(60)
        folder.mkdir()
        (folder / "partial").write_text("half")
        raise KeyboardInterrupt

    with ThreadPoolExecutor() as pool:
        making = pool.submit(make_stage, tmp_path / "stage", SETTINGS, killed)
        assert begun.wait(60)
        waiting = pool.submit(make_stage, tmp_path / "stage", {"config": {"epochs": 9}}, Maker())
        end.set()
        with pytest.raises(KeyboardInterrupt):
            making.result()
        with pytest.raises(StageError, match=r"config\.epochs"):
            waiting.result()


def test_a_changed_output_is_not_trusted(tmp_path: Path) -> None:
    make_stage(tmp_path / "stage", SETTINGS, Maker())
    (tmp_path / "stage" / "output").write_text("edited")
    with pytest.raises(StageError, match=r"stage/output: missing or changed .*delete"):
        make_stage(tmp_path / "stage", SETTINGS, Maker())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(StageError, match="holds files of no stage"):
        make_stage(tmp_path, SETTINGS, Maker())


def test_a_start_that_came_to_nothing_binds_nobody(tmp_path: Path) -> None:
    def failing(folder: Path) -> None:
        raise StageError("this cannot run here")

    folder = tmp_path / "stage"
    with pytest.raises(StageError, match="cannot run here"):
        make_stage(folder, {"config": {"attention": "fast"}}, failing)
    assert [path.name for path in tmp_path.iterdir()] == [".stage.lock"]
    make_stage(folder, SETTINGS, Maker())


def test_deleting_the_folder_frees_it_as_the_message_says(tmp_path: Path) -> None:
    def killed(folder: Path) -> None:
        folder.mkdir()
        (folder / "partial").write_text("half")
        raise KeyboardInterrupt

    folder = tmp_path / "stage"
    with pytest.raises(KeyboardInterrupt):
        make_stage(folder, SETTINGS, killed)
    shutil.rmtree(folder)
    make_stage(folder, {"config": {"epochs": 9}}, Maker())


def test_a_later_stage_does_not_read_changed_files(tmp_path: Path) -> None:
    make_stage(tmp_path / "stage", SETTINGS, Maker())
    assert finished(tmp_path / "stage", tip="") == tmp_path / "stage"
    (tmp_path / "stage" / "output").write_text("edited")
    with pytest.raises(StageError, match="changed since its manifest"):
        finished(tmp_path / "stage", tip="")


@pytest.mark.parametrize("content", ["{}", "[]", '{"made_from": 1}'])
def test_a_manifest_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    make_stage(tmp_path / "stage", SETTINGS, Maker())
    (tmp_path / "stage" / "manifest.json").write_text(content)
    with pytest.raises(StageError, match=r"manifest\.json: no manifest"):
        make_stage(tmp_path / "stage", SETTINGS, Maker())


def test_what_another_run_made_from_the_same_is_taken(tmp_path: Path) -> None:
    make, source = Maker(), tmp_path / "one" / "stage"
    source.parent.mkdir()
    make_stage(source, SETTINGS, make)
    (source / "card").write_text("written beside it later")
    folder = tmp_path / "two" / "stage"
    folder.parent.mkdir()
    assert take_over(source, folder, SETTINGS)
    assert [path.name for path in folder.iterdir()] == ["output"]
    assert (folder / "output").samefile(source / "output")
    assert not take_over(source, folder, SETTINGS)  # it holds files already
    other = {"config": {}, "inputs": {}}
    assert not take_over(source, tmp_path / "two" / "other", other)
    assert not take_over(tmp_path / "none", tmp_path / "two" / "other", SETTINGS)
    assert [path.name for path in folder.parent.iterdir()] == ["stage"]


def test_a_damaged_stage_is_not_taken(tmp_path: Path) -> None:
    make_stage(tmp_path / "one", SETTINGS, Maker())
    (tmp_path / "one" / "output").write_text("damaged")
    with pytest.raises(StageError, match="missing or changed"):
        take_over(tmp_path / "one", tmp_path / "two", SETTINGS)
    assert not (tmp_path / "two").exists()
