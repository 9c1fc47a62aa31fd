"""A small feed and benchmark that ship with the package, to see the whole chain work offline.

    records = list(nvd.read(FEED))
    items = read_items(BENCHMARK, "cti-rcm")

Vendors, products and flaws are invented, the ids (CVE-20NN-9000001 and up) never assigned.
The feed holds, besides ordinary records, those that a corpus builder must not take: rejected,
unlabelled, repeated, contradicting, and overlapping with the benchmark.
"""

from __future__ import annotations

from pathlib import Path

FEED = Path(__file__).parent / "nvdcve-2.0-sample.json"
BENCHMARK = Path(__file__).parent / "benchmark"
