"""A hub on this machine that speaks the real protocol, and a run folder to send to it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from cybersecqwen.files import sha256_tree, write_json

TOKEN = "hf_" + "t" * 34
REPO = "me/tiny"


class Hub:
    """Repositories and large files, and what goes wrong: `faults` maps "METHOD /path" to statuses.

    A status is sent in place of an answer, "cut" closes the connection in the middle of one.
    """

    def __init__(self) -> None:
        self.commits: list[dict[str, bytes]] = [{}]  # of REPO, each all of its files
        self.exists = False
        self.private = True
        self.lfs: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.seen: list[str] = []
        self.url = ""

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the newest commit."""
        return self.commits[-1]

    def sha(self, index: int = -1) -> str:
        """Name a commit."""
        return hashlib.sha1(b"%d" % (index % len(self.commits))).hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Find a commit by its name, or by the branch's."""
        index = {self.sha(i): i for i in range(len(self.commits))} | {"main": -1}
        i = index.get(revision)
        return None if i is None else (self.sha(i), self.commits[i])


def is_large(name: str) -> bool:
    """Tell whether a file is one of LFS."""
    return name.endswith((".safetensors", ".gguf"))


def blob_id(content: bytes) -> str:
    """Return the id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Reply(NamedTuple):
    """What the hub answers; `sent` is how much of it, all where that is None."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    sent: int | None = None


def missing(what: str) -> Reply:
    """Answer as the hub does where something is not there."""
    return Reply({"error": f"{what} not found"}, 404, {"X-Error-Code": f"{what}NotFound"})


class Handler(BaseHTTPRequestHandler):
    """One request to the hub."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        call = f"{self.command} {path}"
        self.hub.seen.append(call)
        fault = next((f.pop(0) for key, f in self.hub.faults.items() if key in call and f), "ok")
        if isinstance(fault, int):
            told = f"refused, {self.headers.get('Authorization')}"
            self.send(Reply({"error": told}, fault))
        elif fault == "cut" and self.command == "PUT":
            self.close_connection = True
        else:
            reply = self.answer(path, body)
            cut = fault == "cut" and self.command == "GET"
            self.send(reply._replace(sent=len(reply.value) // 2) if cut else reply)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815 # as the library calls them

    def send(self, reply: Reply) -> None:
        value = reply.value
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(reply.status)
        for name, text in ({"Content-Length": str(len(content))} | dict(reply.headers)).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: reply.sent])
        self.close_connection = reply.sent is not None

    def answer(self, path: str, body: bytes) -> Reply:  # noqa: PLR0911 # a line for each call
        hub, model = self.hub, f"/api/models/{REPO}"
        if path.startswith("/lfs/"):
            return self.take(path.removeprefix("/lfs/"), body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Reply({"error": "Invalid credentials"}, 401)
        if path == "/api/repos/create":
            hub.exists, hub.private = True, json.loads(body)["visibility"] == "private"
            return Reply({"url": f"{hub.url}/{REPO}"})
        if path == "/api/validate-yaml":
            return Reply({"errors": [], "warnings": []})
        if not hub.exists:
            return missing("Repo")
        if "/resolve/" in path:
            return self.resolve(*path.removeprefix(f"/{REPO}/resolve/").split("/", 1))
        if path.endswith("/info/lfs/objects/batch"):
            return Reply({"objects": [self.destination(o) for o in json.loads(body)["objects"]]})
        if path.endswith("/info/lfs/objects/verify"):
            return Reply({}, 200 if json.loads(body)["oid"] in hub.lfs else 404)
        if path.startswith(f"{model}/preupload/"):
            return Reply({"files": [self.mode(f["path"]) for f in json.loads(body)["files"]]})
        if path.startswith(f"{model}/commit/"):
            return self.commit([json.loads(line) for line in body.splitlines()])
        found = hub.at(path.rsplit("/", 1)[1] if path != model else "main")
        if found is None:
            return missing("Revision")
        if path.startswith(f"{model}/tree/"):
            return Reply([self.entry(*item) for item in found[1].items()])
        return Reply({"id": REPO, "sha": found[0], "private": hub.private})

    def take(self, name: str, body: bytes) -> Reply:
        """Take a large file, which has to be what its name says."""
        if hashlib.sha256(body).hexdigest() != name:
            return Reply({"error": "the checksum differs"}, 400)
        self.hub.lfs[name] = body
        return Reply({})

    def resolve(self, revision: str, name: str) -> Reply:
        """Send a file, from the middle where that is asked for."""
        commit, files = self.hub.at(revision) or ("", {})
        if name not in files:
            return missing("Entry")
        content, large = files[name], is_large(name)
        etag = hashlib.sha256(content).hexdigest() if large else blob_id(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-") or 0)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Reply(content[start:], 206 if start else 200, headers)

    def mode(self, name: str) -> dict[str, Any]:
        kind = "lfs" if is_large(name) else "regular"
        return {"path": name, "uploadMode": kind, "shouldIgnore": False}

    def destination(self, item: dict[str, Any]) -> dict[str, Any]:
        """Say where a large file goes; nowhere if it is here."""
        if item["oid"] in self.hub.lfs:
            return item
        verify = f"{self.hub.url}/{REPO}.git/info/lfs/objects/verify"
        upload = f"{self.hub.url}/lfs/{item['oid']}"
        return item | {"actions": {"upload": {"href": upload}, "verify": {"href": verify}}}

    def commit(self, lines: list[dict[str, Any]]) -> Reply:
        parent = lines[0]["value"].get("parentCommit")
        if parent and parent != self.hub.sha():
            return Reply({"error": "The parent commit is not the head"}, 412)
        files = dict(self.hub.files)
        for line in lines[1:]:
            value = line["value"]
            large = line["key"] == "lfsFile"
            files[value["path"]] = (
                self.hub.lfs[value["oid"]] if large else base64.b64decode(value["content"])
            )
        self.hub.commits.append(files)
        oid = self.hub.sha()
        return Reply({"commitUrl": f"{self.hub.url}/{REPO}/commit/{oid}", "commitOid": oid})

    def entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content)}
        if is_large(name):
            oid = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
        return entry | {"oid": blob_id(content)}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Run a hub with one repository, for whoever has the token."""
    state = Hub()
    handler = type("Bound", (Handler,), {"hub": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run folder as the stages leave it, with small files for large ones."""
    folder = tmp_path / "runs" / "tiny"
    merged = folder / "merged"
    for name in ("merged", "corpus", "report"):
        (folder / name).mkdir(parents=True)
    (folder / "recipe.toml").write_text('name = "tiny"\n')
    (folder / ".merged.lock").touch()
    (merged / "model-00001.safetensors").write_bytes(b"weights" * 1000)
    (merged / "model-00002.safetensors").write_bytes(b"more" * 500)
    write_json(merged / "config.json", {"model_type": "qwen3"})
    outputs = sha256_tree(merged)
    (merged / "README.md").write_text("---\nlicense: apache-2.0\n---\n# tiny\n")
    write_json(merged / "manifest.json", {"made_from": {}, "outputs": outputs, "version": "1"})
    (folder / "corpus" / "DATASET_CARD.md").write_text("# corpus\n")
    (folder / "corpus" / "train.jsonl").write_text("{}\n")
    write_json(folder / "corpus" / "certificate.json", {"clean": True})
    return folder
