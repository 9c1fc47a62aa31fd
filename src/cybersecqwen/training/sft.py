"""Supervised fine-tuning of a LoRA adapter, driven through TRL and PEFT.

    summary = train(recipe, TrainingFiles(train, validation), run / "adapter", base=base)

Called again after a kill it goes on from the newest complete checkpoint, to the same
adapter and the same log. Under torchrun every process calls it and the first one writes; a step
learns from the same sequences whatever their number, so each has a share of the recipe's batch.
One epoch is one pass over the examples, packed or not; packing changes how many steps
that takes, which the summary states.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cybersecqwen.config import Recipe, Training
from cybersecqwen.engines.transformers import attention_of, check_vocabulary
from cybersecqwen.errors import RecipeError, StageError, extra
from cybersecqwen.files import (
    disk_errors,
    open_to_all,
    read_json,
    write_json,
)
from cybersecqwen.training.base import (
    check_attention,
    keep_revision,
    load_model,
    load_tokenizer,
    pin_revision,
)
from cybersecqwen.training.distribution import (
    Order,
    check_alike,
    fill,
    join,
    processes,
    shards,
    share,
)
from cybersecqwen.training.examples import encode_once
from cybersecqwen.training.journal import journal, log_rows, newest_checkpoint, tensorboard
from cybersecqwen.training.memory import Size
from cybersecqwen.training.packing import (
    PACKED,
    PackedBatch,
    compile_layers,
    predict_learned_only,
    register_packed_attention,
)
from cybersecqwen.training.plan import Device, Plan, Rows, make_plan

_log = logging.getLogger(__name__)

_CHECKPOINTS = ".checkpoints"  # hidden: a resume's, and no part of what a stage puts out


def _tokens(out: Path) -> Path:
    """Return where tokens are kept: beside the stage's folder, which says what has begun."""
    return out.with_name(f".{out.name}.tokens")


class TrainingFiles(NamedTuple):
    """The files of examples that are learned from, and those that are held out."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]


def train(recipe: Recipe, data: TrainingFiles, out: Path, *, base: str | Path) -> dict[str, Any]:
    """Train the recipe's adapter on files of examples into `out` and return the summary.

    `out` then holds adapter_model.safetensors, adapter_config.json, the tokenizer with its
    chat_template.jinja, training_log.jsonl, .checkpoints/ and, written last, summary.json.
    Adapter and summary record the commit of a base that came from a hub. Losses are
    mean negative log-likelihoods per learned token, in nats.

    Raises InputError for a bad example, RecipeError where the recipe cannot run here,
    StageError when the loss is no longer finite or the processes of a launch differ,
    CyberSecQwenError when the disk is full.
    """
    started = time.monotonic()
    with extra("train"):
        join()
    checkpoint = newest_checkpoint(out / _CHECKPOINTS)
    # A branch of the hub may have moved on since the checkpoint was saved.
    recipe = pin_revision(recipe, base) if checkpoint is None else keep_revision(recipe, checkpoint)
    check_alike(recipe, (*data.train, *data.validation), base, checkpoint)
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
    if trainer.is_local_process_zero():  # each node has its own, unless they share the disk
        shutil.rmtree(_tokens(out), ignore_errors=True)
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
    _check_log_steps(recipe.training)
    datasets.disable_progress_bars()  # it shows some dozen short ones
    tokenizer = load_tokenizer(recipe, base)
    device = Device.here()  # before the model takes its share
    examples, validation = (
        encode_once(recipe, tokenizer, paths, kept=_tokens(out)) if paths else None
        for paths in (data.train, data.validation)
    )
    model = load_model(recipe, base, quantized=True)
    check_vocabulary(model, tokenizer, where=base)
    set_seed(recipe.training.seed)  # the adapter begins at random
    try:
        model = get_peft_model(model, lora_config(recipe, model))
    except ValueError as error:
        raise RecipeError(
            f"the adapter does not fit the model: {error}",
            tip="check adapter.target_modules and adapter.modules_to_save",
        ) from error
    plan = _plan(recipe, model, _rows(recipe, examples), device, out)
    trainer = _trainer_class(out)(
        model=model,
        args=SFTConfig(
            output_dir=str(out / _CHECKPOINTS),
            eval_strategy="no" if validation is None else "steps",
            **training_settings(recipe, plan),
        ),
        train_dataset=examples,
        eval_dataset=validation,
        processing_class=tokenizer,
        callbacks=[journal(out), *tensorboard(recipe, out)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    # The mean over all learned tokens of a step, also of models that are taken not to ask for it.
    trainer.model_accepts_loss_kwargs = True
    if recipe.model.quantization:
        # TRL makes the adapter of a rounded base bfloat16, which loses small updates.
        for weight in trainer.model.parameters():
            weight.data = weight.data.float() if weight.requires_grad else weight.data
    if plan is not None:
        _follow(plan, trainer)
    trainer.args.eval_steps = steps_per_epoch(trainer)
    trainer.plan = plan
    return trainer


def _check_log_steps(training: Training) -> None:
    """Refuse what could not be resumed: a logged loss is the mean of the steps since the last."""
    if training.checkpoint_steps % training.log_steps:
        raise RecipeError(
            f"checkpoint_steps {training.checkpoint_steps} is not a multiple of "
            f"log_steps {training.log_steps}, so a resumed run could not log the same losses",
            tip=f"--set training.checkpoint_steps={training.log_steps * 10}",
        )


def _trainer_class(out: Path) -> Any:
    """Make TRL's trainer deal alike to any number of processes, and say that a disk is full."""
    import torch
    from trl import SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            with disk_errors(out):
                super()._save_checkpoint(*args, **kwargs)

        def _get_dataloader(
            self, dataset: Any, description: str, batch_size: int, *args: Any, **options: Any
        ) -> Any:
            """Fill the last round up with empty rows, where the library repeats examples."""
            rows = fill(dataset, batch_size * processes() if processes() > 1 else 1)
            more = len(rows) - len(dataset)
            if more and options.get("is_training"):
                order = Order(len(dataset), more, seed=self.args.data_seed)
                options["sampler_fn"] = lambda _rows: order
            return super()._get_dataloader(rows, description, batch_size, *args, **options)

        def prediction_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            output = super().prediction_step(model, inputs, *args, **options)
            labels = inputs["shift_labels"] if "shift_labels" in inputs else inputs["labels"][:, 1:]
            count = labels.ne(-100).sum().double().to(output[0].device)
            self._held_out += torch.stack([output[0].double() * count, count])
            return output

        def evaluation_loop(self, *args: Any, **options: Any) -> Any:
            """Take the mean over all learned tokens: that of batches depends on who had which."""
            self._held_out = torch.zeros(2, dtype=torch.float64, device=self.args.device)
            output = super().evaluation_loop(*args, **options)
            total, count = self.accelerator.reduce(self._held_out, "sum").tolist()
            output.metrics["eval_loss"] = total / max(count, 1)
            return output

    return Trainer


