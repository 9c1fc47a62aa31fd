"""Files of every kind fill the store, and real ones come through whole."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.sources import cve_json, record_table
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import import_files
from cybersecqwen.sources.recordstore.versions import Changes

from ..test_kev import catalogue, entry


def test_real_files_are_imported_whole_and_once(shared: Path, order: UpdateOptions) -> None:
    feed = shared / "nvd" / "nvdcve-2.0-2015.json.gz"
    sample = shared / "cvelist" / "cve-json5-sample.tar.gz"
    first, second = (changes for _, changes in import_files(order, [feed, sample]))
    listed = {record.cve_id: record for record in cve_json.read(sample)}
    assert first == Changes(received=8769, new=8769)
    assert second.received == len(listed) == 400
    stored = {record.cve_id: record for record in query.read(order.store)}
    assert len(stored) == first.new + second.new
    assert all(stored[i].cwe_cna == listed[i].cwe_cna for i in listed)
    assert stored["CVE-2015-0361"].cwe_nvd == ("NVD-CWE-Other",)
    assert stored["CVE-2015-0361"].modified == "2025-04-12T10:46:40.837"
    assert [changes for _, changes in import_files(order, [sample])] == [Changes(received=400)]


def test_of_a_truncated_file_what_came_before_is_kept(tmp_path: Path, order: UpdateOptions) -> None:
    row = dict.fromkeys(record_table._Columns.model_fields) | {"description": "XSS"}
    lines = (json.dumps(row | {"cve_id": f"CVE-2021-{n + 1000}"}) + "\n" for n in range(5000))
    path = tmp_path / "table.jsonl.gz"
    path.write_bytes(gzip.compress("".join(lines).encode())[:-200])
    bad: list[InputError] = []
    ((_, changes),) = import_files(order, [path], bad.append)
    assert ["truncated" in error.what for error in bad] == [True]
    assert 2500 < changes.new < 5000
    assert changes.new % 2000  # the batch that the end cut short is kept too


def test_a_file_of_kev_adds_what_is_missing_and_replaces_nothing(
    tmp_path: Path, order: UpdateOptions
) -> None:
    row = dict.fromkeys(record_table._Columns.model_fields)
    row |= {"cve_id": "CVE-2021-0001", "description": "XSS", "cwe_nvd": ["CWE-79"]}
    table, kev = tmp_path / "table.jsonl", tmp_path / "kev.json"
    table.write_text(json.dumps(row) + "\n")
    listed = catalogue(entry("CVE-2021-0001"), entry("CVE-2021-0002"))
    kev.write_text(json.dumps(listed))
    for files in ([table, kev], [kev, table]):
        store = replace(order, store=tmp_path / f"{files[0].stem}.sqlite")
        assert sum(changes.new for _, changes in import_files(store, files)) == 2
        told, alone = query.read(store.store)
        assert (told.description, told.cwe_nvd) == ("XSS", ("CWE-79",))
        assert alone.description_source == "kev"
