"""Supervised fine-tuning of a LoRA adapter, driven through TRL and PEFT.

    summary = train(recipe, TrainingFiles(train, validation), run / "adapter", base=base)

Called again after a kill it goes on from the newest complete checkpoint, to the same
adapter and the same log. Under torchrun every process calls it and the first one writes.
One epoch is one pass over the examples, packed or not; packing changes how many steps
that takes, which the summary states.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cybersecqwen.config import Recipe
from cybersecqwen.engines.transformers import check_vocabulary
from cybersecqwen.errors import RecipeError, StageError, extra
from cybersecqwen.files import (
    disk_errors,
    open_to_all,
    read_json,
    sha256_tree,
    write_json,
    write_jsonl,
)
from cybersecqwen.training.base import (
    check_attention,
    encode,
    keep_revision,
    load_model,
    load_tokenizer,
    pin_revision,
)

_log = logging.getLogger(__name__)

# From this size on a model's activations outgrow a GPU before its weights do.
_LARGE = 1_000_000_000
_PROOF = "complete.json"
_CHECKPOINTS = ".checkpoints"  # hidden: a resume's, and no part of what a stage puts out
_LOGGED = (
    "epoch",
    "loss",
    "learning_rate",
    "grad_norm",
    "mean_token_accuracy",
    "eval_loss",
    "eval_mean_token_accuracy",
)


class TrainingFiles(NamedTuple):
    """The files of examples that are learned from, and those that are held out."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]


