"""A model folder answers each request as if it were alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.errors import EngineError
from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.records import Request, Response

Ask = Callable[..., Request]
Variant = Callable[[], Path]


@pytest.fixture(scope="module")
def instruct(model_folder: Path) -> TransformersEngine:
    return TransformersEngine(model_folder, kind="instruct")


@pytest.fixture(scope="module")
def base(model_folder: Path) -> TransformersEngine:
    return TransformersEngine(model_folder, kind="base")


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """Copy the model, for a test to damage."""
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def answers_to(engine: TransformersEngine, requests: list[Request]) -> list[Response]:
    return sorted(engine.generate(requests), key=lambda answer: (answer.item, answer.trial))


def texts(engine: TransformersEngine, requests: list[Request]) -> list[str]:
    return [answer.text for answer in answers_to(engine, requests)]


def mixed(ask: Ask, n: int = 48, **sampling: Any) -> list[Request]:
    """Make requests whose prompts differ in length, so that batches are padded."""
    settings = {"temperature": 0.8, "max_tokens": 24} | sampling
    return [ask(i, f"question {i} " + "parser " * (i * 5 % 13), **settings) for i in range(n)]


def test_an_answer_does_not_depend_on_its_batch(
    model_folder: Path, instruct: TransformersEngine, ask: Ask
) -> None:
    requests = mixed(ask)
    together = answers_to(instruct, requests)
    alone = TransformersEngine(model_folder, kind="instruct", batch_size=1)
    assert answers_to(alone, requests) == together
    # Nor on where a run was resumed.
    assert answers_to(instruct, requests[17:]) == together[17:]


def test_an_answer_is_yielded_at_its_end_and_another_takes_its_place(
    model_folder: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(model_folder, kind="instruct", batch_size=4)
    steps = watched(engine, monkeypatch)
    lengths = [3, 40, 3, 3, 3, 3, 3, 3]
    requests = [ask(i, max_tokens=n) for i, n in enumerate(lengths)]
    answered = [(answer.item, len(steps)) for answer in engine.generate(requests)]
    assert answered[-1][0] == 1
    assert [at for _, at in answered] == sorted(at for _, at in answered)
    # Four prompts are read and go on; three end at once, and the next ones are read beside the
    # fourth, which alone is left at last.
    assert max(steps) == 4
    assert steps[-30:] == [1] * 30
    assert answered[2][1] < answered[3][1] < answered[-1][1] - 30


def test_the_longest_prompts_come_first(
    model_folder: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(model_folder, kind="instruct", batch_size=4)
    widths: list[int] = []
    forward = engine._model.forward

    def noted(**arguments: Any) -> Any:
        widths.append(arguments["input_ids"].shape[1])
        return forward(**arguments)

    monkeypatch.setattr(engine._model, "forward", noted)
    list(engine.generate(mixed(ask, 12)))
    read = [width for width in widths if width > 1]
    assert read == sorted(read, reverse=True)
    assert len(read) > 2


def watched(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of rows of each run of the engine's model."""
    rows: list[int] = []
    forward = engine._model.forward

    def noted(**arguments: Any) -> Any:
        rows.append(len(arguments["input_ids"]))
        return forward(**arguments)

    monkeypatch.setattr(engine._model, "forward", noted)
    return rows


