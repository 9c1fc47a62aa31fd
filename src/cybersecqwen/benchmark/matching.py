"""Match recorded answers to the items of a task; one that answers no item is refused.

    for recording in match_recordings(Path("answers.tsv"), items, column="gpt-4"):
        recording.responses[0]        # trial 0, in the order of the items

A row says its item by `item` or by `url`. The rows of a sheet without either are those of the
task file, one each, in its order; so are rows that agree with it in url and gold, one by one.
Items without an answer are left to whoever scores: a protocol may not ask them all.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cybersecqwen.engines.response_files import (
    ENDINGS,
    RecordedResponse,
    file_ending,
    from_trial_0,
    read_response_file,
)
from cybersecqwen.errors import InputError
from cybersecqwen.records import Item, Response

_TRIAL = re.compile(r"trial-\d+")
_TRIAL_OF_SAMPLES = re.compile(r"_trial_\d+(?=_\d{4}-)")
# Files that stand beside answers in a run folder.
_OURS = {
    *("manifest.json", "scores.json", "summary.json", "probe.json"),
    *("comparison.json", "certificate.json", "parity.json"),
}


@dataclass(frozen=True)
class Recording:
    """One model's recorded answers, by trial, each in the order of the items."""

    name: str
    paths: tuple[Path, ...]
    responses: dict[int, tuple[Response, ...]]


def match_recordings(
    path: Path,
    items: Sequence[Item],
    *,
    column: str | None = None,
    partial: bool = False,
    more: Sequence[Path] = (),
) -> list[Recording]:
    """Read the recording at a path, or all in a folder.

    The `responses.jsonl` of a run's `trial-N` folders are one recording, as are the samples of a
    task's trials; any other file is one of its own. `column` names that of the answers in a table,
    and then the recording. `partial` leaves out the rows of failed requests. `more` are further
    files of the same recording. Raises InputError, with file and line, for a row that is no answer
    to an item, two answers to one item and trial, a missing trial, and a file of another task.
    """
    files = [(_stem(path.with_name(whole_name(path))), (path, *more))] if more else _files(path)
    return [
        Recording(
            column if column and len(files) == 1 else name,
            paths,
            _by_trial(paths, items, column, partial=partial),
        )
        for name, paths in files
    ]


