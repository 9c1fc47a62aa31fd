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
from cybersecqwen.formats.rows import refuse
from cybersecqwen.sources import FEEDS, read_vulnerabilities, recognise

from . import test_cve_json, test_nvd_json, test_record_table


def make(folder: Path, form: str) -> Path:
    feed = test_nvd_json.page([test_nvd_json.cve("CVE-2024-0001")])
    record = json.dumps(test_cve_json.record())
    path = folder / form
    if form == "nvd-folder":
        path.mkdir()
        (path / "0.json").write_bytes(feed)
    elif form == "cvelist-folder":
        test_cve_json.write(path / "README.json", {"about": "this repository"})
        test_cve_json.write(path / "cves/CVE-2024-0001.json", test_cve_json.record())
    elif form.endswith((".parquet", ".jsonl")):
        test_record_table.write(
            folder, path.suffix, [{**test_record_table.ROW, "cve_id": "CVE-2024-0001"}]
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
        ("t.parquet", "table"),
        ("t.jsonl", "table"),
    ],
)
def test_a_format_is_recognised(tmp_path: Path, form: str, source: str) -> None:
    path = make(tmp_path, form)
    (record,) = read_vulnerabilities(path)
    assert record.cve_id == "CVE-2024-0001"
    feed = FEEDS[source]
    assert recognise(path) is feed
    assert feed.read is not None
    assert [record] == list(feed.read(path, refuse))


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
    modules = [
        "formats.archives",
        "formats.tsv",
        "sources.schema",
        "sources.nvd",
        "sources.cvelist",
        "sources.record_table",
        "sources.cwe",
        "sources.download",
        "sources.fetch",
    ]
    imports = "; ".join(f"import cybersecqwen.{name}" for name in modules)
    heavy = "{'pyarrow', 'httpx2', 'huggingface_hub', 'tqdm', 'platformdirs'}"
    code = f"import sys; {imports}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
