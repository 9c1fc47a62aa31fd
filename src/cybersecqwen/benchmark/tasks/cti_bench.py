"""CTI-Bench (arXiv:2406.07599): the suite, and how its task files are read.

    items = read_cti_bench(Path("cti-rcm.tsv"), text="Description")
    items[0].text, items[0].gold        # a CVE description, its CWE id

The files are those that the dataset AI4Sec/cti-bench serves. They are downloaded or pointed at,
never shipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.benchmark.tasks.task import Suite
from cybersecqwen.errors import InputError
from cybersecqwen.formats.tsv import read_rows
from cybersecqwen.records import Item

CTI_BENCH = Suite(
    name="cti-bench",
    title="CTI-Bench",
    source="arXiv:2406.07599",
    licence="CC BY-NC-SA 4.0",
    fetch="cybersecqwen fetch cti-bench",
)
_TIP = f"get it with: {CTI_BENCH.fetch}"


def read_cti_bench(
    path: Path,
    *,
    text: str,
    options: Sequence[str] = (),
    gold: re.Pattern[str] | None = None,
) -> tuple[Item, ...]:
    """Read the items of a task file; `index` is the 0-based row.

    `text` and `options` name the columns of what the prompt is about; the stripped gold has to
    match `gold`, in upper case. Raises InputError with file and line on anything missing or empty.
    """
    rows = read_rows(path, ("URL", text, *options, "Prompt", "GT"), tip=_TIP)
    items = []
    for index, (where, cells) in enumerate(rows):
        answer = cells["GT"].strip()
        if not answer:
            raise InputError("the gold answer is empty", where=where, tip="fill or remove the row")
        if gold:
            answer = answer.upper()  # one upstream gold of cti-mcq is a lower-case b
            if not gold.fullmatch(answer):
                raise InputError(
                    f"gold {answer!r} is no answer to {path.stem}", where=where, tip="fix the row"
                )
        items.append(
            Item(
                task=path.stem,
                index=index,
                prompt=cells["Prompt"],
                gold=answer,
                url=cells["URL"],
                text=cells[text],
                options=tuple(cells[name] for name in options),
            )
        )
    return tuple(items)
