"""The tasks of CTI-Bench, by name; a new one is a file here and a line below."""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.benchmark.tasks import cti_ate, cti_mcq, cti_rcm, cti_taa, cti_vsp
from cybersecqwen.benchmark.tasks.task import Extraction, Extractor, Metric, Task
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.sources.ctibench import read_threat_actors

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


def open_task(name: str, benchmark: Path) -> Task:
    """Look a task up, with what judging its answers needs from the benchmark's folder."""
    if name == "cti-taa":
        return cti_taa.task(read_threat_actors(benchmark))
    return find_task(name)


__all__ = ["TASKS", "Extraction", "Extractor", "Metric", "Task", "find_task", "open_task"]
