"""Files of every kind fill the store, and real ones come through whole."""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.sources import cve_json
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import import_files
from cybersecqwen.sources.recordstore.versions import Changes


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
