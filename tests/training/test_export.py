"""An export is the merged model again: read back by another reader, it gives the same numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.files import read_json, read_text
from cybersecqwen.manifest import make_stage
from cybersecqwen.prompts import CHAT_TEMPLATES, rcm_prompt
from cybersecqwen.training.chat_template import chat_template
from cybersecqwen.training.export import FORMATS, ExportSettings
from cybersecqwen.training.gguf_writer import About
from cybersecqwen.training.modelfile import go_template, modelfile
from cybersecqwen.training.random_base import learn_tokenizer

from .conftest import KINDS, full_disk, row, tiny

needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="the package gguf is not there")
needs_compressed_tensors = pytest.mark.skipif(
    find_spec("compressed_tensors") is None, reason="the package compressed-tensors is not there"
)
SIZES = {
    "vocab_size": 424,  # four more than there are tokens
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
}
ROWS = [row(place, cwe, text) for place in ("chat", "login") for cwe, text in KINDS]
EXAMPLES = [(each["prompt"], each["completion"]) for each in ROWS]
# Digits, blanks, contractions, several scripts: what tokenizers cut each in a way of their own.
TEXT = "CVE-2021-44228:  it's the parser's\n\n\t12345 üñ 漏洞 <|im_start|>user\nwe've x=1 "
SETTINGS = ExportSettings(About("tiny", "apache-2.0", "a random base"), {"temperature": 0.3})
Merged = Callable[..., Path]


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    sizes = tiny().model.random
    assert sizes
    learned = learn_tokenizer(sizes, [text for pair in EXAMPLES for text in pair])
    learned.chat_template = CHAT_TEMPLATES["qwen3"]
    return learned


@pytest.fixture
def merged(tmp_path: Path, tokenizer: Any) -> Merged:
    """Give a function that writes a random model of a family as the merge stage leaves one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def make(family: str = "qwen3", **changes: Any) -> Path:
        config = AutoConfig.for_model(family, **SIZES | {"tie_word_embeddings": True} | changes)
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.generation_config.update(temperature=0.6, top_k=20, do_sample=True, eos_token_id=[3])

        def write(folder: Path) -> None:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        make_stage(tmp_path / "merged", {}, write)
        return tmp_path / "merged"

    return make


def logits(folder: Path, tokenizer: Any, **file: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **file)
    with torch.inference_mode():
        return model(**tokenizer(TEXT, return_tensors="pt")).logits[0]


