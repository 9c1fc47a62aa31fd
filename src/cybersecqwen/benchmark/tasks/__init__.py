"""The tasks of CTI-Bench, by name; a new one is a file here and a line below."""

from cybersecqwen.benchmark.tasks import cti_mcq, cti_rcm
from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.errors import CyberSecQwenError

TASKS: dict[str, Task] = {
    "cti-mcq": cti_mcq.TASK,
    "cti-rcm": cti_rcm.TASK,
}


def find_task(name: str) -> Task:
    """Look a task up; raises CyberSecQwenError with the known names."""
    if name not in TASKS:
        raise CyberSecQwenError(f"unknown task {name!r}", tip=f"known are {', '.join(TASKS)}")
    return TASKS[name]


__all__ = ["TASKS", "Task", "find_task"]
