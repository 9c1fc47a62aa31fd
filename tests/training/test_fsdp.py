"""What FSDP2 makes of an adapter, its checkpoints and the merge: the same as one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cybersecqwen.config import dump_recipe
from cybersecqwen.files import read_jsonl
from cybersecqwen.training.launch import STRATEGIES
from cybersecqwen.training.merge import merge
from cybersecqwen.training.sft import train

from .conftest import files_of, tiny

pytestmark = [pytest.mark.slow, pytest.mark.long]

SETTINGS = ("adapter.modules_to_save=[]", "adapter.dropout=0.0", "training.epochs=3")

# PyTorch shards on a CPU too, over gloo; only Accelerate keeps FSDP to GPUs, so it is told that
# this is one. Sharding, clipping, saving and loading are the libraries' own.
RANK = """
import os, sys
from pathlib import Path
import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType

torch.distributed.init_process_group("gloo")
PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)

from cybersecqwen.config import load_recipe
from cybersecqwen.training import sft

recipe, corpus, out, base = sys.argv[1:]
files = sft.TrainingFiles((Path(corpus, "train.jsonl"),), (Path(corpus, "validation.jsonl"),))
sft.train(load_recipe(recipe), files, Path(out), base=base)
"""


def train_sharded(recipe: Path, corpus: Path, out: Path, base: Path, *, ranks: int) -> None:
    script = out.parent / "rank.py"
    script.write_text(RANK, encoding="utf-8")
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}")
    environment = {"ACCELERATE_TORCH_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **STRATEGIES["fsdp"]}
    done = subprocess.run(
        [sys.executable, *launcher, script, recipe, corpus, out, base],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_fsdp_gives_the_adapter_and_the_merged_model_of_one_process(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, sharded, alone = run / "base", tmp_path / "sharded", tmp_path / "alone"
    settings = tiny(*SETTINGS)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dump_recipe(settings), encoding="utf-8")
    for folder in (sharded, alone):
        folder.mkdir()
    train_sharded(recipe, corpus, sharded / "adapter", base, ranks=2)
    train(settings, files_of(corpus), alone / "adapter", base=base)

    summary = json.loads((sharded / "adapter" / "summary.json").read_text())
    assert (summary["world_size"], summary["distributed_type"]) == (2, "FSDP")
    ours, theirs = (
        load_file(x / "adapter" / "adapter_model.safetensors") for x in (sharded, alone)
    )
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert weight.dtype == theirs[name].dtype
        assert torch.allclose(weight, theirs[name], atol=1e-3), name

    prompt = ["The parameter name reaches an SQL query without escaping. Which weakness is it?"]
    answers = []
    for folder in (sharded, alone):
        merge(settings, folder / "adapter", prompt, folder / "merged", base=base)
        tokenizer = AutoTokenizer.from_pretrained(folder / "merged")
        model = AutoModelForCausalLM.from_pretrained(folder / "merged")
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        answers.append(model.generate(ids, max_new_tokens=24, do_sample=False)[0].tolist())
    assert answers[0] == answers[1]

    # A checkpoint of two goes on in one, to the same losses.
    whole = list(read_jsonl(sharded / "adapter" / "training_log.jsonl"))
    saved = (sharded / "adapter" / ".checkpoints").glob("checkpoint-*")
    shutil.rmtree(max(saved, key=lambda folder: int(folder.name[len("checkpoint-") :])))
    train_sharded(recipe, corpus, sharded / "adapter", base, ranks=1)
    again = list(read_jsonl(sharded / "adapter" / "training_log.jsonl"))
    assert [row["step"] for row in again] == [row["step"] for row in whole]
    for one, other in zip(again, whole, strict=True):
        assert one.get("loss") == pytest.approx(other.get("loss"), abs=1e-3)
