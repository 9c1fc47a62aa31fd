"""QLoRA: an adapter trained on a base in 4 bits, and a merge that is the model it trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.training.base import load_model
from cybersecqwen.training.merge import merge
from cybersecqwen.training.sft import train

from .conftest import files_of, tiny

NF4 = ("model.quantization=nf4", "adapter.modules_to_save=[]", "adapter.dropout=0.0")


def test_an_adapter_on_4_bits_is_merged_into_the_weights_it_was_trained_on(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    recipe = tiny(*NF4, "training.epochs=1")
    summary = train(recipe, files_of(corpus), tmp_path / "adapter", base=run / "base")
    assert summary["final_train_loss"] < 7
    learned = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for weight in learned.values()} == {torch.float32}

    prompts = ["Which weakness is a script in the name field?"]
    merge(recipe, tmp_path / "adapter", prompts, tmp_path / "merged", base=run / "base")
    rounded = load_model(recipe, run / "base", quantized=True)
    bits = [weight for weight in rounded.parameters() if weight.dtype == torch.uint8]
    assert len(bits) == 14  # seven projections of two layers
    packs = [getattr(m, "support_avx512bf16_for_cpu", None) for m in rounded.modules()]
    assert packs.count(False) == 14 and True not in packs
    exact = load_model(recipe, run / "base").state_dict()
    weights = rounded.model.layers[0].self_attn.q_proj.weight
    assert 2 * weights.numel() == exact["model.layers.0.self_attn.q_proj.weight"].numel()

    trained = PeftModel.from_pretrained(rounded, str(tmp_path / "adapter")).eval()
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        assert (trained(ids).logits - merged(ids).logits).abs().max() < 1e-4
    assert not torch.equal(
        merged.model.layers[0].self_attn.q_proj.weight,
        exact["model.layers.0.self_attn.q_proj.weight"],
    )


def test_a_missing_package_is_named_with_its_extra(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(CyberSecQwenError, match=r"pip install 'cybersecqwen\[qlora\]'"):
        load_model(tiny(*NF4), run / "base", quantized=True)
