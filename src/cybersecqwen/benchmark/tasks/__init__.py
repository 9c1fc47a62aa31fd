"""The tasks that a model is evaluated on, by name; a new one is a file here and a line below.

    benchmark = read_benchmark(Path("cti-bench"))
    benchmark["cti-rcm"][0].gold

A folder may hold the files of several suites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cybersecqwen.benchmark.tasks import cti_ate, cti_mcq, cti_rcm, cti_taa, cti_vsp
from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.records import Benchmark, Item

TASKS: dict[str, Task] = {
    "cti-mcq": cti_mcq.TASK,
    "cti-rcm": cti_rcm.TASK,
    "cti-rcm-2021": cti_rcm.TASK_2021,
    "cti-vsp": cti_vsp.TASK,
    "cti-taa": cti_taa.TASK,
    "cti-ate": cti_ate.TASK,
}


def find_task(name: str) -> Task:
    """Look a task up; raises CyberSecQwenError with the known names."""
    if name not in TASKS:
        raise CyberSecQwenError(f"unknown task {name!r}", tip=f"known are {', '.join(TASKS)}")
    return TASKS[name]


def open_task(name: str, folder: Path) -> Task:
    """Look a task up, with what judging its answers needs from the benchmark's folder."""
    task = find_task(name)
    return task.open(folder) if task.open else task


def read_items(folder: Path, name: str) -> tuple[Item, ...]:
    """Read the items of one task; raises InputError with file and line on anything missing."""
    task = find_task(name)
    return task.read(folder / task.file)


def tasks_in(folder: Path) -> list[str]:
    """List the tasks whose files are in the folder, in the order of TASKS; at least one."""
    present = [name for name, task in TASKS.items() if (folder / task.file).is_file()]
    if not present:
        suites = {task.suite.name: task.suite for task in TASKS.values()}
        raise InputError(
            "holds no benchmark task" if folder.is_dir() else "no such folder of benchmark tasks",
            where=folder,
            tip=f"get it with: {' or '.join(suite.fetch for suite in suites.values())}",
        )
    return present


def read_benchmark(folder: Path, *, complete: bool = False) -> Benchmark:
    """Read every task whose file is in the folder, in the order of TASKS; at least one.

    Raises InputError that names the tasks which a `complete` suite has and the folder lacks.
    """
    present = tasks_in(folder)
    suites = [TASKS[name].suite for name in present]
    lacking = [name for name, t in TASKS.items() if t.suite in suites and name not in present]
    if complete and lacking:
        raise InputError(
            f"the benchmark lacks {', '.join(lacking)}",
            where=folder,
            tip=f"get it with: {TASKS[lacking[0]].suite.fetch}; or accept it with --allow-missing",
        )
    benchmark = benchmark_of({name: read_items(folder, name) for name in present})
    golds = [TASKS[name].gold_file for name in present]
    return replace(
        benchmark,
        files=tuple(folder / TASKS[name].file for name in present),
        gold_files=tuple(folder / name for name in golds if name and (folder / name).is_file()),
    )


def benchmark_of(items: Mapping[str, tuple[Item, ...]]) -> Benchmark:
    """Make a benchmark of the items of known tasks."""
    return Benchmark(items, {name: find_task(name).gives_answer for name in items})
