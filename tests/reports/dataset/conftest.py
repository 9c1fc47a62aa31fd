"""Records whose figures are counted by hand, and the run of the shipped sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import MappingAdvice
from cybersecqwen.records import Vulnerability
from cybersecqwen.reports.dataset.description import (
    DatasetSettings,
    Measured,
    measure,
    rows_of_records,
)

CATALOGUE = load_catalogue()
SETTINGS = DatasetSettings(CATALOGUE, MappingAdvice(CATALOGUE).better)


def record(
    cve_id: str, text: str = "A flaw.", published: str = "2021-02-03", **labels: str
) -> Vulnerability:
    """Make a record; `nvd="CWE-79 CWE-80"` are labels of a source."""
    given = {f"cwe_{source}": tuple(names.split()) for source, names in labels.items()}
    return Vulnerability(cve_id, published, text, **given)  # type: ignore[arg-type]


def measured(records: Iterable[Vulnerability]) -> Measured:
    return measure(rows_of_records(records), settings=SETTINGS)


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a run whose corpus is built from the sample."""
    out = tmp_path_factory.mktemp("runs") / "smoke"
    result = CliRunner().invoke(main, ["corpus", "smoke", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def run() -> Run:
    """Give a function that runs `cybersecqwen dataset` and returns status, stdout and stderr."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, ["dataset", *map(str, arguments)])
        return result.exit_code, result.stdout, result.stderr

    return invoke