def test_trials_of_an_item_are_one_row_until_they_differ(
    model_folder: Path, instruct: TransformersEngine, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(model_folder, kind="instruct")
    requests = [
        ask(item, f"question {item}", trial=trial, seed=42 + trial, temperature=heat, max_tokens=24)
        for item, heat in enumerate((0.0, 0.3, 0.3, 1.0))
        for trial in range(5)
    ]
    alone = [answer for request in requests for answer in instruct.generate([request])]
    rows = watched(engine, monkeypatch)
    assert answers_to(engine, requests) == alone
    assert rows[:2] == [1, 3]  # four prompts, read once for five trials; one alone, to measure it
    assert rows[2] < max(rows) < 20  # the greedy trials stay one row, the others part
    assert len({answer.text for answer in alone if answer.item == 3}) == 5


def test_the_seed_and_the_trial_decide_the_text(instruct: TransformersEngine, ask: Ask) -> None:
    first = texts(instruct, mixed(ask, 8))
    assert texts(instruct, mixed(ask, 8)) == first
    for other in ({"seed": 43}, {"trial": 1}):
        assert not set(texts(instruct, mixed(ask, 8, **other))) & set(first)


def test_greedy_is_the_models_own_greedy(
    model_folder: Path, instruct: TransformersEngine, ask: Ask
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(model_folder)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    # The fixture's generation_config has top_k and a repetition penalty: not to be used.
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=0)
    expected = []
    requests = mixed(ask, 12, temperature=0.0, max_tokens=32)
    for request in requests:
        prompt = f"<|im_start|>user\n{request.messages[0]['content']}<|im_end|>\n"
        tokens = tokenizer(prompt + "<|im_start|>assistant\n", return_tensors="pt").input_ids
        with torch.no_grad():
            output = model.generate(tokens, max_new_tokens=32, do_sample=False)
        made = output[0, tokens.shape[1] :]
        expected.append((tokenizer.decode(made, skip_special_tokens=True), tokens.shape[1]))
    answers = answers_to(instruct, requests)
    assert [(answer.text, answer.prompt_tokens) for answer in answers] == expected


def test_first_tokens_follow_the_models_distribution(
    model_folder: Path, base: TransformersEngine, ask: Ask
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    n, tokenizer = 4000, AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    with torch.no_grad():
        logits = model(tokenizer("a buffer", return_tensors="pt").input_ids).logits[0, -1]
    # Single bytes that are no text all read as one replacement character: one cell.
    mean: dict[str, float] = {}
    for token, probability in enumerate((logits / 0.5).softmax(-1).tolist()):
        text = tokenizer.decode([token], skip_special_tokens=True)
        mean[text] = mean.get(text, 0.0) + n * probability
    requests = [ask(i, "a buffer", raw=True, temperature=0.5, max_tokens=1) for i in range(n)]
    seen = texts(base, requests)
    cells = {text: expected for text, expected in mean.items() if expected >= 5}
    cells["other"] = n - sum(cells.values())
    found = {text: seen.count(text) for text in cells}
    found["other"] = n - sum(found.values())
    statistic = sum((found[text] - cells[text]) ** 2 / cells[text] for text in cells)
    freedom = len(cells) - 1
    assert freedom > 10
    assert abs(statistic - freedom) < 3.5 * (2 * freedom) ** 0.5


def test_each_row_ends_at_its_own_max_tokens(instruct: TransformersEngine, ask: Ask) -> None:
    lengths = [1, 40, 7, 19]
    answers = answers_to(instruct, [ask(i, max_tokens=n) for i, n in enumerate(lengths)])
    ends = [(answer.completion_tokens, answer.finish_reason) for answer in answers]
    assert ends == [(n, "length") for n in lengths]
    longest = texts(instruct, [ask(0, max_tokens=40)])[0]
    assert longest.startswith(answers[0].text)


def test_stop_strings_cut_the_text_and_end_the_row(instruct: TransformersEngine, ask: Ask) -> None:
    (whole,) = instruct.generate([ask(0, trial=1, max_tokens=60)])
    # Over a token's border, and with a later one that must not win.
    stop, later = whole.text[20:23], whole.text[30:34]
    at = min(whole.text.find(stop), whole.text.find(later))
    cut, untouched = answers_to(
        instruct, [ask(0, max_tokens=60, stop=(later, stop)), ask(0, trial=1, max_tokens=60)]
    )
    assert (cut.text, cut.finish_reason) == (whole.text[:at], "stop")
    assert 0 < cut.completion_tokens < whole.completion_tokens
    assert untouched == whole
    (never,) = instruct.generate([ask(0, trial=1, max_tokens=60, stop=("no such text",))])
    assert never == whole


def test_the_end_of_the_turn_ends_the_row_and_is_no_text(
    folder: Path, instruct: TransformersEngine, ask: Ask
) -> None:
    requests = mixed(ask, 64, max_tokens=60, temperature=1.5)
    answers = answers_to(instruct, requests)
    ended = [answer for answer in answers if answer.finish_reason == "stop"]
    assert 0 < len(ended) < len(answers)
    assert all(answer.completion_tokens <= 60 for answer in ended)
    assert not any("<|" in answer.text for answer in answers)
    # The template's token counts even where the folder names another end, as base models do.
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token": "<|endoftext|>"}))
    again = answers_to(TransformersEngine(folder, kind="instruct"), requests)
    for answer, before in zip(again, answers, strict=True):
        # One more token may end it now, none fewer; that may cut a character of several bytes.
        assert before.text.startswith(answer.text.rstrip("\ufffd"))


def test_a_base_model_completes_raw_prompts_and_refuses_chats(
    base: TransformersEngine, ask: Ask
) -> None:
    (answer,) = base.generate([ask(0, "a buffer overflow", raw=True)])
    assert answer.prompt_tokens < 10  # no template around it
    with pytest.raises(EngineError, match="item 1, trial 0: a base model takes raw prompts"):
        list(base.generate([ask(0, "x", raw=True), ask(1)]))


def test_a_request_that_does_not_fit_is_named_before_anything_runs(
    instruct: TransformersEngine, ask: Ask
) -> None:
    (fits,) = instruct.generate([ask(0, max_tokens=8)])
    room = 256 - fits.prompt_tokens
    assert texts(instruct, [ask(0, max_tokens=room)])
    answers = instruct.generate([ask(0), ask(5, trial=2, max_tokens=250)])
    with pytest.raises(EngineError, match=r"item 5, trial 2: \d+ prompt tokens and 250"):
        next(answers)


def test_an_empty_raw_prompt_is_refused(base: TransformersEngine, ask: Ask) -> None:
    with pytest.raises(EngineError, match="item 0, trial 0: the prompt is empty"):
        list(base.generate([ask(0, "", raw=True)]))


def test_a_chat_the_template_refuses_is_named(folder: Path, ask: Ask) -> None:
    refusing = "{{ raise_exception('no system turn') }}"
    (folder / "chat_template.jinja").write_text(refusing)
    with pytest.raises(EngineError, match="item 0, trial 0: the chat template refuses it: no sys"):
        list(TransformersEngine(folder, kind="instruct").generate([ask(0)]))


def test_running_out_of_memory_halves_the_batch(
    model_folder: Path, instruct: TransformersEngine, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected = answers_to(instruct, mixed(ask, 20))
    engine = TransformersEngine(model_folder, kind="instruct", batch_size=16)
    forward, sizes = engine._model.forward, []

    # A CPU does not run out in a way a test could provoke; the limit stands in for it.
    def limited(**arguments: Any) -> Any:
        sizes.append(len(arguments["input_ids"]))
        if sizes[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**arguments)

    limit = 5
    monkeypatch.setattr(engine._model, "forward", limited)
    assert answers_to(engine, mixed(ask, 20)) == expected
    assert [size for size in sizes if size > 4] == [16, 8]  # it stays halved
    limit = 0
    with pytest.raises(EngineError, match=r"item \d+, trial 0: out of memory"):
        list(engine.generate(mixed(ask, 20)))


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (LOOP, "does not end, stopped after 0.2 seconds"),
        ("{% macro f() %}" + LOOP + "{% endmacro %}{{ f() | length }}", "does not end"),
        ("{{ [LOOP] | map('length') | join }}" + LOOP.replace("99999", "90000"), "does not end"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "refuses it: RecursionError"),
        ("{{ messages[0].content + 1 }}", "refuses it: TypeError"),
        ("{{ range(10 ** 12) | length }}", "refuses it: OverflowError"),
    ],
)
def test_a_template_that_does_not_end_or_fails_is_an_error(
    folder: Path, ask: Ask, template: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cybersecqwen.engines.transformers._TEMPLATE", 0.2)
    (folder / "chat_template.jinja").write_text(template)
    trace = sys.gettrace()
    with pytest.raises(EngineError, match=f"item 0, trial 0: the chat template {said}"):
        list(TransformersEngine(folder, kind="instruct").generate([ask(0)]))
    assert sys.gettrace() is trace


def test_an_instruct_model_without_a_template_is_refused_with_the_way_out(
    folder: Path, ask: Ask
) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(EngineError, match=r"no chat template.*chat_template.jinja"):
        list(TransformersEngine(folder, kind="instruct").generate([ask(0)]))
    raw = [ask(0, "a buffer", raw=True)]
    assert isinstance(next(TransformersEngine(folder, kind="base").generate(raw)), Response)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", r"no \*.safetensors"),
        # The library would make up an empty one.
        ("tokenizer.json", "no tokenizer.json or"),
    ],
)
def test_an_incomplete_folder_is_refused_at_once(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EngineError, match=message):
        TransformersEngine(folder, kind="base")


