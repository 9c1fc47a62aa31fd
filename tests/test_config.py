"""Every number of a recipe arrives, and a misspelled one does not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.artifacts import shipped_recipes
from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.config import dump_recipe, load_recipe
from cybersecqwen.errors import RecipeError
from cybersecqwen.prompts import CHAT_TEMPLATES


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_loads_and_round_trips(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    path = tmp_path / "recipe.toml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe
    assert recipe.name == name
    assert recipe.evaluation.protocol in PROTOCOLS
    assert recipe.model.chat_template in CHAT_TEMPLATES
    assert len(shipped_recipes()[name].read_text().splitlines()) <= 60


def test_the_published_recipe_is_the_model_cards() -> None:
    recipe = load_recipe("cybersecqwen-4b")
    assert recipe.model.base == "Qwen/Qwen3-4B-Instruct-2507"
    assert (recipe.model.precision, recipe.model.attention) == ("bfloat16", "flash_attention_2")
    assert (recipe.adapter.r, recipe.adapter.alpha, recipe.adapter.dropout) == (64, 64, 0.05)
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert recipe.adapter.target_modules == projections
    training = recipe.training
    assert (training.learning_rate, training.schedule, training.warmup_ratio) == (
        5e-5,
        "cosine",
        0.05,
    )
    assert (training.weight_decay, training.epochs, training.max_length) == (0.01, 10, 4096)
    assert (training.per_device_batch_size, training.gradient_accumulation) == (2, 8)
    assert (training.seed, recipe.corpus.years) == (42, (2021, 2021))
    assert recipe.evaluation.protocol == "model-card"
    assert recipe.synthesis is not None
    assert recipe.synthesis.pairs + recipe.corpus.max_examples == 14_776


def test_the_companion_differs_only_in_what_its_base_model_needs() -> None:
    ours, companion = load_recipe("cybersecqwen-4b"), load_recipe("gemma4defense-2b")
    assert companion.corpus == ours.corpus
    assert companion.synthesis == ours.synthesis
    assert companion.training == ours.training
    assert companion.model.attention == "sdpa"
    assert "language_model" in str(companion.adapter.target_modules)


def write(tmp_path: Path, old: str, new: str) -> Path:
    text = shipped_recipes()["smoke"].read_text()
    assert old in text
    path = tmp_path / "recipe.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learning_rat", "'training.learning_rat', did you mean 'learning_rate'?"),
        ("hidden_size", "hiden_size", "'model.random.hiden_size', did you mean 'hidden_size'?"),
        ("[adapter]", "[adaptor]", "'adaptor', did you mean 'adapter'?"),
        ("epochs = ", "qqqqqqqq = ", "unknown key 'training.qqqqqqqq', known: checkpoint_steps"),
        ('schedule = "cosine"', 'schedule = "cosin"', "training.schedule"),
        ("learning_rate = ", 'learning_rate = "fast" # ', "training.learning_rate"),
        ("learning_rate = ", "# ", "the key 'training.learning_rate' is missing"),
        ("years = [2021, 2021]", "years = [2022, 2021]", "run backwards"),
        ('base = "random"', 'base = "Qwen/Qwen3-0.6B"', "go together"),
        ("[corpus]", "[corpus", "not valid TOML"),
        ("seed = 42", f"seed = {'9' * 5000}", "not valid TOML"),
        ("seed = 42", f"seed = {'[' * 5000}", "not valid TOML"),
    ],
)
def test_a_bad_recipe_is_one_line_that_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, old, new))
    assert message in str(caught.value)
    assert "recipe.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"cybersecqwen-4b.*smoke"):
        load_recipe("smok")


def test_overrides_take_numbers_lists_and_bare_words() -> None:
    recipe = load_recipe(
        "smoke",
        overrides=("training.epochs=1", "corpus.years=[2020, 2021]", "model.attention=eager"),
    )
    assert recipe.training.epochs == 1
    assert recipe.corpus.years == (2020, 2021)
    assert recipe.model.attention == "eager"


def test_false_leaves_an_optional_table_out() -> None:
    assert load_recipe("cybersecqwen-4b").synthesis
    assert load_recipe("cybersecqwen-4b", overrides=("synthesis=false",)).synthesis is None
    with pytest.raises(RecipeError, match="corpus"):
        load_recipe("cybersecqwen-4b", overrides=("corpus=false",))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=1", "did you mean 'epochs'?"),
        ("training.epochs", "no key=value form"),
        ("name.first=1", "is a value, not a table"),
    ],
)
def test_a_bad_override_is_refused(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("smoke", overrides=(override,))
    assert message in str(caught.value)


def test_the_text_of_a_chat_templates_file_goes_into_the_recipe(tmp_path: Path) -> None:
    """So that a run does not change with the file, and its folder says all."""
    (tmp_path / "turns.jinja").write_text("{{ messages[0]['content'] }}\n")
    recipe = load_recipe(write(tmp_path, 'template = "qwen3"', 'template = "turns.jinja"'))
    assert recipe.model.chat_template == "{{ messages[0]['content'] }}\n"
    (tmp_path / "again.toml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_a_chat_template_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'turns.jinja' is no file and none of 'qwen3'.*'own'"):
        load_recipe(write(tmp_path, 'template = "qwen3"', 'template = "turns.jinja"'))


@pytest.mark.parametrize(
    ("flags", "precision"), [("amx_bf16 amx_tile", "bfloat16"), ("avx512f avx512_bf16", "float32")]
)
def test_the_precision_is_what_the_processor_multiplies(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = tmp_path / "cpuinfo"
    cpu.write_text(f"flags : fpu {flags}\n")
    monkeypatch.setattr("cybersecqwen.config._CPU", cpu)
    recipe = load_recipe("smollm2-135m-cpu")
    assert recipe.model.precision == precision
    assert f'precision = "{precision}"' in dump_recipe(recipe)
    assert load_recipe("smollm2-135m").model.precision == "bfloat16"  # which names it
    cpu.unlink()
    assert load_recipe("smollm2-135m-cpu").model.precision == "float32"
