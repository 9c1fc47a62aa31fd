"""What the machine decides about a training, and that it decides nothing about what is learned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.errors import RecipeError
from cybersecqwen.files import read_json
from cybersecqwen.training.memory import Size
from cybersecqwen.training.packing import PACKED
from cybersecqwen.training.plan import Device, Plan, Rows, make_plan
from cybersecqwen.training.sft import make_trainer

from .conftest import files_of, gemma, tiny

QWEN = Size(4_022_468_096 + 132_120_576, 132_120_576, 36, 2560, 9728, 32, 128)
SMOL = Size(134_515_008 + 4_884_480, 4_884_480, 30, 576, 1536, 9, 64)
GB = 1_000_000_000


def on_gpu(memory: int) -> Plan:
    recipe = load_recipe("cybersecqwen-4b", overrides=("model.attention='sdpa'",))
    return make_plan(recipe, QWEN, Rows(16, 4096, 4096), Device("cuda", memory * GB, ("varlen",)))


def small(*overrides: str) -> Recipe:
    return load_recipe("smollm2-135m-cpu", overrides=("model.precision='float32'", *overrides))


@pytest.mark.parametrize(
    ("memory", "micro_batch", "checkpointing"), [(24, 2, True), (80, 1, False), (192, 2, False)]
)
def test_a_4b_model_on_gpus(memory: int, micro_batch: int, checkpointing: bool) -> None:
    """More memory first ends the second computing of each layer, then takes more at once."""
    plan = on_gpu(memory)
    assert (plan.micro_batch, plan.checkpointing) == (micro_batch, checkpointing)
    assert plan.micro_batch * plan.accumulation == 16
    assert plan.attention == PACKED
    assert plan.memory < memory * GB


def test_a_small_model_on_a_cpu_with_8_gb() -> None:
    plan = make_plan(small(), SMOL, Rows(8, 1024, 1024), Device("cpu", 8 * GB))
    assert (plan.micro_batch, plan.accumulation, plan.checkpointing) == (2, 4, False)
    assert (plan.attention, plan.compiled) == (PACKED, False)
    assert plan.shared_openings
    assert set(plan.reasons) < {*plan.__dataclass_fields__}
    assert "micro_batch = 2: the recipe's 8 sequences of a step, 2 at once take" in str(plan)


def test_examples_that_are_not_packed_count_by_their_mean_beside_one_long_one() -> None:
    plan = make_plan(small(), SMOL, Rows(8, 1200, 190.0), Device("cpu", 16 * GB))
    assert plan.micro_batch == 8  # 1,520 tokens on average
    less = make_plan(small(), SMOL, Rows(8, 1200, 190.0), Device("cpu", 7 * GB))
    assert less.micro_batch == 4  # some 1,770 tokens, where 8 may have 2,530
    spread = make_plan(small(), SMOL, Rows(8, 1200, 190.0, 200.0), Device("cpu", 7 * GB))
    assert spread.micro_batch == 2  # 4 may have 2,809


def test_too_little_memory_is_refused_with_the_number() -> None:
    with pytest.raises(RecipeError, match=r"training needs \d+\.\d GB .* 3\.6 GB can be used"):
        on_gpu(4)


def test_a_recipe_decides_itself_where_it_wants() -> None:
    recipe = small("training.micro_batch=4", "training.checkpointing=true")
    plan = make_plan(recipe, SMOL, Rows(8, 1024, 1024), Device("cpu", 16 * GB))
    assert (plan.micro_batch, plan.accumulation, plan.checkpointing) == (4, 2, True)
    assert plan.reasons["micro_batch"] == "set by the recipe"
    with pytest.raises(RecipeError, match="3 does not divide the 8 sequences of a step"):
        make_plan(
            small("training.micro_batch=3"), SMOL, Rows(8, 1024, 1024), Device("cpu", 16 * GB)
        )


def test_heads_that_no_kernel_fits_keep_the_usual_attention() -> None:
    recipe = load_recipe("cybersecqwen-4b", overrides=("model.attention='sdpa'",))
    wide = QWEN._replace(head_size=512)
    plan = make_plan(recipe, wide, Rows(16, 4096, 4096), Device("cuda", 192 * GB, ("varlen",)))
    assert plan.attention == "sdpa"
    assert "heads of 512" in plan.reasons["attention"]


@pytest.fixture(scope="session")
def llama(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a random Llama with the tokenizer of the random Qwen3."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("llama") / "base"
    shutil.copytree(run / "base", folder)
    config = AutoConfig.from_pretrained(folder)
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    names += ("num_attention_heads", "num_key_value_heads", "head_dim", "tie_word_embeddings")
    same = {name: getattr(config, name) for name in names}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **same)).save_pretrained(folder)
    return folder


def losses(recipe: Recipe, corpus: Path, out: Path, base: Path) -> list[float]:
    trainer = make_trainer(recipe, files_of(corpus), out, base=base)
    trainer.train()
    keys = ("loss", "eval_loss")
    return [row[key] for row in trainer.state.log_history for key in keys if key in row]


@pytest.mark.parametrize(
    ("family", "packing"), [("qwen3", "false"), ("llama", "true"), ("gemma4", "false")]
)
def test_a_plan_changes_no_loss(
    family: str, packing: str, corpus: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The same batches, by the libraries' own means and by the plan's, in float32."""
    make: Any = gemma if family == "gemma4" else tiny
    base = {
        "qwen3": lambda: request.getfixturevalue("run") / "base",
        "llama": lambda: request.getfixturevalue("llama"),
        "gemma4": lambda: request.getfixturevalue("gemma_run") / "base",
    }[family]()
    settings = (
        f"training.packing={packing}",
        *("training.gradient_accumulation=2", "training.epochs=1", "adapter.dropout=0.0"),
        *("training.log_steps=1", "training.checkpoint_steps=50"),
        *("training.per_device_batch_size=2", "training.learning_rate=1e-3"),
    )
    plain = make(*settings, 'training.plan="plain"')
    auto = make(*settings, "training.micro_batch=4")
    expected = losses(plain, corpus, tmp_path / "plain", base)
    assert losses(auto, corpus, tmp_path / "auto", base) == pytest.approx(expected, abs=1e-5)
    assert len(expected) >= 3
    assert read_json(tmp_path / "auto" / ".checkpoints" / "plan.json")["shared_openings"]
    assert not (tmp_path / "plain" / ".checkpoints" / "plan.json").exists()


def test_the_loss_can_cover_everything(run: Path, corpus: Path, tmp_path: Path) -> None:
    recipe = tiny('training.loss="all"', "adapter.dropout=0.0")
    trainer = make_trainer(recipe, files_of(corpus), tmp_path, base=run / "base")
    batch = next(iter(trainer.get_train_dataloader()))
    learned = int((batch["labels"] != -100).sum())
    # All but each example's first token, and nothing is shared.
    assert learned == batch["input_ids"].numel() - 4


def test_the_plan_is_in_the_summary(run: Path) -> None:
    plan = read_json(run / "adapter" / "summary.json")["plan"]
    assert (plan["micro_batch"], plan["attention"]) == (4, PACKED)
    assert plan["memory"] < plan["available"]
