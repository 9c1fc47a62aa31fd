"""The tasks of CTI-Bench, by name; a new one is a file here and a line below."""

from cybersecqwen.benchmark.tasks import cti_mcq, cti_rcm
from cybersecqwen.benchmark.tasks.task import Task

TASKS: dict[str, Task] = {
    "cti-mcq": cti_mcq.TASK,
    "cti-rcm": cti_rcm.TASK,
}

__all__ = ["TASKS", "Task"]
