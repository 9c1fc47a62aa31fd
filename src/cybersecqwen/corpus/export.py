"""Export a run's corpus as a folder that `datasets.load_dataset` opens.

    export(Path("runs/smoke"), Path("smoke-dataset"))
    datasets.load_dataset("smoke-dataset")["train"][0]["completion"]

The folder holds a file of Parquet for each split, the dataset card as its README.md, the
certificates and the ledgers under provenance/, and a manifest with the sha256 of every file. A
run's synthetic questions become a second configuration.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.config import dump_recipe, load_recipe
from cybersecqwen.corpus.dataset_card import SPLITS, Part, dataset_card
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, read_json, read_jsonl, write_bytes, write_text
from cybersecqwen.manifest import MANIFEST, finished, make_stage, outputs_of

FORMATS = ("prompt-completion", "messages")
# The stages that hold examples, by the name of their configuration.
_STAGES = {"cwe": "corpus", "qa": "synthesis"}
_PROVENANCE = "provenance/"


def export(run: Path, out: Path, *, form: str = FORMATS[0]) -> dict[str, dict[str, int]]:
    """Write the dataset folder `out`; return the number of rows of each split, by configuration.

    `form` is one of FORMATS: the columns `prompt` and `completion`, or `messages`. A folder
    that was exported from the same files is left as it is.

    Raises InputError where `run` is not a run folder, StageError where a stage in it is not
    finished or has changed, or where `out` holds something else.
    """
    if not (run / "recipe.toml").is_file():
        raise InputError("is not a run folder", where=run, tip="it holds no recipe.toml")
    recipe = load_recipe(run / "recipe.toml")
    tip = f"run it first: cybersecqwen {{}} {recipe.name} --out {run}"
    stages = {
        name: finished(run / stage, tip=tip.format(stage))
        for name, stage in _STAGES.items()
        if name == "cwe" or (run / stage).exists()
    }
    parts = [_part(name, folder) for name, folder in stages.items()]
    certificate = read_json(stages["cwe"] / "certificate.json")

    def make(folder: Path) -> None:
        for part in parts:
            for split, path in part.files.items():
                _write_parquet(folder / path, part.rows[split], form=form)
        card = dataset_card(
            recipe, certificate, parts, chat=form == "messages", ledgers=f"{_PROVENANCE}corpus/"
        )
        write_text(folder / "README.md", card)
        for stage in stages.values():
            _copy_ledgers(stage, folder / _PROVENANCE / stage.name)
        write_text(folder / _PROVENANCE / "recipe.toml", dump_recipe(recipe))

    made_from = {"format": form} | {s.name: outputs_of(s) for s in stages.values()}
    make_stage(out, made_from, make)
    return {part.name: {s: len(rows) for s, rows in part.rows.items()} for part in parts}


def _part(name: str, folder: Path) -> Part:
    """Read the splits of a stage; one without rows, or without a file, is left out."""
    rows = {split: _rows(folder / f"{split}.jsonl") for split in SPLITS}
    present = {split: read for split, read in rows.items() if read}
    return Part(name, {split: f"{name}/{split}.parquet" for split in present}, present)


def _rows(path: Path) -> list[Json]:
    if not path.is_file():
        return []
    rows = list(read_jsonl(path))
    for number, row in enumerate(rows, start=1):
        for key in ("prompt", "completion"):
            if not isinstance(row.get(key), str):
                raise InputError(f"no text under {key!r}", where=f"{path}:{number}")
    return rows


def _write_parquet(path: Path, rows: Sequence[Json], *, form: str) -> None:
    with extra("parquet"):
        import pyarrow
        from pyarrow import parquet

    text = pyarrow.string()
    names = dict.fromkeys(name for row in rows for name in row)
    texts: list[Json] = [{name: _text(row.get(name)) for name in names} for row in rows]
    columns: Json = dict.fromkeys(names, text)
    if form == "messages":
        turn = pyarrow.struct([("role", text), ("content", text)])
        columns = {"messages": pyarrow.list_(turn)} | columns
        texts = [row | {"messages": _chat(row)} for row in texts]
        del columns["prompt"], columns["completion"]
    buffer = io.BytesIO()
    table = pyarrow.Table.from_pylist(texts, schema=pyarrow.schema(columns))
    parquet.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def _chat(row: Json) -> list[Json]:
    roles = {"user": "prompt", "assistant": "completion"}
    return [{"role": role, "content": row[name]} for role, name in roles.items()]


def _text(value: object) -> str | None:
    """Return a value as text; what is none, such as a pair's grounding, as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _copy_ledgers(stage: Path, folder: Path) -> None:
    """Copy a stage's certificate, ledgers and the like: all but its examples and its card."""
    examples = {f"{split}.jsonl" for split in SPLITS}
    for name in outputs_of(stage):
        if name not in examples and not name.endswith(".md"):
            write_bytes(folder / name, (stage / name).read_bytes())
    write_bytes(folder / MANIFEST, (stage / MANIFEST).read_bytes())
