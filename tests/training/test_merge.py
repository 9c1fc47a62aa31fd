"""A merged model is the model that was trained, on the disk too, or it is not written."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.files import read_json, sha256_tree
from cybersecqwen.training.base import load_model, load_tokenizer
from cybersecqwen.training.examples import render_prompts
from cybersecqwen.training.merge import TOLERANCE, merge

from .conftest import full_disk, gemma, tiny

PROMPT = ["Which CWE is it? "]


def test_the_merged_model_is_the_adapted_one(merged: Path) -> None:
    parity = read_json(merged / "parity.json")
    assert parity["prompts"] == 4
    assert parity["merge"]["positions"] > 100
    assert 0 <= parity["merge"]["max_abs_difference"] < TOLERANCE
    assert parity["merge"]["flips"] == 0
    assert parity["cast"]["max_abs_difference"] == 0  # float32 stays float32
    assert parity["reloaded"] == "identical"


def test_the_merged_folder_gives_what_base_and_adapter_give(run: Path, merged: Path) -> None:
    """Measured apart from merge(), as a user would load both; the embedding was trained too."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(merged)
    ids = tokenizer(render_prompts(tokenizer, PROMPT)[0], return_tensors="pt")["input_ids"]
    base = load_model(tiny(), run / "base")
    with torch.no_grad():
        raw = base(input_ids=ids).logits
        adapted = PeftModel.from_pretrained(base, str(run / "adapter")).eval()(input_ids=ids).logits
        model = AutoModelForCausalLM.from_pretrained(merged)
        again = model(input_ids=ids).logits
    assert (adapted - again).abs().max() < TOLERANCE
    assert (raw - again).abs().max() > 100 * TOLERANCE
    assert model.lm_head.weight is model.model.embed_tokens.weight
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in model.generation_config.eos_token_id


def test_the_merged_folder_is_complete_and_readable(merged: Path) -> None:
    files = {path.name for path in merged.iterdir()}
    assert files == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "parity.json",
    }
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in merged.iterdir())
    hidden = [path.name for path in merged.parent.glob(".*")]
    assert [name for name in hidden if not name.endswith(".lock")] == []


def test_the_tokenizer_has_a_name_that_older_runtimes_know(run: Path, merged: Path) -> None:
    """transformers 5 writes TokenizersBackend, and special tokens where 4 expects a mapping."""
    from transformers import AutoTokenizer

    config = read_json(merged / "tokenizer_config.json")
    assert config["tokenizer_class"] == "Qwen2TokenizerFast"
    assert not isinstance(config.get("extra_special_tokens"), list)
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    reloaded, trained = AutoTokenizer.from_pretrained(merged), load_tokenizer(tiny(), run / "base")
    text = "<|im_start|>user\nDon't: été 漢字 CWE-79\n\n  x<|im_end|>\n"
    assert reloaded(text)["input_ids"] == trained(text)["input_ids"]
    assert reloaded.backend_tokenizer.to_str() == trained.backend_tokenizer.to_str()
    assert reloaded.get_vocab() == trained.get_vocab()
    assert set(reloaded.all_special_tokens) == set(trained.all_special_tokens)
    assert reloaded.chat_template == trained.chat_template


def test_the_cast_is_measured_and_kept(run: Path, tmp_path: Path) -> None:
    recipe = tiny('model.precision="bfloat16"')
    parity = merge(recipe, run / "adapter", PROMPT, tmp_path / "merged", base=run / "base")
    assert parity["merge"]["max_abs_difference"] < TOLERANCE
    assert parity["cast"]["max_abs_difference"] > 0
    assert parity["cast"]["mean_kl"] > 0
    assert parity["cast"]["argmax_agreement"] > 0.9
    assert read_json(tmp_path / "merged" / "config.json")["dtype"] == "bfloat16"