def test_a_missing_folder_and_an_adapter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="none: no such model folder"):
        TransformersEngine(tmp_path / "none", kind="base")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(EngineError, match="an adapter, not a model"):
        TransformersEngine(tmp_path, kind="base")


def drop_a_weight(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", lambda p: p.write_text("{"), "cannot be loaded: OSError"),
        ("config.json", lambda p: p.write_text('{"model_type": "nope"}'), "model type `nope`"),
        (
            "config.json",
            lambda p: p.write_text(p.read_text().replace('_size": 32', '_size": "x"')),
            "'hidden_size'",
        ),
        ("tokenizer.json", lambda p: p.write_text("{}"), "cannot be loaded"),
        ("model.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-9]), "SafetensorError"),
        # The library would go on with random numbers in its place.
        ("model.safetensors", drop_a_weight, "1 weights are missing.*layers.1.mlp.up_proj"),
    ],
)
def test_a_damaged_folder_is_refused(
    folder: Path, ask: Ask, name: str, damage: Callable[[Path], Any], message: str
) -> None:
    damage(folder / name)
    with pytest.raises(EngineError, match=message) as caught:
        list(TransformersEngine(folder, kind="instruct").generate([ask(0)]))
    assert str(folder) in str(caught.value)


def test_an_unknown_precision_or_attention_is_refused(model_folder: Path, ask: Ask) -> None:
    for option in ({"precision": "float12"}, {"attention": "flash_attention_9"}):
        engine = TransformersEngine(model_folder, kind="instruct", **option)
        with pytest.raises(EngineError, match="cannot be loaded"):
            list(engine.generate([ask(0)]))


def test_the_precision_is_the_folders_unless_asked_otherwise(model_folder: Path, ask: Ask) -> None:
    import torch

    for precision, dtype in ((None, torch.float32), ("bfloat16", torch.bfloat16)):
        engine = TransformersEngine(model_folder, kind="instruct", precision=precision)
        assert texts(engine, [ask(0)])
        assert engine._model.dtype == dtype
        assert engine.describe()["dtype"] == str(dtype).removeprefix("torch.")


def test_the_description_pins_weights_and_template(folder: Path, model_folder: Path) -> None:
    import hashlib

    engine = TransformersEngine(model_folder, kind="instruct")
    about = engine.describe()
    template = hashlib.sha256(CHAT_TEMPLATES["qwen3"].encode()).hexdigest()
    assert about["chat_template_sha256"] == template
    drop_a_weight(folder / "model.safetensors")
    other = TransformersEngine(folder, kind="base").describe()
    assert other["weights_sha256"].keys() == about["weights_sha256"].keys()
    assert other["weights_sha256"] != about["weights_sha256"]
    assert other["chat_template_sha256"] is None
