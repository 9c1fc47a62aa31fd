"""Where a base model comes from, and what its tokenizer makes of an example."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cybersecqwen.config import load_recipe
from cybersecqwen.errors import CyberSecQwenError, EngineError, RecipeError, StageError
from cybersecqwen.files import disk_errors, read_json, sha256_tree
from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.training.base import load_model, load_tokenizer
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import make_trainer

from .conftest import files_of, full_disk, gemma, tiny

USER = {"role": "user", "content": "Which CWE is it? "}
ASSISTANT = {"role": "assistant", "content": "A script runs.\n\nCWE-79"}


def test_a_random_base_has_the_same_bytes_each_time(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    """A run cannot be repeated from its recipe otherwise."""
    again = prepare_base(tiny(), corpus / "train.jsonl", tmp_path / "base")
    assert sha256_tree(Path(again)) == sha256_tree(run / "base")


def test_a_random_base_of_other_sizes_is_refused(run: Path, corpus: Path) -> None:
    other = tiny("model.random.layers=1")
    with pytest.raises(StageError, match="made from another recipe or corpus"):
        prepare_base(other, corpus / "train.jsonl", run / "base")


def test_a_named_base_is_passed_on(tmp_path: Path) -> None:
    recipe = load_recipe("cybersecqwen-4b")
    base = prepare_base(recipe, tmp_path / "train.jsonl", tmp_path / "base")
    assert base == "Qwen/Qwen3-4B-Instruct-2507"
    assert not (tmp_path / "base").exists()


def test_a_folder_without_a_model_is_one_line_with_a_tip(tmp_path: Path) -> None:
    with pytest.raises(CyberSecQwenError, match="cannot load the model") as caught:
        load_tokenizer(load_recipe("cybersecqwen-4b"), tmp_path)
    assert "\n" not in str(caught.value)
    assert "--set model.base=" in str(caught.value)


def test_missing_flash_attention_says_what_to_set(run: Path) -> None:
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        pytest.skip("flash-attn is installed")
    with pytest.raises(RecipeError, match=r'--set model\.attention="sdpa"'):
        load_model(tiny('model.attention="flash_attention_2"'), run / "base")


@pytest.mark.parametrize(
    ("sizes", "attention", "message"),
    [
        ({"num_attention_heads": 9, "num_key_value_heads": 4}, "sdpa", "9 heads cannot share 4"),
        ({"head_dim": 512}, "flash_attention_2", r"at most 256, and one has 512.*\"sdpa\""),
    ],
)
def test_heads_that_do_not_fit_are_refused_before_the_weights_are_read(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sizes: dict[str, int],
    attention: str,
    message: str,
) -> None:
    monkeypatch.setattr("cybersecqwen.training.base.check_attention", lambda _: None)
    config = read_json(run / "base" / "config.json") | sizes
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RecipeError, match=message):
        load_model(tiny(f"model.attention={attention}"), tmp_path)


def test_weights_that_are_missing_are_not_made_up(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "base"
    shutil.copytree(run / "base", folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"1 weights are missing.*layers\.1\.mlp\.up_proj"):
        load_model(tiny(), folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CyberSecQwenError, match=r"cannot load the model.*safetensors"):
        load_model(tiny(), folder)


def test_a_tokenizer_that_counts_beyond_the_embedding_is_refused(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(run / "base", folder)
    tokenizer = load_tokenizer(tiny(), folder)
    tokenizer.add_tokens([f"<|extra-{i}|>" for i in range(40)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(EngineError, match=r"counts to \d+ and the model embeds 420 tokens"):
        make_trainer(tiny(), files_of(corpus), tmp_path / "out", base=folder)


def test_a_template_of_another_family_is_refused(run: Path) -> None:
    """Its turns would be cut into letters, and the model would never learn to stop."""
    with pytest.raises(RecipeError, match="is not one token"):
        load_tokenizer(tiny('model.chat_template="gemma4"'), run / "base")


@pytest.mark.parametrize(
    ("name", "stock"), [("qwen3", "qwen3_instruct_2507.jinja"), ("gemma4", "gemma4_v5.jinja")]
)
@pytest.mark.parametrize("turns", [[USER], [USER, ASSISTANT]])
def test_templates_render_as_the_stock_ones(
    run: Path, gemma_run: Path, name: str, stock: str, turns: list[dict[str, str]]
) -> None:
    """The base model has seen its own template: ours must give the same text, to the character."""
    import trl

    folder, recipe = (run, tiny()) if name == "qwen3" else (gemma_run, gemma())
    tokenizer = load_tokenizer(recipe, folder / "base")
    template = (Path(trl.__file__).parent / "chat_templates" / stock).read_text(encoding="utf-8")
    settings = {"tokenize": False, "add_generation_prompt": turns[-1] is USER}
    ours = tokenizer.apply_chat_template(turns, **settings)
    assert tokenizer.chat_template == CHAT_TEMPLATES[name]
    assert ours == tokenizer.apply_chat_template(turns, chat_template=template, **settings)
    assert "CWE" in ours


def test_a_gemma_base_is_the_released_layout(gemma_run: Path) -> None:
    model = load_model(gemma(), gemma_run / "base")
    assert type(model).__name__ == "Gemma4ForConditionalGeneration"
    assert model.config.text_config._attn_implementation == "sdpa"
    names = {name.split(".")[1] for name, _ in model.named_parameters()}
    assert {"language_model", "vision_tower", "audio_tower"} <= names


@pytest.mark.parametrize("room", [64_000, 100], ids=["weights", "config"])
def test_a_base_on_a_full_disk_is_one_line_and_made_again(
    run: Path, corpus: Path, tmp_path: Path, room: int
) -> None:
    """Half a base, found by the next command, would be trained on."""
    base = tmp_path / "base"
    with full_disk(room), pytest.raises(CyberSecQwenError, match="cannot write: ") as caught:
        prepare_base(tiny(), corpus / "train.jsonl", base)
    assert str(caught.value).startswith(f"{base}: ")
    assert "\n" not in str(caught.value)
    assert "free some space and run the same command again" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".base.lock"]
    prepare_base(tiny(), corpus / "train.jsonl", base)
    assert sha256_tree(base) == sha256_tree(run / "base")


def test_a_tokenizer_that_the_disk_refuses_is_one_line(run: Path, tmp_path: Path) -> None:
    """The library raises a plain Exception."""
    tokenizer = load_tokenizer(tiny(), run / "base")
    refused = pytest.raises(CyberSecQwenError, match="cannot write: File too large")
    with full_disk(8_000), refused, disk_errors(tmp_path):
        tokenizer.save_pretrained(tmp_path)


@pytest.mark.parametrize("error", [ValueError("8 is no shape"), RuntimeError("out of memory")])
def test_what_is_not_the_disks_keeps_its_traceback(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, disk_errors(tmp_path):
        raise error
    assert caught.value is error