def test_an_adapter_that_is_not_finite_is_refused(run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    adapter = tmp_path / "adapter"
    shutil.copytree(run / "adapter", adapter, ignore=shutil.ignore_patterns(".checkpoints"))
    weights = load_file(adapter / "adapter_model.safetensors")
    next(weight for name, weight in weights.items() if "lora_B" in name)[0, 0] = float("nan")
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(StageError, match="cannot be merged"):
        merge(tiny(), adapter, PROMPT, tmp_path / "merged", base=run / "base")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def test_a_merge_of_other_weights_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight changes after the adapted model was measured and before it is merged."""
    merge_module = sys.modules[merge.__module__]
    honest = merge_module._merged

    def tampering(model: Any, adapter: Path) -> Any:
        weight = next(w for name, w in model.named_parameters() if "lora_B" in name)
        weight.data[0, 0] += 1.0
        return honest(model, adapter)

    monkeypatch.setattr(merge_module, "_merged", tampering)
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "config.json").write_text("of an older merge")
    with pytest.raises(StageError, match="is not the model that was trained"):
        merge(tiny(), run / "adapter", PROMPT, tmp_path / "merged", base=run / "base")
    assert not list(tmp_path.iterdir())


def test_a_killed_merge_is_replaced(run: Path, merged: Path, tmp_path: Path) -> None:
    """What a killed merge leaves is hidden, and neither trusted nor added to."""
    left = tmp_path / ".merged.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    merge(tiny(), run / "adapter", PROMPT, tmp_path / "merged", base=run / "base")
    assert {path.name for path in tmp_path.iterdir()} == {"merged"}
    size = (merged / "model.safetensors").stat().st_size
    assert (tmp_path / "merged" / "model.safetensors").stat().st_size == size


def test_a_merge_on_a_full_disk_is_one_line_and_made_again(
    run: Path, merged: Path, tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    out, prompts = tmp_path / "merged", [each["prompt"] for each in rows[:4]]
    with full_disk(64_000), pytest.raises(CyberSecQwenError, match="cannot write: ") as caught:
        merge(tiny(), run / "adapter", prompts, out, base=run / "base")
    assert str(caught.value).startswith(f"{out}: ")
    assert "free some space and run the same command again" in str(caught.value)
    assert not list(tmp_path.iterdir())
    merge(tiny(), run / "adapter", prompts, out, base=run / "base")
    assert sha256_tree(out) == sha256_tree(merged)


def test_no_prompts_prove_nothing(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompts"):
        merge(tiny(), run / "adapter", [], tmp_path / "merged", base=run / "base")


def test_a_base_model_learns_to_stop_at_the_end_of_a_turn(run: Path, tmp_path: Path) -> None:
    """A pretrained base stops at its end of text, which no chat answer holds."""
    base = tmp_path / "base"
    shutil.copytree(run / "base", base)
    settings = read_json(base / "generation_config.json")
    tokenizer = load_tokenizer(tiny(), base)
    text_end, turn_end = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    (base / "generation_config.json").write_text(
        json.dumps({**settings, "eos_token_id": text_end, "temperature": 0.7, "do_sample": True})
    )
    merge(tiny(), run / "adapter", PROMPT, tmp_path / "merged", base=base)
    kept = read_json(tmp_path / "merged" / "generation_config.json")
    assert kept["eos_token_id"] == [text_end, turn_end]
    assert kept["temperature"] == 0.7


def test_a_gemma_merges_whole(gemma_run: Path, tmp_path: Path) -> None:
    """Towers, per-layer embeddings and what a server asks about images are kept."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe = gemma('model.precision="bfloat16"')
    base = tmp_path / "base"
    shutil.copytree(gemma_run / "base", base)
    (base / "processor_config.json").write_text('{"image_seq_length": 280}')
    out = tmp_path / "merged"
    parity = merge(recipe, gemma_run / "adapter", PROMPT, out, base=base)
    assert parity["merge"]["flips"] == 0
    model = AutoModelForCausalLM.from_pretrained(out)
    assert type(model).__name__ == "Gemma4ForConditionalGeneration"
    assert parity["cast"]["max_abs_difference"] > 0
    assert model.num_parameters() == load_model(recipe, base).num_parameters()
    assert read_json(out / "processor_config.json") == {"image_seq_length": 280}
    trained, reloaded = load_tokenizer(recipe, base), AutoTokenizer.from_pretrained(out)
    text = render_prompts(trained, PROMPT)[0]
    assert text == f"<bos><|turn>user\n{PROMPT[0].strip()}<turn|>\n<|turn>model\n"
    assert reloaded(text)["input_ids"] == trained(text)["input_ids"]
    assert reloaded.tokenize(text)[:2] == ["<bos>", "<|turn>"]
