"""What may not leave this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.errors import keep_secret
from cybersecqwen.hub.privacy import reason_against


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("config.json", '{"base": "/srv/models/qwen"}', "'/srv/models/qwen'"),
        ("config.json", '{"a": [{"b": "C:\\\\Users\\\\ann\\\\m"}]}', "path of a machine"),
        ("config.json", '{"cache": "/nas/models/x"}', "'/nas/models/x'"),  # a path and no more
        ("config.json", '{"/data/ann/feed.json": "sha"}', "'/data/ann/feed.json'"),  # also a key
        ("config.json", "{", "is no JSON"),
        ("README.md", "Trained in /home/ann/runs/x.", "'/home/ann/runs/x'"),
        ("recipe.toml", 'base = "~/models/q"', "path of a machine"),
        ("README.md", "token hf_" + "a" * 34, "holds a key"),
        ("notes.txt", "-----BEGIN RSA PRIVATE KEY-----", "holds a key"),
        ("notes.txt", "AKIA" + "A" * 16, "holds a key"),
        ("notes.txt", "a key in use here: horse-battery", "holds a key"),
        ("training_args.bin", "", "no kind of file"),
        ("run.sh", "", "no kind of file"),
        ("id_rsa", "", "no kind of file"),
        (".env", "", "no kind of file"),
        ("model.safetensors", f"{Path.cwd()}/base", "path of a machine"),
        ("model.gguf", "hf_" + "b" * 34, "holds a key"),
    ],
)
def test_it_is_refused_with_the_reason(name: str, text: str, reason: str) -> None:
    keep_secret("horse-battery")
    assert reason in str(reason_against(Path(name), text.encode()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "See https://example.org/home/page and CWE-79 in /login.php, and/or data/x."),
        ("config.json", '{"hidden_act": "silu", "model": "Qwen/Qwen3-4B", "range": "1/2"}'),
        ("adapter_config.json", '{"base_model_name_or_path": "../base"}'),
        ("chat_template.jinja", "{{ '<|im_start|>' + m.role }}"),
        ("tokenizer.json", '{"model": {"vocab": {"/": 1, "/home/": 2, "/usr/bin": 3}}}'),
        ("training_log.jsonl", '{"loss": 1.5}\n'),
        ("LICENSE", "Apache"),
        ("model.gguf", "GGUF /usr/bin /home/"),
    ],
)
def test_what_belongs_to_a_model_is_let_through(name: str, text: str) -> None:
    assert reason_against(Path(name), text.encode()) is None


def test_bytes_that_are_no_text_are_refused_under_a_text_files_name() -> None:
    assert "UTF-8" in str(reason_against(Path("notes.txt"), b"\xff\xfe"))
