"""Measure what damaged input, sudden death and large files do.

    python benchmarks/robustness.py fuzz --inputs 3000
    python benchmarks/robustness.py kill --kills 100
    python benchmarks/robustness.py memory --gigabytes 1

`fuzz` gives damaged files to every reader: none may end in a traceback, and every row is answered
or named. `kill` ends each stage at random moments until it is done: nothing is lost, asked twice
or left behind. `memory` reads a generated file at two sizes. Each prints a Markdown table; the
exit status of the first two is 1 where anything went wrong.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

_MODULES = {"fuzz": "fuzz", "kill": "kills", "memory": "memory"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fuzz = commands.add_parser("fuzz")
    fuzz.add_argument("--inputs", type=int, default=3000)
    fuzz.add_argument("--seed", type=int, default=1)
    fuzz.add_argument("--reader", action="append", default=[], help="only those of this name")
    fuzz.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    kill = commands.add_parser("kill")
    kill.add_argument("--kills", type=int, default=100, help="of each stage")
    kill.add_argument("--seed", type=int, default=1)
    kill.add_argument("--stage", action="append", default=[], help="only this one; repeated")
    memory = commands.add_parser("memory")
    memory.add_argument("--gigabytes", type=float, default=1.0, help="of the larger file")
    memory.add_argument("--only", action="append", default=[], help="a part of command and file")
    given = parser.parse_args()
    module = importlib.import_module(_MODULES[given.command])
    return int(module.main(given))


if __name__ == "__main__":
    sys.exit(main())
