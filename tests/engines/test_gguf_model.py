"""A GGUF file as a model: it answers as the folder that it was exported from."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from cybersecqwen.engines import engine_of, open_model
from cybersecqwen.errors import InputError
from cybersecqwen.files import sha256_file
from cybersecqwen.records import Request
from cybersecqwen.training.gguf_writer import About, write_gguf

pytestmark = pytest.mark.skipif(find_spec("gguf") is None, reason="the package gguf is not there")


def test_it_answers_as_the_folder_that_it_was_made_from(
    model_folder: Path,
    tmp_path: Path,
    ask: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "export" / "tiny-F16.gguf"
    file.parent.mkdir()
    write_gguf(model_folder, file, weights="f16", about=About("tiny", "mit", "none"))
    (file.parent / "evaluation").mkdir()
    (file.parent / "evaluation" / "responses.jsonl").write_text(json.dumps({"response": "A"}))
    assert engine_of(file) == engine_of(file.parent) == "gguf"
    model, requests = open_model(file.parent), [ask(item) for item in range(4)]
    assert model.name == "tiny-F16"
    assert model.identity == {"files": {file.name: sha256_file(file)}}
    assert model.engine.describe()["model"] == str(file)
    expected = {r.item: r.text for r in open_model(model_folder).engine.generate(requests)}
    assert {r.item: r.text for r in model.engine.generate(requests)} == expected


def test_a_damaged_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "half.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(InputError, match=r"half\.gguf: cannot be read as a GGUF model"):
        open_model(file)
