"""What an export costs on the benchmark: its stored answers against the merged model's.

for row in losses(run, exports, benchmark):
    print(row["format"], row["task"], row["difference"], row["interval"])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.benchmark.responses import is_run
from cybersecqwen.files import Json

_KEPT = ("difference", "interval", "p_value", "p_holm", "test", "verdict", "sentence")


def losses(run: Path, exports: Sequence[Path], benchmark: Path) -> list[Json]:
    """Compare each export that was evaluated into its folder with the run's model, item by item.

    The p-values are corrected for how many comparisons there are. There are no rows for a task or a
    protocol that only one of both was evaluated on. Raises InputError where the answers are to
    other items than those of the benchmark.
    """
    from cybersecqwen.reports.comparison import ComparisonSettings, compare

    evaluated = [folder for folder in exports if is_run(folder)]
    if not evaluated or not is_run(run):
        return []
    comparison = compare([run, *evaluated], benchmark, settings=ComparisonSettings())
    forms = {model["name"]: Path(model["run"]).name for model in comparison["models"]}
    return [
        {
            "format": forms[row["model"]],
            **{name: table[name] for name in ("task", "protocol", "metric")},
            "score": row["value"]["mean"],
            **{name: row["against"][name] for name in _KEPT},
        }
        for table in comparison["tables"]
        for row in table["rows"]
        if row["against"]
    ]
