"""Containers, manifests and chart: what they name is there, with few rights, and fits together."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cybersecqwen.cli import main
from cybersecqwen.service.metrics import Metrics
from cybersecqwen.serving.backends import BACKENDS

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
CHART = DEPLOY / "chart"
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
VALUES = {"cuda": "values.yaml", "rocm": "values-rocm.yaml", "cpu": "values-cpu.yaml"}
_WORKLOADS = ("Deployment", "StatefulSet")
_COMMAND = re.compile(r"^ *(?:HEALTHCHECK .*)?CMD (?:\\\n *)?(\[.*\])$", flags=re.MULTILINE)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"])


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every pod of the manifests, by what it is of."""
    for document in MANIFESTS:
        spec = document["spec"]
        name = f"{document['kind']} {document['metadata']['name']}"
        for part in (spec, spec.get("headGroupSpec", {}), *spec.get("workerGroupSpecs", ())):
            if "template" in part:
                volumes = [
                    {"name": v["metadata"]["name"]} for v in spec.get("volumeClaimTemplates", ())
                ]
                pod = dict(part["template"]["spec"])
                yield name, {**pod, "volumes": [*pod.get("volumes", ()), *volumes]}


def refuse_unknown(words: list[str]) -> None:
    """Fail unless a command of ours and all its options exist."""
    command = main.get_command(None, words[0])  # type: ignore[arg-type]
    assert command, words[0]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {part.partition("=")[0] for part in words if part.startswith("--")} <= known