def _files(path: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """Find the name and the files of each recording."""
    if not path.exists():
        raise InputError("no such file or folder", where=path, tip="check the path")
    if path.is_file():
        return [(_stem(path), (path,))]
    recordings: dict[Path, list[Path]] = defaultdict(list)
    for file in sorted(path.rglob("*")):
        if is_recording(file, path):
            of_a_run = file.name.startswith("responses.") and _TRIAL.fullmatch(file.parent.name)
            whole = file.with_name(whole_name(file))
            recordings[file.parent.parent if of_a_run else whole].append(file)
    if not recordings:
        raise InputError(
            "holds no recording", where=path, tip="a recording is .jsonl, .json, .csv or .tsv"
        )
    names = {whole: _name(whole, path) for whole in recordings}
    times = Counter(names.values())
    for whole, name in names.items():
        if times[name] > 1 and whole.is_file():  # `a.csv` beside `a.jsonl`
            names[whole] = whole.relative_to(path).as_posix()
    return [(names[whole], tuple(files)) for whole, files in recordings.items()]


def whole_name(file: Path) -> str:
    """Return the name of a file, without the trial where it is the samples of one."""
    return _TRIAL_OF_SAMPLES.sub("", file.name)


def is_recording(file: Path, folder: Path) -> bool:
    """Tell whether a file below a folder may hold answers, by its name."""
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    ours = file.name in _OURS or file.name.startswith("results_")  # the harness's, beside samples
    return not hidden and file_ending(file) in ENDINGS and not ours and file.is_file()


def _name(whole: Path, folder: Path) -> str:
    """Name a recording by its file, or by the folder of the run whose trials it is."""
    if whole == folder or not whole.is_relative_to(folder):
        return whole.resolve().name
    relative = whole.relative_to(folder)
    return (relative if whole.is_dir() else relative.with_name(_stem(whole))).as_posix()


def _stem(path: Path) -> str:
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _by_trial(
    paths: Sequence[Path], items: Sequence[Item], column: str | None, *, partial: bool
) -> dict[int, tuple[Response, ...]]:
    origin: dict[tuple[int, int], str] = {}
    trials: dict[int, list[Response]] = defaultdict(list)
    where = paths[-1]
    rows = [row for path in paths for row in _answers(path, items, column, partial=partial)]
    for row in from_trial_0(rows):
        response = row.to_item(row.item or 0)
        key = (response.item, response.trial)
        if key in origin:
            raise InputError(
                f"a second answer to item {key[0]}, trial {key[1]}; the first is at {origin[key]}",
                where=row.where,
                tip="keep one of the two; give each trial its number",
            )
        origin[key] = row.where
        trials[response.trial].append(response)
    numbers = sorted(trials)
    missing = next((i for i, trial in enumerate(numbers) if trial != i), None)
    if missing is not None:
        raise InputError(
            f"trial {missing} is missing: there are {', '.join(map(str, numbers))}",
            where=where,
            tip="trials are counted from 0 or from 1",
        )
    return {t: tuple(sorted(trials[t], key=lambda r: r.item)) for t in numbers}


def _answers(
    path: Path, items: Sequence[Item], column: str | None, *, partial: bool
) -> Iterator[RecordedResponse]:
    """Yield the rows of a file, each with the number of the item that it answers."""
    rows = list(read_response_file(path, column=column, partial=partial))
    if not rows:
        raise InputError("holds no answer", where=path, tip="check the path")
    in_order = all(row.item is None and row.url is None for row in rows)
    if in_order and file_ending(path) in (".jsonl", ".json"):
        raise InputError(
            "says neither item nor url", where=rows[0].where, tip="item is counted from 0"
        )
    if in_order and len(rows) != len(items):
        raise InputError(
            f"{len(rows)} rows without item or url for the {len(items)} items of {items[0].task}",
            where=path,
            tip="add a column item or url, or check --task",
        )
    by_index = {item.index: item for item in items}
    by_url: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_url[item.url.strip()].append(item)
    places: Counter[int] = Counter()
    in_order = in_order or _in_order(rows, items)
    for row in rows:
        item = items[places[row.trial]] if in_order else _find(row, by_index, by_url)
        places[row.trial] += 1
        _refuse_other_task(row, item)
        yield replace(row, item=item.index)


def _in_order(rows: Sequence[RecordedResponse], items: Sequence[Item]) -> bool:
    """Tell whether the rows of each trial are those of the task file, by url and by gold."""
    trials: dict[int, list[RecordedResponse]] = defaultdict(list)
    for row in rows:
        trials[row.trial].append(row)
    return all(
        len(trial) == len(items)
        and all(
            row.item is None and row.url == item.url.strip() and _agrees(row, item)
            for row, item in zip(trial, items, strict=True)
        )
        for trial in trials.values()
    )


def _agrees(row: RecordedResponse, item: Item) -> bool:
    return row.gold is not None and row.gold.strip().lower() == item.gold.strip().lower()


def _find(
    row: RecordedResponse, items: Mapping[int, Item], by_url: Mapping[str, list[Item]]
) -> Item:
    """Find the item that a row answers, by its number or its url."""
    task = next(iter(items.values())).task
    if row.item is None and row.url is None:
        raise InputError("says neither item nor url", where=row.where, tip="add one")
    named = None if row.url is None else by_url.get(row.url, [])
    if named == []:
        raise InputError(
            f"the url {row.url!r} is that of no item of {task}", where=row.where, tip="check --task"
        )
    if row.item is None:
        if named and len(named) > 1:
            named = [item for item in named if _agrees(row, item)] or named
        if named is None or len(named) != 1:
            raise InputError(
                f"the url {row.url!r} names {len(named or [])} items of {task}",
                where=row.where,
                tip="say which: give item, the 0-based position in the task file",
            )
        return named[0]
    if row.item not in items:
        raise InputError(
            f"an answer to item {row.item}, which is none: {task} has {len(items)}",
            where=row.where,
            tip="items are counted from 0; check --task",
        )
    if named is not None and items[row.item] not in named:
        raise InputError(
            f"item {row.item} has another url than {row.url!r}",
            where=row.where,
            tip="one of the two is wrong, or the file answers another task",
        )
    return items[row.item]


def _refuse_other_task(row: RecordedResponse, item: Item) -> None:
    if row.task and row.task != item.task:
        raise InputError(
            f"answers {row.task}, not {item.task}", where=row.where, tip="check --task"
        )
    said, gold = (row.gold or "").strip(), item.gold.strip()
    # Without its file of golds cti-taa has none to compare with.
    if row.gold is not None and gold and not _agrees(row, item):
        raise InputError(
            f"its gold {said!r} is not that of item {item.index} of {item.task}, {gold!r}",
            where=row.where,
            tip="the file is of another task, or its rows are in another order",
        )
