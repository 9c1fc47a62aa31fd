"""The container, the compose file and the board: what they name is there, with few rights."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cybersecqwen.cli import main
from cybersecqwen.service.metrics import Metrics

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = (DEPLOY / "workplace.Dockerfile").read_text("utf-8")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"])


@pytest.mark.parametrize("name", ["database", "workplace"])
def test_a_service_has_no_more_rights_than_it_needs(
    services: dict[str, dict[str, Any]], name: str
) -> None:
    service = services[name]
    assert service["user"] not in ("root", "0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" in service or "HEALTHCHECK" in DOCKERFILE
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_options_of_the_containers_are_those_of_the_command(
    services: dict[str, dict[str, Any]],
) -> None:
    serve = main.get_command(None, "serve")  # type: ignore[arg-type]
    assert serve
    known = {option for parameter in serve.params for option in parameter.opts}
    [built] = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    for command in (services["workplace"]["command"], json.loads(built)):
        assert command[0] == "serve"
        options = {part.partition("=")[0] for part in command if part.startswith("--")}
        assert options <= known


def test_the_image_does_not_run_as_root_and_takes_what_is_there() -> None:
    lines = DOCKERFILE.splitlines()
    assert "USER 10001" in lines
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    for name in " ".join(copied).split():
        assert (DEPLOY.parent / name).exists()
        assert f"!{name}" in (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()


def test_hadolint_has_nothing_to_say() -> None:
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which("hadolint", path=search)
    if not program:
        pytest.skip("hadolint is not installed")
    checked = subprocess.run(
        [program, DEPLOY / "workplace.Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_board_shows_metrics_that_the_service_has() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    metrics = Metrics()
    metrics.observe("/v1/classify", "POST", 200, 0.01)
    given = set(re.findall(r"^(cybersecqwen_\w+)", metrics.text().decode(), flags=re.MULTILINE))
    shown = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"cybersecqwen_\w+", target["expr"])
    }
    assert shown
    assert shown <= given
