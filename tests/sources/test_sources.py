"""Any file that a reader takes is recognised by itself, and no other is."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.sources import READERS, read_vulnerabilities

from . import test_cvelist, test_nvd, test_store


def make(folder: Path, form: str) -> Path:
    feed = test_nvd.page([test_nvd.cve("CVE-2024-0001")])
    record = json.dumps(test_cvelist.record())
    path = folder / form
    if form == "nvd-folder":
        path.mkdir()
        (path / "0.json").write_bytes(feed)
    elif form == "cvelist-folder":
        test_cvelist.write(path / "README.json", {"about": "this repository"})
        test_cvelist.write(path / "cves/CVE-2024-0001.json", test_cvelist.record())
    elif form.endswith((".parquet", ".jsonl")):
        test_store.write(
            folder, path.suffix, [{**test_store.ROW, "cve_id": "CVE-2024-0001"}]
        ).rename(path)
    elif form.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("README.md", "about")
            archive.writestr(
                *(("f.json", feed) if "nvd" in form else ("CVE-2024-0001.json", record))
            )  # type: ignore[arg-type]
    else:
        content = feed if "nvd" in form else record.encode()
        path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    ("form", "source"),
    [
        ("nvd.json", "nvd"),
        ("nvd.json.gz", "nvd"),
        ("nvd.json.zip", "nvd"),
        ("nvd-folder", "nvd"),
        ("record.json", "cvelist"),
        ("CVE-2024-0001.json", "cvelist"),
        ("main.zip", "cvelist"),
        ("cvelist-folder", "cvelist"),
        ("t.parquet", "store"),
        ("t.jsonl", "store"),
    ],
)
def test_a_format_is_recognised(tmp_path: Path, form: str, source: str) -> None:
    path = make(tmp_path, form)
    (record,) = read_vulnerabilities(path)
    assert record.cve_id == "CVE-2024-0001"
    assert [record] == list(READERS[source](path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kev.json", b'{"title": "CISA Catalog", "vulnerabilities": []}'),
        ("table.csv", b"cve_id,description\n"),
        ("empty.json", b""),
    ],
)
def test_anything_else_says_what_is_accepted(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"accepted are NVD JSON 2\.0.*CVE JSON 5.*\.parquet"):
        read_vulnerabilities(tmp_path / name)


def test_a_missing_path_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_vulnerabilities(tmp_path / "absent.json")


def test_a_truncated_feed_is_called_truncated_not_unknown(tmp_path: Path) -> None:
    path = make(tmp_path, "nvd.json.gz")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="truncated"):
        read_vulnerabilities(path)


def test_importing_the_sources_stays_cheap() -> None:
    modules = ["inputs", "nvd", "cvelist", "store", "cwe", "ctibench", "download", "fetch"]
    imports = "; ".join(f"import cybersecqwen.sources.{name}" for name in modules)
    heavy = "{'pyarrow', 'httpx2', 'huggingface_hub', 'tqdm', 'platformdirs'}"
    code = f"import sys; {imports}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
