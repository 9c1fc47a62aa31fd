"""What `doctor` says is what is there: real programs, ports, files and limits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.artifacts import FOLDER
from cybersecqwen.cli import main
from cybersecqwen.config import load_recipe
from cybersecqwen.doctor import diagnosis, installation, machine
from cybersecqwen.doctor.diagnosis import DoctorOptions, Finding, examine
from cybersecqwen.engines import memory
from cybersecqwen.sources.recordstore.database import NAME, open_for_update

DAY = 86_400
Script = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing on PATH be asked for its version, unless a test puts it there."""
    monkeypatch.setenv("PATH", "/usr/bin/none")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty cache of feeds and an empty folder for data."""
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "cache"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Put programs on PATH that are shell scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin")

    def write(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)

    return write


def line(section: str, name: str, options: DoctorOptions | None = None) -> Finding:
    findings = examine(options or DoctorOptions()).findings
    return next(one for one in findings if (one.section, one.name) == (section, name))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_the_command_describes_this_machine_without_loading_pytorch(cache: Path) -> None:
    code = (
        "import sys; from cybersecqwen.cli import main; main(['doctor', '--json'],"
        " standalone_mode=False); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    texts = {(one["section"], one["name"]): one["text"] for one in told["findings"]}
    cores = len(os.sched_getaffinity(0))
    assert texts["machine", "CPU"].startswith(f"{cores} cores")
    assert texts["artifacts", "shipped"] == "5 match their certificates"
    assert told["possible"]["evaluate"] is False  # nothing is fetched
    fits = {(n["model"], n["precision"], n["use"]): n["fits"] for n in told["memory"]["needs"]}
    assert fits["SmolLM2-135M-Instruct", "bfloat16", "serve"]
    assert ("gemma-4-E2B-it", "int4", "train LoRA") in fits


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        taken = line("port", "serve", DoctorOptions(ports={"serve": number}))
        assert (taken.status, taken.tip) == ("warn", "cybersecqwen serve --port ANOTHER")
    assert line("port", "serve", DoctorOptions(ports={"serve": number})).status == "ok"


def test_programs_are_found_with_their_versions_however_they_tell_them(script: Script) -> None:
    script("llama-server", "echo 'version: 4567 (abc)' >&2")
    script("ollama", "exec sleep 60")
    found = {program.name: program for program in installation.programs()}
    assert found["llama-server"].version == "4567"
    assert found["ollama"].path
    assert found["ollama"].version == ""  # it does not wait for an answer
    assert found["torchrun"].version == version("torch")
    assert not found["vllm"].path


def test_extras_are_read_off_the_metadata_of_this_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cybersecqwen-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: cybersecqwen\nVersion: 9\n"
        "Provides-Extra: whole\nProvides-Extra: part\nRequires-Dist: absent-everywhere\n"
        "Requires-Dist: numpy>=1; extra == 'part'\n"
        "Requires-Dist: click>=99; extra == 'part'\n"
        "Requires-Dist: cybersecqwen[part]; extra == 'whole'\n"
        "Requires-Dist: no-such-package; extra == 'whole'\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    whole, part = installation.extras()
    assert whole.command == "pip install 'cybersecqwen[whole]'"
    assert [name.split()[0] for name in whole.missing] == ["click", "no-such-package"]
    assert "not >=99" in whole.missing[0]
    assert (part.packages, len(part.missing)) == (2, 1)


def test_feeds_are_stale_by_their_own_limits(cache: Path) -> None:
    assert line("records", "store").status == "missing"
    cache.mkdir()
    with open_for_update(cache / NAME) as connection:
        connection.execute(
            "INSERT INTO feeds (feed, checked) VALUES ('kev', '2021-01-01T00:00:00Z')"
        )
    for name in ("cwe", "epss"):
        (cache / name).mkdir()
        (cache / name / "file").write_bytes(b"")
        os.utime(cache / name / "file", (time.time() - 10 * DAY,) * 2)
    store = line("records", "kev")
    assert (store.status, store.tip) == ("warn", "cybersecqwen fetch records")
    assert line("feed", "epss").text == "10 days old, stale after 3"
    assert line("feed", "cwe").status == "ok"


def test_the_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.cpu().quota is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.cpu().quota is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.cpu().quota == 1.5
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000000000\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert line("machine", "memory").text.endswith("GB free of the container's limit 3.0")


def test_gpus_are_those_that_the_drivers_tell_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    """No GPU is here: the program prints what NVIDIA's does, the files are laid out as amdgpu's."""
    script("nvidia-smi", "echo 'NVIDIA H200, 143771, 143000'")
    for name, content in {
        "card0/device/vendor": "0x10de",
        "card1/device/vendor": "0x1002",
        "card1/device/mem_info_vram_total": str(192 << 30),
        "card1/device/mem_info_vram_used": str(2 << 30),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    monkeypatch.setattr(machine, "_CARDS", tmp_path)
    nvidia, amd = machine.gpus()
    assert nvidia == ("NVIDIA H200", 143771 << 20, 143000 << 20)
    assert amd == ("AMD card1", 192 << 30, 190 << 30)
    assert examine(DoctorOptions()).device == "AMD card1"
    script("nvidia-smi", "echo 'NVIDIA-SMI has failed' >&2; exit 9")
    assert machine.gpus() == [amd]
    shared = machine.Gpu("NVIDIA GB10", 128 << 30, 100 << 30)
    monkeypatch.setattr(machine, "_by_torch", lambda: iter([shared]))
    script("nvidia-smi", "echo 'NVIDIA GB10, [N/A], [N/A]'")
    assert machine.gpus() == [shared, amd]


def test_a_base_that_is_trained_in_4_bits_is_held_against_the_memory_in_4_bits() -> None:
    recipe = load_recipe("cybersecqwen-4b", overrides=("model.quantization=nf4",))
    diagnosis = examine(DoctorOptions(recipe=recipe))
    [need] = [n for n in diagnosis.needs if (n.precision, n.use) == ("int4", "train LoRA")]
    [memory] = [f for f in diagnosis.findings if (f.section, f.name) == ("memory", "train")]
    assert f": {need.bytes / 1e9:.1f} of " in memory.text
    lacking = [Finding("extra", "qlora", "missing", "without bitsandbytes")]
    assert replace(diagnosis, findings=lacking).obstacles("train") == [
        "extra qlora: without bitsandbytes"
    ]
    whole = replace(diagnosis.options, recipe=load_recipe("cybersecqwen-4b"))
    assert replace(diagnosis, findings=lacking, options=whole).obstacles("train") == []


def test_what_is_asked_for_and_not_possible_is_an_error_with_its_reason(cache: Path) -> None:
    refused = run("--for", "evaluate")
    assert refused.exit_code == 1
    assert "evaluate is not possible here: feed cti-bench: not fetched" in refused.stderr
    (cache / "cti-bench").mkdir(parents=True)
    (cache / "cti-bench" / "cti-rcm.tsv").write_text("URL\n")
    assert run("--for", "evaluate", "--for", "train").exit_code == 0
    refused = run("--for", "train", "--recipe", "cybersecqwen-4b", "--length", "10000000")
    assert refused.exit_code == 1
    assert "Qwen3-4B-Instruct-2507 does not fit: " in refused.stderr
    assert run("--for", "everything").exit_code == 2


def test_a_damaged_artifact_and_a_folder_that_cannot_be_written_stand_in_the_way(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in FOLDER.glob("ranker.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "ranker.json").write_bytes(b"{}")
    monkeypatch.setattr(diagnosis, "FOLDER", tmp_path)
    folders = {"data": Path("/proc/1/here")}
    [damage, disk] = examine(DoctorOptions(folders=folders)).obstacles("service")
    assert damage.startswith("artifacts shipped: damaged: its checksum is not the certified one")
    assert disk == "disk data: /proc/1/here cannot be written (check the permissions)"