@pytest.mark.parametrize("name", ["database", "workplace"])
def test_a_service_has_no_more_rights_than_it_needs(
    services: dict[str, dict[str, Any]], name: str
) -> None:
    service = services[name]
    assert service["user"] not in ("root", "0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    dockerfile = (DEPLOY / "workplace.Dockerfile").read_text("utf-8")
    assert "healthcheck" in service or "HEALTHCHECK" in dockerfile
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_a_pod_has_no_more_rights_than_it_needs() -> None:
    found = list(pods())
    assert len(found) == 5
    for name, pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True, name
            assert rights["allowPrivilegeEscalation"] is False, name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            # The operator puts those of a Ray node in.
            assert name.startswith("Ray") or {"readinessProbe", "livenessProbe"} <= {*container}


def test_what_manifests_name_is_in_them() -> None:
    claims = {d["metadata"]["name"] for d in MANIFESTS if d["kind"] == "PersistentVolumeClaim"}
    labels = {d["metadata"]["name"]: d["spec"] for d in MANIFESTS if d["kind"] in _WORKLOADS}
    ports = {}
    for name, pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= {*volumes}, name
            ports[name.split()[1]] = {one["containerPort"] for one in container.get("ports", ())}
        claimed = [v.get("persistentVolumeClaim", {}).get("claimName") for v in volumes.values()]
        named = {claim for claim in claimed if claim}
        assert named <= claims | {"models", "partitions"}, name  # these are the user's
    for service in (d for d in MANIFESTS if d["kind"] == "Service"):
        app = service["spec"]["selector"]["app"]
        assert labels[app]["template"]["metadata"]["labels"]["app"] == app
        assert labels[app]["selector"]["matchLabels"]["app"] == app
        [port] = service["spec"]["ports"]
        assert port.get("targetPort", port["port"]) in ports[app]


def test_the_options_of_the_containers_are_those_of_the_command(
    services: dict[str, dict[str, Any]],
) -> None:
    refuse_unknown(services["workplace"]["command"])
    arguments = dict(pods())["Deployment workplace"]["containers"][0]["args"]
    assert arguments[0] == "serve"
    refuse_unknown(arguments)
    checked = 0
    for dockerfile in DOCKERFILES:
        for command in map(json.loads, _COMMAND.findall(dockerfile.read_text("utf-8"))):
            words = command[1:] if command[0] == "cybersecqwen" else command
            if words[0] not in ("python", "ray"):
                refuse_unknown(words)
                checked += 1
    assert checked == 5


@pytest.mark.parametrize(("device", "file"), VALUES.items())
def test_the_model_server_is_started_as_serve_model_starts_it(device: str, file: str) -> None:
    model = yaml.safe_load((CHART / file).read_text("utf-8"))["model"]
    inherited = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["model"]["switches"]
    path, name = "/models/cybersecqwen-4b", "cybersecqwen-4b"
    values = {
        **{"host": "0.0.0.0", "port": 8000, "name": name, "length": 4096, "dtype": "bfloat16"},
        "template": f"{path}/chat_template.jinja",
    }
    backend = BACKENDS["vllm"]
    settings = [s._replace(value=s.value.format(**values)) for s in backend.settings_on(device)]
    flags = {f"{s.name}={s.value}".removesuffix("=") for s in settings if not s.is_switch}
    assert set(model["args"]) == flags | {f"--model={path}"}
    switches = {s.name: s.value for s in settings if s.is_switch}
    assert inherited | model["switches"] == switches
    assert model["image"] == backend.images[device]


def test_an_update_of_the_model_server_needs_no_second_gpu() -> None:
    [server] = [
        d for d in MANIFESTS if (d["kind"], d["metadata"]["name"]) == ("Deployment", "model")
    ]
    assert server["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_does_not_run_as_root_and_takes_what_is_there(dockerfile: Path) -> None:
    text = dockerfile.read_text("utf-8")
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER 10001"
    [check] = [line for line in lines if line.startswith("HEALTHCHECK ")]
    assert "--for" not in check  # a training takes the memory that its purpose needs free
    ours = dockerfile.stem == "ray" or "/usr/share/cybersecqwen.cdx.json" in text
    assert ours, "it has no bill of materials"
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", text, flags=re.MULTILINE)
    for name in " ".join(copied).split():
        assert (DEPLOY.parent / name).exists()
        assert f"!{name}" in (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_has_nothing_to_say(dockerfile: Path) -> None:
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which("hadolint", path=search)
    if not program:
        pytest.skip("hadolint is not installed")
    checked = subprocess.run([program, dockerfile], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_helm_renders_the_manifests_from_the_chart() -> None:
    helm = pytest.importorskip("helm_python.chart")
    assert not helm.lint(CHART)["errors"]
    chart = helm.Chart.load(CHART)
    rendered = yaml.safe_load_all("\n---\n".join(chart.render(values={}).values()))
    assert [one for one in rendered if one] == MANIFESTS
    for file, resource in (("values-rocm.yaml", "amd.com/gpu"), ("values-cpu.yaml", "cpu")):
        values = yaml.safe_load((CHART / file).read_text("utf-8"))
        text = chart.render(values=values)["cybersecqwen/templates/model.yaml"]
        _, deployment = yaml.safe_load_all(text)
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert {*container["resources"]["limits"]} == {"memory", resource}


def test_replicas_of_the_workplace_share_a_volume_and_are_replaced_one_by_one() -> None:
    helm = pytest.importorskip("helm_python.chart")
    values = {"workplace": {"replicas": 3}}
    rendered = helm.Chart.load(CHART).render(values=values)["cybersecqwen/templates/workplace.yaml"]
    _, claim, deployment = yaml.safe_load_all(rendered)
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_haproxy_takes_its_configuration() -> None:
    program = shutil.which("haproxy")
    if not program:
        pytest.skip("HAProxy is not installed")
    command = [program, "-c", "-f", DEPLOY / "haproxy.cfg"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_versions_of_ray_are_one() -> None:
    [version] = re.findall(r'"ray\[[\w,]+\]==([\d.]+)"', (DEPLOY / "ray.Dockerfile").read_text())
    [cluster] = [one for one in MANIFESTS if one["kind"] == "RayCluster"]
    assert cluster["spec"]["rayVersion"] == version


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