def _plan(recipe: Recipe, model: Any, rows: Rows, device: Device, out: Path) -> Plan | None:
    """Choose how to run the recipe here; a resumed training keeps to the way it began."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    if recipe.training.plan == "plain":
        return None
    file = out / _CHECKPOINTS / "plan.json"
    if file.is_file() and any(file.parent.glob("checkpoint-*")):
        began = Plan(**read_json(file))
        if began.micro_batch * began.accumulation == rows.step:  # as many processes as then
            return began
    frozen = sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad)
    plans = [make_plan(recipe, Size.of(model), rows, device, frozen=frozen // shards())]
    broadcast_object_list(plans)  # what is free may differ, and all must do alike
    if PartialState().is_main_process:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(plans[0]))
    return plans[0]


def _rows(recipe: Recipe, examples: Any) -> Rows:
    training = recipe.training
    lengths = [training.max_length] if training.packing else [*map(len, examples["input_ids"])]
    mean, spread = float(np.mean(lengths)), float(np.std(lengths))
    return Rows(share(training, processes()), max(lengths), mean, spread)


def _follow(plan: Plan, trainer: Any) -> None:
    """Give the trainer the plan's attention, and logits where the loss is."""
    model = trainer.model.get_base_model()
    if plan.attention == PACKED:
        register_packed_attention()
    if plan.attention != "flash_attention_2":  # else it is loaded so
        model.set_attn_implementation(attention_of(model.config, plan.attention))
    trainer.data_collator = PackedBatch(trainer.data_collator, plan.shared_openings)
    predict_learned_only(model)
    if plan.compiled:
        compile_layers(model)
    if trainer.is_world_process_zero():
        for line in str(plan).splitlines():
            _log.info("%s", line)


def training_settings(recipe: Recipe, plan: Plan | None = None) -> dict[str, Any]:
    """Say the numbers of a recipe, and of a plan for it, in the words of TRL's SFTConfig."""
    with extra("train"):
        import torch
    training = recipe.training
    mine = share(training, processes())
    micro = next(n for n in range(training.per_device_batch_size, 0, -1) if mine % n == 0)
    times = mine // micro
    checkpointing = bool(training.checkpointing)
    if plan is not None:
        micro, times, checkpointing = plan.micro_batch, plan.accumulation, plan.checkpointing
    return {
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_ratio,  # below 1: a share of all steps
        "weight_decay": training.weight_decay,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": training.per_device_batch_size,
        "gradient_accumulation_steps": times,
        "num_train_epochs": training.epochs,
        # Longer examples are refused, and a batch without padding takes no limit.
        "max_length": training.max_length if training.packing else None,
        "padding_free": plan is not None and not training.packing,  # packing implies it
        "packing": training.packing,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "completion_only_loss": training.loss == "completion",
        "bf16": recipe.model.precision == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "activation_checkpointing": checkpointing,
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

    history = log_rows(trainer.state.log_history)
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
        "plan": asdict(trainer.plan) if trainer.plan else None,
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
