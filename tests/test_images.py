"""The lock of images: a registry is asked by the real protocol, and files follow the lock."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
INDEX = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"


def _load() -> ModuleType:
    """Load deploy/images.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("images", ROOT / "deploy" / "images.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["images"] = module
    spec.loader.exec_module(module)
    return module


images = _load()


class Registry(BaseHTTPRequestHandler):
    """One image `team/model:v1`, for who brings a token for it; `bare` gives no digest in HEAD."""

    asked: ClassVar[list[str]] = []
    realm = ""

    def do_HEAD(self) -> None:
        self._manifest()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/token":
            self._manifest()
            return
        wanted = parse_qs(url.query)
        assert wanted["service"] == ["registry.test"]
        self._send(200, json.dumps({"token": wanted["scope"][0]}).encode())

    def _manifest(self) -> None:
        _, _, repository, _, tag = self.path.replace("team/", "team+").split("/")
        name = repository.replace("+", "/")
        scope = f"repository:{name}:pull"
        self.asked.append(f"{self.command} {name}:{tag}")
        if self.headers["Authorization"] != f"Bearer {scope}":
            realm = f'Bearer realm="{self.realm}/token",service="registry.test",scope="{scope}"'
            self._send(401, b"{}", {"WWW-Authenticate": realm})
        elif tag != "v1" or "oci.image.index.v1+json" not in self.headers["Accept"]:
            self._send(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
        else:
            digest = {} if name == "team/bare" else {"Docker-Content-Digest": DIGEST}
            self._send(200, INDEX, digest)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    """Run the registry, and give the host that names of its images begin with."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    host = f"127.0.0.1:{server.server_port}"
    Registry.realm, Registry.asked[:] = f"http://{host}", []
    Thread(target=server.serve_forever, daemon=True).start()
    yield host
    server.shutdown()
    server.server_close()


@pytest.fixture
def checkout(tmp_path: Path, registry: str) -> Path:
    """Give a checkout with one image in a Dockerfile, a compose file and a lock."""
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    name = f"{registry}/team/model"
    lock = f'# The lock.\n\n[[image]]\nname = "{name}"\ntag = "v1"\ndigest = ""\n'
    (deploy / "images.toml").write_text(lock)
    stages = f"FROM {name}:v1 AS build\nRUN true\n\nFROM build\nFROM cybersecqwen-cpu\n"
    (deploy / "one.Dockerfile").write_text(stages)
    (deploy / "compose.yaml").write_text(f"services:\n  a:\n    image: {name}:v1\n")
    return tmp_path


def test_the_files_of_this_checkout_name_the_images_of_the_lock() -> None:
    assert images.problems(ROOT, images.read_lock()) == []
    assert len(images.named(ROOT)) > len(images.read_lock())


def test_the_digest_is_written_wherever_the_image_is_named(checkout: Path, registry: str) -> None:
    lock = checkout / "deploy" / "images.toml"
    images.refresh(checkout, lock)
    pinned = f"{registry}/team/model:v1@{DIGEST}"
    assert Registry.asked == ["HEAD team/model:v1"] * 2  # without a token, and with it
    assert f"FROM {pinned} AS build\n" in (checkout / "deploy/one.Dockerfile").read_text()
    assert f"image: {pinned}\n" in (checkout / "deploy/compose.yaml").read_text()
    assert lock.read_text().startswith("# The lock.\n")
    assert images.problems(checkout, images.read_lock(lock)) == []
    images.refresh(checkout, lock)  # a digest is replaced, not added to
    assert f"image: {pinned}\n" in (checkout / "deploy/compose.yaml").read_text()


def test_a_registry_may_leave_the_digest_to_be_computed(checkout: Path) -> None:
    for path in (checkout / "deploy").iterdir():
        path.write_text(path.read_text().replace("team/model", "team/bare"))
    [image] = images.refresh(checkout, checkout / "deploy" / "images.toml")
    assert image.digest == DIGEST


def test_a_tag_that_is_not_there_leaves_every_file_as_it_was(checkout: Path) -> None:
    for path in (checkout / "deploy").iterdir():
        path.write_text(path.read_text().replace("v1", "v2"))
    before = {path: path.read_bytes() for path in (checkout / "deploy").iterdir()}
    with pytest.raises(images.httpx2.HTTPStatusError, match="404"):
        images.refresh(checkout, checkout / "deploy" / "images.toml")
    assert {path: path.read_bytes() for path in (checkout / "deploy").iterdir()} == before


def test_files_and_lock_that_disagree_are_told(checkout: Path, registry: str) -> None:
    lock = images.read_lock(checkout / "deploy" / "images.toml")
    shutil.copy(checkout / "deploy/one.Dockerfile", checkout / "deploy/two.Dockerfile")
    other = checkout / "deploy/two.Dockerfile"
    other.write_text(other.read_text().replace(":v1", f":v1@{DIGEST}") + "FROM redis\n")
    (checkout / "deploy/compose.yaml").unlink()
    told = images.problems(checkout, [*lock, images.Image("postgres", "17")])
    tag = f"{registry}/team/model:v1"
    assert told == [
        f"deploy/two.Dockerfile: {tag}@{DIGEST} is {tag} in the lock",
        "deploy/two.Dockerfile: redis:latest is not in the lock",
        "nothing names postgres:17 of the lock",
    ]


@pytest.mark.parametrize(
    ("name", "registry_url", "repository"),
    [
        ("python", "https://registry-1.docker.io", "library/python"),
        ("vllm/vllm-openai", "https://registry-1.docker.io", "vllm/vllm-openai"),
        ("ghcr.io/ggml-org/llama.cpp", "https://ghcr.io", "ggml-org/llama.cpp"),
        ("localhost:5000/a/b", "http://localhost:5000", "a/b"),
    ],
)
def test_a_name_says_which_registry_has_it(name: str, registry_url: str, repository: str) -> None:
    image = images.Image(name, "v1")
    assert (image.registry, image.repository) == (registry_url, repository)