@needs_gguf
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"attention_bias": True, "tie_word_embeddings": False}),
        ("mistral", {"sliding_window": None}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 128}),  # transformers takes Qwen3's heads to have that size
    ],
)
def test_a_gguf_is_the_model_to_another_reader(
    merged: Merged, tokenizer: Any, tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    folder = merged(family, **changes)
    expected = logits(folder, tokenizer)
    for form, tolerance in (("gguf-f16", 2e-3), ("gguf-q8_0", 0.2)):
        FORMATS[form].write(folder, tmp_path / form, SETTINGS)
        file = {"gguf_file": f"tiny-{form.removeprefix('gguf-').upper()}.gguf"}
        read = AutoTokenizer.from_pretrained(tmp_path / form, **file)
        assert read(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]
        assert read.chat_template == tokenizer.chat_template
        assert read.eos_token == tokenizer.eos_token
        assert (logits(tmp_path / form, read, **file) - expected).abs().max() < tolerance


@needs_gguf
def test_a_gguf_says_what_a_runtime_has_to_know(merged: Merged, tmp_path: Path) -> None:
    from gguf import GGUFReader

    FORMATS["gguf-f16"].write(merged(), tmp_path / "out", SETTINGS)
    reader = GGUFReader(tmp_path / "out" / "tiny-F16.gguf")
    said = {name: field.contents() for name, field in reader.fields.items() if len(name) < 40}
    assert said["general.architecture"] == "qwen3"
    assert said["general.license"] == "apache-2.0"
    assert said["general.base_model.0.name"] == "a random base"
    assert said["tokenizer.ggml.pre"] == "qwen2"
    assert said["tokenizer.ggml.add_bos_token"] is False
    assert said["tokenizer.ggml.token_type"][-1] == 5  # an id that no token has is unused
    assert "output.weight" not in {tensor.name for tensor in reader.tensors}  # it is tied
    assert read_text(tmp_path / "out" / "chat_template.jinja") == CHAT_TEMPLATES["qwen3"]


@needs_gguf
@pytest.mark.parametrize(
    ("family", "changes", "what"),
    [
        ("gemma", {}, "architecture 'gemma': only llama, mistral, qwen2, qwen3"),
        ("mistral", {"sliding_window": 64}, "sliding attention"),
        ("qwen3", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "'linear'"),
    ],
)
def test_what_a_gguf_would_lose_is_refused(
    merged: Merged, tmp_path: Path, family: str, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        FORMATS["gguf-f16"].write(merged(family, **changes), tmp_path / "out", SETTINGS)
    assert "convert_hf_to_gguf.py" in str(caught.value)
    assert not any((tmp_path / "out").iterdir())


@needs_gguf
def test_a_tokenizer_of_another_kind_is_refused(merged: Merged, tmp_path: Path) -> None:
    folder = merged()
    described = read_json(folder / "tokenizer.json")
    described["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    settings = read_json(folder / "tokenizer_config.json")
    settings["tokenizer_class"] = (
        "PreTrainedTokenizerFast"  # Qwen's own would cut as it always does
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="the tokenizer cuts a text in a way"):
        FORMATS["gguf-f16"].write(folder, tmp_path / "out", SETTINGS)


@needs_gguf
def test_numbers_that_float16_cannot_hold_are_refused(merged: Merged, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = merged()
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"layers\.1\.mlp\.up_proj\.weight holds numbers"):
        FORMATS["gguf-f16"].write(folder, tmp_path / "out", SETTINGS)
    assert not list((tmp_path / "out").iterdir())


def test_without_its_quantiser_a_format_says_what_to_do(
    merged: Merged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CyberSecQwenError, match=r"llama-quantize .*not found .*--quantizer FILE"):
        FORMATS["gguf-q4_k_m"].write(merged(), tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


@needs_gguf
def test_a_quantiser_that_fails_is_quoted_and_leaves_nothing(
    merged: Merged, tmp_path: Path
) -> None:
    program = tmp_path / "quantize"
    program.write_text(
        '#!/bin/sh\necho "half of it" > "$2"\necho "unknown architecture" >&2\nexit 3\n'
    )
    program.chmod(0o755)
    settings = ExportSettings(SETTINGS.about, quantizer=program)
    with pytest.raises(StageError, match="ended with status 3: unknown architecture"):
        FORMATS["gguf-q4_k_m"].write(merged(), tmp_path / "out", settings)
    assert not list((tmp_path / "out").iterdir())


def test_the_folder_for_the_hub_has_no_sampling_of_its_own(merged: Merged, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = merged()
    FORMATS["safetensors"].write(folder, tmp_path / "out", SETTINGS)
    assert read_json(tmp_path / "out" / "generation_config.json") == {"eos_token_id": [3]}
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        folder / "model.safetensors"
    ).read_bytes()
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert opened.generation_config.temperature in (None, 1.0)


@needs_compressed_tensors
@pytest.mark.parametrize(("form", "tolerance"), [("int8", 0.25), ("int4", 4.0)])
def test_fewer_bits_load_as_a_model_again(
    merged: Merged, tokenizer: Any, tmp_path: Path, form: str, tolerance: float
) -> None:
    folder = merged()
    settings = ExportSettings(SETTINGS.about, examples=EXAMPLES)
    FORMATS[form].write(folder, tmp_path / "out", settings)
    size = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert size < (folder / "model.safetensors").stat().st_size
    difference = (logits(tmp_path / "out", tokenizer) - logits(folder, tokenizer)).abs().max()
    assert 0 < difference < tolerance


@needs_compressed_tensors
def test_calibration_lowers_the_error_on_what_it_read(
    merged: Merged, tokenizer: Any, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = merged()
    weights = load_file(folder / "model.safetensors")
    for name in (n for n in weights if n.endswith("layernorm.weight")):
        weights[name][::16] *= 16  # channels that count for more, as real models have them
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    reference, errors = logits(folder, tokenizer), {}
    for name, examples in (("plain", []), ("calibrated", EXAMPLES)):
        settings = ExportSettings(SETTINGS.about, examples=examples)
        FORMATS["int4"].write(folder, tmp_path / name, settings)
        errors[name] = (logits(tmp_path / name, tokenizer) - reference).square().mean()
    assert errors["calibrated"] < errors["plain"]


@needs_compressed_tensors
def test_rows_that_do_not_divide_into_groups_are_refused(merged: Merged, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"groups of 32 \(export int8\)"):
        FORMATS["int4"].write(merged(intermediate_size=72), tmp_path / "out", SETTINGS)


CHATS = [
    [("user", rcm_prompt('A "quoted" \\ flaw\nin {{ two }} lines.'))],
    [("user", "one"), ("assistant", "CWE-79\n"), ("user", " two ")],
    [("system", "Be brief."), ("user", "one"), ("assistant", "a"), ("user", "two")],
]


def render_go(template: str, chat: list[tuple[str, str]]) -> str:
    """Render the part of Go's text/template that a Modelfile of ours uses, and nothing else."""
    tokens = re.split(r"(\{\{-? .*? \}\})", re.sub(r"\s+(?=\{\{-)", "", template))
    actions = [token.strip("{}- ") for token in tokens if token]
    assert actions.pop(0) == "range .Messages" and actions.pop() == "end"
    text = ""
    for role, content in chat:
        taken = done = False
        for action in actions:
            if condition := re.fullmatch(r'(?:else )?if eq \.Role "(\w+)"', action):
                taken = not done and condition[1] == role
                done = done or taken
            elif action == "else":
                taken = not done
            elif action == ".Content":
                text += content if taken else ""
            elif action != "end":
                text += json.loads(action) if taken else ""  # Go quotes these as JSON does
    return text


@pytest.mark.parametrize("name", ["qwen3", "own"])
def test_ollama_renders_what_the_model_was_trained_on(tokenizer: Any, name: str) -> None:
    import copy

    mine = copy.deepcopy(tokenizer)
    if name == "own":  # another's, with a role of its own for answers and a mark before the first
        mine.chat_template = (
            "{% for m in messages %}{{ '[' + m.role | upper + '] ' + m.content + ' [/]\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '[ASSISTANT] ' }}{% endif %}"
        )
        mine.chat_template = chat_template("own", mine, where="a test")
    template = go_template(mine, where="a test")
    for chat in CHATS:
        turns = [{"role": role, "content": content} for role, content in chat]
        expected = mine.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert render_go(template, chat) == expected
    text = modelfile("tiny-Q8_0.gguf", mine, {"temperature": 0.3}, where="a test")
    assert text.startswith(f'FROM ./tiny-Q8_0.gguf\nTEMPLATE """{template}"""\n')
    assert text.endswith("PARAMETER temperature 0.3\n")


def test_a_template_that_strips_blanks_is_told(
    tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import copy

    gemma = copy.deepcopy(tokenizer)
    gemma.bos_token, gemma.chat_template = "<|im_start|>", CHAT_TEMPLATES["gemma4"]
    template = go_template(gemma, where="a folder")
    assert "a folder: the chat template strips blanks" in caplog.text
    rendered = render_go(template, [("user", "one")])  # Ollama puts what begins a text before it
    assert rendered == "<|turn>user\none<turn|>\n<|turn>model\n"


@needs_gguf
def test_a_folder_is_not_left_half_written(merged: Merged, tmp_path: Path) -> None:
    folder = merged()
    with full_disk(20_000), pytest.raises(CyberSecQwenError, match="cannot write"):
        FORMATS["gguf-f16"].write(folder, tmp_path / "out", SETTINGS)
    assert not list((tmp_path / "out").iterdir())
