"""What a training leaves behind on its way: the log of its losses and checkpoints to resume from.

trainer = SFTTrainer(..., callbacks=[journal(out), *tensorboard(recipe, out)])
newest_checkpoint(out / ".checkpoints")
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cybersecqwen.config import Recipe
from cybersecqwen.errors import StageError, extra
from cybersecqwen.files import read_json, sha256_tree, write_json, write_jsonl

_log = logging.getLogger(__name__)

_PROOF = "complete.json"
_LOGGED = (
    "epoch",
    "loss",
    "learning_rate",
    "grad_norm",
    "mean_token_accuracy",
    "eval_loss",
    "eval_mean_token_accuracy",
)


def journal(out: Path) -> Any:
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
                write_jsonl(out / "training_log.jsonl", log_rows(state.log_history))

        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            PartialState().wait_for_everyone()  # each process saves its own random state
            if state.is_world_process_zero:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                (folder / _PROOF).unlink(missing_ok=True)
                write_json(folder / _PROOF, sha256_tree(folder))

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.bar.close()

    return Journal()


def tensorboard(recipe: Recipe, out: Path) -> list[Any]:
    """Make the callback that logs for TensorBoard into `out`/tensorboard, if asked to."""
    from accelerate import PartialState
    from transformers.integrations import TensorBoardCallback

    if not recipe.training.tensorboard or not PartialState().is_main_process:
        return []
    with extra("train"):
        from torch.utils.tensorboard import SummaryWriter
    return [TensorBoardCallback(SummaryWriter(log_dir=str(out / "tensorboard")))]


def log_rows(history: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the rows of losses, and of each row what can be drawn."""
    return [
        {"step": row["step"]} | {key: row[key] for key in _LOGGED if key in row}
        for row in history
        if "loss" in row or "eval_loss" in row
    ]


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
