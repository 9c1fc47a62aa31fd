"""`safety`: rates for people and for programs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main


def test_rates_stand_with_their_intervals() -> None:
    result = CliRunner().invoke(main, ["safety", "--limit", "20", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["model"] == "embedded"
    first, *_ = report["injection"]
    assert (first["group"], first["changed"]["of"]) == ("all", 20)
    assert first["changed"]["low"] <= first["changed"]["share"] <= first["changed"]["high"]
    names = {row["name"] for row in report["injection"]}
    assert names >= {"development", "held-out", "csv", "name", "stuffing", "language"}
    assert report["scope_guard"][0]["refused"]["of"] == 216
    [kind] = [row for row in report["scope_guard"] if row["name"] == "fraud"]
    assert kind["refused"] == {"count": 0, "of": 0, "share": None, "low": None, "high": None}
    assert "is not read" not in result.stderr


@pytest.mark.parametrize("option", [["--grounded"], ["--samples", "3"], ["--timeout", "3"]])
def test_what_has_no_effect_on_the_embedded_model_is_refused(option: list[str]) -> None:
    result = CliRunner().invoke(main, ["safety", *option])
    assert result.exit_code == 2
    assert option[0] in result.stderr