def train(recipe: Recipe, data: TrainingFiles, out: Path, *, base: str | Path) -> dict[str, Any]:
    """Train the recipe's adapter on files of examples into `out` and return the summary.

    `out` then holds adapter_model.safetensors, adapter_config.json, the tokenizer with its
    chat_template.jinja, training_log.jsonl, .checkpoints/ and, written last, summary.json.
    Adapter and summary record the commit of a base that came from a hub. Losses are
    mean negative log-likelihoods per completion token, in nats.

    Raises InputError for a bad example, RecipeError where the recipe cannot run here,
    StageError when the loss is no longer finite, CyberSecQwenError when the disk is full.
    """
    started = time.monotonic()
    checkpoint = newest_checkpoint(out / _CHECKPOINTS)
    # A branch of the hub may have moved on since the checkpoint was saved.
    recipe = pin_revision(recipe, base) if checkpoint is None else keep_revision(recipe, checkpoint)
    trainer = make_trainer(recipe, data, out, base=base)
    _check_distribution(trainer)
    if checkpoint is not None:
        _log.warning("resuming from %s", checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    with disk_errors(out):
        trainer.save_model(str(out))
    summary = _summary(trainer, seconds=time.monotonic() - started)
    if trainer.is_world_process_zero():
        _tidy(recipe, out, base)
        write_json(out / "summary.json", summary)
    return summary


def make_trainer(recipe: Recipe, data: TrainingFiles, out: Path, *, base: str | Path) -> Any:
    """Build TRL's trainer for a recipe: model with adapter, tokenized data and settings."""
    with extra("train"):
        import datasets
        from peft import get_peft_model
        from transformers import set_seed
        from transformers.trainer_callback import PrinterCallback
        from trl import SFTConfig
    check_attention(recipe.model.attention)
    datasets.disable_progress_bars()  # it shows some dozen short ones
    tokenizer = load_tokenizer(recipe, base)
    examples = encode(recipe, tokenizer, *data.train)
    validation = encode(recipe, tokenizer, *data.validation) if data.validation else None
    model = load_model(recipe, base)
    check_vocabulary(model, tokenizer, where=base)
    settings = training_settings(recipe, parameters=model.num_parameters())
    set_seed(recipe.training.seed)  # the adapter begins at random
    try:
        model = get_peft_model(model, lora_config(recipe, model))
    except ValueError as error:
        raise RecipeError(
            f"the adapter does not fit the model: {error}",
            tip="check adapter.target_modules and adapter.modules_to_save",
        ) from error
    trainer = _trainer_class(out)(
        model=model,
        args=SFTConfig(
            output_dir=str(out / _CHECKPOINTS),
            eval_strategy="no" if validation is None else "steps",
            **settings,
        ),
        train_dataset=examples,
        eval_dataset=validation,
        processing_class=tokenizer,
        callbacks=[_journal(out), *_tensorboard(recipe, out)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    trainer.args.eval_steps = steps_per_epoch(trainer)
    return trainer


def _trainer_class(out: Path) -> Any:
    """Make TRL's trainer say in one line that the disk is full at a checkpoint."""
    from trl import SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            with disk_errors(out):
                super()._save_checkpoint(*args, **kwargs)

    return Trainer


def training_settings(recipe: Recipe, *, parameters: int) -> dict[str, Any]:
    """Say the recipe's numbers in the words of TRL's SFTConfig."""
    with extra("train"):
        import torch
    training = recipe.training
    if training.checkpoint_steps % training.log_steps:
        # A logged loss is the mean since the last one; a resume begins such a mean anew.
        raise RecipeError(
            f"checkpoint_steps {training.checkpoint_steps} is not a multiple of "
            f"log_steps {training.log_steps}, so a resumed run could not log the same losses",
            tip=f"--set training.checkpoint_steps={training.log_steps * 10}",
        )
    on_gpu = torch.cuda.is_available()
    return {
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_ratio,  # below 1: a share of all steps
        "weight_decay": training.weight_decay,
        "per_device_train_batch_size": training.per_device_batch_size,
        "per_device_eval_batch_size": training.per_device_batch_size,
        "gradient_accumulation_steps": training.gradient_accumulation,
        "num_train_epochs": training.epochs,
        "max_length": training.max_length,
        "packing": training.packing,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "completion_only_loss": True,
        "bf16": recipe.model.precision == "bfloat16",
        "use_cpu": not on_gpu,
        "activation_checkpointing": on_gpu and parameters >= _LARGE,
        "seed": training.seed,
        "data_seed": training.seed,
        "save_strategy": "steps",
        "save_steps": training.checkpoint_steps,
        "save_total_limit": 2,
        "logging_steps": training.log_steps,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
    }


def lora_config(recipe: Recipe, model: Any) -> Any:
    """Say the recipe's adapter in the words of PEFT's LoraConfig."""
    with extra("train"):
        from peft import LoraConfig
    adapter = recipe.adapter
    targets = adapter.target_modules
    from_hub = not Path(model.name_or_path).is_dir()
    tied = model.config.get_text_config().tie_word_embeddings
    return LoraConfig(
        r=adapter.r,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=list(adapter.modules_to_save) or None,
        # Else the output layer would keep the old weights of an embedding trained whole.
        ensure_weight_tying=bool(adapter.modules_to_save) and tied,
        bias="none",
        revision=recipe.model.revision if from_hub else None,
        task_type="CAUSAL_LM",
    )


def steps_per_epoch(trainer: Any) -> int:
    """Count the optimiser steps of one pass over the examples."""
    batches: int = len(trainer.get_train_dataloader())
    accumulated: int = trainer.args.gradient_accumulation_steps
    return math.ceil(batches / accumulated)


def newest_checkpoint(folder: Path) -> Path | None:
    """Find the last checkpoint that was saved whole and is unchanged since; name the others."""
    newest_first = sorted(
        folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True
    )
    for checkpoint in newest_first:
        if _is_whole(checkpoint):
            return checkpoint
        _log.warning("skipping %s: it is incomplete or damaged", checkpoint)
    return None


def _is_whole(checkpoint: Path) -> bool:
    if not (checkpoint / _PROOF).is_file():
        return False
    hashes = sha256_tree(checkpoint)
    del hashes[_PROOF]
    return bool(hashes == read_json(checkpoint / _PROOF))


def _journal(out: Path) -> Any:
    """Make the callback that writes the log, proves checkpoints and shows progress."""
    from accelerate import PartialState
    from transformers import TrainerCallback

    class Journal(TrainerCallback):  # type: ignore[misc]
        """Keep training_log.jsonl, complete.json of every checkpoint and the progress bar."""

        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            hidden = None if state.is_world_process_zero else True
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, unit="step", disable=hidden
            )

        def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
            self.bar.update()
            if state.global_step >= state.max_steps:
                control.should_log = True  # the last loss, also between two log steps

        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any
        ) -> None:
            loss = logs.get("loss", 0.0)
            if not math.isfinite(loss):
                raise StageError(
                    f"the loss became {loss} at step {state.global_step}",
                    where=out,
                    tip="lower training.learning_rate",
                )
            self.bar.set_postfix(loss=f"{loss:.3f}")
            if state.is_world_process_zero:
                # The whole history, which a checkpoint keeps: a resume cannot repeat a step.
                write_jsonl(out / "training_log.jsonl", _log_rows(state.log_history))

        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            PartialState().wait_for_everyone()  # each process saves its own random state
            if state.is_world_process_zero:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                (folder / _PROOF).unlink(missing_ok=True)
                write_json(folder / _PROOF, sha256_tree(folder))

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.bar.close()

    return Journal()


def _tensorboard(recipe: Recipe, out: Path) -> list[Any]:
    """Make the callback that logs for TensorBoard into `out`/tensorboard, if asked to."""
    from accelerate import PartialState
    from transformers.integrations import TensorBoardCallback

    if not recipe.training.tensorboard or not PartialState().is_main_process:
        return []
    with extra("train"):
        from torch.utils.tensorboard import SummaryWriter
    return [TensorBoardCallback(SummaryWriter(log_dir=str(out / "tensorboard")))]


def _log_rows(history: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the rows of losses, and of each row what can be drawn."""
    return [
        {"step": row["step"]} | {key: row[key] for key in _LOGGED if key in row}
        for row in history
        if "loss" in row or "eval_loss" in row
    ]


def _check_distribution(trainer: Any) -> None:
    """Refuse a launch that silently became another one, and say on what the run runs."""
    accelerator = trainer.accelerator
    kind = accelerator.distributed_type.value
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" and kind != "FSDP":
        raise StageError(
            f"FSDP was asked for but this run is {kind} (accelerate has no FSDP on a CPU)",
            tip="launch without FSDP, or on GPUs",
        )
    if accelerator.is_main_process:
        _log.info("distribution %s, world size %d", kind, accelerator.num_processes)


def _summary(trainer: Any, *, seconds: float) -> dict[str, Any]:
    import peft
    import torch
    import transformers
    import trl

    history = _log_rows(trainer.state.log_history)
    losses = [row["loss"] for row in history if "loss" in row]
    validation = [row["eval_loss"] for row in history if "eval_loss" in row]
    trainable, total = trainer.model.get_nb_trainable_parameters()
    packed = trainer.train_dataset
    sequences = packed["seq_lengths"] if trainer.args.packing else [[0]] * len(packed)
    on_gpu = trainer.args.device.type == "cuda"
    return {
        "steps": trainer.state.global_step,
        "steps_per_epoch": steps_per_epoch(trainer),
        "examples": sum(len(lengths) for lengths in sequences),
        "packed_sequences": len(packed) if trainer.args.packing else None,
        "tokens_seen": int(trainer.state.num_input_tokens_seen),
        "trainable_parameters": trainable,
        "total_parameters": total,
        "base_revision": trainer.model.active_peft_config.revision,
        "final_train_loss": losses[-1],
        "final_validation_loss": validation[-1] if validation else None,
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, trl, peft)},
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "world_size": trainer.accelerator.num_processes,
        "distributed_type": trainer.accelerator.distributed_type.value,
        "runtime_seconds": round(seconds, 1),
    }


def _tidy(recipe: Recipe, out: Path, base: str | Path) -> None:
    """Leave in `out` what an adapter is, with nothing of this machine in it."""
    for name in ("README.md", "training_args.bin"):
        (out / name).unlink(missing_ok=True)
    config = read_json(out / "adapter_config.json")
    if recipe.model.random is None:
        config["base_model_name_or_path"] = recipe.model.base
    else:
        config["base_model_name_or_path"] = os.path.relpath(base, out)
    if isinstance(config["target_modules"], list):  # PEFT's is a set, in another order each time
        config["target_modules"].sort()
    write_json(out / "adapter_config.json", config)
    open_to_all(out)
