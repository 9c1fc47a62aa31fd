"""Five warnings of one kind are written, and then how many more there were."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from cybersecqwen.cli.streams import Repeats


@pytest.mark.parametrize("form", ["%s: the first %d characters count", "%s"])
def test_warnings_of_one_kind_are_counted(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    repeats = Repeats()

    def shown(level: int, form: str, *values: object) -> bool:
        return repeats.filter(logging.LogRecord("x", level, "x.py", 1, form, values, None))

    lines = [("a.jsonl", n) if "d" in form else (f"line {n} is damaged",) for n in range(9)]
    assert [shown(logging.WARNING, form, *line) for line in lines] == [True] * 5 + [False] * 4
    assert all(shown(logging.INFO, form, *line) for line in lines)
    assert shown(logging.WARNING, "another: %s", "a")
    repeats.tell()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cybersecqwen: 4 more: ")


_BAR = """
from cybersecqwen.cli import main

main(["protocols"], standalone_mode=False)
from tqdm import tqdm

for _ in tqdm([1, 2]):  # as a library draws it
    pass
"""


def test_libraries_draw_no_bar_in_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", _BAR], capture_output=True, text=True, check=True)
    assert done.stderr == ""
