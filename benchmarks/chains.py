"""Collect which weaknesses lead to which, and measure the chains that `classify` names.

    python benchmarks/chains.py --mappings top25-2023-mappings.tsv --records cve.parquet \\
        --cwe cwec.xml.gz [--write]

The pairs are those of two CVEs or more of MITRE's analysts (columns `cve_id`, `cwe` and `chains`),
and of the relation CanPrecede in the catalogue. Each chain that is named for one of the analysts'
CVEs is compared with theirs, where the pair would be among these without that CVE. Note that the
model that ships has learned from these CVEs. `--write` writes the pairs that ship.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

from cybersecqwen.analyst.classification import classify
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.chains import LINKS
from cybersecqwen.files import write_text
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.cwe import read_weaknesses

Pair = tuple[str, str]

_CVES = 2  # of one alone, a pair is as often one of two readings as a chain


def read_pairs(path: Path) -> dict[str, set[Pair]]:
    """Read the pairs of each mapped CVE; none for one that is no chain."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["cve_id"]: {
                pair
                for chain in row["chains"].split(",")
                for pair in pairwise(cwe.strip() for cwe in chain.split("->"))
            }
            for row in csv.DictReader(file, delimiter="\t")
        }


def seen(pairs: dict[str, set[Pair]]) -> Counter[Pair]:
    """Count the CVEs that have each pair."""
    return Counter(pair for own in pairs.values() for pair in own)


def write_links(pairs: set[Pair]) -> None:
    """Write the pairs whose ids the catalogue has, by cause."""
    links: dict[str, list[str]] = defaultdict(list)
    for cause, effect in sorted(pairs, key=lambda pair: (int(pair[0][4:]), int(pair[1][4:]))):
        if {cause, effect} <= load_catalogue().keys() and cause != effect:
            links[cause].append(effect)
    text = json.dumps(links, separators=(",", ":")).replace("],", "],\n")
    write_text(LINKS, text + "\n")


def measure(pairs: dict[str, set[Pair]], others: set[Pair], records: Path) -> None:
    """Print how the chains that are named compare with the analysts'."""
    texts = {r.cve_id: r.description for r in read_vulnerabilities(records) if r.cve_id in pairs}
    times = seen(pairs)
    counts: Counter[str] = Counter()
    for cve_id, result in zip(texts, classify(texts.values()), strict=True):
        named, own = result.chain, pairs[cve_id]
        if named and named not in others and times[named] - (named in own) < _CVES:
            named = ()
        counts["chains of the analysts"] += bool(own)
        counts["chains named"] += bool(named)
        counts["of these the analysts name one too"] += bool(named and own)
        counts["of these it is theirs"] += named in own
    print(f"| of {len(texts):,} CVEs | |\n|---|---:|")
    for name, count in counts.items():
        print(f"| {name} | {count:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("mappings", "records", "cwe"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    pairs = read_pairs(given.mappings)
    facts = read_weaknesses(given.cwe).facts
    preceding = {(f.subject, f.target) for f in facts if f.relation == "can precede"}
    if given.write:
        write_links(preceding.union(p for p, times in seen(pairs).items() if times >= _CVES))
    measure(pairs, preceding, given.records)


if __name__ == "__main__":
    main()
