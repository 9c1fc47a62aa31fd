"""What ships is what its certificate says, and is built again byte for byte."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from cybersecqwen import artifacts
from cybersecqwen.artifacts import FOLDER, save, verified
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.embedded_build.build import UpstreamFiles, build
from cybersecqwen.errors import CyberSecQwenError, InputError

DOMAINS = ("enterprise", "mobile", "ics")


def test_the_catalogue_knows_kind_usage_and_parents() -> None:
    catalogue = load_catalogue()
    xss = catalogue["CWE-79"]
    assert (xss.kind, xss.abstraction, xss.usage) == ("weakness", "Base", "Allowed")
    assert xss.parents["1003"] == ("CWE-74",)
    assert catalogue["CWE-264"].kind == "category"
    assert catalogue["CWE-1003"].kind == "view"
    assert catalogue["CWE-20"].usage == "Discouraged"


def test_a_damaged_artifact_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "data")
    path = folder / "cwe.json"
    path.write_bytes(path.read_bytes().replace(b"Cross-site", b"Cross-sine", 1))
    with pytest.raises(InputError, match=r"cwe\.json: damaged"):
        load_catalogue(folder)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_catalogue(folder)


@pytest.mark.parametrize(
    ("ending", "left", "files"),
    [
        (KeyboardInterrupt(), b"old", 3),  # as a kill does, it leaves no time to clean up
        (CyberSecQwenError("cannot write"), b"old", 2),
        (None, b"new", 2),
    ],
)
def test_one_that_cannot_be_saved_whole_stays_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException, left: bytes, files: int
) -> None:
    def end(path: Path, data: bytes) -> None:
        if ending:
            raise ending
        path.write_bytes(data)

    save(tmp_path, "index.npz", b"old", {})
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt, CyberSecQwenError):
        patched.setattr(artifacts, "write_bytes", end)
        save(tmp_path, "index.npz", b"new", {})
    assert verified(tmp_path, "index.npz") == left
    assert len(list(tmp_path.iterdir())) == files


def test_one_that_is_killed_before_its_certificate_is_the_new_one(tmp_path: Path) -> None:
    save(tmp_path, "index.npz", b"old", {})
    save(tmp_path / "new", "index.npz", b"new", {})
    certificate = tmp_path / "new" / "index.npz.certificate.json"
    certificate.rename(tmp_path / f".{certificate.name}")
    (tmp_path / "index.npz").write_bytes(b"new")
    assert verified(tmp_path, "index.npz") == b"new"
    save(tmp_path, "index.npz", b"new", {})
    assert not (tmp_path / f".{certificate.name}").exists()


@pytest.mark.shared
def test_the_shipped_facts_and_knowledge_are_built_again_byte_for_byte(
    shared: Path, tmp_path: Path
) -> None:
    inputs = UpstreamFiles(
        benchmark=shared / "cti-bench",
        cwe=shared / "cwec_v4.16.xml.gz",
        attack=tuple(shared / f"{domain}-attack.json.gz" for domain in DOMAINS),
        capec=shared / "stix-capec.json.gz",
    )
    build(inputs, parts=("facts", "knowledge"), folder=tmp_path)
    built = sorted(tmp_path.iterdir())
    assert len(built) == 6  # three artifacts with their certificates
    for path in (FOLDER / path.name for path in built):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
